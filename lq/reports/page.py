"""A page of HTML that stands by itself: no script, nothing from elsewhere, all text escaped.

What is made here is `Markup`; any other text put into it is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import NamedTuple

from lq import __version__
from lq.errors import BadInput

MOST_OCTETS = 64 << 20  # of a page
# Style sheets are allowed as they stand in the page, since figures have style in their elements.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


class Column(NamedTuple):
    """The head of a table's column; numbers stand to the right."""

    title: str
    number: bool = False


def tag(name: str, *inside: str, **attributes: str) -> Markup:
    """Return an element; an underscore at the end of an attribute's name (`class_`) is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{given}>{join(inside)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Return parts one after the other, those that are no `Markup` escaped."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part) for part in parts))


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], caption: str) -> Markup:
    """Return a table; the first cell of each row is the row's head."""

    def kind(number: int) -> dict[str, str]:
        return {"class_": "number"} if columns[number].number else {}

    head = [tag("th", column.title, scope="col", **kind(n)) for n, column in enumerate(columns)]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row", **kind(0)),
            *(tag("td", cell, **kind(n)) for n, cell in enumerate(row[1:], start=1)),
        )
        for row in rows
    ]
    parts = [tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body)]
    return tag("div", tag("table", *parts), class_="scroll")


def bullets(lines: Iterable[str]) -> Markup:
    """Return a list."""
    return tag("ul", *(tag("li", line) for line in lines))


def whole_page(title: str, *inside: str) -> bytes:
    """Return the whole page. Raises BadInput if it would be too large."""
    style = resources.files("lq.reports").joinpath("style.css").read_text()
    head = [
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", title),
        tag("style", Markup(style)),
    ]
    made = tag("footer", tag("p", f"Made by leasequery-lab {__version__} from the runs' own files."))
    body = tag("body", tag("main", *inside), made)
    whole = "<!doctype html>\n" + tag("html", tag("head", *head), body, lang="en") + "\n"
    octets = whole.encode(errors="backslashreplace")
    if len(octets) > MOST_OCTETS:
        raise BadInput(f"the report would be larger than {MOST_OCTETS >> 20} MiB: name fewer runs")
    return octets
