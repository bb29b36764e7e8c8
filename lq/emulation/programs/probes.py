"""Probes: small UDP packets to or from every subscriber by a schedule, and their arrival, time-stamped.

Two programs, each a process of its own inside the lab, so that neither makes the other late:

    python -m lq.emulation.programs.probes send PLAN.json
    python -m lq.emulation.programs.probes sink PLAN.json

Downstream one socket sends and each subscriber's receives, upstream the reverse. Both keep what they
measured in memory, and write it as a NumPy record array when they get SIGTERM. The sink also keeps the
time of the latest arrival of each subscriber's probes in a shared file, so that the experiment can see
who is back. Times are of the monotonic clock, in seconds.

`send` prints `ready` with the moment that its schedule counts from. The plans are `ProbePlan` and `SinkPlan`.
"""

from __future__ import annotations

import array
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lq.clocks import time_of_day_ahead
from lq.emulation.processes import Process, Programs, python
from lq.sandbox import namespace, plans
from topologies.population.probes import PORT, RECEIVED, sent_rows

PAYLOAD = struct.Struct("!II")  # subscriber's index, sequence number: the probe's in the schedule
_RECEIVED = struct.Struct("=IId")  # a row of RECEIVED
_CHUNK = 1024  # rows of the schedule looked at in one go
_NAP = 0.0005  # seconds: where probes are due faster than this, several are sent at once
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("ll")


@dataclass(frozen=True, kw_only=True)
class ProbePlan:
    """When to send to whom, and where from.

    targets   an address for each subscriber, or one for all
    pids      a process in each subscriber's namespace to send from; none: where the program runs
    """

    schedule_file: Path
    sent_file: Path
    targets: tuple[str, ...]
    pids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SinkPlan:
    """Where to receive: `pids`, a process in each of the namespaces, in the order of the subscribers."""

    latest_file: Path
    received_file: Path
    pids: tuple[int, ...]


# -- how they are started


def start_sender(
    programs: Programs,
    name: str,
    schedule: Path,
    sent: Path,
    targets: Sequence[str],
    pids: Sequence[int] = (),
    node: Any = None,
) -> tuple[float, Process]:
    """Start to send in `node`, or from the namespaces of `pids`; return when it began, and its process."""
    plan = ProbePlan(schedule_file=schedule, sent_file=sent, targets=tuple(targets), pids=tuple(pids))
    said, process = _start(programs, name, "send", sent, plan, node)
    return float(said.split()[1]), process


def start_sink(programs: Programs, name: str, latest: Path, received: Path, pids: Sequence[int]) -> Process:
    """Start to receive in the namespaces of `pids`."""
    plan = SinkPlan(latest_file=latest, received_file=received, pids=tuple(pids))
    return _start(programs, name, "sink", received, plan)[1]


def _start(
    programs: Programs, name: str, what: str, result: Path, plan: ProbePlan | SinkPlan, node: Any = None
) -> tuple[str, Process]:
    path = result.with_suffix(".json")
    plans.save(plan, path)
    process = programs.launch(name, python("lq.emulation.programs.probes", what, str(path)), node)
    return programs.await_line(name, process), process


# -- what they do


class _Ended(Exception):
    """SIGTERM came."""


def _end(*_: Any) -> None:
    raise _Ended


def send(plan: ProbePlan) -> None:
    """Send what the schedule says, until its end or until told to stop.

    It is fixed in advance: lateness against it is measured, and never adds up.
    """
    schedule = np.load(plan.schedule_file, mmap_mode="r")
    targets = [(address, PORT) for address in plan.targets]
    senders = [_socket_of(pid) for pid in plan.pids] or [_socket_of(None)]
    alone, one_target = len(senders) == 1, len(targets) == 1
    moments = array.array("d")  # when each was sent; the rest follows from its number
    clock, pack, note = time.monotonic, PAYLOAD.pack, moments.append
    start = clock()
    print("ready", start, flush=True)
    try:
        for number, (subscriber, due) in enumerate(_rows(schedule)):
            ahead = start + due - clock()
            if ahead > 0:
                time.sleep(max(ahead, _NAP))
            sender = senders[0 if alone else subscriber]
            note(clock())
            try:
                sender.sendto(pack(subscriber, number), targets[0 if one_target else subscriber])
            except OSError:  # no route for the moment: it shows as a lost probe
                continue
        signal.pause()
    except _Ended:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    np.save(plan.sent_file, sent_rows(schedule, start, moments))


def _rows(schedule: npt.NDArray[Any]) -> Iterator[tuple[int, float]]:
    for first in range(0, len(schedule), _CHUNK):
        yield from schedule[first : first + _CHUNK].tolist()


def _socket_of(pid: int | None) -> socket.socket:
    if pid is None:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with namespace.network_of(pid):
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def sink(plan: SinkPlan) -> None:
    """Receive in every one of the namespaces until told to stop."""
    latest = np.memmap(plan.latest_file, dtype="f8", mode="r+")
    rows = bytearray()
    poller = select.epoll()
    sockets: dict[int, socket.socket] = {}
    for pid in plan.pids:
        receiver = _socket_of(pid)
        receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        receiver.bind(("", PORT))
        receiver.setblocking(False)
        sockets[receiver.fileno()] = receiver
        poller.register(receiver, select.EPOLLIN)
    print("ready", flush=True)
    try:
        while True:
            for fd, _ in poller.poll():
                try:
                    data, ancillary, _, _ = sockets[fd].recvmsg(64, 64)
                except BlockingIOError:
                    continue
                received = _kernel_time(ancillary)
                subscriber, sequence = PAYLOAD.unpack(data)
                latest[subscriber] = received
                rows += _RECEIVED.pack(subscriber, sequence, received)
    except _Ended:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    np.save(plan.received_file, np.frombuffer(rows, dtype=RECEIVED))


def _kernel_time(ancillary: list[tuple[int, int, bytes]]) -> float:
    """Return when the kernel took the packet in, on the monotonic clock."""
    for _level, kind, value in ancillary:
        if kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(value[: _TIMESPEC.size])
            moment: float = seconds - time_of_day_ahead() + nanoseconds * 1e-9
            return moment
    return time.monotonic()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    if sys.argv[1] == "send":
        send(plans.read(ProbePlan, Path(sys.argv[2])))
    else:
        sink(plans.read(SinkPlan, Path(sys.argv[2])))
