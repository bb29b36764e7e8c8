"""The negative cache: addresses that the servers said nobody leases (R6.5-2, R6.5-5, R7-3).

An entry takes at most 200 octets of memory on a 64-bit machine, so a full cache of 65,536, the default, at
most 13 MB, for each reason; what a server said UNKNOWN about is noted once more for that server (R6.5-5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lq.concentrator.reasons import RefusalReason
from lq.concentrator.timed_set import TimedSet


class Refusal(NamedTuple):
    """An address, as a number, is refused until then."""

    address: int
    until: float
    reason: RefusalReason


class NegativeCache:
    """The refused addresses, by reason: each reason has a bound of its own, `limit` addresses."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._caches: dict[RefusalReason, TimedSet] = {}

    def __len__(self) -> int:
        return sum(len(cache) for cache in self._caches.values())

    def __iter__(self) -> Iterator[Refusal]:
        """Go through all entries, those included whose time is over but that are still in memory."""
        for reason, cache in self._caches.items():
            for address, until in cache:
                yield Refusal(address, until, reason)

    def add(self, address: int, until: float, reason: RefusalReason, now: float) -> None:
        """Enter an address for one reason, instead of any other."""
        self.discard(address)
        cache = self._caches.get(reason)
        if cache is None:
            cache = self._caches[reason] = TimedSet(self._limit)
        cache.add(address, until, now)

    def get(self, address: int, now: float) -> Refusal | None:
        """Return why and until when the address is refused, None if it is not."""
        for reason, cache in self._caches.items():
            until = cache.until(address, now)
            if until is not None:
                return Refusal(address, until, reason)
        return None

    def discard(self, address: int) -> None:
        """Forget an address."""
        for cache in self._caches.values():
            if cache:
                cache.discard(address)
