"""Several runs' curves in one picture, each in a colour and dashes of its own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lq import headings
from lq.plots.canvas import COLOURS, DASHES, canvas, mark_invalid
from lq.plots.runs import probe_counts, since
from lq.results.finished_run import Run


def queries_so_far(runs: Mapping[str, Run]) -> Figure:
    """Draw how many leasequeries each run, by its name, had sent by each moment, repeats included."""
    figure, ax = canvas(None)
    ends = [float(run.table("phases")["end"].max()) - run.summary["outage_s"] for run in runs.values()]
    for (name, run), style, end in zip(runs.items(), _styles(), ends, strict=False):
        times = np.sort(run.table("queries")["at"].to_numpy(dtype=float)) - run.summary["outage_s"]
        moments = np.concatenate([[min([0.0, *times[:1]])], times, [max([end, *times[-1:]])]])
        counts = np.concatenate([np.arange(len(times) + 1), [len(times)]])
        ax.step(moments, counts, where="post", label=name, linewidth=2, **style)
    ax.set(ylabel="leasequeries so far")
    ax.set_ylim(0, None)
    _finish(ax, runs, "Leasequeries sent so far, with repeats")
    return figure


def delivered_shares(runs: Mapping[str, Run]) -> Figure:
    """Draw which share of each run's probes was delivered, by the time they were sent."""
    figure, ax = canvas(None)
    for (name, run), style in zip(runs.items(), _styles(), strict=False):
        counts, _ = probe_counts(run)
        ax.step(
            counts.index, counts["delivered"] / counts["sent"], where="post", label=name, linewidth=2, **style
        )
    ax.set(ylabel="probes delivered", ylim=(-0.02, 1.04))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    _finish(ax, runs, "Share of the probes that were delivered")
    return figure


def _styles() -> itertools.cycle[dict[str, Any]]:
    pairs = zip(COLOURS * len(DASHES), itertools.cycle(DASHES), strict=False)
    return itertools.cycle([{"color": colour, "linestyle": dashes} for colour, dashes in pairs])


def _finish(ax: Axes, runs: Mapping[str, Run], title: str) -> None:
    ax.set(xlabel=since(next(iter(runs.values()))))
    ax.legend(loc="best")
    headings.head(ax, title)
    mark_invalid(ax, list(runs.values()))
