"""The concentrator's OpenFlow application: packets from the switch in, flows and DHCP messages out.

It decides nothing. It turns what the switch and the relay socket deliver into events of
`lq.concentrator`, and carries out the effects that come back: messages to the servers through
the relay's socket, messages to clients through the switch, flows for located and refused
addresses. One packet for each address that is being asked about is held and sent on its way
when the answer permits it.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any

from controllers import frames
from controllers.flows import Tables, Wiring
from controllers.framework import app_manager, handler, hub, ofp, ofp_event
from controllers.record import Recorder
from controllers.settings import Settings
from lq.concentrator import events
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.engine import Concentrator
from lq.wire.message import CLIENT_PORT, SERVER_PORT, Message, decode
from lq.wire.options import MalformedMessage

MAXIMUM_HELD = 4096  # packets; one for each address


class ConcentratorApplication(app_manager.RyuApp):  # type: ignore[misc]
    """The draft's access concentrator on one bridge."""

    OFP_VERSIONS = (ofp.OFP_VERSION,)

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.settings = settings = Settings.of_this_process()
        self.wiring = Wiring(**settings.wiring)
        self.record = Recorder(settings.record)
        self.counts: Counter[str] = Counter()
        self.engine = Concentrator(
            ConcentratorConfig(
                giaddr=settings.giaddr,
                networks=settings.networks,
                servers=settings.servers,
                **settings.engine,
            )
        )
        self._access_mac = bytes.fromhex(self.wiring.access_mac.replace(":", ""))
        self._uplink_mac = bytes.fromhex(self.wiring.uplink_mac.replace(":", ""))
        self._datapath: Any = None
        self._tables: Tables | None = None
        self._held: dict[IPv4Address, tuple[bytes, int]] = {}
        # One event at a time: sending to the switch may let another task run.
        self._turn = hub.Semaphore(1)
        self._earlier = hub.Event()
        self._sleeping_until = float("inf")
        self._relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._relay.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._relay.bind((str(settings.giaddr), SERVER_PORT))
        for modem in settings.modems:
            circuit = events.Circuit(self.wiring.access, modem.tags)
            mac = bytes.fromhex(modem.mac.replace(":", ""))
            self._give(events.ModemRegistered(mac, circuit))

    def start(self) -> None:
        """Begin to listen to the servers, to time, and to the wish that it should end."""
        super().start()
        hub.spawn(self._receive_from_servers)
        hub.spawn(self._keep_time)
        signal.signal(signal.SIGTERM, self._finish)
        self.record.write("started")

    # -- the switch

    @handler.set_ev_cls(ofp_event.EventOFPSwitchFeatures, handler.CONFIG_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_connected(self, event: Any) -> None:
        """Take the bridge over: empty tables, the fixed flows, and a barrier to know when they hold."""
        self._datapath = event.msg.datapath
        self._tables = Tables(self._datapath, self.wiring, self.settings.giaddr, self.settings.networks)
        self._send([*self._tables.initial(), self._tables.barrier()])

    @handler.set_ev_cls(ofp_event.EventOFPBarrierReply, handler.MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_ready(self, _event: Any) -> None:
        """From now on the concentrator forwards."""
        self.record.write("ready")

    @handler.set_ev_cls(ofp_event.EventOFPPacketIn, handler.MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def packet_in(self, event: Any) -> None:
        """Tell what the switch could not decide, and ask the engine."""
        self.counts["packet_ins"] += 1
        message = event.msg
        in_port = message.match["in_port"]
        frame = frames.parse(message.data)
        if frame is None:
            return
        if frame.ethertype == frames.ETHERTYPE_ARP:
            self._answer_arp(frame, in_port)
        elif frame.ethertype == frames.ETHERTYPE_IPV4:
            addresses = frames.ipv4_addresses(frame.payload)
            if addresses is None:
                return
            source, destination = addresses
            circuit = events.Circuit(in_port, frame.tags)
            if in_port != self.wiring.access:
                self._ask(events.Downstream(destination), destination, message.data, in_port)
            elif destination == frames.BROADCAST:
                self._from_client(frame, circuit)
            else:
                self._ask(events.Upstream(circuit, frame.source, source), source, message.data, in_port)

    @handler.set_ev_cls(ofp_event.EventOFPErrorMsg, handler.MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_complains(self, event: Any) -> None:
        """Write down what the switch refused: it is a fault of ours, and must not pass unseen."""
        self.record.write("switch_error", type=event.msg.type, code=event.msg.code, data=event.msg.data.hex())

    def _from_client(self, frame: frames.Frame, circuit: events.Circuit) -> None:
        payload = frames.udp_payload(frame.payload)
        if payload is None:
            return
        try:
            message = decode(payload)
        except MalformedMessage:
            self.counts["malformed_from_clients"] += 1
            return
        self._give(events.FromClient(circuit, message))

    def _answer_arp(self, frame: frames.Frame, in_port: int) -> None:
        """Answer for the gateway, for the subscribers' neighbours, and on the uplink for ourselves.

        Subscribers share one subnet, but their frames reach only the concentrator: it stands in
        for the others (RFC 1027). A probe for an address conflict (sender 0.0.0.0) asks who has
        the address, not for the way there, and is not answered.
        """
        arp = frames.parse_arp(frame.payload)
        if arp is None or not arp.request or self._tables is None:
            return
        if in_port == self.wiring.access:
            inside = any(arp.target in network for network in self.settings.networks)
            if (
                not inside
                or arp.target == arp.sender
                or (not int(arp.sender) and arp.target != self.settings.giaddr)
            ):
                return
            mac = self._access_mac
        elif arp.target == self.settings.uplink_address:
            mac = self._uplink_mac
        else:
            return
        self._send([self._tables.output(frames.arp_reply(arp, mac, frame.tags), in_port)])

    # -- the engine

    def _ask(self, event: Any, address: IPv4Address, data: bytes, in_port: int) -> None:
        """Give a packet's event to the engine, and hold the packet unless the engine drops it."""
        if address not in self._held:
            if len(self._held) >= MAXIMUM_HELD:
                del self._held[next(iter(self._held))]  # the oldest: its answer may never come
            self._held[address] = (data, in_port)
        self._give(event)

    def _give(self, event: Any) -> None:
        with self._turn:
            now = time.monotonic()
            self._carry_out(self.engine.handle(event, now), now)
        self._mind_deadline()

    def _carry_out(self, effects: Iterable[Any], now: float) -> None:
        for effect in effects:
            match effect:
                case events.ToServer():
                    self._to_server(effect, now)
                case events.ToClient():
                    self._to_client(effect)
                case events.Permit():
                    self._permit(effect.location, now)
                case events.Withdraw():
                    self.record.write("withdraw", now, address=effect.location.address)
                    self._flows("withdraw", effect.location)
                case events.Refuse():
                    self._held.pop(effect.address, None)
                    self.record.write(
                        "refuse", now, address=effect.address, reason=effect.reason, until=effect.until
                    )
                    self._flows("refuse", effect.address, effect.until - now)
                case events.Drop():
                    self._drop(effect, now)
                case events.Abandon():
                    self._held.pop(effect.address, None)
                    self.record.write("abandon", now, address=effect.address)
                case _:  # notes for the record
                    self.record.write(type(effect).__name__.lower(), now, **dataclasses.asdict(effect))

    def _to_server(self, effect: Any, now: float) -> None:
        try:
            self._relay.sendto(effect.message.encode(), (str(effect.server), SERVER_PORT))
        except OSError:  # no way to the server just now: as good as lost on the way
            self.counts["send_errors"] += 1
        if effect.query is not None:
            query = effect.query
            self.record.write(
                "query",
                now,
                server=effect.server,
                address=query.address,
                form=query.form,
                attempt=query.attempt,
            )

    def _to_client(self, effect: Any) -> None:
        """Put a server's reply on the client's circuit, as RFC 2131, 4.1 says where."""
        if self._tables is None:
            return
        message: Message = effect.message
        destination = frames.BROADCAST if effect.broadcast else message.yiaddr
        mac = frames.BROADCAST_MAC if effect.broadcast else effect.chaddr
        packet = frames.udp_packet(
            (self.settings.giaddr, SERVER_PORT), (destination, CLIENT_PORT), message.encode()
        )
        frame = frames.ethernet(mac, self._access_mac, effect.circuit.tags, frames.ETHERTYPE_IPV4, packet)
        self._send([self._tables.output(frame, effect.circuit.port)])

    def _permit(self, location: events.Location, now: float) -> None:
        self.record.write(
            "permit", now, address=location.address, tags=location.circuit.tags, expires=location.expires
        )
        self._flows("permit", location, location.expires - now)
        held = self._held.pop(location.address, None)
        if held is not None and self._tables is not None:
            self._send([self._tables.through_tables(*held)])

    def _drop(self, effect: events.Drop, now: float) -> None:
        self.counts[f"dropped: {effect.reason}"] += 1
        if effect.address is not None:
            self._held.pop(effect.address, None)
        if effect.until is None:
            return
        if effect.circuit is not None and effect.chaddr is not None:
            self._flows("drop", effect.circuit, effect.chaddr, effect.address, effect.until - now)
        elif effect.address is not None:  # refused, and the switch has lost it
            self._flows("refuse", effect.address, effect.until - now)

    # -- the servers and time

    def _receive_from_servers(self) -> None:
        while True:
            data, (server, _port) = self._relay.recvfrom(65535)
            try:
                message = decode(data)
            except MalformedMessage:
                self.counts["malformed_from_servers"] += 1
                continue
            self._give(events.FromServer(IPv4Address(server), message))

    def _keep_time(self) -> None:
        """Wake the engine when it asked to be woken, or earlier when it changes its mind."""
        while True:
            deadline = self.engine.deadline
            self._sleeping_until = float("inf") if deadline is None else deadline
            self._earlier.clear()
            if self._sleeping_until > time.monotonic():
                self._earlier.wait(None if deadline is None else deadline - time.monotonic())
            now = time.monotonic()
            if self.engine.deadline is not None and self.engine.deadline <= now:
                with self._turn:
                    self._carry_out(self.engine.wake(now), now)

    def _mind_deadline(self) -> None:
        deadline = self.engine.deadline
        if deadline is not None and deadline < self._sleeping_until:
            self._earlier.set()

    # -- out

    def _flows(self, kind: str, *arguments: Any) -> None:
        if self._tables is not None:
            self._send(getattr(self._tables, kind)(*arguments))

    def _send(self, messages: Iterable[Any]) -> None:
        for message in messages:
            self._datapath.send_msg(message)

    def _finish(self, *_: Any) -> None:
        """Write down what was counted, and end."""
        self.record.write("counters", controller=dict(self.counts), engine=dict(self.engine.counters))
        os._exit(0)
