"""`setup/kernel.sh`: a command on another kernel; its status comes back, and nothing is left of the guest."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests import support

STORE = support.ROOT / "build" / "kernel"
SCRIPT = ["sh", "setup/kernel.sh"]
pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(not list(STORE.glob("*/complete")), reason="`make test-kernel` has not been run here"),
    pytest.mark.skipif(not os.access(STORE, os.W_OK), reason="the kernel's directory is another user's"),
]


def test_output_and_exit_status_come_back_from_another_kernel():
    words = 'it\'s "$HOME" * here'
    command = 'uname -r; id -u; echo "$1"; touch here; exit 5'
    done = support.run([*SCRIPT, "sh", "-c", command, "sh", words])
    if done.returncode == 77:
        pytest.skip(done.stderr)
    assert done.returncode == 5, done.stderr
    release, user, *rest = done.stdout.splitlines()
    assert release != os.uname().release
    assert int(user) == (os.getuid() or support.NOBODY)
    assert words in rest
    assert not (support.ROOT / "here").exists()  # all that is the machine's is read-only
    assert not list(STORE.glob("run.*"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_nothing_is_left_of_one_that_is_killed(how):
    mark = str(uuid.uuid4())
    script = subprocess.Popen(
        [*SCRIPT, "sh", "-c", f"echo up {mark}; sleep 1000"],
        cwd=support.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if not script.stdout.readline():
        pytest.skip("the kernel does not start here")
    guests = processes_of(script.pid)
    assert any("linux.uml" in command for command in guests.values())
    script.send_signal(how)
    script.wait(timeout=30)
    deadline = time.monotonic() + 30
    while left := [guests[pid] for pid in guests if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    if how == signal.SIGTERM:
        assert not (STORE / f"run.{script.pid}").exists()
    support.run([*SCRIPT, "true"])
    assert not list(STORE.glob("run.*"))  # the next one clears up what a killed one has left


def processes_of(parent: int) -> dict[int, str]:
    """Return the command lines of all processes below one, by process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                above = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if above == parent:
                found |= {int(entry.name): command, **processes_of(int(entry.name))}
    return found


def test_without_a_command_it_says_how_it_is_called():
    done = support.run(SCRIPT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "COMMAND" in done.stderr
