"""The architecture as a test: imports point down, and the engine has no I/O."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = [
    {
        "lq.clocks",
        "lq.copies",
        "lq.errors",
        "lq.files",
        "lq.figures",
        "lq.headings",
        "lq.progress",
        "lq.stdio",
        "lq.yaml_file",
        "lq.wire",
        "lq.sandbox",
    },
    {"lq.server", "lq.concentrator", "lq.conformance", "lq.requirements", "topologies"},
    {"lq.simulation", "controllers"},
    {"lq.results", "lq.scenarios", "lq.emulation", "lq.experiments", "lq.bench"},
    {"lq.plots", "lq.reports", "lq.drawing", "lq.doctor", "lq.live", "lq.widget"},
    {"lq.cli", "lq.__main__"},
]
FLOOR = {package: number for number, packages in enumerate(FLOORS) for package in packages}
SOURCES = sorted(p for top in ("lq", "topologies", "controllers") for p in (ROOT / top).rglob("*.py"))
WITHOUT_IO = [
    *(ROOT / "lq/wire").glob("*.py"),
    *(ROOT / "lq/concentrator").glob("*.py"),
    ROOT / "lq/server/assign.py",
    ROOT / "lq/server/answer.py",
]
IO_MODULES = {
    "socket",
    "select",
    "time",
    "asyncio",
    "subprocess",
    "threading",
    "ryu",
    "os_ken",
    "os",
    "eventlet",
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def package(name: str) -> str | None:
    return next((known for known in FLOOR if name == known or name.startswith(f"{known}.")), None)


def test_there_is_something_to_check():
    assert len(SOURCES) > 20
    assert len(WITHOUT_IO) > 8


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_point_down(path):
    own = package(module_name(path))
    if own is None:
        assert path.name == "__init__.py", f"{path} is on no floor"
        return
    for name in imports(path):
        other = package(name)
        if other is not None and other != own:
            assert FLOOR[other] <= FLOOR[own], f"{module_name(path)} imports {name}"


@pytest.mark.parametrize("path", WITHOUT_IO, ids=module_name)
def test_the_engine_has_no_io(path):
    assert not {name.split(".")[0] for name in imports(path)} & IO_MODULES
    assert not any(name.startswith(("lq.sandbox", "controllers", "topologies")) for name in imports(path))


SCENARIOS = sorted(ROOT.glob("lq/scenarios/**/*.py"))
NOT_OF_A_SCENARIO = {
    "time",
    "os",
    "json",
    "subprocess",
    "socket",
    "signal",
    "mininet",
    "pandas",
    "topologies",
}


@pytest.mark.parametrize("path", SCENARIOS, ids=module_name)
def test_a_scenario_knows_a_network_and_nothing_of_what_emulates_it(path):
    """So that it runs in any world that has the methods of `lq.scenarios.network.Network`."""
    found = imports(path)
    assert not {name.split(".")[0] for name in found} & NOT_OF_A_SCENARIO
    assert not any(name.startswith("lq.emulation") for name in found)
    assert "/proc" not in path.read_text()


def test_the_scenarios_are_looked_at():
    assert "lq.scenarios.course" in map(module_name, SCENARIOS)
    assert len(SCENARIOS) > 8
