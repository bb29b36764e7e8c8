"""Which address of a link is handed out next.

Unused ones in order, then the least recently used; when nothing else is left, the longest declined.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator
from math import inf

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


class Places:
    """Tells the links of addresses apart: a few octets for each link, none where there is one link only."""

    def __init__(self, links: tuple[Link, ...]) -> None:
        networks = sorted(
            (subnet.network, number) for number, link in enumerate(links) for subnet in link.subnets
        )
        self._starts = [network.network_address.packed for network, _ in networks]
        self._places = [b"" if len(links) == 1 else number.to_bytes(4, "big") for _, number in networks]

    def __call__(self, packed: bytes) -> bytes:
        """The octets for the link of an address, which lies in one of the subnets."""
        return self._places[bisect_right(self._starts, packed) - 1]


_SLACK = 64  # dead entries of a heap that are not worth the trouble


class LinkPools:
    """The pools of one link and the order in which their addresses are handed out.

    What is kept is in proportion to the pools, whatever clients do: an address stands once among those given
    back and once among the declined, and of the heap at most half is dead.
    """

    def __init__(self, link: Link, bindings: Bindings) -> None:
        self.ranges = Ranges(tuple(pool for subnet in link.subnets for pool in subnet.pools))
        self._bindings = bindings
        self._unused = iter(self.ranges)
        self._returned: dict[bytes, None] = {}
        self._declined: dict[bytes, None] = {}  # the longest declined first
        # Addresses used before, by the moment when they become free. Entries are corrected as they come
        # up, so that a renewal need not touch them; made only once the unused addresses have run out.
        self._used: list[tuple[float, bytes]] | None = None
        self._listed: dict[bytes, float] = {}  # the one entry of each address that counts

    def give_back(self, packed: bytes, now: float) -> None:
        """An address was offered and not taken: it goes out next, if declined before after all others."""
        if packed not in self.ranges:
            return
        if _held_back(self._bindings.by_address.get(packed), now):
            self._declined[packed] = None
        else:
            self._returned[packed] = None

    def note(self, binding: Binding) -> None:
        """A binding of this link has changed."""
        packed = binding.packed
        if packed not in self.ranges:
            return
        self._declined.pop(packed, None)
        if binding.state == State.DECLINED:
            self._declined[packed] = None
        if self._used is not None and binding.expires < self._listed.get(packed, inf):
            self._list(binding.expires, packed)

    def _list(self, free_since: float, packed: bytes) -> None:
        assert self._used is not None
        heapq.heappush(self._used, (free_since, packed))
        self._listed[packed] = free_since
        if len(self._used) > 2 * len(self._listed) + _SLACK:
            self._used = [(moment, address) for address, moment in self._listed.items()]
            heapq.heapify(self._used)

    def next(self, now: float, available: Callable[[bytes], bool]) -> bytes | None:
        """An address that `available` admits, None if there is none.

        Those that it does not admit are passed over for good: until an offer ends or a lease changes.
        """
        known = self._bindings.by_address
        while self._returned:
            packed = next(iter(self._returned))
            del self._returned[packed]
            if available(packed):
                return packed
        for packed in self._unused:
            if packed not in known and available(packed):
                return packed
        return self._least_recently_used(now, available)

    def _least_recently_used(self, now: float, available: Callable[[bytes], bool]) -> bytes | None:
        known = self._bindings.by_address
        if self._used is None:
            self._listed = {
                each.packed: each.expires for each in self._bindings if each.packed in self.ranges
            }
            self._used = [(moment, packed) for packed, moment in self._listed.items()]
            heapq.heapify(self._used)
        while self._used and self._used[0][0] <= now:
            free_since, packed = heapq.heappop(self._used)
            if self._listed.get(packed) != free_since:
                continue  # dead: a later change has listed the address anew
            binding = known.get(packed)
            if binding is not None and binding.expires > free_since:
                self._list(binding.expires, packed)
                continue  # renewed meanwhile
            del self._listed[packed]
            if available(packed):
                return packed
        return None

    def longest_declined(self, now: float, admits: Callable[[bytes], bool]) -> bytes | None:
        """Of the addresses held back since a client declined them the first one, None if there is none.

        It is out of the list until `give_back` or `note` puts it there again.
        """
        while self._declined:
            packed = next(iter(self._declined))
            del self._declined[packed]
            if _held_back(self._bindings.by_address.get(packed), now) and admits(packed):
                return packed
        return None


def _held_back(binding: Binding | None, now: float) -> bool:
    return binding is not None and binding.state == State.DECLINED and binding.expires > now
