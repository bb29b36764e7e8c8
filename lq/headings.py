"""What stands above the axes of a figure: warnings, its title, and a note, one above the other.

They are placed in points, so that none runs into another however high the axes are, and broken into lines
that fit their width.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

from matplotlib.axes import Axes
from matplotlib.text import Text

WARNING = "#A00000"
_LINES: WeakKeyDictionary[Text, list[str]] = WeakKeyDictionary()  # of warnings, before they are broken
_TITLE, _NOTE, _WARNING = "title", "note", "warning"
_SIDES: tuple[Literal["left", "center", "right"], ...] = ("left", "center", "right")
_GAP = 3.0  # points
_LINE = 1.25  # of the font's size
_LETTER = 0.56  # of the font's size, on the average; bold ones are wider
_BESIDE = 45.0  # points that the axis to the left takes
MOST_LINES, MOST_WARNINGS = 6, 8  # of a text; of these


def head(ax: Axes, title: str, note: str = "", **style: Any) -> None:
    """Write a title, and below it a note in grey."""
    ax.set_title(title, loc="left", gid=_TITLE, **{"fontsize": "medium", **style})
    for old in _texts(ax, _NOTE):
        old.remove()
    if note:
        _write(ax, note, _NOTE, color="0.35", fontsize="small")
    arrange(ax)


def name(ax: Axes, said: str) -> None:
    """Put a name before the title: that of one of several axes."""
    for title in _texts(ax, _TITLE):
        title.set_text(f"{said}: {title.get_text()}")
    arrange(ax)


def explain(ax: Axes, said: str) -> None:
    """Write a title that only says how to read the figure, small and grey."""
    head(ax, said, fontsize="small", color="0.35")


def warn(ax: Axes, lines: Sequence[str]) -> None:
    """Write warnings above the title, below those that are there.

    A figure of these axes alone grows by them.
    """
    there = _texts(ax, _WARNING) or [
        _write(ax, "", _WARNING, color=WARNING, fontsize="small", fontweight="bold")
    ]
    said = [*_LINES.get(there[0], []), *lines]
    _LINES[there[0]] = [*said[:MOST_WARNINGS], *(["... and more"] if len(said) > MOST_WARNINGS else [])]
    before = _height(there[0])
    height = arrange(ax) - before
    figure = ax.get_figure(root=True)
    if figure is not None and len(figure.axes) == 1:
        figure.set_figheight(figure.get_figheight() + height / 72)


def arrange(ax: Axes, room: float | None = None) -> float:
    """Break what stands above axes into lines, and place it; return the warnings' height in points.

    `room` is how wide it may be, in points; if not given, about as wide as the axes are, and for warnings as
    far as the figure goes.
    """
    figure, place = ax.get_figure(root=True), ax.get_subplotspec()
    whole = 72 * (7.0 if figure is None else figure.get_figwidth())
    columns, first = (1, 0) if place is None else (place.get_gridspec().ncols, place.colspan.start)
    own = whole / columns - _BESIDE if room is None else room
    far = whole * (columns - first) / columns - _BESIDE if room is None else room
    up = _GAP
    for note in _texts(ax, _NOTE):
        up += _place(note, _lines(note.get_text(), note, own), up)
    ours = _texts(ax, _TITLE)
    for title in ours:
        said = _lines(title.get_text(), title, own)
        kept: dict[str, Any] = {"fontsize": title.get_fontsize(), "color": title.get_color()}
        ax.set_title("\n".join(said), loc="left", pad=up + _GAP, **kept)
        up += _height(title) + _GAP
    if not ours:  # drawn by hand
        lines = max(ax.get_title(loc=side).count("\n") + bool(ax.get_title(loc=side)) for side in _SIDES)
        up += lines * _LINE * float(ax.title.get_fontsize()) + _GAP
    up, height = up + _GAP, 0.0
    for warning in _texts(ax, _WARNING):
        broken = [part for line in _LINES.get(warning, []) for part in _lines(line, warning, far)]
        height = _place(warning, broken, up)
    return height


def titles(ax: Axes) -> list[Text]:
    """Return the title that `head` has written, if it has."""
    return _texts(ax, _TITLE)


def _write(ax: Axes, text: str, kind: str, **style: Any) -> Text:
    return ax.annotate(
        text, (0, 1), xytext=(0, 0), xycoords="axes fraction", textcoords="offset points", ha="left",
        va="bottom", annotation_clip=False, gid=kind, **style,
    )  # fmt: skip


def _texts(ax: Axes, kind: str) -> list[Text]:
    found: list[Text] = ax.findobj(lambda artist: isinstance(artist, Text) and artist.get_gid() == kind)  # type: ignore[assignment]
    return found


def _place(text: Text, lines: Sequence[str], up: float) -> float:
    text.set_text("\n".join(lines))
    text.set_position((0, up))
    return _height(text)


def _lines(said: str, text: Text, room: float) -> list[str]:
    """Return what is said in lines for the room that there is; what was broken before is broken anew."""
    letter = float(text.get_fontsize()) * _LETTER * (1.12 if text.get_fontweight() == "bold" else 1.0)
    lines = textwrap.wrap(" ".join(said.split()), max(12, int(room / letter)))
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "..."]


def _height(text: Text) -> float:
    return float(text.get_fontsize()) * _LINE * (text.get_text().count("\n") + 1) if text.get_text() else 0.0
