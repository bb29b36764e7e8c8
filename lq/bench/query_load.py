"""Load generators: many queries, or many clients, with a fixed number outstanding.

`python -m lq.bench.query_load KIND ...` prints one JSON object: what was answered, in how many seconds.
The same generator runs against every server.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import time
from collections.abc import Mapping
from ipaddress import IPv4Address

from lq.bench.leaseholders import Leaseholder
from lq.wire.message import Message, decode
from lq.wire.options import MessageType, OptionCode

REQUESTED = bytes((51, 82, 91, 92))
_PATIENCE = 0.25  # seconds without any answer until what is outstanding counts as lost


class Counted:
    """What came back: answers by message type, what was lost, and the seconds it took."""

    def __init__(self) -> None:
        self.types: dict[int, int] = {}
        self.lost = 0
        self.octets = 0
        self.seconds = 0.0

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        answered = sum(self.types.values())
        names = {MessageType(kind).name.lower(): count for kind, count in self.types.items()}
        return {
            "answered": answered,
            "seconds": self.seconds,
            "rate": answered / self.seconds if self.seconds else 0.0,
            "lost": self.lost,
            "types": names,
            "reply_octets": self.octets / answered if answered else 0,
        }


def query(form: str, number: int, first: IPv4Address, giaddr: IPv4Address) -> bytes:
    """A leasequery of 300 octets about one subscriber of the population."""
    subscriber = Leaseholder(number, first)
    message = Message(xid=number, giaddr=giaddr, options={})
    message.message_type = MessageType.LEASEQUERY
    if form == "address":
        message.ciaddr = subscriber.address
    elif form == "hardware":
        message.htype, message.chaddr = 1, subscriber.chaddr
    else:
        message.options[OptionCode.CLIENT_IDENTIFIER] = subscriber.client_id
    message.options[OptionCode.PARAMETER_REQUEST_LIST] = REQUESTED
    return message.encode(minimum=300)


def ask(udp: socket.socket, queries: list[bytes], count: int, outstanding: int) -> Counted:
    """Send `count` queries, in turn from `queries`, with `outstanding` of them unanswered at a time."""
    counted = Counted()
    types = [0] * 256
    size = len(queries)
    send, receive = udp.send, udp.recv
    for number in range(outstanding):
        send(queries[number % size])
    sent, answered = outstanding, 0
    begin = time.perf_counter()
    while answered < count:
        try:
            reply = receive(2048)
        except TimeoutError:
            counted.lost += outstanding
            if counted.lost > 20 * outstanding and answered == 0:
                break
            for _ in range(outstanding):
                send(queries[sent % size])
                sent += 1
            continue
        answered += 1
        types[reply[242]] += 1
        counted.octets += len(reply)
        send(queries[sent % size])
        sent += 1
    counted.seconds = time.perf_counter() - begin
    counted.types = {kind: count for kind, count in enumerate(types) if count}
    return counted


class Leasing:
    """Clients one after the other, DISCOVER to ACK through a relay, `outstanding` of them at a time.

    `acknowledged` has the hardware address of each client by the address that it was given.
    """

    def __init__(
        self,
        udp: socket.socket,
        giaddr: IPv4Address,
        server: bytes,
        first: int = 1_000_000,
        outstanding: int = 16,
    ) -> None:
        self._udp, self._giaddr, self._server, self._outstanding = udp, giaddr, server, outstanding
        self._number = first
        self.acknowledged: dict[IPv4Address, bytes] = {}

    def lease(self, until: int, pause: float = 0.0) -> None:
        """Lease until so many are acknowledged in all, and `pause` seconds longer.

        What is under way then is left so. Raises RuntimeError if nothing is granted.
        """
        self._udp.settimeout(4 * _PATIENCE)
        silent = 0
        for _ in range(self._outstanding):
            self._discover()
        while len(self.acknowledged) < until:
            try:
                self._take(self._udp.recv(2048))
                silent = 0
            except TimeoutError:
                silent += 1
                if silent > 20:
                    raise RuntimeError("the server grants no leases") from None
                self._discover()
        deadline = time.perf_counter() + pause
        while (left := deadline - time.perf_counter()) > 0:
            self._udp.settimeout(left)
            with contextlib.suppress(TimeoutError):
                self._take(self._udp.recv(2048))

    def drain(self) -> None:
        """Take in what was sent before the server's end; ask for no more."""
        self._udp.settimeout(0.01)
        while True:
            try:
                self._take(self._udp.recv(2048), ask=False)
            except ConnectionRefusedError:
                continue
            except TimeoutError:
                return

    def _discover(self) -> None:
        self._send(self._number, MessageType.DISCOVER)
        self._number += 1

    def _take(self, octets: bytes, ask: bool = True) -> None:
        reply = decode(octets)
        if reply.message_type == MessageType.OFFER and ask:
            more: dict[int, bytes] = {
                OptionCode.REQUESTED_ADDRESS: reply.yiaddr.packed,
                OptionCode.SERVER_IDENTIFIER: self._server,
            }
            self._send(reply.xid, MessageType.REQUEST, more)
        elif reply.message_type == MessageType.ACK:
            self.acknowledged[reply.yiaddr] = reply.chaddr
            if ask:
                self._discover()

    def _send(self, number: int, kind: MessageType, options: Mapping[int, bytes] | None = None) -> None:
        subscriber = Leaseholder(number, IPv4Address(0))
        message = Message(htype=1, xid=number, chaddr=subscriber.chaddr, giaddr=self._giaddr)
        message.message_type = kind
        message.options |= options or {}
        message.options[OptionCode.RELAY_AGENT_INFORMATION] = subscriber.relay_info
        with contextlib.suppress(ConnectionRefusedError):  # of what was sent to a server that is no more
            self._udp.send(message.encode())


def lease(
    udp: socket.socket, first_client: int, count: int, outstanding: int, giaddr: IPv4Address, server: bytes
) -> Counted:
    """Lease to `count` new clients, DISCOVER to ACK through a relay, `outstanding` of them at a time."""
    counted = Counted()
    number = first_client
    waiting: dict[int, float] = {}

    def discover() -> None:
        nonlocal number
        subscriber = Leaseholder(number, IPv4Address(0))
        message = Message(htype=1, xid=number, chaddr=subscriber.chaddr, giaddr=giaddr)
        message.message_type = MessageType.DISCOVER
        message.options[OptionCode.RELAY_AGENT_INFORMATION] = subscriber.relay_info
        waiting[number] = time.perf_counter()
        udp.send(message.encode())
        number += 1

    begin = time.perf_counter()
    for _ in range(outstanding):
        discover()
    acknowledged = 0
    while acknowledged < count:
        try:
            reply = decode(udp.recv(2048))
        except TimeoutError:
            counted.lost += len(waiting)
            if not waiting or counted.lost > 20 * outstanding:
                break
            waiting.clear()
            for _ in range(outstanding):
                discover()
            continue
        if reply.xid not in waiting:
            continue
        if reply.message_type == MessageType.OFFER:
            subscriber = Leaseholder(reply.xid, IPv4Address(0))
            request = Message(htype=1, xid=reply.xid, chaddr=subscriber.chaddr, giaddr=giaddr)
            request.message_type = MessageType.REQUEST
            request.options[OptionCode.REQUESTED_ADDRESS] = reply.yiaddr.packed
            request.options[OptionCode.SERVER_IDENTIFIER] = server
            request.options[OptionCode.RELAY_AGENT_INFORMATION] = subscriber.relay_info
            udp.send(request.encode())
            continue
        del waiting[reply.xid]
        counted.types[reply.message_type or 0] = counted.types.get(reply.message_type or 0, 0) + 1
        if reply.message_type == MessageType.ACK:
            acknowledged += 1
            discover()
    counted.seconds = time.perf_counter() - begin
    return counted


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m lq.bench.query_load")
    parser.add_argument("kind", choices=["address", "hardware", "client-id", "lease"])
    parser.add_argument("--server", required=True)
    parser.add_argument("--giaddr", required=True)
    parser.add_argument("--first", default="0.0.0.0", help="address of the first subscriber")
    parser.add_argument("--bindings", type=int, default=10_000)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--outstanding", type=int, default=100)
    parser.add_argument("--different", type=int, default=100_000, help="different queries prepared")
    parser.add_argument("--first-client", type=int, default=1_000_000)
    arguments = parser.parse_args()
    giaddr = IPv4Address(arguments.giaddr)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    udp.settimeout(_PATIENCE)
    udp.bind((arguments.giaddr, 67))
    udp.connect((arguments.server, 67))
    if arguments.kind == "lease":
        udp.settimeout(4 * _PATIENCE)
        server = IPv4Address(arguments.server).packed
        counted = lease(udp, arguments.first_client, arguments.count, arguments.outstanding, giaddr, server)
    else:
        different = min(arguments.bindings, arguments.different)
        numbers = random.Random(1).sample(range(arguments.bindings), different)
        first = IPv4Address(arguments.first)
        queries = [query(arguments.kind, number, first, giaddr) for number in numbers]
        counted = ask(udp, queries, arguments.count, arguments.outstanding)
    print(json.dumps(counted.as_dict()))


if __name__ == "__main__":
    main()
