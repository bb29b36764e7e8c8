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

from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Abandon, ArpReply, BroadcastArp, Drop, Effect, Location, Upstream
from lq.concentrator.places import Places
from lq.concentrator.query import MAXIMUM_SOURCES
from lq.concentrator.reasons import DropReason, RefusalReason
from lq.concentrator.source_verification import SourceVerification
from lq.concentrator.timers import Timers


@dataclass(slots=True, eq=False)
class Search:
    """An address that is being asked for."""

    address: IPv4Address
    sources: tuple[Upstream, ...]
    attempts: int = 1


class ArpSearches:
    """Mode "arp": the searches that are on."""

    def __init__(self, config: ConcentratorConfig, places: Places, verification: SourceVerification) -> None:
        self._config = config
        self._places = places
        self._verification = verification
        self._searches: dict[int, Search] = {}
        self._timers: Timers[int] = Timers()  # of the next broadcast about an address, or the search's end

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
    ) -> DropReason | None:
        """Ask all hosts who has the address; return why not, which never is."""
        limit = self._config.waiting_limit
        if len(self._searches) >= limit:
            oldest = next(iter(self._searches))
            out.append(Abandon(self._searches[oldest].address))
            self._end(oldest)
        self._searches[int(address)] = Search(address, () if source is None else (source,))
        self._timers.set(int(address), now + self._config.arp_retry)
        out.append(BroadcastArp(address))
        return None

    def gleaned(self, location: Location, _server: IPv4Address) -> None:
        """The address was leased just now: that counts more than who answers."""
        self._end(int(location.address))

    def reply(self, event: ArpReply, now: float, out: list[Effect]) -> None:
        """A host answers: the first one is believed."""
        key = int(event.address)
        search = self._end(key)
        if search is None:
            location = self._places.locations.get(key, now)
            contradicts = location is not None and not location.admits(event.circuit, event.chaddr)
            reason = DropReason.ARP_CONTRADICTION if contradicts else DropReason.ARP_UNASKED
            out.append(Drop(reason, event.address, event.circuit, event.chaddr))
            return
        modem = self._places.modems.relay_info(event.circuit).remote_id
        expires = now + self._config.arp_time
        location = Location(event.address, 1, event.chaddr, event.circuit, modem, expires)
        self._places.locate(location, now, out)
        self._verification.verify(search.sources, now, out)

    @property
    def deadline(self) -> float:
        """When to call `wake` next."""
        return self._timers.first

    def wake(self, now: float, out: list[Effect]) -> None:
        """Ask again, or give up."""
        config = self._config
        while (key := self._timers.pop(now)) is not None:
            search = self._searches[key]
            if search.attempts >= config.arp_attempts:
                del self._searches[key]
                until = now + config.arp_refused_time
                self._places.refuse(search.address, RefusalReason.NO_ARP_REPLY, until, now, out)
                continue
            self._timers.set(key, now + config.arp_retry * 2.0**search.attempts)
            search.attempts += 1
            out.append(BroadcastArp(search.address))

    def _end(self, key: int) -> Search | None:
        """Take the search for an address out, if there is one."""
        self._timers.cancel(key)
        return self._searches.pop(key, None)
