"""Probes between the Internet and every subscriber, while the network lives (`lq.emulation.programs.probes`).

For each direction (`down`, `up`) there are in `raw`: `sent-DIRECTION.npy`, `received-DIRECTION.npy`, both
written at the end, and while probes flow `latest-DIRECTION.f8`, one float64 for each subscriber: when the
latest of its probes arrived.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lq.emulation.processes import Process, Programs, end
from lq.emulation.programs.probes import start_sender, start_sink
from lq.emulation.schedule import DIRECTIONS, Direction, schedule
from lq.emulation.subscribers.hosts import Subscribers
from lq.scenarios.parts.measurement import Probes

UNDER_WAY = 0.2  # seconds that the last probes are waited for
Mask = npt.NDArray[np.bool_]


class _Flow(NamedTuple):
    """One direction: its schedule, the moment that it counts from, and the arrivals."""

    schedule: npt.NDArray[Any]
    start: float
    latest: npt.NDArray[np.float64]


class AwaitedProbes:
    """The subscribers that have a probe due in some time, in the directions that they have one due in."""

    def __init__(self, flows: Sequence[_Flow], addressed: Mask, since: float) -> None:
        self._flows, self._addressed, self._since = flows, addressed, since
        self._wanted = addressed.any(axis=0)
        self.count = int(self._wanted.sum())

    def reached(self) -> int:
        """Return to how many of them a probe has come since then, in each of their directions."""
        arrived = np.array([flow.latest >= self._since for flow in self._flows])
        return int(((arrived | ~self._addressed).all(axis=0) & self._wanted).sum())


class Probing:
    """Sends by a schedule, down from one node and up to it; notes what arrives. Files go to `raw`."""

    def __init__(self, programs: Programs, raw: Path, internet: Any, subscribers: Subscribers) -> None:
        self._programs = programs
        self._raw = raw
        self._internet = internet
        self._subscribers = subscribers
        self._flows: dict[Direction, _Flow] = {}
        self._numbers: dict[str, int] = {}  # the subscribers' in the schedules
        self._sink: Process | None = None
        self.senders: dict[str, Process] = {}

    def start(
        self, leases: Mapping[str, str], wanted: Probes, interval: float, seconds: float, seed: int
    ) -> Mapping[str, Process]:
        """Send by the pattern and in the directions `wanted` until `stop`, for `seconds` at most.

        `leases` is address by name. `interval` is the mean time between two probes of a subscriber in a
        direction, in seconds. Returns the processes that send, by name.
        """
        addresses = list(leases.values())
        self._numbers = {name: number for number, name in enumerate(leases)}
        self._flows, self.senders = {}, {}
        for direction in DIRECTIONS[wanted.direction]:
            rows = schedule(
                wanted.pattern, len(addresses), interval, seconds, wanted.exponent, seed, direction
            )
            np.save(self._file("schedule", direction), rows)
            latest = self._file("latest", direction, "f8")
            np.zeros(len(addresses)).tofile(latest)
            start = (self._start_down if direction == "down" else self._start_up)(addresses, latest)
            self._flows[direction] = _Flow(rows, start, np.memmap(latest, dtype="f8", mode="r"))
        return self.senders

    def _start_down(self, addresses: Sequence[str], latest: Path) -> float:
        self._subscribers.start_sink(latest, self._file("received", "down"))
        files = (self._file("schedule", "down"), self._file("sent", "down"))
        start, process = start_sender(self._programs, "send", *files, addresses, node=self._internet)
        self.senders["prober"] = process
        return start

    def _start_up(self, addresses: Sequence[str], latest: Path) -> float:
        received = self._file("received", "up")
        self._sink = start_sink(self._programs, "sink-up", latest, received, [self._internet.pid])
        files = (self._file("schedule", "up"), self._file("sent", "up"))
        start, process = self._subscribers.start_sending(*files, str(self._internet.IP()))
        if process is not None:
            self.senders["upstream prober"] = process
        return start

    def _file(self, what: str, direction: Direction, kind: str = "npy") -> Path:
        return self._raw / f"{what}-{direction}.{kind}"

    def awaited(self, since: float, until: float) -> AwaitedProbes:
        """Return the subscribers with a probe due between two moments (monotonic)."""
        rows = []
        for flow in self._flows.values():
            first, last = np.searchsorted(flow.schedule["due"], (since - flow.start, until - flow.start))
            row = np.zeros(len(flow.latest), dtype=bool)
            row[flow.schedule["subscriber"][first:last]] = True
            rows.append(row)
        return AwaitedProbes(list(self._flows.values()), np.array(rows, dtype=bool), since)

    def latest(self, subscriber: str) -> float:
        """Return when the latest probe of a subscriber had arrived in each direction."""
        number = self._numbers[subscriber]
        return min(float(flow.latest[number]) for flow in self._flows.values())

    def reached_since(self, moment: float) -> list[bool]:
        """Return for each subscriber whether a probe arrived since a moment in each direction."""
        found: list[bool] = np.all([flow.latest >= moment for flow in self._flows.values()], axis=0).tolist()
        return found

    def stop(self) -> None:
        """Stop sending, wait for what is under way, stop receiving."""
        for process in self.senders.values():
            end(process)
        if "up" in self._flows:
            self._subscribers.stop_sending()
        time.sleep(UNDER_WAY)
        if "down" in self._flows:
            self._subscribers.stop_sink()
        end(self._sink)
        for direction in self._flows:
            self._file("schedule", direction).unlink()  # what was sent of it is in the file of that
