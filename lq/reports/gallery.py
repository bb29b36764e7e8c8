"""The pictures and reports of the documentation, made anew from runs (`lq gallery`).

Only valid runs are shown: on a busy machine it fails, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lq import figures, files, plots, reports
from lq.errors import BadInput, RunFailed
from lq.experiments.directories import finished
from lq.experiments.run import run
from lq.experiments.spec import Spec, load
from lq.experiments.sweep import sweep
from lq.plots import together
from lq.results.finished_run import Run
from lq.results.finished_sweep import Sweep

TRIES = 3  # of a run or a sweep that is not valid
_SIZE: dict[str, Any] = {"topology.modems": 4, "topology.hosts_per_modem": 2}
_SCAN: dict[str, Any] = {**_SIZE, "attack.addresses": 200, "attack.duration": 4}

RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "leasequery": ("reboot", _SIZE),
    "arp": ("reboot", {**_SIZE, "concentrator.mode": "arp"}),
    "glean-only": ("reboot", {**_SIZE, "concentrator.mode": "glean-only"}),
    "negative cache": ("dos", {**_SCAN, "attack.rate": 200}),
    "without": ("dos", {**_SCAN, "attack.rate": 200, "concentrator.negative_cache": False}),
}
"""The runs that are shown, by their names in the legends: scenario and settings."""

SWEEP = Sweep("dos", _SCAN, {"attack.rate": [100, 200, 400], "concentrator.negative_cache": [True, False]})

PICTURES: dict[str, Callable[[Mapping[str, Run]], Figure]] = {
    "recovery": lambda runs: plots.recovery_curve(
        [runs[name] for name in ("leasequery", "arp", "glean-only")], ["leasequery", "arp", "glean-only"]
    ),
    "sequence": lambda runs: plots.sequence_chart(runs["leasequery"]),
    "scan": lambda runs: together.queries_so_far(
        {name: runs[name] for name in ("negative cache", "without")}
    ),
}


def make(out: Path, kept: Path) -> list[Path]:
    """Write `gallery/NAME.svg` and `reports/NAME.html` below `out`; return the files.

    Runs are kept below `kept`; valid ones of the same specification that are there are taken. Raises
    RunFailed where none of `TRIES` is valid.
    """
    if not out.is_dir():
        raise BadInput(f"{out} is not a directory: name the directory of the documentation with --out")
    runs = {
        name: _valid(load(scenario, settings), kept / name.replace(" ", "-"))
        for name, (scenario, settings) in RUNS.items()
    }
    swept = _valid_sweep(SWEEP, kept / "dos-sweep")
    content = {
        **{f"gallery/{name}.svg": figures.written(draw(runs), "svg") for name, draw in PICTURES.items()},
        "reports/reboot.html": reports.made([runs["leasequery"].directory]),
        "reports/dos-sweep.html": reports.made([swept]),
    }
    tree = files.Tree(out)
    return [tree.write(name, octets) for name, octets in content.items()]


def _valid(spec: Spec, directory: Path) -> Run:
    for number in range(1, TRIES + 1):
        where = directory.with_name(f"{directory.name}-{number}")
        there = Run(where) if finished(where) else run(spec, where)
        if there.spec == spec and there.summary["valid"]:
            return there
    raise RunFailed(_not_valid(directory, there.summary["invalid_reasons"]))


def _valid_sweep(what: Sweep, directory: Path) -> Path:
    for number in range(1, TRIES + 1):
        done = sweep(what, directory.with_name(f"{directory.name}-{number}"), workers=1)
        reasons = [*done.failures.values(), *done.table["invalid_reasons"]]
        if not any(reasons):
            return done.directory
    raise RunFailed(_not_valid(directory, [reason for reason in reasons if reason]))


def _not_valid(directory: Path, reasons: list[str]) -> str:
    return (
        f"{directory.name} was not valid in {TRIES} tries ({'; '.join(reasons)}): stop other programs on "
        f"this machine, and remove {directory}-*"
    )
