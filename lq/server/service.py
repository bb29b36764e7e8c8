"""The whole server without I/O: one datagram and the time in, one datagram and changed bindings out.

Whom it believes (`verify_source`). Any host can send a datagram to the server, but what leaves a network
with source address verification has the sender's own address. So

* a message with giaddr counts only if it comes from that giaddr: then the relay agent has written giaddr and
  option 82, and has seen by which circuit the client came;
* a leasequery has to come from the port of relay agents and servers, too, which no ordinary program may use;
* a message without giaddr counts only if it comes from its ciaddr, has no option 82 (RFC 3046, 2.1: a relay
  agent would have set giaddr), and is a renewal, a RELEASE or an INFORM: all else reaches a server by relay.

What is refused is counted by its reason.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address

from lq.server.answer import Answerer
from lq.server.assign import Assigner
from lq.server.bindings import Binding, Bindings, State
from lq.server.config import Reservation, ServerConfig
from lq.server.pools import Places, Ranges
from lq.wire.message import ANY, Message, decode
from lq.wire.options import MalformedMessage, MessageType, OptionCode
from lq.wire.text import type_name

_log = logging.getLogger(__name__)

_NOWHERE = bytes(4)
_UDP_ROOM = 1472  # what an Ethernet frame carries over UDP
_UNICAST = frozenset({MessageType.REQUEST, MessageType.RELEASE, MessageType.INFORM})

Endpoint = tuple[str, int]
"""An IPv4 address, and a UDP port there."""


class Service:
    """One server: assignment, leasequery and their counters over one set of bindings.

    `bindings` are those stored, `now` the time of the start in seconds; bindings that lie in no
    configured pool or reservation are left out and counted. `changed` collects bindings by packed
    address; the caller stores and clears them before it sends the replies that came with them.
    """

    def __init__(self, config: ServerConfig, bindings: Iterable[Binding] = (), now: float = 0.0) -> None:
        self.config = config
        self.counters: Counter[str] = Counter()
        self.bindings = Bindings(place=Places(config.links))
        self._take_in(bindings, now)
        self._assigner = Assigner(config, self.bindings, self.counters)
        self._answerer = Answerer(config, self.bindings, self.counters)
        self._verify = config.verify_source
        self._requesters: dict[bytes, Endpoint] = {}

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

    def handle(
        self, octets: bytes, now: float, source: Endpoint
    ) -> tuple[bytes | bytearray, Endpoint] | None:
        """The datagram to send and its destination, None for silence.

        `source` is where the datagram comes from. `now` is in seconds and never goes back. Malformed octets
        are counted and otherwise ignored.
        """
        try:
            if octets[:1] != b"\x01":
                raise MalformedMessage("not a request")
            question = self._answerer.question(octets)
            if question is None:
                return self._assign(decode(octets), now, source)
        except MalformedMessage:
            self.counters["dropped: malformed"] += 1
            return None
        self.counters["received: leasequery"] += 1
        destination = self._requesters.get(octets[24:28])
        if destination != source:
            destination = self._requester(octets[24:28], source)
            if destination is None:
                return None
        reply = self._answerer.answer(octets, question, now)
        return None if reply is None else (reply, destination)

    def _requester(self, giaddr: bytes, source: Endpoint) -> Endpoint | None:
        """Where to send the answer: giaddr, port 67 (R6.4.3-1); None if nobody there is to have one."""
        address = IPv4Address(giaddr)
        destination = str(address), self.config.port
        settings = self.config.leasequery
        if not settings.enabled:
            reason = "leasequery is switched off"
        elif giaddr == _NOWHERE:
            reason = "query without giaddr"  # R6.3-1, R6.4.3-2
        elif not any(address in network for network in settings.requesters):
            reason = "requester not allowed"
        elif self._verify and source[0] != destination[0]:
            reason = "source is not giaddr"
        elif self._verify and source != destination:
            reason = "query from another port than a relay agent's"
        else:
            if len(self._requesters) >= 4096:
                self._requesters.clear()
            self._requesters[giaddr] = destination
            return destination
        self._refuse(reason)
        return None

    def _refuse(self, reason: str) -> None:
        self.counters[f"dropped: {reason}"] += 1
        _log.info("dropped: %s", reason)

    def _assign(
        self, message: Message, now: float, source: Endpoint
    ) -> tuple[bytes | bytearray, Endpoint] | None:
        self.counters["received: " + _kind(message.message_type)] += 1
        reason = _doubt(message, source[0]) if self._verify else None
        if reason is not None:
            self._refuse(reason)
            return None
        reply = self._assigner.handle(message, now)
        if reply is None:
            return None
        try:
            octets = reply.encode(maximum=_room(message))
        except MalformedMessage:
            self.counters["dropped: reply too long"] += 1
            return None
        self.counters["sent: " + _kind(reply.message_type)] += 1
        return octets, self._destination(message)

    def _destination(self, message: Message) -> Endpoint:
        """The relay, else the client's own address (RFC 2131, 4.1)."""
        if message.giaddr != ANY:
            return str(message.giaddr), self.config.port
        return str(message.ciaddr), self.config.port + 1


@functools.cache
def _kind(message_type: int | None) -> str:
    """What the counters call a message type, which is one octet."""
    return type_name(message_type).lower()


def _doubt(message: Message, source: str) -> str | None:
    """Why a message from this address is not believed, None if it is."""
    if message.giaddr != ANY:
        return None if source == str(message.giaddr) else "source is not giaddr"
    if OptionCode.RELAY_AGENT_INFORMATION in message.options:
        return "option 82 without giaddr"
    if message.message_type not in _UNICAST:
        return "not through a relay agent"
    return None if source == str(message.ciaddr) else "source is not ciaddr"


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
