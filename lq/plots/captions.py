"""What each figure shows, in a sentence or two: for a reader beside it, or instead of it."""

from __future__ import annotations

import re

from lq.plots.labels import label

_CAPTIONS = {
    "recovery": "Recovery: the share of the subscribers that are reachable, against the time since the new "
    "controller took over. Grey: the time without a controller.",
    "queries": "Leasequeries in each second, first transmissions and repeats.",
    "packets": "Probes in each second: sent, and delivered.",
    "delivered": "The share of the probes that was delivered, by the time they were sent.",
    "sequence": "The messages about the first subscribers that came back; time goes down.",
    "attacks": "What each attack came to, by the moment it was made. A letter stands for the worst outcome.",
    "leases": "The share of the new hosts that hold a lease, beside each flood.",
    "heat": "Medians for each pair of settings; the darker, the lower.",
}


def caption(name: str) -> str:
    """Return the caption of a figure by its name, as `lq plot` names the file."""
    if name in _CAPTIONS:
        return _CAPTIONS[name]
    kind, _, which = name.partition("-")
    if kind == "recovery":
        return f"Recovery curves, part {which}: medians of the repeats; bands: all of them."
    if kind in _CAPTIONS:
        of = f"part {which}" if re.fullmatch(r"\d+", which) else which
        return f"{_CAPTIONS[kind].removesuffix('.')} ({of})."
    said = label(name)
    return f"{said[0].upper()}{said[1:]}: medians of the repeats at each point of the sweep."
