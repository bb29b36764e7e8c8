"""The same figure of several runs, one below the other on the same scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lq import figures, headings
from lq.plots.canvas import SIZE
from lq.results.finished_run import Run


def panels(draw: Callable[[Run, Axes | None], Figure], runs: Mapping[str, Run]) -> Figure:
    """Return a figure with a panel for each of the `runs`, named by their keys; `draw` fills it."""
    width, height = SIZE
    with figures.style():
        figure = figures.ShownFigure(figsize=(width, height * len(runs)), layout="constrained")
        column = [figure.add_subplot(len(runs), 1, number) for number in range(1, len(runs) + 1)]
    for ax, (name, run) in zip(column, runs.items(), strict=True):
        draw(run, ax)
        headings.name(ax, name)
    x, y = ([ax.get_xlim() for ax in column], [ax.get_ylim() for ax in column])
    for ax in column:
        ax.set_xlim(min(left for left, _ in x), max(right for _, right in x))
        ax.set_ylim(min(low for low, _ in y), max(high for _, high in y))
    return figure
