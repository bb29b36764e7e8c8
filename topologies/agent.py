"""The DSLAM's intermediate agent: it tells the concentrator which line a DHCP message came from (TR-101).

    python -m topologies.agent PLAN.json

It puts option 82 into clients' messages and leaves giaddr zero: it is no relay agent but a bridge, behind a
*trusted circuit* of the relay agent's (RFC 3046, 2.1). The DSLAM's bridge hands it all DHCP between the lines
and the concentrator, and no other frames (`topologies.access.Dslam`). One frame in gives one out, or none:

| from   | message                                          | becomes                                   |
|--------|--------------------------------------------------|-------------------------------------------|
| a line | with option 82, wherever in it                   | dropped: `spoofed-option-82` (RFC 3046)   |
| a line | with a giaddr: no relay agent is behind a line   | dropped: `spoofed-giaddr`                 |
| a line | no request, cut short, in fragments, damaged     | dropped: `malformed`                      |
| a line | on a circuit that the plan does not name         | dropped: `no-circuit`                     |
| a line | to one server: a renewal, a RELEASE              | passed as it is                           |
| a line | broadcast, but the option finds no room          | passed as it is: `no-room` (RFC 3046)     |
| a line | broadcast                                        | given the line's option 82: `inserted`    |
| above  | with option 82, which is no subscriber's matter  | rid of it: `stripped`                     |
| above  | anything else                                    | passed as it is                           |

Tags and all other octets stay; lengths and checksums follow. Nothing is kept from one frame to the next
but the counts.

The plan is an `AgentPlan`.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lq.sandbox import plans
from lq.wire import BOOTREQUEST, MalformedMessage, OptionCode, RelayInfo, decode, frames
from lq.wire.message import ANY, FILE_LENGTH, HEADER_LENGTH, SERVER_PORT, SNAME_LENGTH

MTU = 1500  # octets of an IP packet that the interfaces carry
_LEAST = 300  # octets of a message (BOOTP)
_SNAME, _FILE = 44, 108  # where these fields begin; the latter ends where the magic cookie begins
_OPTION, _PAD, _END = int(OptionCode.RELAY_AGENT_INFORMATION), int(OptionCode.PAD), int(OptionCode.END)
_MOST = 65535

_ETH_P_ALL, _SOL_PACKET = 3, 263
_PACKET_STATISTICS, _PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING = 6, 8, 23
_AUXDATA = struct.Struct("IIIHHHH")  # packet(7): status, len, snaplen, mac, net, VLAN tci and protocol
_VLAN_VALID = 0x10
_BUFFER = 4 << 20

Tags = tuple[int, ...]


class Agent:
    """What becomes of each frame, without I/O. `circuits`: the value of option 82 by VLAN tags."""

    def __init__(self, circuits: Mapping[Tags, bytes]) -> None:
        self._circuits = dict(circuits)
        self.counts: Counter[str] = Counter()

    def carry(self, frame: bytes) -> bytes | None:
        """Return what becomes of a frame, None if it is dropped."""
        link = frames.parse(frame)
        payload = None
        if link is not None and link.ethertype == frames.ETHERTYPE_IPV4:
            payload = frames.udp_payload(link.payload)
        if link is None or payload is None:
            return self._count("malformed", None)
        header = (link.payload[0] & 0xF) * 4
        if int.from_bytes(link.payload[header + 2 : header + 4], "big") == SERVER_PORT:
            return self._up(frame, link, payload)
        return self._down(frame, link, payload)

    def _up(self, frame: bytes, link: frames.Frame, payload: bytes) -> bytes | None:
        try:
            message = decode(payload)
        except MalformedMessage:
            return self._count("malformed", None)
        option = self._circuits.get(link.tags)
        if _OPTION in message.options:
            return self._count("spoofed-option-82", None)
        if message.giaddr != ANY:
            return self._count("spoofed-giaddr", None)
        if message.op != BOOTREQUEST or not frames.udp_intact(link.payload):
            return self._count("malformed", None)
        if option is None:
            return self._count("no-circuit", None)
        if bytes(link.payload[16:20]) != frames.BROADCAST.packed:
            return self._count("passed", frame)
        changed = self._change(frame, link, with_option(payload, option))
        if len(changed) - (len(frame) - len(link.payload)) > MTU:
            return self._count("no-room", frame)
        return self._count("inserted", changed)

    def _down(self, frame: bytes, link: frames.Frame, payload: bytes) -> bytes | None:
        try:
            bears_it = _OPTION in decode(payload).options
        except MalformedMessage:
            bears_it = False
        if not bears_it or not frames.udp_intact(link.payload):
            return self._count("passed", frame)
        return self._count("stripped", self._change(frame, link, without_option(payload)))

    def _count(self, what: str, frame: bytes | None) -> bytes | None:
        self.counts[what] += 1
        return frame

    @staticmethod
    def _change(frame: bytes, link: frames.Frame, payload: bytes) -> bytes:
        return frame[: len(frame) - len(link.payload)] + frames.with_udp_payload(link.payload, payload)


def with_option(message: bytes, value: bytes) -> bytes:
    """Return a message that `decode` takes with option 82 at the end of its options (RFC 3046, 2.1)."""
    place = HEADER_LENGTH
    while place < len(message) and message[place] != _END:
        place += 1 if message[place] == _PAD else 2 + message[place + 1]
    option = bytes((_OPTION, len(value))) + value + bytes((_END,))
    return (message[:place] + option).ljust(_LEAST, b"\0")


def without_option(message: bytes) -> bytes:
    """Return a message that `decode` takes without option 82, in whichever field it stands."""
    sname, file = message[_SNAME : _SNAME + SNAME_LENGTH], message[_FILE : _FILE + FILE_LENGTH]
    options, used = _without(message[HEADER_LENGTH:])
    if used & 1:
        file = _without(file)[0].ljust(FILE_LENGTH, b"\0")
    if used & 2:
        sname = _without(sname)[0].ljust(SNAME_LENGTH, b"\0")
    cookie = message[_FILE + FILE_LENGTH : HEADER_LENGTH]
    return (message[:_SNAME] + sname + file + cookie + options).ljust(_LEAST, b"\0")


def _without(field: bytes) -> tuple[bytes, int]:
    """Return a field without option 82 (and without padding), and the value of option 52, 0 without it."""
    kept, place, overload = b"", 0, 0
    while place < len(field) and field[place] != _END:
        if field[place] == _PAD:
            place += 1
            continue
        after = place + 2 + field[place + 1]
        if field[place] != _OPTION:
            kept += field[place:after]
        if field[place] == OptionCode.OVERLOAD:
            overload = field[place + 2]
        place = after
    return kept + bytes((_END,)), overload


class _Ended(Exception):
    """SIGTERM came."""


def _end(*_: object) -> None:
    raise _Ended


def _port(interface: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    port.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    port.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    port.bind((interface, _ETH_P_ALL))
    return port


def _receive(port: socket.socket) -> bytes:
    """Return the next frame, whole: the kernel hands over the outer tag beside it."""
    frame, ancillary, _, _ = port.recvmsg(_MOST, 64)
    status, _, _, _, _, tag, kind = _AUXDATA.unpack(ancillary[0][2][: _AUXDATA.size])
    if not status & _VLAN_VALID:
        return frame
    return frame[:12] + struct.pack("!HH", kind or frames.ETHERTYPE_VLAN, tag) + frame[12:]


@dataclass(frozen=True, kw_only=True)
class AgentPlan:
    """Where the agent is, and what it says of whom.

    circuits     VLAN tags, outer first; circuit-id in ASCII; remote-id, a hardware address
    report_file  gets the counts on SIGTERM, as a JSON object, with `missed`: frames that came faster than
                 they could be taken, or that the kernel did not take back
    """

    interface: str
    circuits: tuple[tuple[tuple[int, ...], str, bytes], ...]
    report_file: Path


def main(plan: AgentPlan) -> None:
    """Be the agent until SIGTERM; then write the report."""
    signal.signal(signal.SIGTERM, _end)
    agent = Agent(
        {tags: RelayInfo(circuit.encode("ascii"), remote).encode() for tags, circuit, remote in plan.circuits}
    )
    port, missed = _port(plan.interface), 0
    print("ready", flush=True)
    with contextlib.suppress(_Ended):
        while True:
            changed = agent.carry(_receive(port))
            if changed is not None:
                try:
                    port.send(changed)
                except OSError:
                    missed += 1
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    missed += struct.unpack("II", port.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
    plan.report_file.write_text(json.dumps({"missed": missed, **agent.counts}))


if __name__ == "__main__":
    main(plans.read(AgentPlan, Path(sys.argv[1])))
