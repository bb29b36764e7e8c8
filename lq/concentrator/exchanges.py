"""Requests that the relay passed on and that may still be answered.

A server's reply is believed only as the answer to one of them (R1-7): it must bear the request's xid and
hardware address and the option 82 that went with it, be of a kind that answers such a request, and come
from a server that has not answered it yet. Who cannot read what passes between relay and server would have
to guess the xid, 32 bits of the client's choice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.concentrator.events import Circuit
from lq.wire import Message, MessageType, OptionCode, RelayInfo

_MOST = 65536
_MOST_CIRCUITS = 4  # from which the same client sends the same xid
_ANSWERS: dict[int | None, frozenset[int | None]] = {
    MessageType.DISCOVER: frozenset({MessageType.OFFER}),
    MessageType.REQUEST: frozenset({MessageType.ACK, MessageType.NAK}),
    MessageType.INFORM: frozenset({MessageType.ACK}),
    None: frozenset({None}),  # BOOTP
}


@dataclass(slots=True, eq=False)
class Exchange:
    """One client's request, from `circuit`, about the address `wanted` (0.0.0.0: about none).

    `info` is the option 82 that was passed on with it, `kind` its message type, `waiting` are the servers
    that have not answered; replies count until the time `until`.
    """

    circuit: Circuit
    wanted: IPv4Address
    info: RelayInfo
    kind: int | None
    waiting: set[IPv4Address]
    until: float


_Key = tuple[int, bytes]  # xid and hardware address


class Exchanges:
    """The open requests; at most 65,536 of them, some 700 octets each, the oldest makes room."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # The one sent last stands last, and all are open equally long.
        self._open: OrderedDict[tuple[_Key, Circuit], Exchange] = OrderedDict()
        self._circuits: dict[_Key, tuple[Circuit, ...]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(
        self,
        message: Message,
        circuit: Circuit,
        wanted: IPv4Address,
        info: RelayInfo,
        servers: Iterable[IPv4Address],
        now: float,
    ) -> None:
        """A client's message goes to these servers: a new request, or one that is sent again."""
        kind = message.message_type
        if kind not in _ANSWERS:
            return
        key = (message.xid, message.chaddr)
        self._end(key, circuit)
        while self._open and (len(self._open) >= _MOST or next(iter(self._open.values())).until <= now):
            self._end(*next(iter(self._open)))
        others = self._circuits.get(key, ())
        if len(others) >= _MOST_CIRCUITS:
            self._end(key, others[0])
            others = others[1:]
        self._circuits[key] = (*others, circuit)
        until = now + self._seconds
        self._open[key, circuit] = Exchange(circuit, wanted, info, kind, set(servers), until)

    def sender(self, message: Message, info: RelayInfo | None, now: float) -> Exchange | None:
        """Return the request that a reply names, by xid, hardware address and option 82.

        A server that does not return option 82 is understood where one circuit alone sent such a request.
        """
        key = (message.xid, message.chaddr)
        for circuit in self._circuits.get(key, ()):
            exchange = self._open[key, circuit]
            if exchange.until <= now:
                continue
            if (len(self._circuits[key]) == 1) if info is None else _same(info, exchange.info):
                return exchange
        return None

    @staticmethod
    def answered(exchange: Exchange, server: IPv4Address, reply: Message) -> bool:
        """Note a reply from this server; return whether it answers the request, for the first time."""
        kind = reply.message_type
        if server not in exchange.waiting or kind not in _ANSWERS[exchange.kind]:
            return False
        leases = exchange.kind == MessageType.REQUEST and kind == MessageType.ACK
        if leases and reply.yiaddr != exchange.wanted:
            return False
        exchange.waiting.discard(server)
        return True

    def _end(self, key: _Key, circuit: Circuit) -> None:
        if self._open.pop((key, circuit), None) is None:
            return
        others = tuple(each for each in self._circuits[key] if each != circuit)
        if others:
            self._circuits[key] = others
        else:
            del self._circuits[key]


def _same(one: RelayInfo, other: RelayInfo) -> bool:
    """Whether the sub-options are the same, in whatever order: some servers sort them."""
    return one == other or sorted(one.pairs) == sorted(other.pairs)


def wanted(message: Message) -> IPv4Address:
    """Return the address that a client's message is about, 0.0.0.0 if about none."""
    value = message.options.get(OptionCode.REQUESTED_ADDRESS)
    return message.ciaddr if value is None or len(value) != 4 else IPv4Address(value)
