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

import itertools
import math
import os
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lq import files, yaml_file
from lq.errors import BadInput, RunFailed, shown
from lq.experiments import spec as specification
from lq.experiments.run import Run, run, written_report
from lq.experiments.spec import MOST_SEED, Spec
from lq.experiments.statistics import median
from lq.sandbox.lab import Lab, LabError

Grid = Mapping[str, Sequence[Any]]
Progress = Callable[[str, int, int], None]
CORES_PER_LAB = 2  # a lab's switch, server, controller and traffic keep about so many busy
MOST_RUNS = 10_000
MOST_OF_PLAN = 64 << 20  # octets of a sweep.yaml
GLANCE = 0.2  # seconds between two looks at whether the sweep is going on


class Point(NamedTuple):
    """One run of the sweep: `settings` are the grid's keys with this point's values, as validated."""

    number: int
    repeat: int
    settings: dict[str, Any]
    spec: Spec

    @property
    def name(self) -> str:
        """The name of the run's directory."""
        return f"{self.number:04d}-{self.repeat}"


@dataclass(frozen=True)
class Sweep:
    """What is swept: `scenario` (a name or a file), `settings` common to all, the `grid`, `repeats`."""

    scenario: str
    settings: Mapping[str, Any]
    grid: Grid
    repeats: int = 1

    def points(self) -> list[Point]:
        """Return every run, validated, repeats innermost. Raises BadInput for a value out of range."""
        if self.repeats < 1:
            raise BadInput(f"--repeat {self.repeats}: use at least 1")
        if both := [name for name in self.grid if name in self.settings]:
            raise BadInput(f"{both[0]} is in the grid, and the same in all runs: use one of the two")
        if "seed" in self.grid and self.repeats > 1:
            raise BadInput("the seed is in the grid, and repeats take seeds of their own: use one of the two")
        runs = math.prod(map(len, self.grid.values())) * self.repeats
        if runs > MOST_RUNS:
            raise BadInput(f"these are more than {MOST_RUNS:,} runs: use fewer values or repeats")
        points = []
        for number, values in enumerate(itertools.product(*self.grid.values()), start=1):
            given = dict(zip(self.grid, values, strict=True))
            spec = specification.load(self.scenario, {**self.settings, **given})
            settings = {name: spec.value(name) for name in given}
            if spec.seed + self.repeats - 1 > MOST_SEED:
                raise BadInput(f"the repeats' seeds go beyond {MOST_SEED}: start with a smaller seed")
            for repeat in range(1, self.repeats + 1):
                each = spec.model_copy(update={"seed": spec.seed + repeat - 1})
                points.append(Point(number, repeat, settings, each))
        return points


class Finished(NamedTuple):
    """A sweep's outcome: the tidy table, and what failed by the run's name."""

    directory: Path
    table: pd.DataFrame
    failures: dict[str, str]

    def report(self, path: Path | str | None = None) -> Path:
        """Write a report that stands by itself, by default `report.html` in the sweep's directory."""
        return written_report(self.directory, path)


def workers_here() -> int:
    """How many labs this machine can run side by side without starving them."""
    return max(1, len(os.sched_getaffinity(0)) // CORES_PER_LAB)


def sweep(
    what: Sweep,
    directory: Path,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress = lambda *_: None,
) -> Finished:
    """Run what is not finished yet, and return the whole table.

    Labs run on this machine, `workers` of them side by side (by default as many as it can bear), or where
    `executor` runs them; it must see the same files. Whatever fails is set aside. Raises BadInput when the
    directory holds another sweep or cannot be written, or a run cannot be had at all. On that or an
    interrupt no run goes on: what waits is cancelled, what runs is ended.
    """
    points = what.points()
    _claim(directory, points)
    tree = files.Tree(directory)
    failures: dict[str, str] = {}
    waiting = [point for point in points if not _finished(directory / "runs" / point.name)]
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


def aggregate(table: pd.DataFrame, by: Iterable[str], value: str) -> pd.DataFrame:
    """Return medians over repeats, with columns `by`, and those of `Median`, and `invalid`.

    `invalid` counts runs that broke their fidelity bounds. They are in the median: leaving them out would
    favour what is measured when little goes on. A figure marks them.
    """
    keys = list(by)
    rows = []
    for group, runs in table.groupby(keys, sort=False, dropna=False):
        found = median(runs[value])
        names = dict(zip(keys, group, strict=True))
        rows.append(
            {
                **names,
                "median": found.value,
                "low": found.low,
                "high": found.high,
                "confidence": found.confidence,
                "count": found.runs,
                "invalid": int((~runs["valid"].astype(bool)).sum()),
            }
        )
    medians: pd.DataFrame = pd.DataFrame(rows)
    return medians


def _play(spec: Spec, directory: Path, name: str) -> None:
    """Run one point of the sweep in `directory`, for as long as the file `going` is there."""
    going = directory / "going"
    if not going.exists():
        raise RunFailed("the sweep has ended")
    tree = files.Tree(directory)
    runs = tree.make("runs")
    tree.remove(f"runs/{name}")  # what an interrupted sweep left of it
    labs: list[Lab] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(GLANCE):
            if not going.exists():
                for lab in labs:
                    lab.kill()

    threading.Thread(target=watch, daemon=True).start()
    try:
        run(spec, runs / name, opened=labs.append)
    finally:
        over.set()


def _finished(directory: Path) -> bool:
    return files.exists(directory / "summary.json")


def _claim(directory: Path, points: Sequence[Point]) -> None:
    """Write down what the directory is for, or check that it is for the same."""
    plan = plan_of(points)
    tree = files.Tree(directory)
    if tree.has("sweep.yaml"):
        if files.read(directory / "sweep.yaml", MOST_OF_PLAN) != plan.encode():
            raise BadInput(f"{directory} holds another sweep: give --out a new directory")
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise BadInput(f"{directory} is not empty and holds no sweep: give --out a new directory")
    except OSError as error:
        raise BadInput(f"cannot write to {directory}: {error.strerror}") from None
    tree.write("sweep.yaml", plan.encode())


def plan_of(points: Sequence[Point]) -> str:
    """Return what `sweep.yaml` holds of a sweep."""
    return yaml_file.dump(
        [{"run": p.name, "settings": p.settings, "spec": p.spec.model_dump(mode="json")} for p in points]
    )


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
        if _finished(path):
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
