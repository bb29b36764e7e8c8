"""The whole server without I/O: one datagram and the time in, one datagram and changed bindings out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address

from lq.server.answer import Answerer
from lq.server.assign import Assigner
from lq.server.bindings import Binding, Bindings, State
from lq.server.config import Reservation, ServerConfig
from lq.server.pools import Ranges
from lq.wire.message import ANY, Message, decode
from lq.wire.options import MalformedMessage, OptionCode
from lq.wire.text import type_name

_NOWHERE = bytes(4)
_UDP_ROOM = 1472  # what an Ethernet frame carries over UDP


class Service:
    """One server: assignment, leasequery and their counters over one set of bindings.

    `bindings` are those stored, `now` the time of the start in seconds; bindings that lie in no
    configured pool or reservation are left out and counted. `changed` collects bindings by packed
    address; the caller stores and clears them before it sends the replies that came with them.
    """

    def __init__(self, config: ServerConfig, bindings: Iterable[Binding] = (), now: float = 0.0) -> None:
        self.config = config
        self.counters: Counter[str] = Counter()
        self.bindings = Bindings()
        self._take_in(bindings, now)
        self._assigner = Assigner(config, self.bindings, self.counters)
        self._answerer = Answerer(config, self.bindings, self.counters)
        self._requesters: dict[bytes, tuple[str, int] | None] = {}

    @property
    def changed(self) -> dict[bytes, Binding]:
        """Bindings that have to be stored before the replies leave."""
        return self._assigner.changed

    def _take_in(self, bindings: Iterable[Binding], now: float) -> None:
        reservations = {each.address.packed: each for each in self.config.reservations}
        managed = Ranges(self.config.pools)
        for binding in bindings:
            reservation = reservations.get(binding.packed)
            if reservation is None and binding.packed not in managed:
                self.counters["bindings outside the configured pools"] += 1
                continue
            if reservation is not None:
                binding.reserved = reservation.is_for(binding.hardware, binding.client_id)
            self.bindings.put(binding)
        for packed, reservation in reservations.items():
            former = self.bindings.by_address.get(packed)
            if former is None or not (former.reserved or former.expires > now):
                self.bindings.put(_awaiting(reservation))

    def handle(self, octets: bytes, now: float) -> tuple[bytes | bytearray, tuple[str, int]] | None:
        """The datagram to send and its destination (address and port), None for silence.

        `now` is in seconds and never goes back. Malformed octets are counted and otherwise ignored.
        """
        try:
            if octets[:1] != b"\x01":
                raise MalformedMessage("not a request")
            question = self._answerer.question(octets)
            if question is None:
                return self._assign(decode(octets), now)
        except MalformedMessage:
            self.counters["dropped: malformed"] += 1
            return None
        self.counters["received: leasequery"] += 1
        destination = self._requester(octets[24:28])
        if destination is None:
            return None
        reply = self._answerer.answer(octets, question, now)
        return None if reply is None else (reply, destination)

    def _requester(self, giaddr: bytes) -> tuple[str, int] | None:
        """Where to send the answer: giaddr, port 67 (R6.4.3-1); nowhere if it is zero or not allowed."""
        destination = self._requesters.get(giaddr)
        if destination is not None:
            return destination
        address = IPv4Address(giaddr)
        settings = self.config.leasequery
        if not settings.enabled:
            self.counters["dropped: leasequery is switched off"] += 1
        elif giaddr == _NOWHERE:
            self.counters["dropped: query without giaddr"] += 1  # R6.3-1, R6.4.3-2
        elif not any(address in network for network in settings.requesters):
            self.counters["dropped: requester not allowed"] += 1
        else:
            if len(self._requesters) >= 4096:
                self._requesters.clear()
            destination = self._requesters[giaddr] = (str(address), self.config.port)
        return destination

    def _assign(self, message: Message, now: float) -> tuple[bytes | bytearray, tuple[str, int]] | None:
        self.counters[f"received: {type_name(message.message_type).lower()}"] += 1
        reply = self._assigner.handle(message, now)
        if reply is None:
            return None
        try:
            octets = reply.encode(maximum=_room(message))
        except MalformedMessage:
            self.counters["dropped: reply too long"] += 1
            return None
        self.counters[f"sent: {type_name(reply.message_type).lower()}"] += 1
        return octets, self._destination(message)

    def _destination(self, message: Message) -> tuple[str, int]:
        """The relay, else the client's own address (RFC 2131, 4.1)."""
        if message.giaddr != ANY:
            return str(message.giaddr), self.config.port
        return str(message.ciaddr), self.config.port + 1


def _awaiting(reservation: Reservation) -> Binding:
    """A reservation whose client has not come yet, as leasequery is to see it (R6.4-2)."""
    return Binding(
        reservation.address.packed,
        reservation.htype if reservation.hardware else 0,
        reservation.hardware or b"",
        reservation.client_id,
        State.RESERVED,
        reserved=True,
    )


def _room(message: Message) -> int:
    """Octets that the reply may have: what the client takes (option 57 counts the IP and UDP headers,
    28), at least 548, and option 82, which the relay takes out again."""
    limit = message.options.get(OptionCode.MAXIMUM_MESSAGE_SIZE, b"")
    asked = int.from_bytes(limit, "big") - 28 if len(limit) == 2 else 0
    relay_info = message.options.get(OptionCode.RELAY_AGENT_INFORMATION, b"")
    return min(max(asked, 548) + len(relay_info) + 2, _UDP_ROOM)
