"""Watches, inside the lab, what the machine does to a run: `lq.results.validity` judges it afterwards."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from lq.clocks import time_of_day_ahead
from lq.emulation.usage import udp_count
from lq.results.validity import Scheduled
from lq.scenarios.outcome import Watched


class Watch:
    """Measures from `start` to `finish`, inside the lab. Nothing it reads disturbs what it watches."""

    def __init__(self) -> None:
        self._start = self._clock_ahead = 0.0
        self._port_drops = self._stolen = 0
        self._watched: dict[str, tuple[int, Scheduled]] = {}
        self._measured: dict[str, Scheduled] = {}

    def start(self, pids: Mapping[str, int]) -> None:
        """Begin; `pids` are processes whose waiting for a processor counts, by name."""
        self._start = time.monotonic()
        self._port_drops = _port_drops()
        self._clock_ahead = time_of_day_ahead()
        self._stolen = _stolen()
        self._watched, self._measured = {}, {}
        for name, pid in pids.items():
            self.add(name, pid)

    def add(self, name: str, pid: int) -> None:
        """Watch one more process, or another one under the same name, from now on."""
        self._watched[name] = (pid, _scheduled(pid))

    def close(self, name: str) -> None:
        """Take the measure of a process that is about to end; nothing if it is not watched."""
        if watched := self._watched.pop(name, None):
            pid, before = watched
            so_far = self._measured.get(name, Scheduled(0.0, 0.0, 0.0, 0.0))
            columns = zip(so_far, _scheduled(pid), before, strict=True)
            self._measured[name] = Scheduled(*(total + max(0.0, now - then) for total, now, then in columns))

    def finish(self, namespaces: Iterable[int], upcalls: str, captures: Iterable[Path]) -> Watched:
        """Return what was observed, while the watched processes still live.

        `namespaces`: a process in each network namespace; `upcalls`: what `dpctl/show` prints;
        `captures`: what the capture programs said.
        """
        now = time.monotonic()
        for name in list(self._watched):
            self.close(name)
        return Watched(
            seconds=now - self._start,
            clock_step_s=abs(time_of_day_ahead() - self._clock_ahead),
            processes={name: measured._asdict() for name, measured in self._measured.items()},
            processors=os.cpu_count(),
            stolen_s=(_stolen() - self._stolen) / os.sysconf("SC_CLK_TCK"),
            udp_drops=sum(udp_count(pid, "RcvbufErrors") for pid in namespaces),
            upcall_drops=_number(r"lost:(\d+)", upcalls),
            capture_drops=sum(_number(r"dropped (\d+)", log.read_text()) for log in captures),
            port_drops=_port_drops() - self._port_drops,
        )


def _scheduled(pid: int) -> Scheduled:
    """Sum up over the threads of a process until now (proc(5), schedstat)."""
    ran = waited = turns = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            numbers = (task / "schedstat").read_text().split()
            ran, waited, turns = ran + int(numbers[0]), waited + int(numbers[1]), turns + int(numbers[2])
    except (FileNotFoundError, ProcessLookupError):  # ended, or a kernel that does not count
        ran = waited = turns = 0
    return Scheduled(ran * 1e-9, waited * 1e-9, time.monotonic(), turns)


def _stolen() -> int:
    """Clock ticks that a hypervisor took from all processors so far (proc(5), stat)."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])


def _port_drops() -> int:
    """Frames that found a full buffer at the packet sockets of this namespace: the switch's ports (ss(8))."""
    shown = subprocess.run(["ss", "-0nm"], capture_output=True, text=True, check=True).stdout
    return _number(r"\bd(\d+)\)", shown)


def _number(pattern: str, text: str) -> int:
    return sum(int(found) for found in re.findall(pattern, text))
