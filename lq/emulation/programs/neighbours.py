"""Hosts and their neighbours' ARP: what each of them has to process, and one that answers for the others.

    python -m lq.emulation.programs.neighbours count PLAN.json     count the ARP requests that reach each host
    python -m lq.emulation.programs.neighbours spoof PLAN.json     answer them all with its own MAC address

Both print `ready`, and on SIGTERM write a report: `count` ARP requests by host, `spoof` a `SpoofReport`.
"""

from __future__ import annotations

import select
import signal
import socket
import sys
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from lq.sandbox import namespace, plans
from lq.wire import frames

MOST_ANSWERS = 1_000_000
_ETH_P_ALL, _ETH_P_IP, _ETH_P_ARP = 0x0003, 0x0800, 0x0806
_TO_THIS_HOST, _BROADCAST = 0, 1  # kinds of packets (packet(7))
_REQUEST = b"\0\1"  # an ARP message's operation


@dataclass(frozen=True, kw_only=True)
class CountPlan:
    """Where to count: a process in each host's namespace, by the host's name."""

    pids: dict[str, int]
    report_file: Path = Path()


@dataclass(frozen=True, kw_only=True)
class CountReport:
    """ARP requests received, by host."""

    requests: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class SpoofPlan:
    """Who answers: the interface, its own addresses, and that of the `gateway`, which it spares."""

    interface: str
    mac: bytes
    address: IPv4Address
    gateway: IPv4Address
    report_file: Path = Path()


@dataclass(frozen=True, kw_only=True)
class SpoofReport:
    """ARP replies sent, at most `MOST_ANSWERS`, and packets that came here though they are for a neighbour.

    These by the neighbour's address.
    """

    answers: int
    stolen: dict[str, int]


class _Ended(Exception):
    """SIGTERM came."""


def _end(*_: Any) -> None:
    raise _Ended


def answer(frame: bytes, own_mac: bytes, spared: frozenset[IPv4Address]) -> bytes | None:
    """Return the frame that claims the address that `frame` asks for; None if that is none, or `spared`."""
    link = frames.parse(frame)
    asked = None if link is None or link.ethertype != _ETH_P_ARP else frames.parse_arp(link.payload)
    if asked is None or not asked.request or asked.target in spared:
        return None
    if asked.sender in (asked.target, IPv4Address(0)):
        return None
    return frames.arp_reply(asked, own_mac, ())


def count(plan: CountPlan) -> CountReport:
    """Count until told to stop."""
    counts = dict.fromkeys(plan.pids, 0)
    poller = select.epoll()
    taps: dict[int, tuple[str, socket.socket]] = {}
    for name, pid in plan.pids.items():
        with namespace.network_of(pid):
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ARP))
        tap.setblocking(False)
        taps[tap.fileno()] = (name, tap)
        poller.register(tap, select.EPOLLIN)
    print("ready", flush=True)
    try:
        while True:
            for fd, _ in poller.poll():
                name, tap = taps[fd]
                try:
                    frame, (_, _, kind, *_) = tap.recvfrom(2048)
                except BlockingIOError:
                    continue
                if kind in (_TO_THIS_HOST, _BROADCAST) and frame[20:22] == _REQUEST:
                    counts[name] += 1
    except _Ended:
        return CountReport(requests=counts)


def spoof(plan: SpoofPlan) -> SpoofReport:
    """Answer until told to stop."""
    own, mac = plan.address, plan.mac
    spared = frozenset({own, plan.gateway})
    stolen: Counter[str] = Counter()
    answers = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as tap:
        tap.bind((plan.interface, _ETH_P_ALL))
        print("ready", flush=True)
        try:
            while True:
                frame, (_, protocol, kind, *_) = tap.recvfrom(2048)
                if protocol == _ETH_P_ARP and kind in (_TO_THIS_HOST, _BROADCAST) and answers < MOST_ANSWERS:
                    claim = answer(frame, mac, spared)
                    if claim is not None:
                        tap.send(claim)
                        answers += 1
                elif protocol == _ETH_P_IP and kind == _TO_THIS_HOST and frame[30:34] != own.packed:
                    stolen[str(IPv4Address(frame[30:34]))] += 1
        except _Ended:
            return SpoofReport(answers=answers, stolen=dict(stolen))


def main(what: str, path: Path) -> None:
    """Do what is asked for, and write the report."""
    signal.signal(signal.SIGTERM, _end)
    report: CountReport | SpoofReport
    plan: CountPlan | SpoofPlan
    if what == "count":
        plan = plans.read(CountPlan, path)
        report = count(plan)
    else:
        plan = plans.read(SpoofPlan, path)
        report = spoof(plan)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    plans.save(report, plan.report_file)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
