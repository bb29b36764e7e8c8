"""A grid of runs, repeated: one tidy table at the end, resumable at any moment.

A sweep's directory holds

```
sweep.yaml      what is swept: written first; the same sweep started again goes on where it was
runs/           one run's directory for each point and repeat, `0003-2` for point 3, repeat 2
failed/         what failed: the directory as it was left, with `error.txt`; tried again next time
going           there while the sweep works: runs end when it goes, on other machines, too
table.parquet   one row for each finished run: point, repeat, the grid's keys, the summary's keys
```

Repeat r of every point has the seed of the specification plus r - 1: points are compared under the same
random numbers, repeats are different ones.
"""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import pandas as pd

from lq import files
from lq.errors import BadInput, RunFailed, expect, shown
from lq.experiments.directories import finished, holding, making, unused
from lq.experiments.provenance import source
from lq.experiments.run import run
from lq.experiments.spec import Spec
from lq.progress import Progress, showing, silent
from lq.results.finished_run import Run, manifest
from lq.results.finished_sweep import PLAN, Finished, Point, Sweep, plan_of
from lq.sandbox.sealed_lab import LabError, SealedLab

__all__ = ["Finished", "Sweep", "sweep", "workers_here"]

CORES_PER_LAB = 2  # a lab's switch, server, controller and traffic keep about so many busy
MOST_OF_PLAN = 64 << 20  # octets
GLANCE = 0.2  # seconds between two looks at whether the sweep is going on


def workers_here() -> int:
    """How many labs this machine can run side by side without starving them."""
    return max(1, len(os.sched_getaffinity(0)) // CORES_PER_LAB)


def sweep(
    what: Sweep,
    directory: Path | str | None = None,
    *,
    reuse: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Finished:
    """Run what is not finished yet, and return the whole table.

    `directory` is the sweep's: new or empty, or with the same sweep in it, which goes on where it was. If
    another sweep is in it, the first of `directory-2`, `directory-3` and so on that is not there, or holds
    the same sweep, is taken. So a notebook's cell can be run again, after an interrupt or an edit, too. By
    default a new one below `runs/` is made; with `reuse` the newest one there with the same sweep (the same
    seeds) by the same code goes on; a printed line says which.

    `progress` is told how many runs are done; by default that is shown, and `lq.progress.silent` shows
    nothing. Labs run on this machine, `workers` of them side by side (by default as many as it can bear), or
    where `executor` runs them; it must see the same files. Whatever fails is set aside. Raises BadInput when
    the directory holds something else or cannot be written, or a run cannot be had at all. On that or an
    interrupt no run goes on: what waits is cancelled, what runs is ended.
    """
    expect(what, Sweep, "what is swept", 'write sweep(Sweep("reboot", {}, {"wan.delay": [0, 0.05]}))')
    expect(workers or 1, int, "the number of workers", "use a whole number")
    points = what.points()
    plan = plan_of(points)
    directory = _place(what, plan, None if directory is None else Path(directory), reuse)
    with showing(progress, f"sweep of {what.scenario}") as tell:
        return _sweep(points, directory, workers, executor, tell)


def _sweep(
    points: Sequence[Point],
    directory: Path,
    workers: int | None,
    executor: Executor | None,
    progress: Progress,
) -> Finished:
    """Run what is not finished yet of a sweep that has its directory."""
    tree = files.Tree(directory)
    failures: dict[str, str] = {}
    waiting = [point for point in points if not finished(directory / "runs" / point.name)]
    done = len(points) - len(waiting)
    progress("runs", done, len(points))
    going = tree.write("going", b"")
    pool = executor or ThreadPoolExecutor(workers or workers_here())
    futures: dict[Future[None], Point] = {}
    try:
        for point in waiting:
            futures[pool.submit(_play, point.spec, directory, point.name)] = point
        for future in as_completed(futures):
            point = futures[future]
            try:
                future.result()
            except BadInput:  # which is not this point's alone
                raise
            except Exception as error:
                failures[point.name] = _set_aside(tree, point, error)
            done += 1
            progress("runs", done, len(points))
            if point.name not in failures:
                _write_table(directory, points)
    finally:
        tree.remove(going.name)
        for future in futures:
            future.cancel()
        if executor is None:
            pool.shutdown(wait=True)
    return Finished(directory, _write_table(directory, points), failures)


def _play(spec: Spec, directory: Path, name: str) -> None:
    """Run one point of the sweep in `directory`, for as long as the file `going` is there."""
    going = directory / "going"
    if not going.exists():
        raise RunFailed("the sweep has ended")
    tree = files.Tree(directory)
    runs = tree.make("runs")
    tree.remove(f"runs/{name}")  # what an interrupted sweep left of it
    labs: list[SealedLab] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(GLANCE):
            if not going.exists():
                for lab in labs:
                    lab.kill()

    threading.Thread(target=watch, daemon=True).start()
    try:
        run(spec, runs / name, silent, opened=labs.append)
    finally:
        over.set()


def _place(what: Sweep, plan: bytes, directory: Path | None, reuse: bool) -> Path:
    """Return the directory of a sweep, with its plan in it."""
    if directory is None:
        if reuse and (found := _there(plan)):
            print(f"Goes on with what there is in {found}.")
            return found
        directory = unused(f"sweep-{Path(what.scenario).stem}")
    number, given = 1, directory
    while files.Tree(directory).has(PLAN):
        if files.read(directory / PLAN, MOST_OF_PLAN) == plan:
            return directory
        number += 1
        directory = given.with_name(f"{given.name}-{number}")
    with making(directory):
        if any(directory.iterdir()):
            raise BadInput(f"{directory} is not empty and holds no sweep: give --out a new directory")
    files.Tree(directory).write(PLAN, plan)
    return directory


def _there(plan: bytes) -> Path | None:
    """Return the newest directory below `runs/` with this sweep, if this code made what is finished of it."""
    code = source()
    for directory in holding(PLAN):
        if files.holds(directory / PLAN, plan):
            made = filter(finished, (directory / "runs").glob("*"))
            with contextlib.suppress(BadInput):
                if all(manifest(run).get("source") == code for run in made):
                    return directory
    return None


def _set_aside(tree: files.Tree, point: Point, error: Exception) -> str:
    """Keep what failed apart from what counts; return the error's line."""
    source, target = f"runs/{point.name}", f"failed/{point.name}"
    tree.remove(target)
    if tree.has(source):
        tree.move(source, target)
    else:
        tree.make(target)
    line, trace = " ".join(str(error).split()), ""
    if not isinstance(error, (RunFailed, LabError)):  # a fault of ours
        line, trace = f"{type(error).__name__}: {line}", "".join(traceback.format_exception(error))
    tree.write(f"{target}/error.txt", f"{line}\n{trace}".encode(errors="backslashreplace"))
    return line


def _write_table(directory: Path, points: Sequence[Point]) -> pd.DataFrame:
    rows = []
    kinds: dict[str, tuple[type, Path]] = {}
    for point in points:
        path = directory / "runs" / point.name
        if finished(path):
            summary = Run(path).summary
            _same_kinds(summary, path / "summary.json", kinds)
            summary["invalid_reasons"] = "; ".join(summary["invalid_reasons"])
            summary["run_dir"] = f"runs/{point.name}"
            rows.append({"point": point.number, "repeat": point.repeat, **point.settings, **summary})
    table: pd.DataFrame = pd.DataFrame(rows)
    files.Tree(directory).write("table.parquet", table.to_parquet(index=False))
    return table


def _same_kinds(summary: Mapping[str, Any], path: Path, kinds: dict[str, tuple[type, Path]]) -> None:
    """Raise BadInput where a value is of another kind than in the summaries before: no column holds both."""
    for key, value in summary.items():
        if value is None:
            continue
        kind = float if type(value) is int else type(value)
        known, where = kinds.setdefault(key, (kind, path))
        if kind is not known:
            raise BadInput(
                f"{path} is damaged: {shown(key)} is {shown(value)}, of another kind than in {where}"
            )
