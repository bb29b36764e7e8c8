"""Floods: packets to or from a great many addresses at a steady rate, bounded in number.

    python -m lq.emulation.programs.flood PLAN.json

From the network side an attacker scans the subscribers' addresses: each packet goes to another one. On the
access side an infected host spoofs: each packet claims to come from another address. The plan is a
`FloodPlan`.

It prints `ready` before the first packet, and ends after the last, or on SIGTERM.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event
from typing import Literal

import numpy as np
import numpy.typing as npt

from lq.sandbox import plans

PORT = 9  # discard (RFC 863): nobody listens, so what is delivered shows in the hosts' counters
_NAP = 0.001  # seconds slept at least: where packets are due faster than this, several are sent at once
_BURST = 256  # packets between two looks at the clock, at most
_PAYLOAD = 18  # octets: the smallest frame that Ethernet carries
_FRAME = 14 + 20 + 8 + _PAYLOAD

Frames = npt.NDArray[np.uint8]
Addresses = npt.NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True)
class SendingPlan:
    """Where and how fast a program sends frames, and where it reports.

    interface        where the frames go out
    rate             frames per second
    maximum_packets  then it stops by itself
    seed             of everything random
    report_file      what was sent, written at the end: a `FloodReport`
    """

    interface: str
    rate: float
    maximum_packets: int
    seed: int
    report_file: Path = Path()


@dataclass(frozen=True, kw_only=True)
class FloodPlan(SendingPlan):
    """What is sent to whom.

    source_mac    of the sender
    next_hop_mac  of the router or concentrator that the frames are for
    address       the other end of every packet: the attacker's own address (scan), the victim's (spoof)
    pattern       one cycle of addresses: see `addresses`
    first, last   the range of the addresses; `listed`: those of a hit-list
    outside       where the addresses of no network of the concentrator's begin ("mixed")
    """

    source_mac: bytes
    next_hop_mac: bytes
    address: IPv4Address
    kind: Literal["scan", "spoof"]
    pattern: Literal["sequential", "random", "mixed", "hit-list"]
    first: IPv4Address
    last: IPv4Address
    outside: IPv4Address
    listed: tuple[IPv4Address, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FloodReport:
    """What was sent.

    rate            as asked for, packets per second
    packets         how many the kernel took
    refused         how many it did not take; they are not sent again
    addresses       how many different addresses all these were for (or from)
    started, ended  on the monotonic clock, seconds
    late            by how much packets were late against the schedule, 99th percentile, seconds
    """

    rate: float
    packets: int
    refused: int
    addresses: int
    started: float
    ended: float
    late: float


def addresses(
    pattern: str, first: int, last: int, listed: Sequence[int], seed: int, outside: int = 0
) -> Addresses:
    """Return one cycle of addresses, as numbers.

    sequential  from `first` to `last`, in order
    random      the same, each once, in an order drawn from `seed`
    mixed       the first half of the range in order, each followed by one from `outside` on
    hit-list    those of `listed`, in order
    """
    if pattern == "hit-list":
        return np.array(listed, dtype=np.uint32)
    cycle = np.arange(first, last + 1, dtype=np.uint32)
    if pattern == "random":
        np.random.default_rng(seed).shuffle(cycle)
    if pattern == "mixed":
        half = cycle[: (len(cycle) + 1) // 2]
        return np.column_stack([half, half - np.uint32(first) + np.uint32(outside)]).ravel()
    return cycle


def frames(
    cycle: Addresses, kind: str, address: IPv4Address, source_mac: bytes, next_hop_mac: bytes
) -> Frames:
    """Return a UDP packet in an Ethernet frame for each address of the cycle, one a row."""
    length = _FRAME - 14
    template = (
        next_hop_mac
        + source_mac
        + struct.pack("!HBBHHHBBH8x", 0x0800, 0x45, 0, length, 0, 0, 64, 17, 0)
        + struct.pack("!HHHH", PORT, PORT, length - 20, 0)  # no checksum (RFC 768)
        + bytes(_PAYLOAD)
    )
    rows = np.tile(np.frombuffer(template, dtype=np.uint8), (len(cycle), 1))
    moving, fixed = (30, 26) if kind == "scan" else (26, 30)
    rows[:, moving : moving + 4] = cycle.astype(">u4").view(np.uint8).reshape(-1, 4)
    rows[:, fixed : fixed + 4] = np.frombuffer(address.packed, dtype=np.uint8)
    words = rows[:, 14:34].copy().view(">u2").astype(np.uint32)
    total = words.sum(axis=1)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    rows[:, 24:26] = (~total & 0xFFFF).astype(">u2").view(np.uint8).reshape(-1, 2)
    return rows


def flood(
    out: socket.socket, rows: Frames | Sequence[bytes], rate: float, maximum: int, ended: Event
) -> FloodReport:
    """Send the rows over and over at `rate` per second, `maximum` in all or until `ended`.

    The schedule is fixed beforehand: what is late is sent at once, so lateness does not add up.
    """
    views = [memoryview(row) for row in rows]
    tried = refused = 0
    lateness: list[float] = []  # of the first packet of each burst, and how many there were in it
    bursts: list[int] = []
    start = now = time.monotonic()
    while tried < maximum and not ended.is_set():
        due = min(maximum, int((now - start) * rate) + 1, tried + _BURST)
        if due > tried:
            lateness.append(now - start - tried / rate)
            bursts.append(due - tried)
        while tried < due:
            try:
                out.send(views[tried % len(views)])
            except OSError:  # no room, or no link
                refused += 1
            tried += 1
        now = time.monotonic()
        ahead = start + tried / rate - now
        if ahead > 0 and tried < maximum:
            ended.wait(min(max(ahead, _NAP), 0.1))
            now = time.monotonic()
    return FloodReport(
        rate=rate,
        packets=tried - refused,
        refused=refused,
        addresses=min(tried, len(views)),
        started=start,
        ended=now,
        late=_percentile(lateness, bursts),
    )


def _percentile(values: Sequence[float], counts: Sequence[int]) -> float:
    """Return the 99th percentile of values of which each occurs so many times; 0 if there are none."""
    if not values:
        return 0.0
    order = np.argsort(values)
    rank = 0.99 * sum(counts)
    return float(values[order[np.searchsorted(np.cumsum(np.array(counts)[order]), rank)]])


def carry_out(plan: SendingPlan, rows: Frames | Sequence[bytes]) -> None:
    """Send these frames as a plan's interface, rate, number and report file say; say `ready` before."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((plan.interface, 0))
        ended = Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        print("ready", flush=True)
        report = flood(out, rows, plan.rate, plan.maximum_packets, ended)
    plans.save(report, plan.report_file)


def main(plan: FloodPlan) -> None:
    """Carry out a plan."""
    first, last, outside = int(plan.first), int(plan.last), int(plan.outside)
    cycle = addresses(plan.pattern, first, last, list(map(int, plan.listed)), plan.seed, outside)
    carry_out(plan, frames(cycle, plan.kind, plan.address, plan.source_mac, plan.next_hop_mac))


if __name__ == "__main__":
    main(plans.read(FloodPlan, Path(sys.argv[1])))
