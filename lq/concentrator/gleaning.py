"""Gleaning: what the relay learns from the DHCP messages that pass it (R1-7).

Only what passes here is gleaned: a renewal that a client sends to its server directly is not (R4.3-1). What
is gleaned is newer than any answer to a query that is still on its way, so it ends such a query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.concentrator.events import Circuit, Effect, Location
from lq.concentrator.exchanges import Exchange, wanted
from lq.concentrator.leasequery import LeaseQuery
from lq.concentrator.places import Places
from lq.wire import Message, MessageType, OptionCode
from lq.wire.options import lease_end, unpack_u32

_NO_ADDRESS = IPv4Address(0)


@dataclass(frozen=True, slots=True)
class Gleaned:
    """The host has the address now, or (`location` None) no longer has it.

    In the latter case `address`, `chaddr` and `circuit` tell who gave it up or was denied it.
    """

    address: IPv4Address
    chaddr: bytes
    circuit: Circuit
    location: Location | None = None


def from_client(message: Message, circuit: Circuit) -> Gleaned | None:
    """Glean from a client's message: by RELEASE and DECLINE its address is given up."""
    if message.message_type in (MessageType.RELEASE, MessageType.DECLINE):
        return Gleaned(wanted(message), message.chaddr, circuit)
    return None


def from_located(message: Message, location: Location | None) -> Gleaned | None:
    """Glean from what a located host sends to a server itself: RELEASE alone is about its own address."""
    if location is None or message.message_type != MessageType.RELEASE:
        return None
    if message.ciaddr != location.address:
        return None
    return Gleaned(location.address, location.chaddr, location.circuit)


def from_server(
    message: Message, circuit: Circuit, modem: bytes | None, exchange: Exchange | None, now: float
) -> Gleaned | None:
    """Glean from a server's reply to the client on this circuit, behind this modem.

    ACK: the host has the address for the lease time. NAK: it does not have the one it asked for. An ACK to
    INFORM leases nothing. Raises MalformedMessage if the lease time is malformed.
    """
    value = message.options.get(OptionCode.LEASE_TIME)
    lease = 0 if value is None else unpack_u32(value)
    kind = message.message_type
    informs = exchange is not None and exchange.kind == MessageType.INFORM
    if kind == MessageType.ACK and message.yiaddr != _NO_ADDRESS and lease and not informs:
        ends = lease_end(lease, now)
        location = Location(message.yiaddr, message.htype, message.chaddr, circuit, modem, ends)
        return Gleaned(message.yiaddr, message.chaddr, circuit, location)
    if kind == MessageType.NAK and exchange is not None and exchange.wanted != _NO_ADDRESS:
        return Gleaned(exchange.wanted, message.chaddr, circuit)
    return None


class Gleaning:
    """Puts what was gleaned into the tables, and tells those who ask about the address.

    `leased` is told of each location and of the server that leased it.
    """

    def __init__(
        self,
        places: Places,
        leasequery: LeaseQuery,
        leased: Callable[[Location, IPv4Address], None] | None,
        counters: Counter[str],
    ) -> None:
        self._places = places
        self._leasequery = leasequery
        self._leased = leased
        self._counters = counters

    def learn(self, gleaned: Gleaned | None, server: IPv4Address, now: float, out: list[Effect]) -> None:
        """Use what a relayed reply of this server says."""
        if gleaned is None:
            return
        location = gleaned.location
        if location is None:
            self.left(gleaned, now, out)
        elif int(gleaned.address) in self._places.hosts:
            if self._leased is not None:
                self._leased(location, server)
            self._counters["gleaned"] += 1
            self._places.locate(location, now, out)

    def left(self, gleaned: Gleaned | None, now: float, out: list[Effect]) -> None:
        """RELEASE, DECLINE or NAK: the host at this place no longer has the address."""
        if gleaned is not None:
            self._leasequery.left(int(gleaned.address), gleaned.circuit, gleaned.chaddr, now)
            self._places.forget(gleaned.address, gleaned.circuit, gleaned.chaddr, now, out)
