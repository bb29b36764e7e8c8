"""What each figure shows, in a sentence or two: for a reader beside it, or instead of it."""

from __future__ import annotations

import re

from lq.plots.labels import label

_CAPTIONS = {
    "recovery": "Recovery: share of the subscribers that are reachable, against the time since the new "
    "controller took over. In the grey time there was no controller.",
    "queries": "Leasequeries per second: first transmissions and repeats.",
    "packets": "Probes per second: sent and delivered.",
    "delivered": "Share of the probes that were delivered, by the time of sending.",
    "sequence": "Messages about the first subscribers that came back. Time runs downwards.",
    "attacks": "Outcome of each attack, by its moment. A letter stands for the worst outcome.",
    "leases": "Share of the new hosts that hold a lease, during each flood.",
    "heat": "Medians for each pair of settings. A darker field is a lower value.",
}


def caption(name: str) -> str:
    """Return the caption of a figure by its name, as `lq plot` names the file."""
    if name in _CAPTIONS:
        return _CAPTIONS[name]
    kind, _, which = name.partition("-")
    if kind == "recovery":
        return f"Recovery curves, part {which}. Lines are medians of the repeats, bands hold all repeats."
    if kind in _CAPTIONS:
        of = f"part {which}" if re.fullmatch(r"\d+", which) else which
        return f"{_CAPTIONS[kind].removesuffix('.')} ({of})."
    said = label(name)
    return f"{said[0].upper()}{said[1:]}: medians of the repeats at each point of the sweep."
