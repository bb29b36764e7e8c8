"""A picture as shapes, and its two painters: SVG for browsers, PNG for whatever shows only that.

Lengths are pixels from the upper left corner. Colours are names of `COLOURS`: a page may set each of them as
the CSS variable `--lq-NAME`, and what stands here holds where it does not.
"""

from __future__ import annotations

import functools
import io
from html import escape
from typing import Any, Literal, NamedTuple

from matplotlib import font_manager
from PIL import Image, ImageColor, ImageDraw, ImageFont

COLOURS = {
    "paper": "#FFFFFF", "ink": "#222222", "faint": "#5F6368", "line": "#777777", "none": "none",
    "server": "#D6E8F5", "concentrator": "#FBE3CC", "modem": "#E3F2EC", "down": "#C8C8C8", "alarm": "#B3400A",
    # The states: Okabe and Ito's colours, told apart with any colour vision; a sign or a word is there, too.
    "unknown": "#FFFFFF", "asking": "#E69F00", "located": "#0072B2", "refused": "#D55E00",
    "unknown-ink": "#222222", "asking-ink": "#1A1A1A", "located-ink": "#FFFFFF", "refused-ink": "#FFFFFF",
}  # fmt: skip
_FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Helvetica, Arial, sans-serif"
_SCALE = 1.6  # pixels of the PNG for one of the drawing
_TONES = 64  # colours of the PNG
_HEAD = 7  # pixels, length of an arrow's head


class Box(NamedTuple):
    """A box with round corners; `title` is shown while the mouse is over it."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str = "line"
    thick: float = 1
    dashed: bool = False
    title: str = ""


class Segment(NamedTuple):
    """A line, at whose end there may be an arrow's head. One with a `key` is drawn in when it is new."""

    x: float
    y: float
    to_x: float
    to_y: float
    stroke: str = "line"
    thick: float = 1
    arrow: bool = False
    dashed: bool = False
    opacity: float = 1
    key: int | None = None


class Text(NamedTuple):
    """One line of text, its base line at `y`."""

    x: float
    y: float
    text: str
    size: float
    ink: str = "ink"
    anchor: Literal["start", "middle", "end"] = "middle"
    bold: bool = False
    opacity: float = 1


Shape = Box | Segment | Text


class Drawing(NamedTuple):
    """Shapes on a sheet, with a short title and what a picture cannot tell everybody."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str
    words: str


def svg(drawing: Drawing) -> str:
    """Return a drawing as SVG. Whatever its texts hold is text there."""
    size = f"{drawing.width:g} {drawing.height:g}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lq-picture" viewBox="0 0 {size}" role="img" '
        f'width="{drawing.width:g}" height="{drawing.height:g}" font-family="{_FONT}" '
        f'style="max-width:100%;height:auto" aria-label="{escape(drawing.title)} {escape(drawing.words)}">'
        f"<title>{escape(drawing.title)}</title><desc>{escape(drawing.words)}</desc>",
        f'<rect width="{drawing.width:g}" height="{drawing.height:g}" rx="6" style="{_fill("paper")}"/>',
    ]
    parts += [_PARTS[type(shape)](shape) for shape in drawing.shapes]
    return "".join(parts) + "</svg>"


def _colour(name: str) -> str:
    return "none" if name == "none" else f"var(--lq-{name},{COLOURS[name]})"


def _fill(name: str) -> str:
    return f"fill:{_colour(name)}"


def _box_part(box: Box) -> str:
    dash = ' stroke-dasharray="4 3"' if box.dashed else ""
    rect = (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="5"{dash} '
        f'stroke-width="{box.thick:g}" style="{_fill(box.fill)};stroke:{_colour(box.stroke)}"'
    )
    return f"{rect}><title>{escape(box.title)}</title></rect>" if box.title else f"{rect}/>"


def _line_part(line: Segment) -> str:
    dash = ' stroke-dasharray="4 4"' if line.dashed else ""
    way = 0 if not line.arrow else _HEAD if line.to_x >= line.x else -_HEAD
    parts = (
        f'<path d="M{line.x:g} {line.y:g}L{line.to_x - way:g} {line.to_y:g}" fill="none"{dash} '
        f'stroke-width="{line.thick:g}" style="stroke:{_colour(line.stroke)}"/>'
    )
    if line.arrow:
        points = " ".join(f"{x:g},{y:g}" for x, y in _head(line))
        parts += f'<polygon points="{points}" style="{_fill(line.stroke)}"/>'
    if line.key is None and line.opacity == 1:
        return parts
    key = "" if line.key is None else f' class="lq-arrow" data-key="{line.key}"'
    return f'<g{key} opacity="{line.opacity:g}">{parts}</g>'


def _head(line: Segment) -> list[tuple[float, float]]:
    back = line.to_x - (_HEAD if line.to_x >= line.x else -_HEAD)
    return [(line.to_x, line.to_y), (back, line.to_y - 4), (back, line.to_y + 4)]


def _text_part(text: Text) -> str:
    weight = ' font-weight="600"' if text.bold else ""
    pale = "" if text.opacity == 1 else f' opacity="{text.opacity:g}"'
    return (
        f'<text x="{text.x:g}" y="{text.y:g}" font-size="{text.size:g}" '
        f'text-anchor="{text.anchor}"{weight}{pale} '
        f'pointer-events="none" style="{_fill(text.ink)}">{escape(text.text)}</text>'
    )


def png(drawing: Drawing) -> bytes:
    """Return a drawing as PNG, in the colours of a light page."""
    size = (round(drawing.width * _SCALE), round(drawing.height * _SCALE))
    image = Image.new("RGB", size, COLOURS["paper"])
    brush = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        _PAINTS[type(shape)](brush, shape)
    content = io.BytesIO()
    image.quantize(_TONES).save(content, "PNG", optimize=True)
    return content.getvalue()


def _paint_box(brush: ImageDraw.ImageDraw, box: Box) -> None:
    corners = [(_px(box.x), _px(box.y)), (_px(box.x + box.width), _px(box.y + box.height))]
    # Pillow has no dashes: a faint frame tells the same.
    frame = _mixed(box.stroke, 0.45 if box.dashed else 1)
    brush.rounded_rectangle(corners, _px(5), COLOURS[box.fill], frame, max(1, _px(box.thick)))


def _paint_line(brush: ImageDraw.ImageDraw, line: Segment) -> None:
    colour = _mixed(line.stroke, line.opacity * (0.6 if line.dashed else 1))
    brush.line(
        [(_px(line.x), _px(line.y)), (_px(line.to_x), _px(line.to_y))], colour, max(1, _px(line.thick))
    )
    if line.arrow:
        brush.polygon([(_px(x), _px(y)) for x, y in _head(line)], colour)


def _paint_text(brush: ImageDraw.ImageDraw, text: Text) -> None:
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[text.anchor]
    colour = _mixed(text.ink, text.opacity)
    brush.text((_px(text.x), _px(text.y)), text.text, colour, _font(text.size, text.bold), anchor=anchor)


def _px(length: float) -> int:
    return round(length * _SCALE)


def _mixed(name: str, opacity: float) -> tuple[int, ...]:
    """Return a colour on paper."""
    over, under = ImageColor.getrgb(COLOURS[name]), ImageColor.getrgb(COLOURS["paper"])
    return tuple(round(a * opacity + b * (1 - opacity)) for a, b in zip(over, under, strict=True))


@functools.cache
def _font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    """Return matplotlib's own font, which is there on every machine. It runs wide."""
    file = font_manager.findfont(font_manager.FontProperties(weight="bold" if bold else "normal"))
    return ImageFont.truetype(file, round(size * 0.9 * _SCALE))


_PARTS: dict[type, Any] = {Box: _box_part, Segment: _line_part, Text: _text_part}
_PAINTS: dict[type, Any] = {Box: _paint_box, Segment: _paint_line, Text: _paint_text}
