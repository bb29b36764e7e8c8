"""Figures from a sweep's table: medians over repeats with their confidence intervals.

A table is that of `lq.experiments.sweep`: one row for each run, with a column for each key of the grid and
each key of the summary. Points with runs that broke their fidelity bounds are marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from lq import figures
from lq.experiments.run import Run
from lq.experiments.sweep import aggregate
from lq.plots.canvas import COLOURS, DASHES, WARNING, canvas
from lq.plots.runs import SINCE_TAKEOVER, reachable

MARKERS = ("o", "s", "^", "D", "v", "P")
LABELS = {
    "attack.rate": "attack (packets/s)",
    "attack_packets": "attack packets",
    "controller_cpu_s": "controller's processor time (s)",
    "outage_s": "outage (s)",
    "queries_per_address": "queries per address",
    "queries_resent": "queries sent again",
    "queries_sent": "queries",
    "recovered": "subscribers recovered",
    "recovery_max_s": "time until the last is back (s)",
    "recovery_p50_s": "median time until a subscriber is back (s)",
    "recovery_p99_s": "time until 99 % are back (s)",
    "server_cpu_s": "server's processor time (s)",
    "topology.hosts_per_modem": "hosts behind each modem",
    "topology.modems": "modems",
    "wan.delay": "delay of the WAN, each way (s)",
    "wan.loss": "share lost on the WAN",
    "concentrator.window": "window (queries outstanding)",
}
"""How axes name the keys of specifications and summaries; a key without a name stands for itself."""


def medians(
    table: pd.DataFrame, x: str, y: str, by: str | None = None, ax: Axes | None = None, *, log: str = ""
) -> Figure:
    """Draw the median of `y` against `x`, one line for each value of `by`, with the medians' intervals.

    `log` names the axes ("x", "y", "xy") with a logarithmic scale.
    """
    figure, ax = canvas(ax)
    groups = [(None, table)] if by is None else list(table.groupby(by, sort=False, dropna=False))
    for number, (name, runs) in enumerate(groups):
        points = aggregate(runs, [x], y).sort_values(x)
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        ax.plot(
            points[x], points["median"], color=colour, linestyle=dashes, linewidth=2, label=str(name),
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
    if by is not None:
        ax.legend(title=label(by))
    _explain(ax, table)
    return figure


def heat_map(
    table: pd.DataFrame, x: str, y: str, value: str, ax: Axes | None = None, *, log: bool = False
) -> Figure:
    """Draw the median of `value` for each pair of `x` and `y` as a shade, with the number written in it."""
    figure, ax = canvas(ax)
    points = aggregate(table, [x, y], value)
    cells = points.pivot(index=y, columns=x, values="median").sort_index(axis=0).sort_index(axis=1)
    shades = cells.to_numpy(dtype=float)
    positive = shades[shades > 0]
    norm = (
        LogNorm(positive.min(), positive.max())
        if log and positive.size
        else Normalize(np.nanmin(shades), np.nanmax(shades))
    )
    image = ax.imshow(shades, cmap="cividis", norm=norm, aspect="auto", origin="lower")
    doubtful = set(map(tuple, points.loc[points["invalid"] > 0, [y, x]].to_numpy().tolist()))
    for row, down in enumerate(cells.index):
        for column, across in enumerate(cells.columns):
            found = shades[row, column]
            mark = "\N{MULTIPLICATION X} " if (down, across) in doubtful else ""
            light = not np.isnan(found) and norm(found) > 0.55
            text = "-" if np.isnan(found) else f"{mark}{found:.3g}"
            ax.text(column, row, text, ha="center", va="center", color="black" if light else "white")
    ax.set_xticks(range(len(cells.columns)), [str(name) for name in cells.columns])
    ax.set_yticks(range(len(cells.index)), [str(name) for name in cells.index])
    ax.grid(visible=False)
    ax.set(xlabel=label(x), ylabel=label(y))
    figure.colorbar(image, ax=ax, label=label(value))
    _explain(ax, table, bands=False)
    return figure


def recovery_bands(groups: dict[str, Sequence[Run]], ax: Axes | None = None) -> Figure:
    """Draw for each group of repeated runs the median recovery curve, and the range of its runs."""
    figure, ax = canvas(ax)
    end = max(run.recovery.max() for runs in groups.values() for run in runs) * 1.25
    grid = np.linspace(0, end if np.isfinite(end) else 1.0, 400)
    for number, (name, runs) in enumerate(groups.items()):
        shares = []
        for run in runs:
            curve = reachable(run)
            at = np.searchsorted(curve.index.to_numpy(), grid, side="right") - 1
            shares.append(curve.to_numpy()[at])
        every = np.array(shares)
        colour = COLOURS[number % len(COLOURS)]
        broken = any(not run.summary["valid"] for run in runs)
        ax.step(
            grid, np.median(every, axis=0), where="post", color=colour, linewidth=2,
            linestyle=DASHES[number % len(DASHES)], label=f"{name} (some not valid)" if broken else name,
        )  # fmt: skip
        ax.fill_between(
            grid, every.min(axis=0), every.max(axis=0), step="post", color=colour, alpha=0.2, linewidth=0
        )
    ax.set(xlim=(0, grid[-1]), ylim=(-0.02, 1.04), xlabel=SINCE_TAKEOVER, ylabel="share reachable")
    ax.legend(loc="lower right")
    return figure


def save_sweep(directory: Path) -> list[Path]:
    """Write the figures that a sweep's own grid suggests, as PNG and SVG; return the files.

    For one key with numbers: recovery, queries and load against it; a further key gives the lines; with two
    numeric keys there is a heat map of the recovery, too.
    """
    table = pd.read_parquet(directory / "table.parquet")
    columns = [str(name) for name in table.columns]
    keys = columns[columns.index("repeat") + 1 : columns.index("scenario")]
    numeric = [key for key in keys if pd.api.types.is_numeric_dtype(table[key]) and table[key].nunique() > 1]
    made: dict[str, Figure] = {}
    if numeric:
        by = next((key for key in keys if key != numeric[0]), None)
        for value in ("recovery_p50_s", "recovery_max_s", "queries_sent", "queries_per_address"):
            made[value] = medians(table, numeric[0], value, by)
    if len(numeric) > 1:
        made["heat"] = heat_map(table, numeric[0], numeric[1], "recovery_p50_s")
    (directory / "figures").mkdir(exist_ok=True)
    files = []
    for name, figure in made.items():
        for kind in ("png", "svg"):
            files.append(directory / "figures" / f"{name}.{kind}")
            figures.write(figure, files[-1])
    return files


def label(key: str) -> str:
    """Return how an axis names a key."""
    return LABELS.get(key, key)


def _explain(ax: Axes, table: pd.DataFrame, *, bands: bool = True) -> None:
    """Say in the title what is drawn, what the bands are, and what is not to be believed."""
    repeats = table.groupby("point").size() if "point" in table else pd.Series([1])
    number = f"{repeats.min()}" if repeats.min() == repeats.max() else f"{repeats.min()} to {repeats.max()}"
    said: list[Any] = [f"medians of {number} runs"] if repeats.max() > 1 else ["one run at each point"]
    if bands and repeats.max() > 5:
        said.append("bands: 95 % intervals")
    elif bands and repeats.max() > 1:
        said.append("bands: all runs")
    ax.set_title("; ".join(said), fontsize="small", loc="left", color="0.35")
    if not table["valid"].astype(bool).all():
        ax.set_title("\N{MULTIPLICATION X} some runs not valid", fontsize="small", loc="right", color=WARNING)
