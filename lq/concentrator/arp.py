"""Finding hosts by broadcast ARP (mode "arp"): the way that section 4.1 warns of (R4.1-1).

An address without a location is asked for on all circuits, `arp_attempts` times, `arp_retry` seconds
apart at first and then twice as long each time. The first host that answers while the search is on is
believed, for `arp_time`: that is what lets a malicious host win. Whoever else answers, or answers
unasked, is ignored and counted. Nobody, and the address is refused for `arp_refused_time`. A packet
from upstream teaches nothing by itself; its source is asked for in the same way, and has to
be who answered.

At most `waiting_limit` searches are on; then the oldest is given up. Each takes about 200 octets of
memory.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Abandon, ArpReply, BroadcastArp, Drop, Effect, Location, Upstream
from lq.concentrator.places import Places
from lq.concentrator.queries import NEVER
from lq.concentrator.query import MAXIMUM_SOURCES


@dataclass(slots=True, eq=False)
class Search:
    """An address that is being asked for; `due` is when the next broadcast, or the end, is."""

    address: IPv4Address
    sources: tuple[Upstream, ...]
    due: float
    attempts: int = 1


class ArpSearches:
    """Mode "arp": the searches that are on."""

    def __init__(self, config: ConcentratorConfig, places: Places) -> None:
        self._config = config
        self._places = places
        self._searches: dict[int, Search] = {}
        self._timers: list[tuple[float, int]] = []  # due and address; out of date if due otherwise

    def __len__(self) -> int:
        return len(self._searches)

    def join(self, key: int, source: Upstream | None, _now: float, _out: list[Effect]) -> bool:
        """Join the search for an address that is on; return whether there is one."""
        search = self._searches.get(key)
        if search is None:
            return False
        if source is not None and len(search.sources) < MAXIMUM_SOURCES and source not in search.sources:
            search.sources += (source,)
        return True

    def begin(
        self, address: IPv4Address, source: Upstream | None, now: float, out: list[Effect]
    ) -> str | None:
        """Ask all hosts who has the address; return why not, which never is."""
        limit = self._config.waiting_limit
        if len(self._timers) > 2 * limit:  # what is out of date
            self._timers = sorted(timer for timer in self._timers if self._due(timer) is not None)
        if len(self._searches) >= limit:
            oldest = next(iter(self._searches))
            out.append(Abandon(self._searches.pop(oldest).address))
        due = now + self._config.arp_retry
        self._searches[int(address)] = Search(address, () if source is None else (source,), due)
        heapq.heappush(self._timers, (due, int(address)))
        out.append(BroadcastArp(address))
        return None

    def gleaned(self, location: Location, _server: IPv4Address) -> None:
        """The address was leased just now: that counts more than who answers."""
        self._searches.pop(int(location.address), None)

    def reply(self, event: ArpReply, now: float, out: list[Effect]) -> None:
        """A host answers: the first one is believed."""
        key = int(event.address)
        search = self._searches.pop(key, None)
        if search is None:
            location = self._places.locations.get(key, now)
            contradicts = location is not None and not location.admits(event.circuit, event.chaddr)
            reason = "arp-contradiction" if contradicts else "arp-unasked"
            out.append(Drop(reason, event.address, event.circuit, event.chaddr))
            return
        modem = self._places.modems.relay_info(event.circuit).remote_id
        expires = now + self._config.arp_time
        location = Location(event.address, 1, event.chaddr, event.circuit, modem, expires)
        self._places.locate(location, now, out)
        self._places.verify(search.sources, now, out)

    @property
    def deadline(self) -> float:
        """When to call `wake` next."""
        timers = self._timers
        while timers and self._due(timers[0]) is None:
            heapq.heappop(timers)
        return timers[0][0] if timers else NEVER

    def wake(self, now: float, out: list[Effect]) -> None:
        """Ask again, or give up."""
        config, timers = self._config, self._timers
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)
            search = self._due(timer)
            if search is None:
                continue
            if search.attempts >= config.arp_attempts:
                del self._searches[timer[1]]
                until = now + config.arp_refused_time
                self._places.refuse(search.address, "no-arp-reply", until, now, out)
                continue
            search.due = now + config.arp_retry * 2.0**search.attempts
            search.attempts += 1
            heapq.heappush(timers, (search.due, timer[1]))
            out.append(BroadcastArp(search.address))

    def _due(self, timer: tuple[float, int]) -> Search | None:
        search = self._searches.get(timer[1])
        return search if search is not None and search.due == timer[0] else None
