"""The location table: who is where, by address, until the lease ends (R1-3, R5-11)."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator

from lq.concentrator.events import Circuit, Location
from lq.concentrator.timers import NEVER, Timers

_SAME_END = 2.0  # seconds: a lease time is told in whole ones, and takes time to come here


class Locations:
    """Locations by address, given as a number; by circuit and by modem too.

    A location is held until it is removed or `expire` collects it; `get` gives none that has expired.
    `ending` holds the addresses, in order, that should be asked about again because their end is near;
    whoever asks takes them out.
    """

    def __init__(self) -> None:
        self._by_address: dict[int, Location] = {}
        self._at: defaultdict[Circuit | bytes, set[int]] = defaultdict(set)
        self._timers: Timers[int] = Timers()  # of each location: when to ask again, after that its end
        self.ending: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._by_address)

    def __iter__(self) -> Iterator[Location]:
        return iter(self._by_address.values())

    def get(self, address: int, now: float) -> Location | None:
        """Return the location that holds now."""
        location = self._by_address.get(address)
        return location if location is not None and location.expires > now else None

    def put(self, location: Location, ask_at: float = NEVER) -> Location | None:
        """Set an address's location; return the former one if it was another host or circuit.

        So an address that is assigned to another client, or a client that moved to another circuit,
        takes its former flows away (R1-4, R1-5). `ask_at` is when it should be asked about again, which
        comes about once for each end: not if it was, and ends no later for that.
        """
        address = int(location.address)
        former = self._by_address.get(address)
        if former is not None and (former.circuit != location.circuit or former.modem != location.modem):
            self._unlink(address, former)
        self._by_address[address] = location
        self._at[location.circuit].add(address)
        if location.modem is not None:
            self._at[location.modem].add(address)
        if self.ending:
            self.ending.pop(address, None)
        asked = former is not None and self._timers.get(address) >= former.expires
        if former is not None and asked and location.expires < former.expires + _SAME_END:
            ask_at = NEVER
        self._timers.set(address, ask_at if ask_at < location.expires else location.expires)
        moved = former is not None and not location.admits(former.circuit, former.chaddr)
        return former if moved else None

    def remove(self, address: int) -> Location | None:
        """Forget an address; return its location."""
        location = self._by_address.pop(address, None)
        if location is not None:
            self._unlink(address, location)
            self._timers.cancel(address)
            self.ending.pop(address, None)
        return location

    def at(self, place: Circuit | bytes) -> list[Location]:
        """Return the locations on a circuit, or behind a modem."""
        return [self._by_address[address] for address in sorted(self._at.get(place, ()))]

    @property
    def deadline(self) -> float:
        """When to call `expire` next."""
        return self._timers.first

    def expire(self, now: float) -> list[Location]:
        """Remove the locations whose lease has ended, and return them; note those that end soon."""
        ended = []
        while (address := self._timers.pop(now)) is not None:
            location = self._by_address[address]
            if location.expires > now:
                self._timers.set(address, location.expires)
                self.ending[address] = None
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
