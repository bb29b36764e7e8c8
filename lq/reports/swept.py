"""The report of a sweep: its points, figures, and the command that runs it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lq import plots
from lq.errors import BadInput
from lq.experiments.spec import SCENARIOS
from lq.plots.labels import differing
from lq.plots.sweeps import drawn_of
from lq.reports import sections, specification, words
from lq.reports.page import Column, Markup, table, tag
from lq.results.finished_run import Run
from lq.results.finished_sweep import Sweep, aggregate, holds_another

MOST_POINTS = 200  # in the table
MOST_VALUES = 6  # measured, side by side
_LEFT_TO_GRID = ("seed",)


def title(directory: Path) -> str:
    """Return what heads a sweep's section."""
    found = plots.sweep_table(directory)
    return f"sweep of {words.text(found['scenario'].iloc[0], 40)}, {len(found):,} runs"


def section(directory: Path, number: int, *, several: bool) -> Markup:
    """Return a sweep's section of a report. Raises BadInput that names the file which cannot be used."""
    found = plots.sweep_table(directory)
    first = Run(directory / str(found["run_dir"].iloc[0]))
    spec = first.spec
    keys = _grid_keys(found)
    bad = found[~found["valid"].astype(bool)]
    parts: list[str] = [
        *([tag("h2", f"{number}. {title(directory)}")] if several else []),
        tag("p", SCENARIOS[spec.scenario], class_="faint"),
        sections.verdict(bad.empty, _said(found, keys), _reasons(bad)),
        tag("h3", "Figures"),
        *sections.shown_figures(plots.of_sweep(directory), f"f{number}"),
        tag("h3", "Numbers"),
        _points(found),
        tag("h3", "Specification"),
        tag("p", f"The grid: {'; '.join(_axis(found, key) for key in keys)}." if keys else "One point."),
        sections.differences(spec, [*keys, *_LEFT_TO_GRID]),
        tag("h3", "Origin"),
        sections.provenance(first.manifest, _of_all(directory, found)),
        tag("h3", "How to repeat it"),
        *_repeat(directory, found, keys, first),
    ]
    return tag("section", *parts, id=sections.anchor(number), class_="own" if several else "only")


def _grid_keys(found: pd.DataFrame) -> list[str]:
    columns = [str(name) for name in found.columns]
    return columns[columns.index("repeat") + 1 : columns.index("scenario")]


def _axis(found: pd.DataFrame, key: str) -> str:
    values = list(dict.fromkeys(map(words.setting, map(_plain, found[key]))))
    some = ", ".join(values[:20]) + (f" and {len(values) - 20} more" if len(values) > 20 else "")
    return f"{words.text(key, 100)} is {some}"


def _said(found: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    points = found["point"].nunique() if "point" in found else len(found)
    return [
        f"{len(found):,} runs have finished: {points:,} points of a grid over {len(keys)} settings, "
        f"{int(found['repeat'].max())} repeats at most."
    ]


def _reasons(bad: pd.DataFrame) -> list[str]:
    reasons = bad["invalid_reasons"] if "invalid_reasons" in bad else pd.Series("", index=bad.index)
    named = bad["run_dir"] if "run_dir" in bad else pd.Series("a run", index=bad.index)
    return [f"{run}: {reason}" for run, reason in zip(named, reasons, strict=True)]


def _points(found: pd.DataFrame) -> Markup:
    """Return the medians at each point."""
    keys = differing(found)
    wanted = [key for key in drawn_of(found) if key in found and found[key].notna().any()][:MOST_VALUES]
    heads = [Column(words.text(key, 60)) for key in keys] or [Column("point")]
    columns = [*heads, Column("runs", number=True), Column("not valid", number=True)]
    columns += [Column(words.name(key), number=True) for key in wanted]
    by = keys or ["scenario"]
    parts = [aggregate(found, by, key).to_dict("records") for key in wanted]
    rows = []
    for same in list(zip(*parts, strict=True))[:MOST_POINTS]:
        point = [words.setting(_plain(same[0][key])) for key in by]
        counts = [str(same[0]["count"]), str(same[0]["invalid"])]
        rows.append([*point, *counts, *(_median(key, row) for key, row in zip(wanted, same, strict=True))])
    what = "Medians of the repeats, with 95 % intervals from six repeats on"
    if parts and len(parts[0]) > MOST_POINTS:
        what += f"; the first {MOST_POINTS} of {len(parts[0]):,} points (all are in table.parquet)"
    return table(columns, rows, what)


def _median(key: str, row: dict[Any, Any]) -> str:
    if not row["count"]:
        return "-"
    middle = words.value(key, float(row["median"]))
    if row["confidence"] < 0.95:
        return middle
    return f"{middle} ({words.value(key, float(row['low']))} to {words.value(key, float(row['high']))})"


def _of_all(directory: Path, found: pd.DataFrame) -> list[tuple[str, str]]:
    """Return what the manifests of all runs say together: from when to when, and on how many machines."""
    manifests = [Run(directory / str(name)).manifest for name in found["run_dir"]]
    started = sorted(words.text(each.get("started")) for each in manifests)
    alike = {
        words.text(repr([each.get(key) for key in ("versions", "kernel", "datapath")]), 900)
        for each in manifests
    }
    rows = [
        ("sweep", words.text(directory.resolve().name, 100)),
        ("runs", f"{len(found):,}"),
        ("start of the last run", started[-1]),
    ]
    if len(alike) > 1:
        rows.append(
            (
                "note",
                f"the runs have {len(alike)} sets of versions, kernels and datapaths; below is that of "
                "the first run",
            )
        )
    return rows


def _repeat(directory: Path, found: pd.DataFrame, keys: Sequence[str], first: Run) -> list[str]:
    command = _command(directory, found, keys, first)
    if command is None:
        said = (
            "sweep.yaml names every run. Each run has its own spec.yaml, which repeats it: lq run "
            "DIR/spec.yaml."
        )
        return [tag("p", said)]
    return [tag("p", "This command runs the sweep again:"), tag("pre", command)]


def _command(directory: Path, found: pd.DataFrame, keys: Sequence[str], first: Run) -> str | None:
    """Return the command line of a sweep; None unless it gives just what `sweep.yaml` holds."""
    spec = first.spec
    chosen = specification.settings(spec)
    if chosen is None:
        return None
    common = {key: value for key, value in chosen.items() if key not in keys}
    grid = {key: list(dict.fromkeys(map(_plain, found[key]))) for key in keys}
    repeats = int(found["repeat"].max())
    try:
        if holds_another(Sweep(spec.scenario, common, grid, repeats), directory):
            return None
    except BadInput:
        return None
    options = {"topology.figure": "--topology", "seed": "--seed"}
    words_ = ["lq sweep", spec.scenario]
    for key, values in grid.items():
        words_ += ["--grid", shlex.quote(f"{key}={','.join(specification.written(key, v) for v in values)}")]
    words_ += specification.arguments(common, options=options)
    words_ += [f"--repeat {repeats}"] if repeats > 1 else []
    return " ".join([*words_, "--out", shlex.quote(f"runs/{words.text(directory.resolve().name, 100)}")])


def _plain(found: Any) -> Any:
    """Return a value of a table as Python's own, a missing one as None."""
    if hasattr(found, "item"):
        found = found.item()
    if isinstance(found, (list, tuple)) or hasattr(found, "tolist"):
        return [_plain(each) for each in found]
    return None if pd.isna(found) else found
