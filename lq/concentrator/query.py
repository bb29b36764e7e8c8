"""A query and its message (section 6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Circuit, QueryForm, Upstream
from lq.concentrator.timers import NEVER
from lq.wire import BOOTREQUEST, Message, OptionCode
from lq.wire.message import Template

if TYPE_CHECKING:
    from lq.concentrator.answers import Answer
    from lq.concentrator.queries import Leg, Server

MAXIMUM_SOURCES = 8  # that wait for the same answer

Key = int | bytes
"""The subject of a query: an IP address as a number, or a MAC address."""


@dataclass(slots=True, eq=False)
class Query:
    """The wish to know about one address or client, until it is answered or given up.

    `demanded` is when a packet last asked for it; `sources` are packets from upstream that wait to be
    verified by the answer, `left` the places from which a host gave the address up meanwhile; `legs` are
    its sides to the servers, `reserve` the servers to ask if the authoritative one does not help;
    `once`: a server that does not answer the first time is not asked again; `until`: no packet caused it,
    it is about a location that ends then, and is given up then; `answer` is the best one so far, and
    `settled` says that it has been acted upon. `quiet`: no packet has asked yet, only a client that wants
    the address.
    """

    key: Key
    form: QueryForm
    demanded: float
    address: IPv4Address | None = None
    htype: int = 0
    chaddr: bytes = b""
    once: bool = False
    until: float = NEVER
    sources: tuple[Upstream, ...] = ()
    left: tuple[tuple[Circuit, bytes], ...] = ()
    legs: dict[Server, Leg] = field(default_factory=dict)
    reserve: Sequence[Server] = ()
    answer: Answer | None = None
    settled: bool = False
    quiet: bool = False

    @property
    def refreshes(self) -> bool:
        """Whether it is about a location that is about to end, and no packet waits for its answer."""
        return self.until < NEVER

    @property
    def client(self) -> bytes | None:
        """The MAC address that is asked about, if it is no IP address."""
        return None if self.address is not None else self.chaddr

    def add_source(self, source: Upstream | None) -> None:
        """Have a packet's source verified by the answer; beyond the first few they come again."""
        if source is not None and len(self.sources) < MAXIMUM_SOURCES and source not in self.sources:
            self.sources += (source,)


_MESSAGE_TYPE = int(OptionCode.MESSAGE_TYPE)
_PARAMETER_REQUEST_LIST = int(OptionCode.PARAMETER_REQUEST_LIST)


class Composer:
    """Makes the queries' messages; a query only reads (R3-1)."""

    def __init__(self, config: ConcentratorConfig) -> None:
        self._giaddr = config.giaddr
        self._type = bytes((config.dialect.leasequery,))
        options = config.requested_options
        self._by_client = bytes(dict.fromkeys((*options, int(config.dialect.client_addresses_option))))
        self._by_address = Template(self._message(bytes(options)))

    def octets(self, query: Query, xid: int) -> bytes:
        """Return the message: giaddr is our own (R6.2-1), the R bit is not used (R6.2-3).

        The Parameter Request List holds what a location is made of (R6.2-2). By IP address: ciaddr
        alone (R6.2-4); by MAC address: htype, hlen, chaddr alone (R6.2-5).
        """
        if query.address is not None:
            return self._by_address.fill(xid, query.address)
        message = self._message(self._by_client)
        message.xid, message.htype, message.chaddr = xid, query.htype, query.chaddr
        return message.encode()

    def _message(self, requested: bytes) -> Message:
        options = {_MESSAGE_TYPE: self._type, _PARAMETER_REQUEST_LIST: requested}
        return Message(op=BOOTREQUEST, giaddr=self._giaddr, options=options)
