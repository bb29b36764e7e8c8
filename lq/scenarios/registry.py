"""All scenarios: every module or package of `lq.scenarios` that has a `SCENARIO`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from lq import scenarios
from lq.scenarios.scenario import Scenario


def _found() -> dict[str, Scenario[Any]]:
    names = [module.name for module in pkgutil.iter_modules(scenarios.__path__)]
    modules = [importlib.import_module(f"lq.scenarios.{name}") for name in names if name != "registry"]
    found = [module.SCENARIO for module in modules if hasattr(module, "SCENARIO")]
    return {each.name: each for each in sorted(found, key=lambda each: (each.place, each.name))}


SCENARIOS = _found()
"""By name."""
