"""How every figure of this package looks, is shown in a notebook, and is written to a file."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis, Tick
from matplotlib.figure import Figure
from matplotlib.text import Text

from lq import files, headings
from lq.errors import BadInput, expect
from lq.headings import WARNING

# Okabe and Ito's palette, which can be told apart with any colour vision.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
)  # fmt: skip
DOTS_PER_INCH = 150
KINDS = ("png", "svg", "pdf")
USUAL = ("png", "svg")  # what is written unless told otherwise
_ACROSS = "not-valid"  # the name of the mark across the axes
MOST_TEXT = 200  # characters of a line in a figure
# Signs that XML cannot hold, and those that turn the direction of what follows.
_NOT_TEXT = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u200d\u2010-\u2029\u202f-\u2065\u206a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,  # fonts go into the file as they are, which journals ask for
    "svg.hashsalt": "leasequery-lab",  # the same data gives the same file
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}


def style() -> AbstractContextManager[None]:
    """Return the context in which figures are made and written; nothing global changes."""
    return mpl.rc_context(_STYLE)


class ShownFigure(Figure):
    """A figure outside pyplot's global state, which a notebook shows as the result of a cell."""

    def _repr_png_(self) -> bytes:
        return written(self, "png")


_WITHOUT_DATE: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}


def written(figure: Figure, kind: str, dpi: int = DOTS_PER_INCH) -> bytes:
    """Return a figure as a file of one of the `KINDS`; the same each time. `dpi`: dots per inch of a PNG."""
    _take_as_it_is(figure)
    content = io.BytesIO()
    with style():
        figure.savefig(content, format=kind, dpi=dpi, metadata=_WITHOUT_DATE[kind])
    return content.getvalue()


def _take_as_it_is(figure: Figure) -> None:
    """Have names drawn as they are written: between two dollars matplotlib would read formulas.

    The numbers along axes are formulas of its own. Signs that no file of text can hold are replaced.
    """
    own: set[Any] = {axis.offsetText for axis in figure.findobj(Axis)}
    own |= {label for tick in figure.findobj(Tick) for label in (tick.label1, tick.label2)}
    for text in figure.findobj(Text):
        if text not in own:
            text.set_parse_math(False)
            text.set_text("\n".join(map(_written, text.get_text().split("\n"))))


def _written(line: str) -> str:
    line = line if len(line) <= MOST_TEXT else f"{line[: MOST_TEXT - 3]}..."
    return _NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", line)


def mark(where: Figure | Axes, reasons: Sequence[str]) -> None:
    """Say on a figure that what it shows is not to be believed, and why.

    `where` is the axes, or a figure, of which all axes are marked; the reasons stand above the first. They
    are added to those that are there.
    """
    expect(where, (Figure, Axes), "the first argument", "give a figure of matplotlib, or its axes")
    every = [where] if isinstance(where, Axes) else where.axes
    if not every:
        raise BadInput("the figure has no axes yet: draw first, then mark it")
    headings.warn(every[0], reasons)
    for ax in every:
        if not any(text.get_gid() == _ACROSS for text in ax.texts):
            ax.text(
                0.5, 0.45, "NOT VALID", transform=ax.transAxes, ha="center", va="center", color=WARNING,
                alpha=0.15, fontsize=48, rotation=20, zorder=0.5, in_layout=False, gid=_ACROSS,
            )  # fmt: skip


def save(
    drawn: Mapping[str, Figure],
    directory: Path,
    kinds: Sequence[str] = USUAL,
    dpi: int = DOTS_PER_INCH,
) -> list[Path]:
    """Write figures by their names into `figures` of a directory, in these kinds; return the files."""
    tree = files.Tree(directory)
    return [
        tree.write(f"figures/{name}.{kind}", written(figure, kind, dpi))
        for name, figure in drawn.items()
        for kind in kinds
    ]
