"""How many queries one source of demand may cause, so that it cannot use up the budget of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

from lq.concentrator.timers import LONG_AGO

MOST_SOURCES = 1 << 16
_OTHERS = object()


class Quota:
    """At most `limit` a source in each interval of `interval` seconds; a limit of 0 means any number.

    There are as many sources as circuits that the access network has. Should there be more than
    `MOST_SOURCES` in an interval, those that come later have one share together.
    """

    def __init__(self, limit: int, interval: float) -> None:
        self._limit = limit
        self._interval = interval
        self._ends = LONG_AGO
        self._used: defaultdict[Hashable, int] = defaultdict(int)

    def take(self, source: Hashable, now: float) -> float | None:
        """Use one of the source's share; return None, or when there is a share again if it is used up."""
        if not self._limit:
            return None
        if now >= self._ends:
            self._used.clear()
            self._ends = now + self._interval
        used = self._used
        if len(used) >= MOST_SOURCES and source not in used:
            source = _OTHERS
        if used[source] >= self._limit:
            return self._ends
        used[source] += 1
        return None
