"""What several tests need: an ordinary user, and a look at what a lab left behind."""

from __future__ import annotations

import atexit
import functools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lq.sandbox.tools import search_path

ROOT = Path(__file__).resolve().parents[1]
LQ = [sys.executable, "-W", "ignore", "-m", "lq"]
NOBODY = 65534
GUEST = "LQ_KERNEL_GUEST" in os.environ  # of `make test-kernel`
SLOWER = 3 if GUEST else 1  # it has one processor, and that is emulated


def as_ordinary_user(command: list[str]) -> list[str]:
    """Return a command that runs `command` as an ordinary user; as it is when the tests' user is one.

    Root's tree may lie below a directory closed to others. Then, in a mount namespace of its
    own, that directory is replaced by an open one that holds just the tree, at the same path.
    """
    if os.geteuid() != 0:
        return command
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    closed_parent = next((p for p in reversed(ROOT.parents) if not p.stat().st_mode & 0o001), None)
    if closed_parent is None:
        return [*drop, *command]
    closed, tree = shlex.quote(str(closed_parent)), shlex.quote(str(ROOT))
    steps = [
        f"mount --bind {tree} /mnt",
        f"mount -t tmpfs -o mode=755 tmpfs {closed}",
        f"mkdir -p {tree}",
        f"mount --move /mnt {tree}",
        f"cd {tree}",
        'exec "$@"',
    ]
    return ["unshare", "--mount", "sh", "-c", " && ".join(steps), "sh", *drop, *command]


PREFIX = "lq-test-"


def private_directory() -> Path:
    """Return a new directory that the ordinary user owns; it is removed when the tests end.

    It does not lie below pytest's own directories: each pytest closes those to others when it starts.
    """
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def run(
    command: list[str], *, home: Path | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a command in the tree; capture what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if home is not None:
        environment["HOME"] = str(home)
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


@functools.cache
def emulators() -> list[str]:
    """Return what a way to the servers can be made of; the kernel is asked in a namespace of its own."""
    code = "from topologies.netem import has_netem; print(has_netem())"
    asking = ["unshare", "--user", "--map-root-user", "--net", "env", f"PATH={search_path()}"]
    return ["user-space", *(["netem"] if run([*asking, *LQ[:3], "-c", code]).stdout == "True\n" else [])]


def descendants_marked(mark: str) -> list[int]:
    """Return processes of the whole machine whose environment holds `mark`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
    return found


def wait_for(condition: Callable[[], object]) -> None:
    """Return once a condition holds; a test that waits for a minute hangs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def tshark(path: Path, display_filter: str, *fields: str) -> list[list[str]]:
    """Return the fields of a capture's packets, as tshark reads them; skip the test where it is missing."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed: `sh setup/system.sh test` installs it where apt has it")
    command = ["tshark", "-r", str(path), "-Y", display_filter, "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cut short" not in done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]
