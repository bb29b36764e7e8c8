"""Between the engine and the wire: packets become events, effects become messages. No input or output.

What the switch and the relay's socket delivered goes in as octets; what is to be sent collects in
`to_switch` and `to_servers`, and what happened in the record, until the application takes a turn at sending
(`controllers.concentrator`). Nothing is decided here: that is the business of `lq.concentrator`. One packet
for each address that is being asked about is held, and sent on its way when the answer permits it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any

from controllers import openflow
from controllers.flows import ROUTE, Tables, Temporary, Wiring
from controllers.held import HeldPackets
from controllers.record import Recorder
from controllers.settings import Settings
from controllers.temporary import Temporaries
from lq.concentrator import events
from lq.concentrator.engine import Concentrator
from lq.concentrator.events import Effect, Event, assert_never
from lq.wire import frames, registration
from lq.wire.message import CLIENT_PORT, SERVER_PORT, decode
from lq.wire.options import MalformedMessage, address_of

# Flows that drop something for a while, of each kind at most:
MAXIMUM_REFUSED = 1 << 17  # addresses that are refused, in one direction or both
MAXIMUM_SPOOFED = 1 << 14  # sources that failed verification
MAXIMUM_EXHAUSTED = 1 << 17  # circuits that have used up their share of queries or of DHCP messages
SOLICIT_INTERVAL = 1.0  # seconds, for modems that come up later
_MAC_LENGTH = 6  # the server may know hosts on other media, which are none of ours
_IPV4 = frames.ETHERTYPE_IPV4.to_bytes(2, "big")


class Forwarder:
    """The draft's access concentrator on one bridge, without its connections. Times: monotonic, seconds."""

    def __init__(self, settings: Settings, record: Recorder) -> None:
        self.settings = settings
        self.wiring = wiring = Wiring(**settings.wiring)
        self.record = record
        self.counts: Counter[str] = Counter()
        self.engine = Concentrator(settings.concentrator)
        self.to_switch: list[bytes] = []
        self.to_servers: list[tuple[bytes, tuple[str, int]]] = []
        self._access = wiring.access
        self._access_mac = bytes.fromhex(wiring.access_mac.replace(":", ""))
        self._uplink_mac = bytes.fromhex(wiring.uplink_mac.replace(":", ""))
        self._circuit_tags = 2 if settings.stacked_tags else 1
        self._tables: Tables | None = None
        self._solicit_at: float | None = None
        self._held = HeldPackets(wiring.access)
        self._unicast = b""  # the DHCP frame for a server that the engine is asked about
        self._forget_temporary()
        servers = {*settings.servers, *self.engine.config.queried_servers}
        self._server_named = {str(server): server for server in servers}
        self._place_of_server = {int(server): (str(server), SERVER_PORT) for server in servers}
        for modem in settings.modems:
            circuit = events.Circuit(wiring.access, modem.tags)
            self._give(events.ModemRegistered(bytes.fromhex(modem.mac.replace(":", "")), circuit), 0.0)

    # -- the application's turns

    def take_over(self, datapath: Any, *, metered: bool) -> None:
        """Take a bridge over: empty tables, the fixed flows, and a barrier to know when they hold."""
        settings = self.settings
        self.record.write("takes_over", metered=metered)
        self._tables = Tables(
            datapath,
            self.wiring,
            settings.giaddr,
            settings.networks,
            stacked_tags=settings.stacked_tags,
            rates=settings.rates if metered else None,
        )
        self._forget_temporary()
        self.to_switch += [*self._tables.initial(), self._tables.barrier()]

    def ready(self, now: float) -> None:
        """The bridge forwards from now on: the router and the modems are told so."""
        self.record.write("ready")
        # At once where our address is: a replacement has another place (RFC 5227).
        own = self.settings.uplink_address
        self._output([frames.arp_request(self._uplink_mac, own, own, ())], self.wiring.uplink)
        if self.settings.life is not None:
            self._solicit_at = now
            self.wake(now)

    @property
    def deadline(self) -> float | None:
        """When to call `wake`, None if there is nothing to wait for."""
        first = self.engine.deadline
        if self._solicit_at is not None and (first is None or self._solicit_at < first):
            first = self._solicit_at
        for kind in self._temporary:
            if kind and (first is None or kind.deadline < first):
                first = kind.deadline
        return first

    def wake(self, now: float) -> None:
        """Do what is due. Calling it early does no harm."""
        if self._solicit_at is not None and now >= self._solicit_at:
            self._solicit_at = now + SOLICIT_INTERVAL
            self._to_modem(registration.Kind.SOLICIT)
        for kind in self._temporary:
            if kind:
                self.to_switch += kind.ended(now)
        deadline = self.engine.deadline
        if deadline is not None and now >= deadline:
            self._carry_out(self.engine.wake(now), now)

    def packet_in(self, octets: bytes | bytearray, now: float) -> None:
        """Take in what the switch could not decide, an OpenFlow message."""
        self.counts["packet_ins"] += 1
        in_port, data = openflow.packet_in(octets)
        if in_port != self._access and data[12:14] == _IPV4 and len(data) >= 34:
            destination = address_of(data[30:34])
            self._ask(events.Downstream(destination), destination, data, in_port, now)
            return
        frame = frames.parse(data)
        if frame is not None and openflow.table_of(octets) == ROUTE:
            self._from_located(frame, data, now)
            return
        if frame is None or (in_port == self._access and len(frame.tags) != self._circuit_tags):
            return
        if frame.ethertype == frames.ETHERTYPE_ARP:
            self._arp(frame, in_port, now)
        elif frame.ethertype == registration.ETHERTYPE:
            self._registration(frame, in_port, now)
        elif frame.ethertype == frames.ETHERTYPE_IPV4 and in_port == self._access:
            addresses = frames.ipv4_addresses(frame.payload)
            if addresses is None:
                return
            source, destination = addresses
            circuit = events.Circuit(in_port, frame.tags)
            if destination == frames.BROADCAST:  # CLASSIFY lets no broadcast pass but DHCP
                self._from_client(frame, circuit, now)
            else:
                self._ask(events.Upstream(circuit, frame.source, source), source, data, in_port, now)

    def from_server(self, octets: bytes, source: tuple[str, int], now: float) -> None:
        """Take in what came to the relay's socket from this address and port."""
        try:
            message = decode(octets)
        except MalformedMessage:
            self.counts["malformed_from_servers"] += 1
            return
        name, port = source
        server = self._server_named.get(name) or IPv4Address(name)
        self._carry_out(self.engine.handle(events.FromServer(server, message, port), now), now)

    # -- packets

    def _from_client(self, frame: frames.Frame, circuit: events.Circuit, now: float) -> None:
        payload = frames.udp_payload(frame.payload)
        if payload is None:
            return
        try:
            message = decode(payload)
        except MalformedMessage:
            self.counts["malformed_from_clients"] += 1
            return
        self._give(events.FromClient(circuit, message), now)

    def _from_located(self, frame: frames.Frame, data: bytes, now: float) -> None:
        """A located host's DHCP message to a server itself; the switch has verified its source.

        A fragment is dropped: of a message in pieces a server may read something else than we do.
        """
        payload, addresses = frames.udp_payload(frame.payload), frames.ipv4_addresses(frame.payload)
        if payload is None or addresses is None or frames.is_fragment(frame.payload):
            self.counts["malformed_from_clients"] += 1
            return
        try:
            message = decode(payload)
        except MalformedMessage:
            self.counts["malformed_from_clients"] += 1
            return
        self._unicast = data
        self._give(events.FromLocated(addresses[0], message), now)

    def _registration(self, frame: frames.Frame, in_port: int, now: float) -> None:
        """A modem says where it is, in this life of ours: believe it, and tell it so (R1-3).

        Modems do not let such frames through from the hosts behind them.
        """
        told = registration.decode(frame.payload)
        if told is None or told.kind != registration.Kind.REGISTER or told.life != self.settings.life:
            return
        self._give(events.ModemRegistered(told.modem, events.Circuit(in_port, frame.tags)), now)
        self._to_modem(registration.Kind.REGISTERED, told.modem, frame.tags)

    def _to_modem(
        self, kind: registration.Kind, modem: bytes | None = None, tags: tuple[int, ...] = ()
    ) -> None:
        """Send a registration frame to a modem on its circuit, or to all of them."""
        told = registration.Registration(kind, self.settings.life or 0, modem or bytes(6))
        frame = frames.ethernet(
            modem or frames.BROADCAST_MAC, self._access_mac, tags, registration.ETHERTYPE, told.encode()
        )
        self._output([frame], self._access)

    def _arp(self, frame: frames.Frame, in_port: int, now: float) -> None:
        """Answer for the gateway, for the subscribers' neighbours, and on the uplink for ourselves.

        Subscribers share one subnet, but their frames reach only the concentrator: it stands in
        for the others (RFC 1027). A probe for an address conflict (sender 0.0.0.0) asks who has
        the address, not for the way there, and is not answered.
        """
        arp = frames.parse_arp(frame.payload)
        if arp is None:
            return
        if in_port != self._access:
            mine, mac = arp.target == self.settings.uplink_address, self._uplink_mac
        elif arp.request:
            inside = any(arp.target in network for network in self.settings.networks)
            asks_the_way = int(arp.sender) or arp.target == self.settings.giaddr
            mine, mac = inside and arp.target != arp.sender and bool(asks_the_way), self._access_mac
        else:
            circuit = events.Circuit(in_port, frame.tags)
            self._give(events.ArpReply(circuit, arp.sender_mac, arp.sender), now)
            return
        if arp.request and mine:
            self._output([frames.arp_reply(arp, mac, frame.tags)], in_port)

    # -- the engine

    def _ask(self, event: Event, address: IPv4Address, data: bytes, in_port: int, now: float) -> None:
        """Give a packet's event to the engine, and hold the packet unless the engine drops it."""
        self._held.hold(address, data, in_port)
        self._carry_out(self.engine.handle(event, now), now)

    def _give(self, event: Event, now: float) -> None:
        self._carry_out(self.engine.handle(event, now), now)

    def _carry_out(self, effects: Iterable[Effect], now: float) -> None:
        """Do what the engine has decided, in order."""
        for effect in effects:
            match effect:
                case events.ToServer():
                    self._to_server(effect, now)
                case events.Answered():
                    self._answered(effect, now)
                case events.Permit():
                    self._permit(effect, now)
                case events.Drop():
                    self._drop(effect)
                case events.Refuse():
                    self._refuse(effect, now)
                case events.Withdraw():
                    self._withdraw(effect, now)
                case events.Abandon():
                    self._abandon(effect, now)
                case events.ToClient():
                    self._to_client(effect)
                case events.PassOn():
                    self._pass_on()
                case events.Probe():
                    self._probe(effect, now)
                case events.BroadcastArp():
                    self._broadcast_arp(effect)
                case _:
                    assert_never(effect)

    def _to_server(self, effect: events.ToServer, now: float) -> None:
        place = self._place_of_server[int(effect.server)]
        self.to_servers.append((effect.octets, place))
        query = effect.query
        if query is not None:
            self.record.query(
                now, place[0], query.address, query.form, query.attempt, query.client, query.refresh
            )

    def _to_client(self, effect: events.ToClient) -> None:
        """Put a server's reply on the client's circuit, as RFC 2131, 4.1 says where."""
        message = effect.message
        destination = frames.BROADCAST if effect.broadcast else message.yiaddr
        mac = frames.BROADCAST_MAC if effect.broadcast else effect.chaddr
        packet = frames.udp_packet(
            (self.settings.giaddr, SERVER_PORT), (destination, CLIENT_PORT), message.encode()
        )
        frame = frames.ethernet(mac, self._access_mac, effect.circuit.tags, frames.ETHERTYPE_IPV4, packet)
        self._output([frame], effect.circuit.port)

    def _pass_on(self) -> None:
        """Send a host's message to a server on its way."""
        if self._tables is not None:
            self.to_switch.append(self._tables.to_network(self._unicast))

    def _probe(self, effect: events.Probe, now: float) -> None:
        """Ask one host by ARP whether it is there, in a frame that reaches its circuit alone."""
        location = effect.location
        if len(location.chaddr) != _MAC_LENGTH:
            return
        self.record.write("probe", now, address=location.address)
        mac, tags = self._access_mac, location.circuit.tags
        asked = frames.arp_request(mac, self.settings.giaddr, location.address, tags, to=location.chaddr)
        self._output([asked], location.circuit.port)

    def _permit(self, effect: events.Permit, now: float) -> None:
        location = effect.location
        if len(location.chaddr) != _MAC_LENGTH:
            self.counts["not_ethernet"] += 1
            return
        self.record.permit(now, location.address, location.circuit.tags, location.expires)
        held, tables = self._held.take(location.address), self._tables
        if tables is not None:
            self.to_switch += tables.permit(location)
            if held is not None:
                self.to_switch.append(tables.through_tables(*held))

    def _withdraw(self, effect: events.Withdraw, now: float) -> None:
        address, tables = effect.location.address, self._tables
        if len(effect.location.chaddr) != _MAC_LENGTH:
            return
        self.record.write("withdraw", now, address=address)
        if tables is None:
            return
        self.to_switch += tables.withdraw(effect.location)
        for upstream in (False, True):  # a refusal that the location took the place of
            self.to_switch += self._refused.remove(tables.refuse(address, upstream=upstream))

    def _refuse(self, effect: events.Refuse, now: float) -> None:
        """Drop the held packet, and in the switch those that follow it in the same direction.

        A scan uses one direction: one flow for an address is enough. Should a packet in the other
        direction come, the engine says Drop. In a large scan the packet may be held no more: most such
        come from the network side. Nothing is held in the switch for an address that no packet was for.
        """
        self.record.write(
            "refuse", now, address=effect.address, reason=effect.reason.value, until=effect.until
        )
        if effect.quiet:
            return
        held = self._held.take(effect.address)
        upstream = held is not None and held[1] == self._access
        self._for_a_while(self._refused, Tables.refuse(effect.address, upstream=upstream), effect.until)

    def _drop(self, effect: events.Drop) -> None:
        """Discard what is held, and have the switch drop by itself what the engine need not see."""
        if effect.address is not None:
            self._held.discard(effect.address, effect.chaddr)
        match effect.unseen:
            case None:
                pass
            case events.SpoofedSource() as unseen:
                self._for_a_while(self._spoofed, Tables.drop(*unseen), effect.until)
            case events.RefusedAddress(refused, upstream):
                flow = Tables.refuse(refused, upstream=upstream)
                self._for_a_while(self._refused, flow, effect.until)
            case events.ExhaustedCircuit(exhausted):  # one flow, not one for each address that is tried
                self._for_a_while(self._exhausted, Tables.exhausted(exhausted), effect.until)
            case events.MutedCircuit(muted):
                self._for_a_while(self._exhausted, Tables.muted(muted), effect.until)
            case _:
                assert_never(effect.unseen)

    def _broadcast_arp(self, effect: events.BroadcastArp) -> None:
        """Ask on every circuit, one frame for each (R4.1-1)."""
        mac, giaddr = self._access_mac, self.settings.giaddr
        asked = [
            frames.arp_request(mac, giaddr, effect.address, circuit.tags)
            for circuit in self.engine.modems.circuits
        ]
        self._output(asked, self._access)

    def _abandon(self, effect: events.Abandon, now: float) -> None:
        self._held.take(effect.address)
        self.record.write("abandon", now, address=effect.address)

    def _answered(self, effect: events.Answered, now: float) -> None:
        server = self._place_of_server[int(effect.server)][0]
        self.record.answered(
            now,
            effect.address,
            server,
            effect.form,
            effect.reply,
            effect.rtt,
            effect.attempts,
            effect.client,
            effect.refresh,
        )

    # -- out

    def _forget_temporary(self) -> None:
        """The switch holds no flow that drops something for a while."""
        self._refused = Temporaries(MAXIMUM_REFUSED)
        self._spoofed = Temporaries(MAXIMUM_SPOOFED)
        self._exhausted = Temporaries(MAXIMUM_EXHAUSTED)
        self._temporary = (self._refused, self._spoofed, self._exhausted)

    def _for_a_while(self, kind: Temporaries, flow: Temporary, until: float) -> None:
        """Have the switch hold a flow until then, if there are not too many of its kind."""
        if self._tables is not None:
            if kind.full_for(flow):
                self.counts["flows_declined"] += 1
            else:
                self.to_switch += kind.add(flow, until)

    def _output(self, wanted: Iterable[bytes], port: int) -> None:
        """Send frames out of a port."""
        if self._tables is not None:
            self.to_switch += [openflow.packet_out(frame, port) for frame in wanted]
