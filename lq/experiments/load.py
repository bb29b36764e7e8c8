"""Load over time: what a run's processes have used of processors and memory, sampled as it goes on.

The table `load` has a row for each process and sample: `at` (seconds since the reboot), `process`
(`controller`, `switch`, or a server's name), `cpu_s` (processor seconds since the sampling began, those of
its forerunners that were killed included) and `memory` (octets resident). The load between two samples is the
difference of their `cpu_s` by that of their `at`: 1 is a core. What a process used between its last sample
and a kill is not seen.
"""

from __future__ import annotations

import json
import resource
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lq.experiments.programs import Process, cpu_seconds

if TYPE_CHECKING:  # the lab samples without it, and starts sooner
    import pandas as pd

INTERVAL = 0.5  # seconds between two samples
COLUMNS = ["at", "process", "cpu_s", "memory"]

Processes = Callable[[], Mapping[str, Process | None]]
"""Returns the present processes by name."""


class Load:
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
        memory, now, spent = _resident(process.pid), time.monotonic(), cpu_seconds(process)
        if not memory:
            return None
        if name not in self._used:  # what it did before does not count
            self._used[name], self._latest[name] = 0.0, (process.pid, spent)
        pid, before = self._latest[name]
        self._used[name] += spent - (before if pid == process.pid else 0.0)
        self._latest[name] = process.pid, spent
        return now, name, round(self._used[name], 6), memory


def _resident(pid: int) -> int:
    """Return the octets of memory that a process occupies (proc(5), statm); 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * resource.getpagesize()


def tabulate(file: Path, zero: float) -> pd.DataFrame:
    """Return what was sampled as a table; `zero` is the moment of the reboot on the monotonic clock."""
    import pandas as pd

    lines = file.read_text().splitlines() if file.exists() else []
    table = pd.DataFrame([json.loads(line) for line in lines], columns=COLUMNS)
    table["at"] -= zero
    typed: pd.DataFrame = table.astype({"at": float, "cpu_s": float, "memory": int})
    return typed


def between(table: pd.DataFrame, process: str, start: float, end: float) -> float:
    """Return a process's load between two moments, by the first and the last sample within: 1 is a core.

    NaN where there are no two samples.
    """
    within = table[(table["process"] == process) & table["at"].between(start, end)]
    if len(within) < 2:
        return float("nan")
    first, last = within.iloc[0], within.iloc[-1]
    return float((last["cpu_s"] - first["cpu_s"]) / (last["at"] - first["at"]))
