"""The network's long way to a server: delay, loss, duplicates and more, the same in both directions.

It lies in a node of its own on the way (`Figure`, `wan_nodes`). So a capture at the server sees a request
when it has come all the way, and an answer when it sets out. There the kernel's netem does the work
(`topologies.netem`), or a *delay line* in user space:

    python -m topologies.wan PLAN.json

The delay line carries some 20,000 frames a second. Beyond that it misses frames, and counts what it missed.
So it does with a frame that the kernel does not take from it: one too long for the interface, or one that is
down.

Both treat a frame alike, in these steps:

* It is duplicated with probability `duplication`, and lost with probability `loss`. One that is both leaves
  once. A copy comes when its frame does. From then on it is a frame of its own: it may be lost and reordered,
  but has no copy.
* It is dropped where it finds `limit` frames on their way, with its copy if it has one. With a rate that is
  what a full queue does, without one it means that more was sent than the link can hold.
* It is reordered with probability `reordering`: it leaves at once, before all that is on its way. So there
  must be a delay.
* Otherwise, without a rate, it leaves `delay` seconds after it came, give or take up to `jitter` (uniform),
  so that frames overtake one another when jitter exceeds their distance. With a rate (bits a second, of the
  Ethernet frame) it enters the wire after that delay and when the one before has left it: frames then keep
  their order.

The delay line follows from its seed. So does netem where both it and tc know seeds (Linux and iproute2 6.6).
Elsewhere the delay line is the one to take for whatever is left to chance.

The plan is a `WanPlan`. On SIGUSR1 `left` and `late` are counted anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import heapq
import json
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from lq.clocks import time_of_day_ahead
from lq.sandbox import plans

# A frame is late that leaves more than this after its time: seconds, and as a share of the delay.
LATE_AT_LEAST, LATE_SHARE = 0.002, 0.1

COUNTS = ("taken", "duplicated", "lost", "overflowed", "reordered", "left", "late")

_BURST = 64  # frames taken in between two looks at what is due
_ETH_P_ALL, _SOL_PACKET = 3, 263
_PACKET_STATISTICS, _PACKET_IGNORE_OUTGOING = 6, 23
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_BUFFER = 8 << 20
_TIMESPEC = struct.Struct("ll")
_PR_SET_TIMERSLACK = 29


@dataclass(frozen=True)
class Impairment:
    """What a link does to frames: times in seconds, probabilities, bits a second (0: any), frames."""

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    rate: float = 0.0
    limit: int = 1000

    @property
    def any(self) -> bool:
        """Whether it does anything at all."""
        return self != Impairment(limit=self.limit)

    @property
    def by_chance(self) -> bool:
        """Whether random numbers have a part in it."""
        return any((self.jitter, self.loss, self.duplication, self.reordering))


class Direction:
    """One direction of the link, without I/O. Times in seconds of one clock."""

    def __init__(self, impairment: Impairment, seed: str) -> None:
        self._impairment = impairment
        self._random = Random(seed)
        self._under_way: list[tuple[float, int, bytes]] = []
        self._free = float("-inf")  # when the wire has sent all that it was given
        self._late = max(LATE_AT_LEAST, LATE_SHARE * impairment.delay)
        self._entered = 0
        self.taken = self.duplicated = self.lost = self.overflowed = self.reordered = 0
        self.left = self.late = 0
        self.missed = 0  # of those that left, how many the kernel refused

    def take(self, frame: bytes, arrived: float) -> None:
        """A frame came: decide what becomes of it, and of its copy if it has one."""
        link = self._impairment
        self.taken += 1
        copied, lost = self._happens(link.duplication), self._happens(link.loss)
        self.duplicated += copied
        self.lost += lost
        copies = 1 + copied - lost
        if copies and self._full:
            self.overflowed += copies
            return
        if copies == 2:
            if self._happens(link.loss):
                self.lost += 1
            else:
                self._enter(frame, arrived)
        if copies:
            self._enter(frame, arrived)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability

    @property
    def _full(self) -> bool:
        return len(self._under_way) >= self._impairment.limit

    def _enter(self, frame: bytes, arrived: float) -> None:
        link = self._impairment
        due = arrived
        if self._happens(link.reordering):
            self.reordered += 1
        else:
            due += link.delay
            if link.jitter:
                due += self._random.uniform(-link.jitter, link.jitter)
            if link.rate:
                due = self._free = max(self._free, due) + len(frame) * 8 / link.rate
        self._entered += 1
        heapq.heappush(self._under_way, (due, self._entered, frame))

    @property
    def deadline(self) -> float:
        """When the next frame leaves; infinity if there is none."""
        return self._under_way[0][0] if self._under_way else float("inf")

    def leave(self, now: float) -> bytes | None:
        """Return a frame whose time has come, None if there is none."""
        if not self._under_way or self._under_way[0][0] > now:
            return None
        due, _, frame = heapq.heappop(self._under_way)
        self.left += 1
        self.late += now - due > self._late
        return frame

    def count_anew(self) -> None:
        """Begin to watch how late frames leave."""
        self.left = self.late = 0

    def report(self) -> dict[str, int]:
        """Return the counts of frames. Of copies: `duplicated`; `lost` to `late` count them, too."""
        return {name: getattr(self, name) for name in COUNTS}


class _Ended(Exception):
    """SIGTERM came."""


def _end(*_: object) -> None:
    raise _Ended


def _tap(interface: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    tap.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    with contextlib.suppress(PermissionError):  # beyond the system's limit, where that is allowed
        tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    tap.setblocking(False)
    tap.bind((interface, _ETH_P_ALL))
    return tap


def carry(ends: list[socket.socket], directions: list[Direction]) -> None:
    """Carry frames both ways until SIGTERM; `directions[n]` is what `ends[n]` receives.

    A frame's time runs from when the kernel took it in, so that this program's own delay does not add up.
    """
    ways = list(zip(ends, directions, reversed(ends), strict=True))
    unpack, size = _TIMESPEC.unpack_from, 64
    while True:
        wait = min(direction.deadline for direction in directions) - time.monotonic()
        # Not epoll: its timeout is in whole milliseconds.
        readable, _, _ = select.select(ends, [], [], None if wait == float("inf") else max(0.0, wait))
        ahead = time_of_day_ahead()
        for end, direction, other in ways:
            if end in readable:
                with contextlib.suppress(OSError):  # nothing more is there, or the interface has gone down
                    for _ in range(_BURST):
                        frame, ancillary, _, _ = end.recvmsg(65535, size)
                        seconds, nanoseconds = unpack(ancillary[0][2])
                        direction.take(frame, seconds + nanoseconds * 1e-9 - ahead)
            now = time.monotonic()
            while (leaving := direction.leave(now)) is not None:
                try:
                    other.send(leaving)
                except OSError:
                    direction.missed += 1


@dataclass(frozen=True, kw_only=True)
class WanPlan:
    """Between which two interfaces the delay line is, and what it does; the report is written on SIGTERM."""

    interfaces: tuple[str, str]
    impairment: Impairment
    seed: int
    report_file: Path


def main(plan: WanPlan) -> None:
    """Be the delay line between two interfaces until SIGTERM; then write the report."""
    signal.signal(signal.SIGTERM, _end)
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)  # nanoseconds: wake when asked to
    ends = [_tap(interface) for interface in plan.interfaces]
    directions = [Direction(plan.impairment, f"{plan.seed} {name}") for name in plan.interfaces]
    gc.freeze()
    gc.disable()  # nothing here is circular

    def count_anew(*_: object) -> None:
        for direction in directions:
            direction.count_anew()

    signal.signal(signal.SIGUSR1, count_anew)
    print("ready", flush=True)
    try:
        carry(ends, directions)
    except _Ended:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    missed = sum(direction.missed for direction in directions)
    for end in ends:
        missed += struct.unpack("II", end.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
    report = {"impairment": asdict(plan.impairment), "missed": missed}
    report["directions"] = [direction.report() for direction in directions]
    plan.report_file.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(plans.read(WanPlan, Path(sys.argv[1])))
