"""The architecture as a test: imports point down, there is no circle, and the engine has no I/O."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.layers import FLOORS, ROOT, circles, functions, graph, imports, sources

SOURCES = sources("lq", "topologies", "controllers")
FLOOR = {package: number for number, packages in enumerate(FLOORS) for package in packages}
MOST_LINES = 418  # of a file; to become fewer, never more
MOST_LINES_OF_A_FUNCTION = 67  # its signature and docstring left out; to become fewer, never more
WITHOUT_IO = {
    name: path
    for name, path in SOURCES.items()
    if name.startswith(("lq.wire", "lq.concentrator")) or name in ("lq.server.assign", "lq.server.answer")
}
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


def package(name: str) -> str | None:
    """Return what of FLOORS a module belongs to: the most exact one, such as one module of a package."""
    known = [each for each in FLOOR if name == each or name.startswith(f"{each}.")]
    return max(known, key=len, default=None)


def test_there_is_something_to_check():
    assert len(SOURCES) > 200
    assert len(WITHOUT_IO) > 30
    assert {package(name) for name in SOURCES} - {None} == set(FLOOR), "a floor holds what there is, no more"


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_down(name):
    own = package(name)
    if own is None:
        assert name == "lq", f"{name} is on no floor"
        return
    for each in imports(SOURCES[name]):
        other = package(each)
        if other is not None:
            assert FLOOR[other] <= FLOOR[own], f"{name} imports {each}"


@pytest.mark.parametrize("name", WITHOUT_IO)
def test_the_engine_has_no_io(name):
    found = imports(SOURCES[name])
    assert not {each.split(".")[0] for each in found} & IO_MODULES
    assert not any(each.startswith(("lq.sandbox", "controllers", "topologies")) for each in found)


def test_there_is_no_circle_of_imports_not_even_of_types_or_inside_functions():
    assert circles(graph(SOURCES)) == []


def test_a_circle_would_be_seen():
    edges = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"f"}, "f": {"a", "e"}}
    assert circles(edges) == [["b", "c"], ["e", "f"]]


def test_what_is_imported_is_seen_wherever_it_stands(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.layers.ROOT", tmp_path)
    files = {
        "p/__init__.py": "",
        "p/a.py": "def late():\n    from p import b\n",
        "p/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .c import Something\n",
        "p/c.py": "import p.a\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert circles(graph(sources("p"))) == [["p.a", "p.b", "p.c"]]


def test_files_and_functions_do_not_grow():
    files = {name: len(path.read_text().splitlines()) for name, path in SOURCES.items()}
    longest = {f"{name}.{own}": lines for name, path in SOURCES.items() for own, lines in functions(path)}
    assert {name: lines for name, lines in files.items() if lines > MOST_LINES} == {}
    assert {name: lines for name, lines in longest.items() if lines > MOST_LINES_OF_A_FUNCTION} == {}
    assert max(files.values()) == MOST_LINES, "it has become shorter: let the bound follow"
    assert max(longest.values()) == MOST_LINES_OF_A_FUNCTION, "it has become shorter: let the bound follow"


@pytest.mark.parametrize("module", ["lq.plots", "lq.reports"])
def test_who_only_reads_runs_does_not_import_what_makes_them(module):
    machinery = (
        "lq.emulation",
        "lq.sandbox.sealed_lab",
        "controllers.framework",
        "mininet",
        "topologies.nodes",
    )
    code = f"import sys, {module}; print(*sorted(set({machinery!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


SCENARIOS = [name for name in SOURCES if name.startswith("lq.scenarios.")]
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


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_knows_a_network_and_nothing_of_what_emulates_it(name):
    """So that it runs in any world that has the methods of `lq.scenarios.network.Network`."""
    found = imports(SOURCES[name])
    assert not {each.split(".")[0] for each in found} & NOT_OF_A_SCENARIO
    assert not any(each.startswith("lq.emulation") for each in found)
    assert "/proc" not in SOURCES[name].read_text()


def test_the_scenarios_are_looked_at():
    assert "lq.scenarios.course" in SCENARIOS
    assert len(SCENARIOS) > 8
