"""Traffic to many subscribers at once, until each has had a packet: `python -m lq.bench.burst ...`.

It sends a packet to every subscriber from the network's side, again where one is lost, and listens on the
subscribers' side. It prints one JSON object and ends.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from lq.bench.two_hosts import packet_socket
from lq.wire import frames
from topologies import plan

_ETH_P_ALL = 3
_PORT = 9  # discard
_AT_ONCE = 32  # packets sent between two looks at what has arrived


class Addressee(NamedTuple):
    """A subscriber: the address that it has leased, its hardware address."""

    address: str
    mac: str


def frame_for(number: int, target: Addressee) -> bytes:
    """Return a frame for a subscriber as the network's router sends it; it ends with the number."""
    header = _octets(plan.CONCENTRATOR_UPLINK_MAC) + _octets(plan.ROUTER_UPLINK_MAC)
    header += struct.pack("!H", frames.ETHERTYPE_IPV4)
    payload = bytes(28) + struct.pack("!I", number)
    return header + frames.udp_packet((plan.INTERNET, _PORT), (IPv4Address(target.address), _PORT), payload)


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


class Burst:
    """Packets to all subscribers, `outstanding` at most under way, each again if it seems lost.

    With `addressed` a frame counts only if it arrives with its subscriber's hardware address.
    """

    def __init__(
        self, sender: socket.socket, sink: socket.socket, targets: Sequence[Addressee], *, addressed: bool
    ):
        self._sender, self._sink = sender, sink
        self._frames = [frame_for(number, target) for number, target in enumerate(targets)]
        self._macs = [_octets(target.mac) for target in targets] if addressed else None
        count = len(targets)
        self._waiting = deque(range(count))
        self._under_way: dict[int, float] = {}  # when it was sent last, in that order
        self._reached = bytearray(count)
        self.arrived: list[float] = []  # when each first packet of a subscriber arrived
        self.sent = self.received = self.misdelivered = 0

    def run(self, outstanding: int, patience: float, limit: float) -> float:
        """Return the seconds from the first packet sent to the last first one that arrived.

        A packet that has not arrived after `patience` seconds is sent again; after `limit` seconds it ends.
        """
        begin = now = time.perf_counter()
        waiting, under_way = self._waiting, self._under_way
        while (waiting or under_way) and now < begin + limit:
            while under_way and (oldest := next(iter(under_way.items())))[1] < now - patience:
                del under_way[oldest[0]]
                waiting.append(oldest[0])
            for _ in range(min(_AT_ONCE, len(waiting), outstanding - len(under_way))):
                number = waiting.popleft()
                if not self._reached[number]:
                    self._send(number, now)
            select.select([self._sink], (), (), 0.0 if waiting and len(under_way) < outstanding else 0.01)
            now = time.perf_counter()
            self._look(now)
        return self.arrived[-1] - begin if self.arrived else limit

    def _send(self, number: int, now: float) -> None:
        try:
            self._sender.send(self._frames[number])
        except BlockingIOError:
            self._waiting.append(number)
            return
        self._under_way[number] = now
        self.sent += 1

    def _look(self, now: float) -> None:
        receive, reached, macs = self._sink.recv, self._reached, self._macs
        for _ in range(4 * _AT_ONCE):
            try:
                frame = receive(256)
            except BlockingIOError:
                break
            self.received += 1
            number = int.from_bytes(frame[-4:], "big")
            if number >= len(reached) or (macs is not None and frame[:6] != macs[number]):
                self.misdelivered += 1
            elif not reached[number]:
                reached[number] = True
                self._under_way.pop(number, None)
                self.arrived.append(now)


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m lq.bench.burst")
    parser.add_argument("targets", type=Path, help="a JSON file: a list of address and hardware address")
    parser.add_argument("--from", dest="source", nargs=2, required=True, metavar=("PID", "INTERFACE"))
    parser.add_argument("--to", nargs=2, required=True, metavar=("PID", "INTERFACE"))
    parser.add_argument("--outstanding", type=int, default=256, help="packets under way at most")
    parser.add_argument("--patience", type=float, default=1.0, help="seconds until one counts as lost")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds at most")
    parser.add_argument("--unaddressed", action="store_true", help="do not check hardware addresses")
    arguments = parser.parse_args()
    targets = [Addressee(*each) for each in json.loads(arguments.targets.read_text())]
    sink = packet_socket(int(arguments.to[0]), arguments.to[1], _ETH_P_ALL)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sender = packet_socket(int(arguments.source[0]), arguments.source[1])
    for packets in (sink, sender):
        packets.setblocking(False)
    burst = Burst(sender, sink, targets, addressed=not arguments.unaddressed)
    seconds = burst.run(arguments.outstanding, arguments.patience, arguments.limit)
    result = {
        "recovered": len(burst.arrived),
        "seconds": seconds,
        "rate": len(burst.arrived) / seconds,
        "sent": burst.sent,
        "received": burst.received,
        "misdelivered": burst.misdelivered,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
