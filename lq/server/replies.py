"""Replies to clients (RFC 2131, table 3): what a client gets with an address, put into a message."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.server.bindings import NO_TIME
from lq.server.config import Leases, Link, Reservation, ServerConfig, Subnet
from lq.wire.message import ANY, BOOTREPLY, Message
from lq.wire.options import INFINITE, MessageType, OptionCode, lease_end, pack_u32

DEFAULT_LEASE_TIME = 3600


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client gets with an address: times in seconds, and options by code."""

    lease_time: int
    max_lease_time: int
    t1: int | None
    t2: int | None
    options: dict[int, bytes]

    def granted(self, message: Message) -> Duration:
        """How long the lease will be: what the client asks for, within bounds."""
        asked = message.options.get(OptionCode.LEASE_TIME, b"")
        lease = self.lease_time
        if len(asked) == 4:
            lease = max(1, min(int.from_bytes(asked, "big"), self.max_lease_time))
        # T1 and T2 as configured if that fits in the lease, else its half and seven eighths.
        rebinding = self.t2 if self.t2 is not None and self.t2 <= lease else lease * 7 // 8
        renewal = self.t1 if self.t1 is not None and self.t1 <= rebinding else lease // 2
        return Duration(lease, min(renewal, rebinding), rebinding)


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds from now until expiry, renewal (T1) and rebinding (T2).

    A lease of INFINITE seconds has no end, and so neither T1 nor T2 (RFC 2131, 3.3).
    """

    lease: int
    renewal: int
    rebinding: int

    def from_now(self, now: float) -> tuple[float, float, float]:
        """The three moments, in seconds as `now` is."""
        if self.lease == INFINITE:
            return lease_end(self.lease, now), NO_TIME, NO_TIME
        return now + self.lease, now + self.renewal, now + self.rebinding


class AllTerms:
    """The terms of every address: reservation before subnet before server, each setting by itself."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._reservations = {each.address.packed: each for each in config.reservations}
        self._merged: dict[tuple[int, bytes | None], Terms] = {}

    def of(self, packed: bytes, link: Link) -> Terms:
        """The terms of an address on this link."""
        subnet = link.subnets[0]
        if len(link.subnets) > 1:
            subnet = link.subnet_of(IPv4Address(packed)) or subnet
        reservation = self._reservations.get(packed)
        key = (id(subnet), packed if reservation is not None else None)  # the configuration stays as it is
        found = self._merged.get(key)
        if found is None:
            found = self._merged[key] = self._merge(subnet, reservation)
        return found

    def _merge(self, subnet: Subnet, reservation: Reservation | None) -> Terms:
        levels: list[Leases] = [self._config, subnet] + ([reservation] if reservation is not None else [])
        options = {
            int(OptionCode.SUBNET_MASK): subnet.network.netmask.packed,
            int(OptionCode.BROADCAST_ADDRESS): subnet.network.broadcast_address.packed,
        }
        found: dict[str, int] = {}
        for level in levels:
            options |= level.options
            for name in ("lease_time", "max_lease_time", "t1", "t2"):
                if getattr(level, name) is not None:
                    found[name] = getattr(level, name)
        lease_time = found.get("lease_time", DEFAULT_LEASE_TIME)
        longest = max(found.get("max_lease_time", lease_time), lease_time)
        return Terms(lease_time, longest, found.get("t1"), found.get("t2"), options)


class Replies:
    """Builds the replies of one server, named by its identifier (option 54).

    `server_id` of a message, if not None, is the identifier that its relay agent wants instead (RFC 5107).
    """

    def __init__(self, server_id: bytes) -> None:
        self._server_id = server_id

    def offer(self, message: Message, packed: bytes, terms: Terms, server_id: bytes | None) -> Message:
        """The OFFER of an address."""
        reply = self._start(message, MessageType.OFFER, server_id)
        return self._with_lease(message, reply, packed, terms)

    def ack(self, message: Message, packed: bytes, terms: Terms, server_id: bytes | None) -> Message:
        """The ACK that leases an address."""
        reply = self._start(message, MessageType.ACK, server_id)
        reply.ciaddr = message.ciaddr
        return self._with_lease(message, reply, packed, terms)

    def informed(self, message: Message, terms: Terms, server_id: bytes | None) -> Message:
        """The ACK to an INFORM: options, and neither address nor times (RFC 2131, 4.3.5)."""
        reply = self._start(message, MessageType.ACK, server_id)
        reply.ciaddr = message.ciaddr
        return self._with_options(message, reply, terms)

    def nak(self, message: Message, reason: str, server_id: bytes | None) -> Message:
        """The NAK: the client has to begin anew."""
        reply = self._start(message, MessageType.NAK, server_id)
        if message.giaddr != ANY:
            reply.broadcast = True  # the client may have no valid address (RFC 2131, 4.3.2)
        reply.options[OptionCode.MESSAGE] = reason.encode()
        return self._with_echoes(message, reply)

    def _start(self, message: Message, kind: MessageType, server_id: bytes | None) -> Message:
        return Message(
            op=BOOTREPLY,
            htype=message.htype,
            xid=message.xid,
            flags=message.flags,
            giaddr=message.giaddr,
            chaddr=message.chaddr,
            options={
                OptionCode.MESSAGE_TYPE: bytes((kind,)),
                OptionCode.SERVER_IDENTIFIER: server_id or self._server_id,
            },
        )

    def _with_lease(self, message: Message, reply: Message, packed: bytes, terms: Terms) -> Message:
        duration = terms.granted(message)
        reply.yiaddr = IPv4Address(packed)
        reply.options[OptionCode.LEASE_TIME] = pack_u32(duration.lease)
        if duration.lease != INFINITE:
            reply.options[OptionCode.RENEWAL_TIME] = pack_u32(duration.renewal)
            reply.options[OptionCode.REBINDING_TIME] = pack_u32(duration.rebinding)
        return self._with_options(message, reply, terms)

    def _with_options(self, message: Message, reply: Message, terms: Terms) -> Message:
        wanted = message.options.get(OptionCode.PARAMETER_REQUEST_LIST)
        for code in terms.options if wanted is None else wanted:
            if code in terms.options:
                reply.options[code] = terms.options[code]
        return self._with_echoes(message, reply)

    @staticmethod
    def _with_echoes(message: Message, reply: Message) -> Message:
        """Options 61 (RFC 6842) and 82 (RFC 3046) go back as they came."""
        for code in (OptionCode.CLIENT_IDENTIFIER, OptionCode.RELAY_AGENT_INFORMATION):
            if code in message.options:
                reply.options[code] = message.options[code]
        return reply
