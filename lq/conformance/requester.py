"""The suite's I/O: the UDP sockets of a relay agent, and what comes back to each of them."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.errors import BadInput
from lq.wire import BOOTREPLY, MalformedMessage, Message, decode

_LONGEST = 65535
_KEPT = 256


@dataclass(frozen=True)
class Arrival:
    """A datagram that answers a message: what it is (None if malformed), and at which socket, when.

    `at` is `giaddr` (the relay's own socket), `other` (that of the second giaddr), or `source` (the
    socket that the message left by, at a port of its own). Times are of the monotonic clock, in seconds;
    `sent` is that of the first sending.
    """

    reply: Message | None
    at: str
    sent: float
    received: float


class Requester:
    """A relay agent at `giaddr`, and at `other` if given, with the UDP port of DHCP servers (67).

    It holds a third socket as well, at a port that is no relay's, to see where a server sends its
    answers. Raises BadInput if an address or its port cannot be had.
    """

    def __init__(
        self, server: IPv4Address, giaddr: IPv4Address, other: IPv4Address | None, port: int
    ) -> None:
        self._server = (str(server), port)
        self._sockets: dict[str, socket.socket] = {}
        self._others: dict[int, tuple[bytes, str, float]] = {}  # what came while another answer was awaited
        wanted = {"giaddr": (giaddr, port), "source": (giaddr, 0)}
        if other is not None:
            wanted["other"] = (other, port)
        try:
            for name, (address, number) in wanted.items():
                self._sockets[name] = udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                udp.bind((str(address), number))
        except OSError as error:
            self.close()
            raise BadInput(
                f"cannot bind {address} port {number}: {error.strerror}; name an address of this machine "
                "whose port no other program holds (ports below 1024 need root)"
            ) from None

    def close(self) -> None:
        """Release the ports."""
        for udp in self._sockets.values():
            udp.close()

    def send(self, message: Message, by: str = "giaddr") -> float:
        """Send once; returns the time. Raises BadInput where there is no way to the server."""
        now = time.monotonic()
        try:
            self._sockets[by].sendto(message.encode(), self._server)
        except ConnectionRefusedError:  # of a former datagram: no server there, or not yet
            pass
        except OSError as error:
            raise BadInput(f"cannot reach {self._server[0]}: {error.strerror}; check --server") from None
        return now

    def exchange(self, message: Message, timeout: float, attempts: int, by: str = "giaddr") -> Arrival | None:
        """Send until an answer comes; each wait is twice the one before. None for silence.

        An answer is a reply with the message's xid at whichever socket.
        """
        first = 0.0
        for attempt in range(attempts):
            sent = self.send(message, by)
            first = first or sent
            arrival = self.listen(message, first, timeout * 2**attempt)
            if arrival is not None:
                return arrival
        return None

    def listen(self, message: Message, sent: float, seconds: float) -> Arrival | None:
        """Wait for an answer to a message sent already, for so long."""
        deadline = time.monotonic() + seconds
        names = {udp: name for name, udp in self._sockets.items()}
        while True:
            if (found := self._others.pop(message.xid, None)) is not None:
                data, at, received = found
                return Arrival(_decoded(data), at, sent, received)
            ready = select.select(list(names), [], [], max(deadline - time.monotonic(), 0))[0]
            for udp in ready:
                try:
                    data = udp.recv(_LONGEST)
                except ConnectionRefusedError:
                    continue
                if data[:1] == bytes((BOOTREPLY,)) and len(self._others) < _KEPT:
                    self._others[int.from_bytes(data[4:8], "big")] = data, names[udp], time.monotonic()
            if not ready:
                return None


def _decoded(data: bytes) -> Message | None:
    try:
        return decode(data)
    except MalformedMessage:
        return None


def own_address(server: IPv4Address) -> IPv4Address:
    """The address of this machine that the kernel sends from towards the server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        try:
            udp.connect((str(server), 9))  # sends nothing
        except OSError as error:
            raise BadInput(f"no way to {server}: {error.strerror}; check --server") from None
        return IPv4Address(udp.getsockname()[0])
