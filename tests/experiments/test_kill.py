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

WHOLE_RUN = 14.0  # seconds, about
MOMENTS = [WHOLE_RUN * (number + 0.5) / 10 for number in range(10)]


def machine() -> dict[str, set[str]]:
    """Return what a lab could leave on the machine."""
    return {
        "interfaces": set(os.listdir("/sys/class/net")),
        "namespaces": set(os.listdir("/run/netns")) if Path("/run/netns").exists() else set(),
        "mounts": set(Path("/proc/self/mounts").read_text().splitlines()),
        "temporary files": {name for name in os.listdir("/tmp") if not name.startswith("pytest")},
        "run": set(os.listdir("/run")),
    }


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"after {moment:.1f} s")
def test_nothing_is_left(tmp_path, moment):
    name, value = "LQ_MARK", str(uuid.uuid4())
    home = support.private_directory(tmp_path)
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
