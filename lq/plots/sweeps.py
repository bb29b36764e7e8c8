"""Figures from a sweep's table: medians over repeats with their confidence intervals.

A table is that of `lq.experiments.sweep`: one row for each run, with a column for each key of the grid and
each key of the summary. Points with runs that broke their fidelity bounds are marked.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lq import figures, headings
from lq.errors import BadInput, expect, expect_columns
from lq.figures import BLUE
from lq.headings import WARNING
from lq.plots.canvas import COLOURS, DASHES, SIZE, canvas
from lq.plots.labels import differing, is_number, label, point_names, value_name
from lq.plots.runs import NOBODY, SINCE_TAKEOVER, reachable
from lq.results import tables
from lq.results.finished_run import Run
from lq.results.finished_sweep import MOST_RUNS, aggregate
from lq.results.schema import Kind
from lq.scenarios.registry import SCENARIOS

CROSS = "\N{MULTIPLICATION X}"
MARKERS = ("o", "s", "^", "D", "v", "P")
SHORT_LEGEND, SHORT_NAME = 4, 36  # lines, and letters of each, that fit beside what is drawn
MOST_BARS = 1000
LINE = 0.2  # inches that a line of a legend takes
DRAWN = ("recovery_p50_s", "recovery_max_s", "queries_sent", "queries_per_address")


def medians(
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str | Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    log: str = "",
) -> Figure:
    """Draw the median of `y` against `x`, one line for each value of `by`, with the medians' intervals.

    `by` is a column or several; if not given, all other keys of the grid that differ. `log` names the axes
    ("x", "y", "xy") with a logarithmic scale. Raises ValueError where points that differ in another key
    would be taken for repeats.
    """
    _need(table, x, y, *([by] if isinstance(by, str) else by or ()))
    keys = (
        [key for key in differing(table) if key != x] if by is None else [by] if isinstance(by, str) else by
    )
    lines = _lines(table, keys)
    _refuse_mixtures(table, [lines, table[x]], [x, *keys])
    alone = ax is None
    figure, ax = canvas(ax)
    for number, name in enumerate(lines.unique()):
        points = aggregate(table[lines == name], [x], y).sort_values(x)
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        ax.plot(
            points[x], points["median"], color=colour, linestyle=dashes, linewidth=2, label=name,
            marker=MARKERS[number % len(MARKERS)], markersize=5, clip_on=False,
        )  # fmt: skip
        ax.fill_between(points[x], points["low"], points["high"], color=colour, alpha=0.2, linewidth=0)
        doubtful = points[points["invalid"] > 0]
        ax.plot(doubtful[x], doubtful["median"], "x", color=WARNING, markersize=11, markeredgewidth=2)
    ax.set(xlabel=label(x), ylabel=label(y))
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    else:
        ax.set_ylim(0, None)
    if keys:
        _legend(ax, label(keys[0]) if len(keys) == 1 else None, alone=alone)
    _explain(ax, table)
    return figure


def _need(table: pd.DataFrame, *columns: str) -> None:
    """Raise BadInput unless there is a table with these columns."""
    expect(table, pd.DataFrame, "the first argument", "give the table of a sweep, as sweep(...).table")
    expect_columns(table, [*columns, "valid"])


def _lines(table: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """Return the name of each row's line: its value where there is one key, which heads the legend."""
    return table[keys[0]].map(value_name) if len(keys) == 1 else point_names(table, keys)


def _legend(
    ax: Axes, title: str | None = None, where: Literal["best", "lower right"] = "best", *, alone: bool
) -> None:
    """Place a legend where it hides little: a long one below the axes, if these are alone in the figure."""
    _, names = ax.get_legend_handles_labels()
    if alone and (len(names) > SHORT_LEGEND or max(map(len, names)) > SHORT_NAME):
        figure = ax.get_figure(root=True)
        assert figure is not None
        figure.set_figheight(figure.get_figheight() + LINE * (len(names) + 1))
        figure.legend(title=title, fontsize="small", loc="outside lower left")
    else:
        ax.legend(title=title, fontsize="small", loc=where)


def _refuse_mixtures(table: pd.DataFrame, groups: Sequence[pd.Series], keys: Sequence[str]) -> None:
    """Raise ValueError where runs of one group are of several points: they would be taken for repeats."""
    points = point_names(table, differing(table))
    if points.groupby([group.to_numpy() for group in groups], dropna=False).nunique().max() > 1:
        missing = [key for key in differing(table) if key not in keys]
        raise ValueError(
            f"the points also differ in {', '.join(missing)}: name these in `by`, or choose rows"
        )


def categories(
    table: pd.DataFrame, value: str, by: str | Sequence[str] | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the median of `value` as a bar for each combination of `by`, and each run as a dot.

    `by` as in `medians`: for keys whose values are not numbers.
    """
    _need(table, value, *([by] if isinstance(by, str) else by or ()))
    keys = differing(table) if by is None else [by] if isinstance(by, str) else by
    lines = _lines(table, keys)
    _refuse_mixtures(table, [lines], keys)
    names = list(lines.unique())
    if len(names) > MOST_BARS:
        raise BadInput(f"{len(names)} bars are too many for a figure: choose at most {MOST_BARS} points")
    told = ["\n".join(textwrap.wrap(name, SHORT_NAME)) for name in names]
    lines_of_all = sum(text.count("\n") + 1 for text in told)
    figure, ax = canvas(ax, (SIZE[0], 1.2 + LINE * (lines_of_all + len(names))))
    for row, name in enumerate(names):
        runs = table[lines == name]
        found = runs[value].astype(float)
        ax.barh(row, np.nan_to_num(found.median()), height=0.6, color=BLUE, alpha=0.35)
        for valid, mark, colour in ((True, "o", BLUE), (False, "x", WARNING)):
            dots = found[runs["valid"].astype(bool) == valid].dropna()
            ax.plot(dots, [row] * len(dots), mark, color=colour, clip_on=False)
        if found.isna().all():
            ax.text(0, row, " none", va="center", color="0.35")
    ax.set_yticks(range(len(names)), told, parse_math=False)
    ax.set(xlim=(0, None), ylim=(len(names) - 0.5, -0.5))
    ax.grid(visible=False, axis="y")
    ax.set(xlabel=label(value), ylabel=label(keys[0]) if len(keys) == 1 else "")
    _explain(ax, table, bands=False)
    return figure


def heat_map(
    table: pd.DataFrame, x: str, y: str, value: str, ax: Axes | None = None, *, log: bool = False
) -> Figure:
    """Draw the median of `value` for each pair of `x` and `y` as a shade, with the number written in it.

    Raises ValueError as `medians` does.
    """
    _need(table, x, y, value)
    _refuse_mixtures(table, [table[x], table[y]], [x, y])
    figure, ax = canvas(ax)
    points = aggregate(table, [x, y], value)
    cells = points.pivot(index=y, columns=x, values="median").sort_index(axis=0).sort_index(axis=1)
    shades = cells.to_numpy(dtype=float)
    known = shades[~np.isnan(shades)]
    positive = shades[shades > 0]
    norm = (
        LogNorm(positive.min(), positive.max())
        if log and positive.size
        else Normalize(known.min(), known.max())
        if known.size
        else Normalize(0, 1)
    )
    image = ax.imshow(shades, cmap="cividis", norm=norm, aspect="auto", origin="lower")
    doubtful = set(map(tuple, points.loc[points["invalid"] > 0, [y, x]].to_numpy().tolist()))
    for row, down in enumerate(cells.index):
        for column, across in enumerate(cells.columns):
            found = shades[row, column]
            mark = f"{CROSS} " if (down, across) in doubtful else ""
            light = not np.isnan(found) and norm(found) > 0.55
            text = "-" if np.isnan(found) else f"{mark}{found:.3g}"
            ax.text(column, row, text, ha="center", va="center", color="black" if light else "white")
    ax.set_xticks(range(len(cells.columns)), [str(name) for name in cells.columns], parse_math=False)
    ax.set_yticks(range(len(cells.index)), [str(name) for name in cells.index], parse_math=False)
    ax.grid(visible=False)
    ax.set(xlabel=label(x), ylabel=label(y))
    figure.colorbar(image, ax=ax, label=label(value))
    _explain(ax, table, bands=False)
    return figure


def recovery_bands(groups: Mapping[str, Sequence[Run]], ax: Axes | None = None) -> Figure:
    """Draw for each group of repeated runs the median recovery curve, and the range of its runs.

    Runs in which nobody was probed after the takeover are left out.
    """
    alone = ax is None
    figure, ax = canvas(ax)
    curves = {
        name: [curve for curve in map(reachable, runs) if not curve.empty] for name, runs in groups.items()
    }
    every = list(itertools.chain.from_iterable(curves.values()))
    # A little after the last return; where someone stays away, to the end of the longest run.
    back = [curve.index[-1] if curve.iloc[-1] < 1 else 1.25 * curve.index[-2] for curve in every]
    grid = np.linspace(0, max(back, default=1.0), 400)
    for number, (name, some) in enumerate(curves.items()):
        if not some:
            continue
        shares = np.array([_at(curve, grid) for curve in some])
        colour = COLOURS[number % len(COLOURS)]
        broken = any(not run.summary["valid"] for run in groups[name])
        ax.step(
            grid, np.median(shares, axis=0), where="post", color=colour, linewidth=2,
            linestyle=DASHES[number % len(DASHES)], label=f"{name} {CROSS}" if broken else name,
        )  # fmt: skip
        ax.fill_between(
            grid, shares.min(axis=0), shares.max(axis=0), step="post", color=colour, alpha=0.2, linewidth=0
        )
    ax.set(xlim=(0, grid[-1]), ylim=(-0.02, 1.04), xlabel=SINCE_TAKEOVER, ylabel="subscribers reachable")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    if any(not run.summary["valid"] for run in itertools.chain.from_iterable(groups.values())):
        headings.warn(ax, [f"{CROSS} some runs are not valid"])
    if not every:
        ax.text(0.5, 0.5, NOBODY, transform=ax.transAxes, ha="center", color="0.35")
        return figure
    repeats = {len(some) for some in curves.values() if some}
    number_of = f"{min(repeats)}" if len(repeats) == 1 else f"{min(repeats)} to {max(repeats)}"
    said = "one run for each curve" if repeats == {1} else f"medians of {number_of} runs; bands hold all runs"
    headings.explain(ax, said)
    _legend(ax, where="lower right", alone=alone)
    return figure


def _at(curve: pd.Series, moments: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what a curve of steps is at each moment."""
    steps: np.ndarray[Any, Any] = curve.to_numpy()
    return steps[np.searchsorted(curve.index.to_numpy(), moments, side="right") - 1]


def sweep_table(directory: Path) -> pd.DataFrame:
    """Return a sweep's table, a row at least. Raises BadInput, which names the file, if it cannot be one."""
    path = directory / "table.parquet"
    table = tables.read(path, {})
    if table.empty:
        raise BadInput(f"no run of the sweep {directory} has finished: see {directory / 'failed'}")
    if len(table) > MOST_RUNS:
        raise BadInput(f"{path} is damaged: it has more than {MOST_RUNS:,} rows")
    drawn: dict[str, Kind] = dict.fromkeys(DRAWN, "number?")
    for scenario in SCENARIOS.values():
        drawn.update(dict.fromkeys(scenario.drawn, "number?"))
    there: dict[str, Kind] = {key: kind for key, kind in drawn.items() if key in table}
    if "run_dir" in table:
        there["run_dir"] = "text"
    tables.check(table, path, {"repeat": "number", "scenario": "text", "valid": "bool", **there})
    for key in differing(table):
        if is_number(table[key]):
            tables.check(table, path, {key: "number"})
    if "run_dir" in table and not all(map(_is_below, table["run_dir"])):
        raise BadInput(f"{path} is damaged: a run_dir is not inside the sweep's directory")
    return table


def _is_below(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def save_sweep(directory: Path) -> list[Path]:
    """Write the figures that a sweep's own grid suggests, as PNG and SVG; return the files (`of_sweep`)."""
    return figures.save(of_sweep(directory), directory)


def of_sweep(directory: Path) -> dict[str, Figure]:
    """Draw the figures that a sweep's own grid suggests, by their names.

    With a key that has numbers (the attack's rate before others): recovery and queries against it, of attacks
    the load, too (`DRAWN_OF`); all other keys together tell the lines apart. Without one, bars for each
    point. With two such keys, heat maps. Of reboots the recovery curves, a few points in each figure. Raises
    BadInput if no run has finished.
    """
    table = sweep_table(directory)
    keys = differing(table)
    numeric = sorted((key for key in keys if is_number(table[key])), key=lambda key: key != "attack.rate")
    values = [key for key in drawn_of(table) if key in table and table[key].notna().any()]
    made: dict[str, Figure] = {}
    for value in values:
        made[value] = medians(table, numeric[0], value) if numeric else categories(table, value)
    if len(numeric) > 1 and values:
        shown = "server_load" if "server_load" in values else values[0]
        others = point_names(table, [key for key in keys if key not in numeric[:2]])
        for number, name in enumerate(others.unique(), start=1):
            some = heat_map(table[others == name], numeric[0], numeric[1], shown)
            if others.nunique() > 1:
                some.suptitle(name, fontsize="medium")
            made["heat" if others.nunique() == 1 else f"heat-{number}"] = some
    return made | _recoveries(directory, table, keys)


def drawn_of(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the keys of the summary that a sweep is drawn by."""
    drawn = {tuple(SCENARIOS[name].drawn) if name in SCENARIOS else () for name in table["scenario"]}
    return (drawn.pop() if len(drawn) == 1 else ()) or DRAWN


def _recoveries(directory: Path, table: pd.DataFrame, keys: Sequence[str]) -> dict[str, Figure]:
    """Draw the recovery curves of a sweep of reboots, a few points in a figure; above it what they share."""
    single = [name for name, scenario in SCENARIOS.items() if scenario.one_reboot]
    if not table["scenario"].isin(single).all() or "run_dir" not in table:
        return {}
    points = point_names(table, keys)
    parts = np.array_split(points.unique(), math.ceil(points.nunique() / len(COLOURS)))
    made = {}
    for number, part in enumerate(parts, start=1):
        rows = table[points.isin(part)]
        own = differing(rows)
        groups = {
            str(name): [Run(directory / run) for run in runs]
            for name, runs in rows["run_dir"].groupby(point_names(rows, own), sort=False)
        }
        figure = recovery_bands(groups)
        if shared := [key for key in keys if key not in own]:
            figure.suptitle(point_names(rows, shared).iloc[0], fontsize="medium")
        made["recovery" if len(parts) == 1 else f"recovery-{number}"] = figure
    return made


def _explain(ax: Axes, table: pd.DataFrame, *, bands: bool = True) -> None:
    """Say in the title what is drawn, what the bands are, and what is not to be believed."""
    repeats = table.groupby("point").size() if "point" in table else pd.Series([1])
    number = f"{repeats.min()}" if repeats.min() == repeats.max() else f"{repeats.min()} to {repeats.max()}"
    said: list[Any] = [f"medians of {number} runs"] if repeats.max() > 1 else ["one run at each point"]
    if bands and repeats.max() > 5:
        said.append("bands: 95 % intervals")
    elif bands and repeats.max() > 1:
        said.append("bands: all runs")
    headings.explain(ax, "; ".join(said))
    if not table["valid"].astype(bool).all():
        headings.warn(ax, [f"{CROSS} some runs are not valid"])
