"""Figures for a paper: in a given size, with letters that can be read in it, and nothing cut off."""

from __future__ import annotations

import itertools
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from lq import figures, headings
from lq.errors import BadInput, shown, unknown

LEAST_INCHES, MOST_INCHES = 1.0, 20.0
LEAST_DPI, MOST_DPI = 30, 1200
MOST_DOTS = 60_000_000  # of a PNG
LEAST_LETTER = 6.0  # points
_DESIGNED = 7.0  # inches for which the letters' sizes are meant
_SMALLEST = 0.7  # of these sizes
_LEAST_AXES = (0.7, 0.5)  # inches that are left to draw in


class Paper(NamedTuple):
    """What figures are wanted as: kinds of files, width and height in inches, dots per inch of a PNG."""

    kinds: tuple[str, ...] = figures.USUAL
    size: tuple[float, float] | None = None
    dpi: int = figures.DOTS_PER_INCH


def read(kinds: Sequence[str], size: str | None, dpi: int | None) -> Paper:
    """Return what is wanted, from the words of a command. Raises BadInput with the fix."""
    wanted = tuple(dict.fromkeys(kind for word in kinds for kind in word.lower().split(",")))
    for kind in wanted:
        if kind not in figures.KINDS:
            known = ", ".join(figures.KINDS)
            raise BadInput(f"--format: {unknown('format', kind, figures.KINDS)} (formats: {known})")
    paper = Paper(wanted or figures.USUAL, _size(size), figures.DOTS_PER_INCH if dpi is None else dpi)
    if not LEAST_DPI <= paper.dpi <= MOST_DPI:
        raise BadInput(f"--dpi {paper.dpi}: use {LEAST_DPI} to {MOST_DPI} dots per inch")
    if paper.size and paper.size[0] * paper.size[1] * paper.dpi**2 > MOST_DOTS:
        raise BadInput(f"the figure would have more than {MOST_DOTS:,} dots: use a smaller --size or --dpi")
    return paper


def _size(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3})?)x(\d{1,3}(?:\.\d{1,3})?)", text, re.ASCII)
    if found is None:
        raise BadInput(f"--size {shown(text)}: write WIDTHxHEIGHT in inches, for example 3.5x2.2")
    width, height = float(found[1]), float(found[2])
    if not all(LEAST_INCHES <= side <= MOST_INCHES for side in (width, height)):
        raise BadInput(f"--size {text}: use {LEAST_INCHES:g} to {MOST_INCHES:g} inches for each side")
    return width, height


def save(drawn: Mapping[str, Figure], directory: Path, paper: Paper) -> tuple[list[Path], list[str]]:
    """Write figures as is wanted; return the files, and the names of figures that do not fit the size."""
    fitting = {name: figure for name, figure in drawn.items() if not paper.size or fit(figure, paper.size)}
    return figures.save(fitting, directory, paper.kinds, paper.dpi), [n for n in drawn if n not in fitting]


def fit(figure: Figure, size: tuple[float, float]) -> bool:
    """Give a figure another size, in inches; return whether all that is written in it can be read."""
    figure.set_size_inches(size)
    scale = min(1.0, max(_SMALLEST, size[0] / _DESIGNED))
    for text in figure.findobj(lambda artist: isinstance(artist, Text)):
        assert isinstance(text, Text)
        text.set_fontsize(max(LEAST_LETTER, float(text.get_fontsize()) * scale))
    for line in figure.findobj(Line2D):
        assert isinstance(line, Line2D)
        line.set_linewidth(line.get_linewidth() * scale)
        line.set_markersize(line.get_markersize() * scale)
    with figures.style(), warnings.catch_warnings():
        warnings.filterwarnings("error", message="constrained_layout not applied")
        try:
            for ax in figure.axes:
                label = ax.yaxis.get_ticklabels() or [ax.yaxis.label]
                ax.tick_params(labelsize=label[0].get_fontsize())
            for _ in range(2):  # the first time tells how much room there is
                figure.draw_without_rendering()
                for ax in figure.axes:
                    _break(ax, figure)
            figure.draw_without_rendering()
        except UserWarning:
            return False
        return all(_readable(ax, figure) for ax in figure.axes)


def _break(ax: Axes, figure: Figure) -> None:
    """Break what stands around axes into lines that are no longer than the axes."""
    box = ax.get_window_extent()
    width, height = box.width * 72 / figure.dpi, box.height * 72 / figure.dpi
    headings.arrange(ax, max(width, 72.0))
    for label, room in ((ax.xaxis.label, width), (ax.yaxis.label, height)):
        letters = max(10, int(room / (float(label.get_fontsize()) * 0.52)))
        label.set_text(
            "\n".join(textwrap.wrap(" ".join(label.get_text().split()), letters, break_long_words=False))
        )


def _readable(ax: Axes, figure: Figure) -> bool:
    """Whether nothing of the axes is cut off, no two texts in them overlap, and there is room to draw."""
    box, whole = ax.get_window_extent(), figure.bbox
    around = ax.get_tightbbox() or box
    slack = 0.02 * figure.dpi
    inside = (
        around.x0 >= whole.x0 - slack and around.y0 >= whole.y0 - slack
        and around.x1 <= whole.x1 + slack and around.y1 <= whole.y1 + slack
    )  # fmt: skip
    large = box.width >= _LEAST_AXES[0] * figure.dpi and box.height >= _LEAST_AXES[1] * figure.dpi
    return inside and (large or not ax.lines) and not overlapping(ax)


def overlapping(ax: Axes) -> list[tuple[str, str]]:
    """Return pairs of texts, drawn in or above axes, that run into each other."""
    texts = [text for text in ax.texts if text.get_text() and text.get_in_layout()]
    texts += [title for title in headings.titles(ax) if title.get_text()]
    boxes = [(text.get_text(), _shrunk(text.get_window_extent())) for text in texts]
    return [(one, two) for (one, a), (two, b) in itertools.combinations(boxes[:400], 2) if a.overlaps(b)]


def _shrunk(box: Bbox) -> Bbox:
    """Return the box of the letters themselves: a font's lines are higher."""
    return Bbox.from_extents(box.x0, box.y0 + 0.15 * box.height, box.x1, box.y1 - 0.15 * box.height)
