"""Network namespaces by the hundred: each held by one sleeping process that costs next to nothing.

`python -m lq.sandbox.holders` is the worker: it forks so many holders as it is told on its standard
input, and ends with them when that closes, which the kernel does for a program that was killed.
Each holder has a network namespace with the loopback up and IPv6 off, and a mount namespace
whose /sys shows it, where that is allowed; the worker writes its process id.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys

from lq.sandbox import filesystem, namespace
from lq.sandbox.tools import PYTHON

MAXIMUM_WORKERS = 4


class Holders:
    """Namespaces made in the background: ask for many, `take` one after the other."""

    def __init__(self) -> None:
        self._workers: list[subprocess.Popen[bytes]] = []
        self._due = 0  # asked for and not yet taken

    def prepare(self, count: int) -> None:
        """Begin to make `count` namespaces; returns at once."""
        if not self._workers:
            self._start_workers()
        self._due += count
        share, rest = divmod(count, len(self._workers))
        for number, worker in enumerate(self._workers):
            assert worker.stdin is not None
            worker.stdin.write(b"%d\n" % (share + (number < rest)))
            worker.stdin.flush()

    def take(self) -> int:
        """Return the process that holds a fresh namespace. Raises RuntimeError where there can be none."""
        if not self._due:
            self.prepare(1)
        self._due -= 1
        line = self._made.readline()
        if not line.strip().isdigit():
            raise RuntimeError(f"cannot make a network namespace: {line.strip() or 'the maker ended'}")
        return int(line)

    def _start_workers(self) -> None:
        read_end, write_end = os.pipe()
        self._made = os.fdopen(read_end)
        for _ in range(min(MAXIMUM_WORKERS, os.cpu_count() or 1)):
            self._workers.append(
                subprocess.Popen(
                    [*PYTHON, "lq.sandbox.holders"],
                    stdin=subprocess.PIPE,
                    stdout=write_end,
                    start_new_session=True,  # Ctrl-C is for what runs at the prompt
                )
            )
        os.close(write_end)


def _make_holder(mine: int, theirs: int) -> int:
    """Be in new namespaces, and leave a child in them that sleeps; return the child.

    It sleeps on a pipe whose end `mine` only the worker keeps open. Everything is done before the
    fork, so that the child touches hardly a page of its own.
    """
    namespace.unshare(namespace.CLONE_NEWNET | namespace.CLONE_NEWNS)
    namespace.make_mounts_private()
    filesystem.mount_sysfs()
    namespace.disable_ipv6()
    namespace.bring_up("lo")
    pid = os.fork()
    if pid == 0:
        os.close(1)
        os.close(mine)
        os.read(theirs, 1)  # sleeps until the worker has ended
        os._exit(0)
    return pid


def main() -> None:
    """Be a worker."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # holders that are killed need no funeral
    gc.disable()  # each page that the worker touches after a fork is one more in memory
    theirs, mine = os.pipe()
    with open("/proc/self/ns/mnt") as mounts:
        for line in sys.stdin:
            for _ in range(int(line)):
                try:
                    made = str(_make_holder(mine, theirs))
                except OSError as error:
                    made = str(error)
                os.write(1, f"{made}\n".encode())  # several workers share the pipe; short writes stay whole
                namespace.setns(mounts.fileno())  # or mounts would pile up


if __name__ == "__main__":
    main()
