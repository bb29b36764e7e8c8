"""Whether a run may be believed: what the machine did to the measurement, and the bounds it must keep.

A starved emulation gives smooth, wrong numbers. Each run therefore measures how late its own
traffic was, how long its processes waited for a processor, what was dropped where nothing
should be, and whether the clock jumped.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the lab measures without it, and starts sooner
    import pandas as pd

MAXIMUM_LATENESS = 0.5  # of the probes' interval, at the 99th percentile
MAXIMUM_WAIT = 0.25  # of the time watched, in the run queue, for each process
MAXIMUM_CLOCK_STEP = 0.010  # seconds
DROPS = {
    "udp_drops": "datagrams dropped at a socket of the lab",
    "upcall_drops": "packets dropped on the switch's way to its slow path",
    "capture_drops": "packets missing from the capture",
}


class Watch:
    """Measures from `start` to `finish`, inside the lab. Nothing it reads disturbs what it watches."""

    def __init__(self) -> None:
        self._start = self._clock_offset = 0.0
        self._waited: dict[str, tuple[int, float]] = {}
        self._shares: dict[str, float] = {}

    def start(self, pids: Mapping[str, int]) -> None:
        """Begin; `pids` are processes whose waiting for a processor counts, by name."""
        self._start = time.monotonic()
        self._clock_offset = time.time() - self._start
        for name, pid in pids.items():
            self.add(name, pid)

    def add(self, name: str, pid: int) -> None:
        """Watch one more process, or another one under the same name, from now on."""
        self._waited[name] = (pid, _run_delay(pid))

    def close(self, name: str) -> None:
        """Take the measure of a process that is about to end."""
        pid, before = self._waited.pop(name)
        self._shares[name] = (_run_delay(pid) - before) / (time.monotonic() - self._start)

    def finish(self, namespaces: Iterable[int], upcalls: str, capture_log: Path) -> dict[str, Any]:
        """Return what was observed, while the watched processes still live.

        `namespaces`: a process in each network namespace; `upcalls`: what `dpctl/show` prints;
        `capture_log`: what the capture program said.
        """
        now = time.monotonic()
        for name in list(self._waited):
            self.close(name)
        return {
            "seconds": now - self._start,
            "clock_step_s": abs(time.time() - now - self._clock_offset),
            "wait_share": self._shares,
            "udp_drops": sum(_udp_drops(pid) for pid in namespaces),
            "upcall_drops": _number(r"lost:(\d+)", upcalls),
            "capture_drops": _number(r"dropped (\d+)", capture_log.read_text()),
        }


def judge(observed: Mapping[str, Any], probes: pd.DataFrame, interval: float) -> list[str]:
    """Return why a run is not to be believed; an empty list for a valid one.

    `probes` has columns `due` and `sent`, `interval` is that of the probes, all in seconds.
    """
    reasons = []
    lateness = float((probes["sent"] - probes["due"]).quantile(0.99)) if len(probes) else 0.0
    if lateness > MAXIMUM_LATENESS * interval:
        reasons.append(
            f"probes were sent up to {lateness * 1000:.0f} ms late (99th percentile), with an interval "
            f"of {interval * 1000:.0f} ms"
        )
    for name, share in observed["wait_share"].items():
        if share > MAXIMUM_WAIT:
            reasons.append(f"the {name} waited {share:.0%} of the time for a processor")
    if observed["clock_step_s"] > MAXIMUM_CLOCK_STEP:
        reasons.append(f"the clock jumped by {observed['clock_step_s'] * 1000:.0f} ms")
    reasons += [f"{observed[key]} {what}" for key, what in DROPS.items() if observed[key]]
    return reasons


def _run_delay(pid: int) -> float:
    """Seconds that the threads of a process spent runnable, but waiting for a processor (proc(5))."""
    total = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):  # ended, or a kernel that does not count
        return 0.0
    return total * 1e-9


def _udp_drops(pid: int) -> int:
    """Datagrams that found a full socket buffer in the network namespace of a process."""
    header, values = (
        line.split()
        for line in Path(f"/proc/{pid}/net/snmp").read_text().splitlines()
        if line.startswith("Udp:")
    )
    return int(values[header.index("RcvbufErrors")])


def _number(pattern: str, text: str) -> int:
    return sum(int(found) for found in re.findall(pattern, text))
