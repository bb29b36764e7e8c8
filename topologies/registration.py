"""The modems' own processors, all in one program: they register with the concentrator (R1-3).

    python -m topologies.registration PLAN.json

The plan is a `RegistrationPlan`. `lq.wire.registration` says what is said.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lq.sandbox import plans
from lq.wire.registration import ETHERTYPE, Kind, Registration, decode

RETRY = 1.0  # seconds from a REGISTER to the next, while unanswered
WINDOW = 256  # modems that try at a time: they share the medium's contention slots
SILENCE = 3.0  # seconds: a concentrator that has not solicited for so long is gone

_ETH_P_ALL, _SOL_PACKET = 3, 263
_PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING = 8, 23
_AUXDATA = struct.Struct("IIIHHHH")  # packet(7): status, len, snaplen, mac, net, VLAN tci and protocol
_VLAN_VALID = 0x10
_VLAN_KINDS = (0x8100, 0x88A8)


@dataclass(frozen=True, kw_only=True)
class RegistrationPlan:
    """Who registers, and where.

    interface  behind which the concentrator is (`topologies.access`)
    modems     each one's hardware address, and its VLAN tags, outer first
    delay      seconds between the concentrator's coming up and each modem's first REGISTER
    record     gets one JSON line when all have registered: `at` (monotonic clock, seconds), `life`, `modems`
    """

    interface: str
    modems: tuple[tuple[bytes, tuple[int, ...]], ...]
    delay: float
    record: Path


class Heard(NamedTuple):
    """A frame with something about registration: who sent it, on which circuit, and what it says."""

    source: bytes
    tags: tuple[int, ...]
    says: Registration


class Processors:
    """All modems' state, without I/O. Times in seconds of one clock that never goes back."""

    def __init__(self, modems: Mapping[bytes, tuple[int, ...]], delay: float) -> None:
        self._modems = dict(modems)
        self._delay = delay
        self._waiting: deque[bytes] = deque()  # have not begun to try
        self._trying: dict[bytes, float] = {}  # and when to send again, in the order of these times
        self._begin = self._silent_from = float("inf")
        self._silent = True
        self.life: int | None = None
        self.concentrator = bytes(6)

    @property
    def registered(self) -> int:
        """How many modems have registered in the concentrator's present life."""
        return 0 if self.life is None else len(self._modems) - len(self._waiting) - len(self._trying)

    def hear(self, heard: Heard, now: float) -> bool:
        """Take in a frame of the concentrator; return whether this completes the registration of all."""
        kind, life, modem = heard.says.kind, heard.says.life, heard.says.modem
        if kind is Kind.SOLICIT and not heard.tags:
            self._silent, self._silent_from = False, now + SILENCE
            self.concentrator = heard.source
            if life != self.life:
                self.life = life
                self._waiting, self._trying = deque(self._modems), {}
                self._begin = now + self._delay
        elif kind is Kind.REGISTERED and life == self.life and self._modems.get(modem) == heard.tags:
            news = self._trying.pop(modem, None) is not None
            return news and self.registered == len(self._modems)
        return False

    @property
    def deadline(self) -> float:
        """When to call `due`; infinity if a frame has to come first."""
        if self._silent:
            return float("inf")
        if self._waiting and len(self._trying) < WINDOW:
            return self._begin
        return next(iter(self._trying.values()), float("inf"))

    def due(self, now: float) -> list[Heard]:
        """Return what the modems send now. A modem that no longer hears a concentrator sends nothing."""
        self._silent = now >= self._silent_from
        if self._silent or self.life is None or now < self._begin:
            return []
        due = [modem for modem, when in self._trying.items() if when <= now]
        while self._waiting and len(self._trying) + len(due) < WINDOW:
            due.append(self._waiting.popleft())
        for modem in due:
            self._trying.pop(modem, None)
            self._trying[modem] = now + RETRY
        return [
            Heard(modem, self._modems[modem], Registration(Kind.REGISTER, self.life, modem)) for modem in due
        ]


class Port:
    """The socket on the interface behind which the concentrator is."""

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.setblocking(False)
        self._socket.bind((interface, _ETH_P_ALL))

    def wait(self, seconds: float) -> None:
        """Wait for a frame, so long at most."""
        select.select([self._socket], [], [], None if seconds == float("inf") else max(0.0, seconds))

    def receive(self) -> Iterator[Heard]:
        """Return what has come. The kernel hands over the outer tag beside the frame."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, ancillary, _, _ = self._socket.recvmsg(2048, 64)
                status, _, _, _, _, tag, _ = _AUXDATA.unpack(ancillary[0][2][: _AUXDATA.size])
                tags: tuple[int, ...] = (tag & 0xFFF,) if status & _VLAN_VALID else ()
                offset = 12
                while (kind := int.from_bytes(frame[offset : offset + 2], "big")) in _VLAN_KINDS:
                    tags += (int.from_bytes(frame[offset + 2 : offset + 4], "big") & 0xFFF,)
                    offset += 4
                says = decode(frame[offset + 2 :]) if kind == ETHERTYPE else None
                if says is not None:
                    yield Heard(frame[6:12], tags, says)

    def send(self, destination: bytes, said: Heard) -> None:
        """Send a modem's frame on its circuit."""
        kinds = _VLAN_KINDS[:1] if len(said.tags) == 1 else _VLAN_KINDS[::-1]
        vlan = b"".join(struct.pack("!HH", kind, tag) for kind, tag in zip(kinds, said.tags, strict=True))
        frame = destination + said.source + vlan + ETHERTYPE.to_bytes(2, "big") + said.says.encode()
        with contextlib.suppress(OSError):  # no room just now: the modem tries again
            self._socket.send(frame)


def main(plan: RegistrationPlan) -> None:
    """Speak for the modems until the program is ended."""
    modems = dict(plan.modems)
    processors, port = Processors(modems, plan.delay), Port(plan.interface)
    with plan.record.open("a") as record:
        print("ready", flush=True)
        while True:
            port.wait(processors.deadline - time.monotonic())
            for heard in port.receive():
                now = time.monotonic()
                if processors.hear(heard, now):
                    line = {"at": now, "life": processors.life, "modems": len(modems)}
                    record.write(json.dumps(line) + "\n")
                    record.flush()
            if processors.deadline <= time.monotonic():
                for said in processors.due(time.monotonic()):
                    port.send(processors.concentrator, said)


if __name__ == "__main__":
    main(plans.read(RegistrationPlan, Path(sys.argv[1])))
