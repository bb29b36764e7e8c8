"""How many queries one source of demand may cause, so that it cannot use up the budget of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable


class Quota:
    """At most `limit` a source in each interval of `interval` seconds; a limit of 0 means any number."""

    def __init__(self, limit: int, interval: float) -> None:
        self._limit = limit
        self._interval = interval
        self._ends = float("-inf")
        self._used: defaultdict[Hashable, int] = defaultdict(int)

    def take(self, source: Hashable, now: float) -> float | None:
        """Use one of the source's share; return None, or when there is a share again if it is used up."""
        if not self._limit:
            return None
        if now >= self._ends:
            self._used.clear()
            self._ends = now + self._interval
        if self._used[source] >= self._limit:
            return self._ends
        self._used[source] += 1
        return None
