"""What all figures of runs share: size, colours, and the mark on what is not to be believed."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lq import figures
from lq.errors import BadInput, expect
from lq.figures import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from lq.results.finished_run import Run

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
DASHES = ("-", "--", "-.", ":")
SIZE = (7.0, 4.0)  # inches


def canvas(ax: Axes | None, size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
    """Return the figure and axes to draw into, new ones where none are given."""
    if ax is not None:
        figure = ax.get_figure(root=True)
        assert figure is not None
        return figure, ax
    with figures.style():
        figure = figures.ShownFigure(figsize=size, layout="constrained")
        return figure, figure.add_subplot()


def seconds(duration: float) -> str:
    """Return a duration for a person to read."""
    if duration == 0 or abs(duration) >= 1:
        return f"{duration:,.0f} s" if abs(duration) >= 1000 else f"{duration:.3g} s"
    return f"{duration * 1000:.3g} ms"


def need_reboot(run: Run) -> None:
    """Raise BadInput for a run in whose first phase the concentrator did not reboot."""
    expect(run, Run, "the first argument", "give a run, as run(...) or Run(DIRECTORY) returns it")
    if not run.rebooted:
        raise BadInput(f"{run.directory}: the concentrator did not reboot, so there is no recovery to draw")


def mark_invalid(ax: Axes, runs: Sequence[Run]) -> None:
    """Say on the figure which runs broke the bounds within which an emulation is to be believed."""
    lines = []
    for run in runs:
        summary = run.summary
        if not summary["valid"]:
            of_which = f" ({run.directory.name})" if len(runs) > 1 else ""
            lines.append(f"not valid{of_which}: {'; '.join(summary['invalid_reasons'])}")
    if lines:
        figures.mark(ax, lines)
