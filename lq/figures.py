"""How every figure of this package looks, is shown in a notebook, and is written to a file."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe and Ito's palette, which can be told apart with any colour vision.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
)  # fmt: skip
DOTS_PER_INCH = 150
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
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
        content = io.BytesIO()
        with style():
            self.savefig(content, format="png", dpi=DOTS_PER_INCH)
        return content.getvalue()


def write(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the file's name ends with; the same each time."""
    with style():
        if path.suffix == ".svg":
            figure.savefig(path, metadata={"Date": None})
        else:
            figure.savefig(path, dpi=DOTS_PER_INCH)
