"""The concentrator's OpenFlow application: the connections to the switch and to the servers.

What passes over them is `controllers.forwarder`'s business; here it is moved. Everything is done in turns,
in the framework's own task that receives from the switch: take in what the switch has sent, then what the
servers have answered, then what time has made due; write the record; send. So a turn costs a few system
calls, whether it is about one packet or a hundred, and nothing is sent that is not in the record. Turns
happen while a switch is connected: without one nothing can come or go, queries included.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from typing import Any

from controllers import framework
from controllers.forwarder import Forwarder
from controllers.framework import Application, handler, ofp, ofp_event, parser
from controllers.record import MOST_TOLD, Recorder
from controllers.settings import Settings
from lq.wire.message import SERVER_PORT

# Octets from the switch that may wait for us, some hundred packets: in a flood the switch then drops what
# we cannot keep up with, where the kernel's buffers would hold up everybody for half a minute.
BACKLOG = 64 << 10
_IP_MTU_DISCOVER, _IP_PMTUDISC_DONT = 10, 0  # ip(7)
_ANSWERS_AT_ONCE = 256  # taken from the relay's socket in a turn at most
_LONGEST_LINE = 3000  # characters of what is told of a fault
_LONGEST_WAIT = 1.0  # seconds: so long at most is what was counted not written down
LOG = logging.getLogger(__name__)


class ConcentratorApplication(Application):  # type: ignore[misc]
    """The draft's access concentrator on one bridge."""

    OFP_VERSIONS = (ofp.OFP_VERSION,)

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        settings = Settings.of_this_process()
        self.record = Recorder(settings.record)
        self.forwarder = Forwarder(settings, self.record)
        self._datapath: Any = None
        self._packet_ins: list[bytearray] = []
        self._turn = threading.Lock()
        self._ending = False
        self._relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._relay.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        # Each datagram gets an identification, by which its copies are known (`lq.results.messages`).
        self._relay.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        self._relay.bind((str(settings.giaddr), SERVER_PORT))
        self._relay.setblocking(False)
        framework.take_packet_ins(self._packet_ins.append)

    def start(self) -> None:
        """Begin to wait for the switch, and for the wish that it should end."""
        super().start()
        signal.signal(signal.SIGTERM, self._end)
        self.record.write("started")
        self.record.flush()

    # -- the switch

    @handler.set_ev_cls(ofp_event.EventOFPSwitchFeatures, handler.CONFIG_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_connected(self, event: Any) -> None:
        """Ask the bridge first whether it has meters."""
        self._datapath = event.msg.datapath
        self._datapath.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BACKLOG)
        self._datapath.send_msg(parser.OFPMeterFeaturesStatsRequest(self._datapath))

    @handler.set_ev_cls(ofp_event.EventOFPMeterFeaturesStatsReply, handler.MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def take_over(self, event: Any) -> None:
        """Take the bridge over, and take turns from now on."""
        metered = any(features.max_meter for features in event.msg.body)
        if not metered:
            LOG.warning("the datapath has no meters: packets to the controller are not bounded")
        with self._turn:
            self.forwarder.take_over(self._datapath, metered=metered)
            self._send()
        framework.receive_at_once(self._datapath, self._take_turns)

    @handler.set_ev_cls(ofp_event.EventOFPBarrierReply, handler.MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_ready(self, _event: Any) -> None:
        """From now on the concentrator forwards."""
        with self._turn:
            self.forwarder.ready(time.monotonic())
            self._send()

    @handler.set_ev_cls(ofp_event.EventOFPErrorMsg, handler.MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_complains(self, event: Any) -> None:
        """Write down what the switch refused: it is a fault of ours, and must not pass unseen."""
        with self._turn:
            message = event.msg
            if self._is_told("switch_errors"):
                data = message.data.hex()
                self.record.write("switch_error", type=message.type, code=message.code, data=data)
                self.record.flush()

    # -- turns

    def _take_turns(self, connection: Any) -> None:
        """Take turns until the switch has sent something more."""
        while True:
            with self._turn:
                self._take_in()
                self._send()
                deadline = self.forwarder.deadline
            if self._ending:
                self._finish()
            wait = _LONGEST_WAIT if deadline is None else min(_LONGEST_WAIT, deadline - time.monotonic())
            readable, _, _ = select.select([connection, self._relay], (), (), max(0.0, wait))
            if connection in readable:
                return

    def _take_in(self) -> None:
        """Take in what the switch sent, what the servers answered, what time made due."""
        forwarder, now = self.forwarder, time.monotonic()
        packet_ins = self._packet_ins[:]
        self._packet_ins.clear()
        for message in packet_ins:
            try:
                forwarder.packet_in(message, now)
            except Exception as error:
                self._failed("a packet from the switch", error, message)
        receive = self._relay.recvfrom
        for _ in range(_ANSWERS_AT_ONCE):
            try:
                octets, source = receive(65535)
            except BlockingIOError:
                break
            try:
                forwarder.from_server(octets, source, now)
            except Exception as error:
                self._failed(f"a message from {source[0]}", error, octets)
        try:
            forwarder.wake(now)
        except Exception as error:
            self._failed("what time made due", error)
        self.record.counters(now, forwarder.counts, forwarder.engine.counters)

    def _failed(self, what: str, error: Exception, octets: bytes | bytearray = b"") -> None:
        """An exception is a fault of ours: the record tells of it, and the run is not valid."""
        if self._is_told("exceptions"):
            line = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_LINE]
            self.record.write("exception", of=what, error=line)
            LOG.error("of %s: %s", what, octets.hex()[:_LONGEST_LINE], exc_info=error)

    def _is_told(self, faults: str) -> bool:
        """Count a fault; return whether the record tells of it, or has told of enough of its kind."""
        self.forwarder.counts[faults] += 1
        return self.forwarder.counts[faults] <= MOST_TOLD

    def _send(self) -> None:
        """Write the record, then send what it tells of."""
        forwarder = self.forwarder
        self.record.flush()
        if forwarder.to_servers:
            send = self._relay.sendto
            for octets, server in forwarder.to_servers:
                try:
                    send(octets, server)
                except OSError:  # no way to the server just now: as good as lost on the way
                    forwarder.counts["send_errors"] += 1
            forwarder.to_servers.clear()
        if forwarder.to_switch:
            octets = b"".join(forwarder.to_switch)
            forwarder.to_switch.clear()
            self._datapath.send(octets)

    # -- the end

    def _end(self, *_: Any) -> None:
        """Finish now, or after the turn that this signal came amidst."""
        self._ending = True
        if self._turn.acquire(blocking=False):
            self._finish()

    def _finish(self) -> None:
        """Write down what was counted, and end."""
        forwarder = self.forwarder
        self.record.write(
            "counters", controller=dict(forwarder.counts), engine=dict(forwarder.engine.counters)
        )
        self.record.flush()
        os._exit(0)
