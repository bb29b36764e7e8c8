"""Which address of a link is handed out next: unused ones in order, then the least recently used."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator

from lq.server.bindings import Binding, Bindings, State
from lq.server.config import Link, Pool


class Ranges:
    """A set of address ranges, asked by the packed address."""

    def __init__(self, pools: Iterator[Pool] | tuple[Pool, ...]) -> None:
        ordered = sorted(pools)
        self._first = [first.packed for first, _ in ordered]
        self._last = [last.packed for _, last in ordered]

    def __contains__(self, packed: object) -> bool:
        assert isinstance(packed, bytes)
        index = bisect_right(self._first, packed) - 1
        # A client may send more octets than four: those, too, sort between two addresses.
        return index >= 0 and packed <= self._last[index] and len(packed) == 4

    def __iter__(self) -> Iterator[bytes]:
        for first, last in zip(self._first, self._last, strict=True):
            for number in range(int.from_bytes(first, "big"), int.from_bytes(last, "big") + 1):
                yield number.to_bytes(4, "big")


class LinkPools:
    """The pools of one link and the order in which their addresses are handed out."""

    def __init__(self, link: Link, bindings: Bindings) -> None:
        self.ranges = Ranges(tuple(pool for subnet in link.subnets for pool in subnet.pools))
        self._bindings = bindings
        self._unused = iter(self.ranges)
        self._returned: deque[bytes] = deque()
        # Addresses used before, by the moment when they become free. Entries are corrected as they come
        # up, so that a renewal need not touch them; made only once the unused addresses have run out.
        self._used: list[tuple[float, bytes]] | None = None
        self._listed: set[bytes] = set()

    def give_back(self, packed: bytes) -> None:
        """An address that was offered and not taken: it goes out next."""
        if packed in self.ranges:
            self._returned.append(packed)

    def note(self, binding: Binding) -> None:
        """A binding of this link has changed."""
        if self._used is None or binding.packed not in self.ranges:
            return
        if binding.state == State.RELEASED or binding.packed not in self._listed:
            heapq.heappush(self._used, (binding.expires, binding.packed))
            self._listed.add(binding.packed)

    def next(self, now: float, available: Callable[[bytes], bool]) -> bytes | None:
        """An address that `available` admits, None if there is none."""
        known = self._bindings.by_address
        while self._returned:
            packed = self._returned.popleft()
            if available(packed):
                return packed
        for packed in self._unused:
            if packed not in known and available(packed):
                return packed
        return self._least_recently_used(now, available)

    def _least_recently_used(self, now: float, available: Callable[[bytes], bool]) -> bytes | None:
        known = self._bindings.by_address
        if self._used is None:
            self._used = [
                (each.expires, each.packed) for each in self._bindings if each.packed in self.ranges
            ]
            heapq.heapify(self._used)
            self._listed = {packed for _, packed in self._used}
        while self._used and self._used[0][0] <= now:
            free_since, packed = heapq.heappop(self._used)
            binding = known.get(packed)
            if binding is not None and binding.expires < free_since:
                continue  # released meanwhile, and listed a second time by that
            if binding is not None and binding.expires > free_since:
                heapq.heappush(self._used, (binding.expires, packed))
                continue  # renewed meanwhile
            self._listed.discard(packed)
            if available(packed):
                return packed
        return None
