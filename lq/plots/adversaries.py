"""Figures of the scenarios with attackers in the access network: who got what, and who got a lease.

As in `lq.plots.runs` nothing is computed here that a table does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from lq import headings
from lq.figures import BLUE, ORANGE, SKY, VERMILION
from lq.plots.canvas import COLOURS, DASHES, canvas, mark_invalid
from lq.results.finished_run import Run
from lq.scenarios.starve import Starve
from lq.scenarios.trials import MOMENTS

OUTCOMES = ("nothing", "record changed", "spied on", "cut off", "hijacked")
"""What an attack came to, from the least to the worst; each stands for the worst that happened."""
_SHADES = ("#F2F2F2", SKY, ORANGE, BLUE, VERMILION)
_LETTERS = ("", "R", "S", "C", "H")
_ROW, _EDGE = 0.24, 1.6  # inches


def outcome(row: pd.Series) -> int:
    """Return the number of a trial's outcome in `OUTCOMES`; `row` is one of the table `attacks`."""
    if row["hijacked"]:
        return 4
    if row["cut_off"]:
        return 3
    if row["disclosed"]:
        return 2
    return int(row["lease_lost"] or row["option_82_forged"] or row["moved"])


def attack_matrix(
    runs: Run | Sequence[Run], labels: Sequence[str] | None = None, ax: Axes | None = None
) -> Figure:
    """Draw what each attack came to at each moment, one group of columns for each run of `hijack`.

    Of several trials of the same kind the worst counts; white is what was not tried.
    """
    runs = [runs] if isinstance(runs, Run) else list(runs)
    labels = [run.directory.name for run in runs] if labels is None else list(labels)
    tables = [run.table("attacks") for run in runs]
    names = list(
        dict.fromkeys(f"{row.attacker} {row.attack}" for table in tables for row in table.itertuples())
    )
    moments = [[moment for moment in MOMENTS if moment in set(table["moment"])] for table in tables]
    cells = np.full((len(names), sum(map(len, moments))), np.nan)
    columns, left = [], 0
    for table, some in zip(tables, moments, strict=True):
        worst = table.assign(
            name=table["attacker"] + " " + table["attack"], outcome=table.apply(outcome, axis=1)
        ).pivot_table(index="name", columns="moment", values="outcome", aggfunc="max")
        for moment in some:
            cells[:, left] = worst.reindex(names)[moment].to_numpy(dtype=float)
            columns.append(moment)
            left += 1
    figure, ax = canvas(ax, (7.0, _EDGE + _ROW * len(names)))
    ax.imshow(cells, cmap=ListedColormap(list(_SHADES)), vmin=-0.5, vmax=len(OUTCOMES) - 0.5, aspect="auto")
    for row, column in zip(*np.nonzero(np.nan_to_num(cells)), strict=True):
        number = int(cells[row, column])
        ax.text(column, row, _LETTERS[number], ha="center", va="center", fontsize="small")
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(names)), names, fontsize="small")
    ax.grid(visible=False)
    edges = np.cumsum([0, *map(len, moments)]) - 0.5
    for edge in edges[1:-1]:
        ax.axvline(edge, color="black", linewidth=1.5)
    if len(runs) > 1 or labels[0] != runs[0].directory.name:
        for name, begin, end in zip(labels, edges[:-1], edges[1:], strict=True):
            ax.text((begin + end) / 2, -0.7, name, ha="center", va="bottom", fontweight="bold")
    else:
        headings.head(ax, "Outcome of each attack")
    shown = [
        Patch(facecolor=shade, edgecolor="0.6", label=f"{letter} {name}".strip())
        for name, shade, letter in zip(OUTCOMES, _SHADES, _LETTERS, strict=True)
    ]
    figure.legend(handles=shown, loc="outside lower center", ncols=len(OUTCOMES), fontsize="small")
    mark_invalid(ax, runs)
    return figure


def lease_curve(run: Run, ax: Axes | None = None) -> Figure:
    """Draw the share of the newcomers that hold a lease against the time since each began, for each flood."""
    table, longest = run.table("clients"), run.spec.part(Starve).duration
    figure, ax = canvas(ax)
    for number, (phase, some) in enumerate(table.groupby("phase", sort=False)):
        waits = np.sort(some["wait_s"].dropna().to_numpy())
        shares = np.arange(1, len(waits) + 1) / len(some)
        ax.step(
            [0.0, *waits, longest], [0.0, *shares, shares[-1] if len(shares) else 0.0], where="post",
            color=COLOURS[number % len(COLOURS)], linestyle=DASHES[number % len(DASHES)], linewidth=2,
            label=f"{phase}: {len(waits)} of {len(some)}",
        )  # fmt: skip
    ax.set(
        xlabel="time since a new host first asked (s)", ylabel="new hosts with a lease",
        xlim=(0, longest), ylim=(-0.02, 1.04),
    )  # fmt: skip
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend(loc="center right", title="flood")
    headings.head(ax, "Leases during a flood from one subscriber")
    mark_invalid(ax, [run])
    return figure
