"""SIGKILL at any moment of a run: nothing of the lab is left outside the run's directory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests import support

pytestmark = pytest.mark.lab

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


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"after {moment:.1f} s")
def test_nothing_is_left(moment):
    name, value = "LQ_MARK", str(uuid.uuid4())
    home = support.private_directory()
    before = machine()
    command = [*support.LQ, "run", "reboot", "--json", "--out", str(home / "run")]
    process = subprocess.Popen(
        support.as_ordinary_user(command),
        cwd=support.ROOT,
        env={**os.environ, "PYTHONPATH": str(support.ROOT), "HOME": str(home), name: value},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(moment)
    alive = support.descendants_marked(value)
    assert alive or process.poll() == 0
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    deadline = time.monotonic() + 30
    while left := support.descendants_marked(value):
        assert time.monotonic() < deadline, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
        time.sleep(0.02)
    after = machine()
    assert {what: after[what] - before[what] for what in before} == {what: set() for what in before}
