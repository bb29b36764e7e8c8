"""A sweep to read: what is swept, run by run, and its tidy table. Nothing here starts anything."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lq import files, yaml_file
from lq.errors import BadInput, expect, expect_columns, shown
from lq.experiments import spec as specification
from lq.experiments.spec import Spec
from lq.results.finished_run import Drawn
from lq.results.statistics import median
from lq.scenarios.parts.common import MOST_SEED

Grid = Mapping[str, Sequence[Any]]
MOST_RUNS = 10_000
PLAN = "sweep.yaml"
MOST_REASONS = 3  # runs that a mark on a figure names


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
        expect(self.settings, Mapping, "what all runs share", 'write {"topology.modems": 4}')
        expect(self.grid, Mapping, "the grid", 'write {"wan.delay": [0, 0.05]}, a name and a list each')
        for name, values in self.grid.items():
            of = f"{shown(name)} in the grid"
            expect(
                values, (list, tuple, range, np.ndarray, pd.Series), of, f"write a list, [{shown(values)}]"
            )
            if not len(values):
                raise BadInput(f"{of} has no values: give one at least")
        expect(self.repeats, int, "the number of repeats", "use a whole number")
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

    def mark(self, figure: Drawn) -> Drawn:
        """Write on a figure drawn by hand which runs are not valid, and why; return the figure.

        `figure` is one of matplotlib, or an axes of it. Nothing is written if all runs are valid.
        """
        from lq import figures  # matplotlib takes long to import

        broken = self.table[~self.table["valid"].astype(bool)] if len(self.table) else self.table
        if len(broken):
            named = zip(broken["run_dir"].map(os.path.basename), broken["invalid_reasons"], strict=True)
            lines = [f"not valid: {len(broken)} of {len(self.table)} runs"]
            lines += [f"{name}: {reasons}" for name, reasons in itertools.islice(named, MOST_REASONS)]
            if len(broken) > MOST_REASONS:
                lines.append(f"and {len(broken) - MOST_REASONS} more: see invalid_reasons in the table")
            figures.mark(figure, lines)
        return figure


def aggregate(table: pd.DataFrame, by: str | Iterable[str], value: str) -> pd.DataFrame:
    """Return medians over repeats, with columns `by`, and those of `Median`, and `invalid`.

    `invalid` counts runs that broke their fidelity bounds. They are in the median: leaving them out would
    favour what is measured when little goes on. A figure marks them.
    """
    keys = [by] if isinstance(by, str) else list(by)
    expect_columns(table, [*keys, value, "valid"])
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


def plan_of(points: Sequence[Point]) -> bytes:
    """Return what a sweep's file says of it."""
    return yaml_file.dump(
        [{"run": p.name, "settings": p.settings, "spec": p.spec.model_dump(mode="json")} for p in points]
    ).encode()


def holds_another(what: Sweep, directory: Path) -> bool:
    """Whether a directory is another sweep's. Raises BadInput as `Sweep.points` does."""
    return files.Tree(directory).has(PLAN) and not files.holds(directory / PLAN, plan_of(what.points()))
