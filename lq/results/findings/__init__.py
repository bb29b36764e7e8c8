"""What single scenarios show beyond what all do: further tables, and further keys of the summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from lq.experiments.spec import Spec
from lq.results import messages
from lq.results.findings import arp, backoff, failover, hijack, starve

Tables = Mapping[str, pd.DataFrame]


class _Finding(Protocol):
    def __call__(self, spec: Spec, result: Mapping[str, Any], tables: Tables) -> dict[str, Any]: ...


_FINDINGS: dict[str, _Finding] = {
    "backoff": backoff.summarize,
    "failover": failover.summarize,
    "arp": arp.summarize,
    "hijack": hijack.summarize,
    "starve": starve.summarize,
}
_ON_THE_WIRE = ("backoff", "failover")  # scenarios whose captures are read


def tabulate(spec: Spec, run_dir: Path, result: Mapping[str, Any], tables: Tables) -> dict[str, pd.DataFrame]:
    """Return a scenario's further tables, by name, times in seconds since the reboot.

    wire:    see `lq.results.messages`
    answers: see `lq.results.findings.failover`
    attacks: see `lq.results.findings.hijack`
    clients: see `lq.results.findings.starve`
    """
    if spec.scenario == "hijack":
        return {"attacks": hijack.attacks(spec, run_dir, result, tables)}
    if spec.scenario == "starve":
        return {"clients": starve.clients(result)}
    if spec.scenario not in _ON_THE_WIRE:
        return {}
    further = {"wire": messages.tabulate(run_dir, result)}
    if spec.scenario == "failover":
        further["answers"] = failover.answers(spec, result, {**tables, **further})
    return further


def summarize(spec: Spec, result: Mapping[str, Any], tables: Tables) -> dict[str, Any]:
    """Return a scenario's further keys of the summary; `verdict`, where there is one, is in words."""
    finding = _FINDINGS.get(spec.scenario)
    return {} if finding is None else finding(spec, result, tables)
