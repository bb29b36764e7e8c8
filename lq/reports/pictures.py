"""A figure as part of a page: SVG in which nothing is left that a page should not have.

Names of subscribers, phases and reasons are in the figures, and may be anybody's. So the SVG is taken
apart, and only what a drawing needs is put together again, with identifiers that no other figure has.
"""

from __future__ import annotations

import base64
import html
import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from lq import figures

MOST_OF_SVG = 1 << 20  # octets; what has more is shown as PNG
_TAGS = {"svg", "g", "path", "defs", "clipPath", "rect", "use", "text", "tspan", "image", "title"}
_ATTRIBUTES = {
    *("d", "style", "transform", "x", "y", "dx", "dy", "width", "height", "viewBox"),
    *("clip-path", "points", "text-anchor", "preserveAspectRatio"),
}
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_PICTURE = "data:image/png;base64,"


def inline(figure: Figure, prefix: str, says: str) -> str:
    """Return a figure as SVG for a page; `prefix` sets its identifiers apart, `says` is read aloud."""
    drawn = figures.written(figure, "svg")
    said = html.escape(says)
    width = figure.get_figwidth()
    if len(drawn) > MOST_OF_SVG:
        octets = base64.b64encode(figures.written(figure, "png")).decode()
        return f'<img alt="{said}" style="width:{width:g}in" src="{_PICTURE}{octets}">'
    root = ElementTree.fromstring(drawn)
    _clean(root, prefix)
    for measure in ("width", "height"):
        root.attrib.pop(measure, None)
    root.attrib |= {"role": "img", "aria-label": says, "style": f"width:{width:g}in"}
    return ElementTree.tostring(root, encoding="unicode", method="xml")


def _clean(element: ElementTree.Element, prefix: str) -> None:
    """Leave what a drawing needs; take the names of namespaces away, which a page does without."""
    element.tag = _local(element.tag)
    kept = {_local(name): value for name, value in element.attrib.items()}
    element.attrib.clear()
    for name, value in kept.items():
        if name == "id":
            element.set(name, prefix + value)
        elif name == "href" and value.startswith("#"):
            element.set(name, f"#{prefix}{value[1:]}")
        elif name == "href" and value.startswith(_PICTURE):
            element.set(name, value)
        elif name in _ATTRIBUTES:
            element.set(name, _REFERENCE.sub(rf"url(#{prefix}\1)", value))
    for child in list(element):
        if isinstance(child.tag, str) and _local(child.tag) in _TAGS:
            _clean(child, prefix)
        else:
            element.remove(child)


def _local(name: str) -> str:
    return name.rpartition("}")[2]
