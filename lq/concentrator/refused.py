"""The negative cache: addresses that the servers said nobody leases (R6.5-2, R6.5-5, R7-3).

An entry takes at most 200 octets of memory on a 64-bit machine, so a full cache of 65,536, the default, at
most 13 MB, for each reason; what a server said UNKNOWN about is noted once more for that server (R6.5-5).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple


class Refusal(NamedTuple):
    """An address, as a number, is refused until then."""

    address: int
    until: float
    reason: str


class NegativeCache:
    """Addresses for a time, at most `limit` of them; when full, the one entered first makes room.

    All entries of one cache are given about the same time, so the first entered is the first to end.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._until: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return iter(self._until.items())

    def add(self, address: int, until: float, now: float) -> None:
        """Enter an address, or enter it anew."""
        entries = self._until
        entries.pop(address, None)
        for _ in range(2):  # more go than come, and no call pays for all that ended in a long quiet time
            if not entries:
                break
            first = next(iter(entries))
            if entries[first] > now and len(entries) < self._limit:
                break
            del entries[first]
        entries[address] = until

    def until(self, address: int, now: float) -> float | None:
        """Return when the address's time ends, None if it is not here or its time is over."""
        until = self._until.get(address)
        return until if until is not None and until > now else None

    def discard(self, address: int) -> None:
        """Forget an address."""
        self._until.pop(address, None)


class Refused:
    """The refused addresses by the reason: KNOWN and UNKNOWN keep out of one another's bounds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._caches: dict[str, NegativeCache] = {}

    def __len__(self) -> int:
        return sum(len(cache) for cache in self._caches.values())

    def __iter__(self) -> Iterator[Refusal]:
        """Go through all entries, those included whose time is over but that are still in memory."""
        for reason, cache in self._caches.items():
            for address, until in cache:
                yield Refusal(address, until, reason)

    def add(self, address: int, until: float, reason: str, now: float) -> None:
        """Enter an address for one reason, instead of any other."""
        self.discard(address)
        cache = self._caches.get(reason)
        if cache is None:
            cache = self._caches[reason] = NegativeCache(self._limit)
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
