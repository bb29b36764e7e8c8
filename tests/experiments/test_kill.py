"""SIGKILL at any moment of a run, or of a sweep: nothing of the lab is left outside their directory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests import support

pytestmark = [pytest.mark.lab, pytest.mark.alone]

WHOLE_RUN = 7.0  # seconds, about
MOMENTS = [WHOLE_RUN * (number + 0.5) / 10 for number in range(10)]


def machine() -> dict[str, set[str]]:
    """Return what a lab of the ordinary user could leave on the machine."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return {
        "interfaces": set(os.listdir("/sys/class/net")),
        "namespaces": set(os.listdir("/run/netns")) if Path("/run/netns").exists() else set(),
        "mounts": {line for line in mounts if line.split()[1] in ("/run", "/sys", "/proc")},
        "files": {f"{place}/{name}" for place in ("/tmp", "/run", "/dev/shm") for name in files_in(place)},
    }


def files_in(place: str) -> set[str]:
    """Return the ordinary user's files there, but for the tests' own."""
    user = support.NOBODY if os.geteuid() == 0 else os.geteuid()
    with os.scandir(place) as entries:
        return {
            entry.name
            for entry in entries
            if not entry.name.startswith(support.PREFIX) and entry.stat(follow_symlinks=False).st_uid == user
        }


class Started:
    """A command of the ordinary user with a mark on all its processes, and the machine as it was before."""

    def __init__(self, *arguments: str, home: Path) -> None:
        self.mark = str(uuid.uuid4())
        self.before = machine()
        self.process = subprocess.Popen(
            support.as_ordinary_user([*support.LQ, *arguments]),
            cwd=support.ROOT,
            env={**os.environ, "PYTHONPATH": str(support.ROOT), "HOME": str(home), "LQ_MARK": self.mark},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def programs(self) -> list[bytes]:
        """Return the command lines of all that is alive."""
        found = []
        for pid in support.descendants_marked(self.mark):
            with contextlib.suppress(OSError):
                found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        return found

    def kill(self) -> None:
        """Kill the command itself, and see that nothing is left of what it had started."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)
        deadline = time.monotonic() + 30
        while left := self.programs():
            assert time.monotonic() < deadline, left
            time.sleep(0.02)
        after, before = machine(), self.before
        assert {what: after[what] - before[what] for what in before} == {what: set() for what in before}


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"after {moment:.1f} s")
def test_nothing_is_left(moment):
    home = support.private_directory()
    run = Started("run", "reboot", "--json", "--out", str(home / "run"), home=home)
    time.sleep(moment)
    assert run.programs() or run.process.poll() == 0
    run.kill()


@pytest.mark.kernel
def test_nothing_is_left_of_a_sweep_with_two_labs_side_by_side():
    home = support.private_directory()
    grid = ["--grid", "seed=1,2", "--workers", "2", "--out", str(home / "sweep")]
    sweep = Started("sweep", "reboot", *grid, home=home)
    deadline = time.monotonic() + 60
    while sum(b"-m\0controllers" in program for program in sweep.programs()) < 2:
        assert sweep.process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sweep.kill()
