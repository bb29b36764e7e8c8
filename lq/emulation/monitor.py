"""Samples what a run's processes use of processors and memory: `lq.results.load` makes the table."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lq.emulation.processes import Process, cpu_seconds
from lq.emulation.usage import resident

INTERVAL = 0.5  # seconds between two samples

Processes = Callable[[], Mapping[str, Process | None]]
"""Returns the present processes by name."""


class Monitor:
    """Samples processes from a thread of its own until it is stopped; writes to `file` meanwhile."""

    def __init__(self, file: Path, processes: Processes, interval: float = INTERVAL) -> None:
        self._file = file
        self._processes = processes
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._latest: dict[str, tuple[int, float]] = {}  # process id, and its processor seconds
        self._used: dict[str, float] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample, and end."""
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        with self._file.open("w") as out:
            while True:
                last = self._stopped.is_set()
                for name, process in self._processes().items():
                    if process is not None and (row := self._look(name, process)) is not None:
                        out.write(json.dumps(row) + "\n")
                if last:
                    return
                self._stopped.wait(self._interval)

    def _look(self, name: str, process: Process) -> tuple[float, str, float, int] | None:
        """Return a row on a process, None if it has ended."""
        memory, now, spent = resident(process.pid), time.monotonic(), cpu_seconds(process)
        if not memory:
            return None
        if name not in self._used:  # what it did before does not count
            self._used[name], self._latest[name] = 0.0, (process.pid, spent)
        pid, before = self._latest[name]
        self._used[name] += spent - (before if pid == process.pid else 0.0)
        self._latest[name] = process.pid, spent
        return now, name, round(self._used[name], 6), memory
