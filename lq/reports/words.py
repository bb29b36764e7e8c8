"""How reports and comparisons write what a run's summary holds: names in words, values with their units.

Units are written in one style: s and ms, /s, %, MiB. Nothing here trusts its input: text is bounded and
made printable.
"""

from __future__ import annotations

import math
from typing import Any

from lq import errors
from lq.plots.canvas import seconds
from lq.plots.labels import LABELS

MOST_TEXT = 400  # characters of a value
_UNITS = ("_per_s", "_share", "_load", "_s")
_NOT_COUNTED = ("seed",)
_OF = {"leasequery_": "with leasequery", "undefended_": "without the defences", "dhcpd_": "dhcpd"}
_WORDS = {"arp": "ARP", "cpu": "processor time"}
_NAMES = {
    "leasequery_p99_s": "time until 99 % of the queries are answered",
    "work_cpu_s": "controller's processor time since the takeover",
    "switch_cpu_s": "switch's processor time",
    "queries_per_s": "queries per second",
    "queries_refresh": "queries about locations that were about to expire",
    "registration_s": "time until all modems had registered",
    "probes_sent": "probes sent since the takeover",
    "probes_delivered": "probes delivered of those",
    "packet_ins": "packets that the switch passed to the controller",
    "unaddressed": "subscribers that got no probe",
    "outage_s": "time without a controller",
}


def name(key: str) -> str:
    """Return what a key of a summary is called, without its unit."""
    if key in _NAMES:
        return _NAMES[key]
    if key in LABELS:
        return LABELS[key].partition(" (")[0]
    for prefix, where in _OF.items():
        if key.startswith(prefix):
            return f"{name(key.removeprefix(prefix))}, {where}"
    for unit in _UNITS:
        key = key.removesuffix(unit)
    said = [_WORDS.get(word, word) for word in key.split("_")]
    return text(" ".join(said))


def value(key: str, found: Any) -> str:
    """Return a value of a summary with its unit, which its key names; `-` where there is none."""
    if found is None or (isinstance(found, float) and math.isnan(found)):
        return "-"
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, int | float):
        return _number(key, found)
    return text(str(found))


def _number(key: str, found: float) -> str:
    if key.endswith("_per_s"):
        return f"{_plain(found)} /s"
    if key.endswith("_s"):
        return seconds(found)
    if key.endswith("_share"):
        return f"{100 * found:.3g} %"
    if key.endswith("_load"):
        return f"{100 * found:.3g} % of a core"
    if "memory" in key:
        return f"{found / 2**20:,.1f} MiB"
    return str(found) if key in _NOT_COUNTED else _plain(found)


def _plain(found: float) -> str:
    if isinstance(found, int) or (found == int(found) and abs(found) < 1e15):
        return f"{int(found):,}"
    return f"{found:,.3f}".rstrip("0") if abs(found) >= 100 else f"{found:.3g}"


def setting(found: Any) -> str:
    """Return the value of a setting as a specification writes it."""
    if found is None:
        return "not given"
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, list | tuple):
        shown = ", ".join(map(str, found[:50])) + (", ..." if len(found) > 50 else "")
        return text(f"[{shown}]")
    return text(f"{found:,.10g}" if isinstance(found, float) else str(found))


def text(found: object, most: int = MOST_TEXT) -> str:
    """Return text as one line of at most `most` characters, printable whatever it was."""
    line = errors.one_line(str(found))
    return line if len(line) <= most else f"{line[: most - 3]}..."
