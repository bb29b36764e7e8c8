"""The parts that the report of a run and that of a sweep share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from lq.experiments.spec import Spec
from lq.plots.captions import caption
from lq.reports import pictures, specification, words
from lq.reports.page import Column, Markup, bullets, table, tag

MOST_REASONS = 50
MOST_ENTRIES = 50  # of a mapping in a manifest
MOST_FIGURES = 40
GOOD = "Valid: the machine kept up with the measurement."
BAD = "Not valid: do not publish these figures."


def verdict(valid: bool, said: Sequence[str], reasons: Sequence[str]) -> Markup:
    """Return whether it may be believed, and why not; `said` is what came of it, in words."""
    lines = [tag("p", tag("strong", GOOD if valid else BAD))]
    shown = [words.text(reason) for reason in reasons[:MOST_REASONS]]
    if len(reasons) > MOST_REASONS:
        shown.append(f"and {len(reasons) - MOST_REASONS:,} more reasons, in summary.json")
    if shown:
        lines.append(bullets(shown))
    lines += [tag("p", line) for line in said]
    return tag("div", *lines, class_="verdict" if valid else "verdict bad")


def shown_figures(
    drawn: Mapping[str, Figure], prefix: str, captions: Callable[[str], str] = caption
) -> list[str]:
    """Return the figures of a section, each with what it shows in words."""
    parts: list[str] = []
    for name, figure in list(drawn.items())[:MOST_FIGURES]:
        says = captions(name)
        picture = pictures.inline(figure, f"{prefix}-{name}-", alternative(says, figure))
        parts.append(tag("figure", Markup(picture), tag("figcaption", says)))
    if len(drawn) > MOST_FIGURES:
        parts.append(
            tag("p", f"{len(drawn) - MOST_FIGURES:,} more figures are left out; `lq plot` draws them all.")
        )
    return parts


def alternative(says: str, figure: Figure) -> str:
    """Return what stands for a figure where it cannot be seen: its caption, and what is written above it."""
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    return " ".join([says, *(f"{words.text(title, 200)}." for title in titles[:10] if title)])


def differences(spec: Spec, leave_out: Iterable[str] = ()) -> Markup:
    """Return the settings that are not the scenario's defaults."""
    found = [row for row in specification.differences(spec) if row.key not in set(leave_out)]
    if not found:
        return tag("p", f"Every setting has the default value of {spec.scenario}.")
    columns = [Column("setting"), Column("here"), Column("default"), Column("meaning")]
    rows = [
        (row.key, words.setting(row.value), words.setting(row.default), words.text(row.meaning))
        for row in found
    ]
    return table(columns, rows, f"Settings that differ from the defaults of {spec.scenario}")


def provenance(manifest: Mapping[str, Any], more: Iterable[tuple[str, str]] = ()) -> Markup:
    """Return the table of where a run comes from; no path and no name of the machine is in it."""
    rows = [(title, _told(manifest[key])) for key, title in _ORIGIN.items() if manifest.get(key) is not None]
    columns = [Column("what"), Column("found")]
    return table(columns, [*more, *rows], "Origin of the figures")


_ORIGIN = {
    "started": "started",
    "seed": "seed",
    "commit": "commit of the source (+: with changes)",
    "versions": "packages",
    "python": "Python",
    "servers": "DHCP server",
    "clients": "DHCP client",
    "openvswitch": "Open vSwitch",
    "datapath": "datapath",
    "datapath_meaning": "which is",
    "wan": "path to the servers",
    "kernel": "kernel",
    "machine": "machine",
    "processors": "processors",
}


def _told(found: Any) -> str:
    if isinstance(found, dict):
        some = [(key, value) for key, value in list(found.items())[:MOST_ENTRIES] if value is not None]
        return words.text(", ".join(f"{key} {_told(value)}" for key, value in some), 900)
    if isinstance(found, list):
        return words.text(", ".join(map(_told, found[:MOST_ENTRIES])), 900)
    return words.text(found)


def anchor(number: int) -> str:
    """Return the identifier of a section."""
    return f"run-{number}"


def sentence(text: str) -> str:
    """Return text as a sentence: it begins with a capital letter and ends with a full stop."""
    line = words.text(text, 900)
    return re.sub(r"^[a-z]", lambda found: found.group().upper(), line) + ("" if line.endswith(".") else ".")
