"""What a check works with: the server's target, questions to it, and the notes that become evidence."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.conformance.prepared import PlayedClient, PreparedStates, Unavailable
from lq.conformance.requester import Arrival, Requester
from lq.wire import DRAFT_03, RFC4388, Dialect, Message, OptionCode
from lq.wire.message import ANY
from lq.wire.text import hardware_address

USUAL = (51, 58, 59, 61, 82, 91)
"""The options that queries ask for unless said otherwise."""

_NUMBERS = (51, 58, 59, 91)
_KINDS = ("active", "known", "unknown", "unimplemented")
_FOREIGN = IPv4Address("198.19.255.254")


@dataclass(frozen=True)
class Target:
    """The server to be judged, and what the suite may take for granted about it.

    `giaddr` is the relay's address (by default the one that leads to the server), which has to lie in a
    subnet with a pool; `other_giaddr` is another address of this machine. `timeout`, `silence` and
    `patience` are seconds: the first wait for an answer, the wait where none may come, and the longest
    lease to be waited out. `short_lease` is what is asked for, then. `free` lies in a pool and is
    nobody's, `outside` in a served subnet but no pool; `foreign` is not the server's at all. `reserved` is
    reserved for the hardware address `reserved_mac`, whose client has not come yet.
    """

    server: IPv4Address
    giaddr: IPv4Address | None = None
    other_giaddr: IPv4Address | None = None
    port: int = 67
    dialect: Dialect = RFC4388
    timeout: float = 1.0
    attempts: int = 3
    silence: float = 0.5
    short_lease: int = 2
    patience: float = 30.0
    free: IPv4Address | None = None
    outside: IPv4Address | None = None
    foreign: IPv4Address = _FOREIGN
    reserved: IPv4Address | None = None
    reserved_mac: bytes | None = None
    reservation_as_active: bool = False
    longest_lease: bool = False
    without_leasequery: bool = False


class NotApplicable(Exception):
    """The row does not apply to this server; the message says why, or what has to be configured."""


@dataclass(frozen=True)
class Complaint:
    """A breach of a row; `must` is False where the part of the row that is broken is but a SHOULD."""

    text: str
    must: bool


@dataclass(frozen=True)
class QueryOutcome:
    """What came of one query.

    `kind` is active, known, unknown, unimplemented, silence, malformed, or `type N`; `reply` is None for
    silence and what is malformed.
    """

    asked: str
    kind: str
    reply: Message | None
    arrival: Arrival | None

    @property
    def has_binding(self) -> bool:
        """KNOWN or ACTIVE."""
        return self.kind in ("active", "known")

    @property
    def ciaddr(self) -> IPv4Address | None:
        """The address that it is about, None without reply."""
        return self.reply.ciaddr if self.reply is not None else None

    @property
    def client(self) -> tuple[int, bytes]:
        """htype and hardware address."""
        return (self.reply.htype, self.reply.chaddr) if self.reply is not None else (0, b"")

    def value(self, code: int) -> bytes | None:
        """An option's octets, None where it is not there."""
        return self.reply.options.get(code) if self.reply is not None else None

    def number(self, code: int) -> int | None:
        """An option of 4 octets as a number, None where it is not there or has another length."""
        value = self.value(code)
        return int.from_bytes(value, "big") if value is not None and len(value) == 4 else None

    def __str__(self) -> str:
        if self.reply is None:
            return f"{self.asked} -> {self.kind}"
        reply = self.reply
        parts = [self.kind.upper(), str(reply.ciaddr), hardware_address(reply.chaddr)]
        parts += [f"flags {reply.flags:#06x}"] if reply.flags else []
        parts += [
            f"{code}={int.from_bytes(value, 'big') if code in _NUMBERS else value.hex()}"
            for code, value in reply.options.items()
            if code != OptionCode.MESSAGE_TYPE
        ]
        return f"{self.asked} -> {' '.join(parts)}"


class Trial:
    """One row's check against one server: it asks, expects, and notes both."""

    def __init__(
        self, target: Target, giaddr: IPv4Address, requester: Requester, states: PreparedStates
    ) -> None:
        self.target = target
        self.giaddr = giaddr
        self.states = states
        self.complaints: list[Complaint] = []
        self.expectations = 0
        self._requester = requester
        self._notes: list[str] = []

    @property
    def dialect(self) -> Dialect:
        """The dialect that is judged by."""
        return self.target.dialect

    @property
    def draft(self) -> bool:
        """Whether the draft's rule holds where RFC 4388 changed it."""
        return self.dialect.name == DRAFT_03.name

    @property
    def evidence(self) -> str:
        """Everything sent, and what came."""
        return "; ".join(dict.fromkeys(self._notes))

    def note(self, text: str) -> None:
        """Add to the evidence."""
        self._notes.append(text)

    def expect(self, holds: bool, complaint: str, must: bool = True) -> None:
        """Complain where something does not hold."""
        self.expectations += 1
        if not holds:
            self.complaints.append(Complaint(complaint, must))

    def subscribers(self, *names: str) -> list[PlayedClient]:
        """The clients of those states that could be made; notes the others. Raises NotApplicable if none."""
        found = []
        for name in names:
            try:
                found.append(self.states.subscriber(name))
            except Unavailable as reason:
                self.note(f"no {name} address: {reason}")
        if not found:
            raise NotApplicable(f"the states cannot be made: {self.evidence}")
        return found

    # -- asking -------------------------------------------------------------------------------------

    def unsupported(self, answer: QueryOutcome) -> bool:
        """Whether this form of query is one that the server need not know and does not; notes it."""
        found = answer.kind == "unimplemented" or (answer.kind == "silence" and not self.draft)
        if found:
            self.note("taken for a form that is not supported")
        return found

    def by_ip(
        self,
        address: IPv4Address,
        requested: Iterable[int] = USUAL,
        hops: int = 0,
        secs: int = 0,
        flags: int = 0,
    ) -> QueryOutcome:
        """Query by IP address; without a Parameter Request List if nothing is requested."""
        message = self._query(requested, ciaddr=address)
        message.hops, message.secs, message.flags = hops, secs, flags
        return self._ask(message)

    def by_mac(self, chaddr: bytes, requested: Iterable[int] = USUAL) -> QueryOutcome:
        """Query by MAC address (Ethernet)."""
        return self._ask(self._query(requested, htype=1, chaddr=chaddr))

    def by_id(self, client_id: bytes, requested: Iterable[int] = USUAL) -> QueryOutcome:
        """Query by client identifier."""
        return self._ask(self._query(requested, client_id=client_id))

    def by_ip_from(self, by: str, address: IPv4Address, requested: Iterable[int] = USUAL) -> QueryOutcome:
        """Query by IP address from the socket `by`: `other`, the second giaddr, or `source`."""
        giaddr = self.target.other_giaddr if by == "other" else self.giaddr
        assert giaddr is not None
        return self._ask(self._query(requested, ciaddr=address, giaddr=giaddr), by)

    def unanswered(
        self,
        requested: Iterable[int] = USUAL,
        *,
        ciaddr: IPv4Address = ANY,
        chaddr: bytes = b"",
        client_id: bytes | None = None,
        giaddr: IPv4Address | None = None,
    ) -> QueryOutcome:
        """A query to which no answer is expected, sent once; with any of the items, or none.

        A server in order answers a proper query that follows only after it, so its answer ends most of
        the wait.
        """
        message = self._query(
            requested, ciaddr=ciaddr, chaddr=chaddr, htype=int(bool(chaddr)), client_id=client_id
        )
        message.giaddr = self.giaddr if giaddr is None else giaddr
        sent = self._requester.send(message)
        if not self.target.without_leasequery:
            fence = self._query((), ciaddr=self.target.foreign)
            self._requester.exchange(fence, self.target.timeout, 1)
        arrival = self._requester.listen(message, sent, self.target.silence)
        return self._answer(message, arrival)

    def _query(
        self,
        requested: Iterable[int],
        *,
        ciaddr: IPv4Address = ANY,
        htype: int = 0,
        chaddr: bytes = b"",
        client_id: bytes | None = None,
        giaddr: IPv4Address | None = None,
    ) -> Message:
        message = Message(
            htype=htype,
            xid=random.getrandbits(32),
            ciaddr=ciaddr,
            giaddr=self.giaddr if giaddr is None else giaddr,
            chaddr=chaddr,
        )
        message.message_type = self.dialect.leasequery
        if client_id is not None:
            message.options[OptionCode.CLIENT_IDENTIFIER] = client_id
        if codes := bytes(requested):
            message.options[OptionCode.PARAMETER_REQUEST_LIST] = codes
        return message

    def _ask(self, message: Message, by: str = "giaddr") -> QueryOutcome:
        return self._answer(
            message, self._requester.exchange(message, self.target.timeout, self.target.attempts, by)
        )

    def _answer(self, message: Message, arrival: Arrival | None) -> QueryOutcome:
        asked = _describe(message, self.giaddr)
        if arrival is None:
            answer = QueryOutcome(asked, "silence", None, None)
        elif arrival.reply is None:
            answer = QueryOutcome(asked, "malformed", None, arrival)
        else:
            number = arrival.reply.message_type
            names = [name for name in _KINDS if getattr(self.dialect, name) == number]
            answer = QueryOutcome(asked, names[0] if names else f"type {number}", arrival.reply, arrival)
        self.note(str(answer))
        return answer

    # -- times --------------------------------------------------------------------------------------

    @staticmethod
    def since(client: PlayedClient, answer: QueryOutcome) -> tuple[float, float]:
        """Between how many seconds the client's last transaction is past when the server answered."""
        assert answer.arrival is not None
        return answer.arrival.sent - client.acked[1], answer.arrival.received - client.acked[0]


def _describe(message: Message, giaddr: IPv4Address) -> str:
    items = []
    if int(message.ciaddr):
        items.append(f"IP {message.ciaddr}")
    if message.chaddr:
        items.append(f"MAC {hardware_address(message.chaddr)}")
    if (identifier := message.options.get(OptionCode.CLIENT_IDENTIFIER)) is not None:
        items.append(f"client identifier {identifier.hex()}")
    asked = f"query by {' and '.join(items) or 'nothing'}"
    codes = message.options.get(OptionCode.PARAMETER_REQUEST_LIST)
    if codes is None:
        asked += " without Parameter Request List"
    elif tuple(codes) != USUAL:
        asked += f" for {' '.join(map(str, codes))}"
    asked += f", giaddr {message.giaddr}" if message.giaddr != giaddr else ""
    for name in ("flags", "hops", "secs"):
        asked += f", {name} {getattr(message, name)}" if getattr(message, name) else ""
    return asked
