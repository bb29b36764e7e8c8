"""Probes: small UDP packets to every subscriber at a steady pace, and their arrival, time-stamped.

Two programs, each a process of its own inside the lab, so that neither makes the other late:

    python -m lq.experiments.traffic send PLAN.json
    python -m lq.experiments.traffic sink PLAN.json

Both read the same plan, keep what they measured in memory, and write it as a NumPy record array
when they get SIGTERM. The sink also keeps the time of the latest arrival for each subscriber in
a shared file, so that the experiment can see who is back. Times are of the monotonic clock, in
seconds.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from lq.sandbox import namespace

PORT = 4388
PAYLOAD = struct.Struct("!II")  # subscriber's index, sequence number
SENT = np.dtype([("subscriber", "u4"), ("sequence", "u4"), ("due", "f8"), ("sent", "f8")])
RECEIVED = np.dtype([("subscriber", "u4"), ("sequence", "u4"), ("received", "f8")])
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("ll")


class _Ended(Exception):
    """SIGTERM came."""


def _end(*_: Any) -> None:
    raise _Ended


def send(plan: dict[str, Any]) -> None:
    """Send to every target once an interval, spread evenly over it, until told to stop.

    The schedule is fixed in advance: lateness against it is measured, and never adds up.
    """
    targets = [(address, PORT) for address in plan["targets"]]
    interval, limit = plan["interval"], plan["maximum_packets"]
    step = interval / len(targets)
    rows: list[tuple[int, int, float, float]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        print("ready", flush=True)
        start = time.monotonic()
        try:
            for number in range(limit):
                sequence, subscriber = divmod(number, len(targets))
                due = start + number * step
                if (ahead := due - time.monotonic()) > 0:
                    time.sleep(ahead)
                sent = time.monotonic()
                with contextlib.suppress(OSError):  # no route for the moment: it shows as a lost probe
                    out.sendto(PAYLOAD.pack(subscriber, sequence), targets[subscriber])
                rows.append((subscriber, sequence, due, sent))
            signal.pause()
        except _Ended:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    np.save(plan["sent_file"], np.array(rows, dtype=SENT))


def sink(plan: dict[str, Any]) -> None:
    """Receive in every subscriber's namespace until told to stop."""
    latest = np.memmap(plan["latest_file"], dtype="f8", mode="r+", shape=(len(plan["pids"]),))
    rows: list[tuple[int, int, float]] = []
    poller = select.epoll()
    sockets: dict[int, socket.socket] = {}
    for pid in plan["pids"]:
        with namespace.network_of(pid):
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
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
                rows.append((subscriber, sequence, received))
    except _Ended:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    np.save(plan["received_file"], np.array(rows, dtype=RECEIVED))


def _kernel_time(ancillary: list[tuple[int, int, bytes]]) -> float:
    """Return when the kernel took the packet in, on the monotonic clock."""
    now = time.monotonic()
    for _level, kind, value in ancillary:
        if kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(value[: _TIMESPEC.size])
            age: float = time.time() - (seconds + nanoseconds * 1e-9)
            return now - age
    return now


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    {"send": send, "sink": sink}[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text()))
