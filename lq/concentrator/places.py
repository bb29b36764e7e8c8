"""What the concentrator knows of addresses: who is where, who is refused, who waits for a modem.

An address is at most one of the three: located, refused, unknown. Whoever waits for a modem
is refused meanwhile. Methods append what follows for the switch to `out`.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from lq.concentrator.access import AccessAddresses
from lq.concentrator.circuit_id import circuit_id_format
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import (
    Abandon,
    Circuit,
    Effect,
    Location,
    ModemRegistered,
    Permit,
    Refuse,
    Withdraw,
)
from lq.concentrator.location import Awaiting, Locations
from lq.concentrator.negative_cache import NegativeCache
from lq.concentrator.option_82 import Modems, OwnCircuits
from lq.concentrator.reasons import RefusalReason
from lq.concentrator.timers import NEVER

_LONGEST_LEAD = 10.0  # seconds


class Places:
    """The tables of addresses and modems, kept in step with one another."""

    def __init__(self, config: ConcentratorConfig) -> None:
        self._config = config
        self._refreshes = config.refresh and config.mode == "leasequery"
        self._least_lead = 3 * config.retry_first
        self._most_lead = max(_LONGEST_LEAD, self._least_lead)
        self._long = 10 * self._most_lead  # seconds: whoever has so long has the whole lead
        self.hosts = AccessAddresses(config.networks, config.giaddr)
        self.locations = Locations()
        self.negative_cache = NegativeCache(config.refused_limit)
        self.awaiting = Awaiting(config.refused_limit)
        self.modems = Modems(circuit_id_format(config), OwnCircuits(config), config.registered_only)

    def locate(self, location: Location, now: float, out: list[Effect]) -> None:
        """The host is here from now on."""
        address = int(location.address)
        self.negative_cache.discard(address)
        self.awaiting.remove(address)
        expires = location.expires
        long = self._refreshes and expires - now > self._long  # as most have
        ask_at = expires - self._most_lead if long else self._ask_at(location, now)
        former = self.locations.put(location, ask_at)
        if former is not None:
            out.append(Withdraw(former))
        out.append(Permit(location))

    def _ask_at(self, location: Location, now: float) -> float:
        """Return when to ask again about a location, so that it does not end while its host renews.

        A tenth of its time before the end, at most `_LONGEST_LEAD`; but early enough for three queries
        `retry_first` and twice that apart, unless that is more than half of its time.
        """
        if not self._refreshes:
            return NEVER
        left = location.expires - now
        lead = max(min(left / 10, _LONGEST_LEAD), self._least_lead)
        return location.expires - min(lead, left / 2)

    def refuse(
        self,
        address: IPv4Address,
        reason: RefusalReason,
        until: float,
        now: float,
        out: list[Effect],
        *,
        quiet: bool = False,
    ) -> None:
        """The address is not to be used, and not to be asked about, until then (R7-3).

        `quiet`: no packet has asked for it.
        """
        key = int(address)
        former = self.locations.remove(key)
        if former is not None:
            out.append(Withdraw(former))
        self.awaiting.remove(key)
        if reason is not RefusalReason.MODEM_ABSENT and not self._config.negative_cache:
            out.append(Abandon(address))
            return
        self.negative_cache.add(key, until, reason, now)
        out.append(Refuse(address, until, reason, quiet))

    def await_modem(self, location: Location, now: float, out: list[Effect]) -> None:
        """All is known of the host but the circuit of its modem."""
        self.refuse(location.address, RefusalReason.MODEM_ABSENT, now + self._config.modem_wait, now, out)
        self.awaiting.put(location)

    def forget(
        self, address: IPv4Address, circuit: Circuit, chaddr: bytes, now: float, out: list[Effect]
    ) -> None:
        """RELEASE, DECLINE or NAK: the host at this place no longer has the address.

        Only its own place counts: nobody loses an address because another asks for it.
        """
        key = int(address)
        location = self.locations.get(key, now)
        if location is not None and location.admits(circuit, chaddr):
            self.locations.remove(key)
            out.append(Withdraw(location))
        waiting = self.awaiting.get(key, now)
        if waiting is not None and waiting.chaddr == chaddr:
            self.awaiting.remove(key)  # it cannot be told who that was; asking the server again can

    def modem_registered(self, event: ModemRegistered, now: float, out: list[Effect]) -> None:
        """A modem came up, or moved: its hosts are where it is now, and no others are (R1-3)."""
        modem, circuit = event.modem, event.circuit
        if not self.modems.register(modem, circuit):
            return
        for location in self.locations.at(circuit):
            if location.modem is not None and location.modem != modem:
                self.await_modem(location, now, out)
        for location in [*self.locations.at(modem), *self.awaiting.take(modem, now)]:
            if location.expires > now and location.circuit != circuit:
                self.locate(replace(location, circuit=circuit), now, out)
