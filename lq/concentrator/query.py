"""A query, its transactions with the servers, and the servers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from lq.concentrator.answers import Answer
from lq.concentrator.events import Circuit, QueryForm, Upstream
from lq.concentrator.server_state import SILENT, ServerState
from lq.concentrator.timed_set import TimedSet
from lq.concentrator.timers import LONG_AGO, NEVER

MAXIMUM_SOURCES = 8  # that wait for the same answer

Key = int | bytes
"""The subject of a query: an IP address as a number, or a MAC address."""


@dataclass(slots=True, eq=False)
class Query:
    """The wish to know about one address or client, until it is answered or given up.

    `demanded` is when a packet last asked for it; `sources` are packets from upstream that wait to be
    verified by the answer, `left` the places from which a host gave the address up meanwhile; `transactions`
    are those with each server asked, `reserve` the servers to ask if the authoritative one does not help;
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
    transactions: dict[QueriedServer, Transaction] = field(default_factory=dict)
    reserve: Sequence[QueriedServer] = ()
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


@dataclass(slots=True, eq=False)
class QueriedServer:
    """What is known of a server; `timer` is when its timer goes off (or, silent, when to poll)."""

    address: IPv4Address
    unknown: TimedSet  # addresses about which it said UNKNOWN (R6.5-5)
    state: ServerState = SILENT
    timer: float = NEVER
    interval: float = 0.0  # silent: at least so long from the last packet to the next
    failed: bool = False  # silent, and not just not asked yet: others had better be asked too
    owes: bool = False  # it was asked, and no answer has come since that could have been the one
    last_sent: float = LONG_AGO
    outstanding: dict[int, Transaction] = field(default_factory=dict)  # by xid
    waiting: OrderedDict[int, Transaction] = field(default_factory=OrderedDict)  # its first at once
    unimplemented: set[QueryForm] = field(default_factory=set)  # (R6.5-6)


@dataclass(slots=True, eq=False)
class Transaction:
    """One query at one server, known by its xid, which stays when it is sent again.

    `backed_off` is how often its own timer has doubled since it was last put on the wire.
    """

    query: Query
    server: QueriedServer
    xid: int
    attempts: int = 0
    sent: float = LONG_AGO
    backed_off: int = 0
