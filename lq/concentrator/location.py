"""The location table: who is where, by address, until the lease ends (R1-3, R5-11)."""

from __future__ import annotations

import heapq
from collections import OrderedDict, defaultdict
from collections.abc import Iterator

from lq.concentrator.events import Circuit, Location


class Locations:
    """Locations by address, given as a number; by circuit and by modem too.

    A location is held until it is removed or `expire` collects it; `get` gives none that has expired.
    """

    def __init__(self) -> None:
        self._by_address: dict[int, Location] = {}
        self._at: defaultdict[Circuit | bytes, set[int]] = defaultdict(set)
        self._expiries: list[tuple[float, int]] = []
        self._scheduled: dict[int, float] = {}  # the earliest expiry in the heap, for each address

    def __len__(self) -> int:
        return len(self._by_address)

    def __iter__(self) -> Iterator[Location]:
        return iter(self._by_address.values())

    def get(self, address: int, now: float) -> Location | None:
        """Return the location that holds now."""
        location = self._by_address.get(address)
        return location if location is not None and location.expires > now else None

    def put(self, location: Location) -> Location | None:
        """Set an address's location; return the former one if it was another host or circuit.

        So an address that is assigned to another client, or a client that moved to another circuit,
        takes its former flows away (R1-4, R1-5).
        """
        address = int(location.address)
        former = self._by_address.get(address)
        if former is not None and (former.circuit != location.circuit or former.modem != location.modem):
            self._unlink(address, former)
        self._by_address[address] = location
        self._at[location.circuit].add(address)
        if location.modem is not None:
            self._at[location.modem].add(address)
        # Renewals move the expiry on: one entry in the heap is enough, it moves when it comes up.
        scheduled = self._scheduled.get(address)
        if scheduled is None or location.expires < scheduled:
            self._scheduled[address] = location.expires
            heapq.heappush(self._expiries, (location.expires, address))
        moved = former is not None and not location.admits(former.circuit, former.chaddr)
        return former if moved else None

    def remove(self, address: int) -> Location | None:
        """Forget an address; return its location."""
        location = self._by_address.pop(address, None)
        if location is not None:
            self._unlink(address, location)
        return location

    def at(self, place: Circuit | bytes) -> list[Location]:
        """Return the locations on a circuit, or behind a modem."""
        return [self._by_address[address] for address in sorted(self._at.get(place, ()))]

    @property
    def next_expiry(self) -> float | None:
        """When to call `expire` next, None if nothing will expire."""
        return self._expiries[0][0] if self._expiries else None

    def expire(self, now: float) -> list[Location]:
        """Remove the locations whose lease has ended, and return them."""
        ended = []
        while self._expiries and self._expiries[0][0] <= now:
            when, address = heapq.heappop(self._expiries)
            if self._scheduled.get(address) != when:
                continue  # an earlier expiry of this address was entered later
            del self._scheduled[address]
            location = self._by_address.get(address)
            if location is None:
                continue
            if location.expires > now:
                self._scheduled[address] = location.expires
                heapq.heappush(self._expiries, (location.expires, address))
            else:
                self.remove(address)
                ended.append(location)
        return ended

    def _unlink(self, address: int, location: Location) -> None:
        for place in (location.circuit, location.modem):
            if place is not None:
                others = self._at[place]
                others.discard(address)
                if not others:
                    del self._at[place]


NOWHERE = Circuit(-1)
"""Stands for the circuit of a host whose modem is not registered."""


class Awaiting:
    """Hosts that would be located if their modem were registered; at most `limit`, the oldest makes room."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_address: OrderedDict[int, Location] = OrderedDict()
        self._behind: defaultdict[bytes, set[int]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._by_address)

    def put(self, location: Location) -> None:
        """Remember a host; its location names a modem, and a circuit that does not count."""
        address = int(location.address)
        self.remove(address)
        if len(self._by_address) >= self._limit:
            self.remove(next(iter(self._by_address)))
        self._by_address[address] = location
        self._behind[location.modem or b""].add(address)

    def get(self, address: int, now: float) -> Location | None:
        """Return what is known of the address, None if nothing or its lease has ended."""
        location = self._by_address.get(address)
        return location if location is not None and location.expires > now else None

    def remove(self, address: int) -> None:
        """Forget an address."""
        location = self._by_address.pop(address, None)
        if location is not None:
            modem = location.modem or b""
            self._behind[modem].discard(address)
            if not self._behind[modem]:
                del self._behind[modem]

    def take(self, modem: bytes, now: float) -> list[Location]:
        """Remove and return what waits for this modem and whose lease still stands."""
        waiting = [self._by_address.pop(address) for address in sorted(self._behind.pop(modem, ()))]
        return [location for location in waiting if location.expires > now]
