"""The concentrator fuzzed: whatever hosts, servers and forgers say, a location has a cause that counts.

The octets are a play: each step is a header (who speaks, how much later, on which circuit, to which of the
last messages it replies) and a DHCP message, or nothing. A reply to what the concentrator sent takes over
whatever a true server knows (xid, hardware address, option 82), so that the search gets deep.
"""

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from lq.concentrator.circuit_id import BinaryCircuitId
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.engine import Concentrator
from lq.concentrator.events import (
    ArpReply,
    Circuit,
    Downstream,
    FromClient,
    FromLocated,
    FromServer,
    ModemRegistered,
    Permit,
    ToServer,
    Upstream,
)
from lq.wire import BOOTREPLY, DRAFT_03, MalformedMessage, MessageType, OptionCode, RelayInfo, decode

GIADDR = IPv4Address("198.18.0.1")
SERVERS = (IPv4Address("198.19.1.2"), IPv4Address("198.19.1.3"))
STEP = struct.Struct("!BBBBH")  # who, later, where, to which, octets of the message
LATER = (0.0, 0.001, 0.5, 1.0, 13.0, 61.0, 3600.0)  # seconds
STRANGER = IPv4Address("198.19.77.77")
POLICIES = [
    {},
    {"moves": "always", "circuit_messages": 3},
    {"moves": "never", "dialect": DRAFT_03, "registered_only": True},
    {"mode": "arp", "trusted_circuits": ("all",)},
    {"ask_by": "mac-upstream", "negative_cache": False, "waiting_limit": 3},
]


class Play:
    """One concentrator, and an account of its own of what it asked and what may therefore be believed."""

    def __init__(self, policy):
        networks = (IPv4Network("198.18.0.0/16"),)
        fixed = {"seed": 1, "access_ports": (2,), "circuit_tags": 1}
        self.engine = Concentrator(ConcentratorConfig(GIADDR, networks, SERVERS, **fixed, **POLICIES[policy]))
        self.now = 0.0
        self.sent = []  # the latest messages to servers
        self.open = {}  # (server, xid, chaddr, circuit): when, kind, address named
        self.asked = {}  # (server, xid): the address, None if by client
        self.places = {}  # address: circuit and hardware address last permitted

    def give(self, event):
        self.account(self.engine.handle(event, self.now), event)

    def pass_time(self, seconds):
        until = self.now + seconds
        for _ in range(300):
            deadline = self.engine.deadline
            if deadline is None or deadline > until:
                break
            self.now = max(self.now, deadline)
            self.account(self.engine.wake(self.now), None)
        self.now = until

    def account(self, effects, event):
        for effect in effects:
            if isinstance(effect, ToServer):
                self.sends(effect)
            elif isinstance(effect, Permit):
                self.permits(effect.location, event)

    def sends(self, effect):
        message = effect.message
        self.sent = [*self.sent[-7:], effect]
        if effect.query is not None:
            self.asked[effect.server, message.xid] = effect.query.address
            return
        value = message.options[OptionCode.RELAY_AGENT_INFORMATION]
        named = message.options.get(OptionCode.REQUESTED_ADDRESS) or message.ciaddr.packed
        key = (effect.server, message.xid, message.chaddr)
        self.open.setdefault(key, []).append((self.now, value, named))

    def permits(self, location, event):
        place = (location.circuit, location.chaddr)
        assert location.circuit.port == 2, "a circuit of ours"
        assert len(location.circuit.tags) == 1
        known = self.places.get(location.address) == place
        assert known or self.believable(location, event), f"{location} because of {event}"
        self.places[location.address] = place

    def believable(self, location, event):
        if isinstance(event, ArpReply):
            return self.engine.config.mode == "arp" and (event.circuit, event.chaddr) == (
                location.circuit, location.chaddr,
            )  # fmt: skip
        if isinstance(event, ModemRegistered):
            return event.circuit == location.circuit
        if not isinstance(event, FromServer) or event.port != 67 or event.server not in SERVERS:
            return False
        message = event.message
        if (event.server, message.xid) in self.asked and message.message_type == MessageType.ACTIVE:
            return message.chaddr == location.chaddr
        requests = self.open.get((event.server, message.xid, message.chaddr), [])
        circuit_id = BinaryCircuitId().encode(location.circuit)
        return message.message_type == MessageType.ACK and any(
            self.now < at + 60
            and named == location.address.packed
            and RelayInfo.decode(value).circuit_id == circuit_id
            for at, value, named in requests
        )


def concentrator(data):
    """No message makes it fail, locate a host without a cause that counts, or keep more than its bounds."""
    if not data:
        return
    play = Play(data[0] % len(POLICIES))
    position = 1
    while position + STEP.size <= len(data):
        who, later, where, which, length = STEP.unpack_from(data, position)
        position += STEP.size
        octets = data[position : position + length]
        position += length
        play.pass_time(LATER[later % len(LATER)])
        step(play, who, where, which, octets)
        config, engine = play.engine.config, play.engine
        assert len(engine._claims) <= config.waiting_limit
        assert len(engine.negative_cache) <= 6 * config.refused_limit
        assert engine.deadline is None or engine.deadline > 0


def step(play, who, where, which, octets):
    """Let one of them speak."""
    circuit = Circuit(2, (1 + where % 4,))
    chaddr = bytes((2, 0, 0, 0, 0, where % 8))
    address = IPv4Address(int(GIADDR) + 15 + which % 8)
    modem = bytes((2, 1, 0, 0, 0, which % 4))
    packets = {
        1: Downstream(address),
        2: Upstream(circuit, chaddr, address),
        3: ArpReply(circuit, chaddr, address),
        4: ModemRegistered(modem, circuit),
    }
    if who % 8 in packets:
        play.give(packets[who % 8])
        return
    try:
        message = decode(octets)
    except MalformedMessage:
        return
    if who % 8 == 0:
        play.give(FromClient(circuit, message))
    elif who % 8 == 5:
        play.give(FromLocated(address, message))
    elif who % 8 == 6:
        play.give(FromServer((*SERVERS, STRANGER)[where % 3], message, 67 if which % 4 else 6767))
    elif play.sent:
        sent = play.sent[which % len(play.sent)]
        asked = sent.message
        options = {**message.options}
        value = asked.options.get(OptionCode.RELAY_AGENT_INFORMATION)
        if value is not None and where % 4:
            options[OptionCode.RELAY_AGENT_INFORMATION] = value
        chaddr = asked.chaddr or message.chaddr
        told = replace(
            message, op=BOOTREPLY, xid=asked.xid, giaddr=GIADDR, chaddr=chaddr, options=options,
            ciaddr=asked.ciaddr if sent.query is not None else message.ciaddr,
        )  # fmt: skip
        play.give(FromServer(sent.server, told))
