"""A quick end for what the kernel takes down slowly: packet sockets.

The kernel lets a grace period of about ten milliseconds pass whenever a packet socket is closed for
the last time, and a killed process closes one after the other. The switch has one for each of its ports,
so that a lab with hundreds of hosts would take seconds to vanish. Here the threads of a helper share the
sockets, let the switch go first, and then end side by side, when all grace periods are one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from pathlib import Path

from lq.sandbox import namespace

FEW = 8  # sockets that may as well be closed one after the other
THREADS = 128
PATIENCE = 5000  # milliseconds for the helper to be ready, for the killed process to end


def release_packet_sockets() -> None:
    """End all other processes of this PID namespace, if many packet sockets are open in our network.

    To be called by process 1 just before it ends, which ends the helper. Where the kernel is older than
    5.6, or forbids to share descriptors, the end takes its time.
    """
    sockets = {
        f"socket:[{line.split()[-1]}]" for line in Path("/proc/net/packet").read_text().splitlines()[1:]
    }
    if len(sockets) <= FEW:
        return
    last = {}
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        if pid != os.getpid():
            if len(fds := _descriptors(pid, sockets)) > FEW:
                last[pid] = fds
            else:  # at once: the kernel has their namespaces to take down
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
    for pid, fds in last.items():
        with contextlib.suppress(OSError):
            _outlive(pid, fds)


def _descriptors(pid: int, sockets: set[str]) -> list[int]:
    """Return the descriptors of a process that are among `sockets`."""
    found = []
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in sockets:
                    found.append(int(fd))
    return found


def _outlive(pid: int, fds: list[int]) -> None:
    """Share descriptors of a process with a helper, kill the process, and wait until it has ended."""
    process = os.pidfd_open(pid)
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        try:
            _hold(process, fds)
        finally:
            os.write(write_end, b".")
            while True:
                signal.pause()
    _await_input(read_end)  # until the helper has what it can get
    os.kill(pid, signal.SIGKILL)
    _await_input(process)  # until it has ended


def _await_input(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll(PATIENCE)


def _hold(process: int, fds: list[int]) -> None:
    """Take descriptors over in threads that have a table of them each: tables are closed side by side."""
    ready = threading.Semaphore(0)

    def hold(share: list[int]) -> None:
        try:
            namespace.unshare(namespace.CLONE_FILES)
            for fd in share:
                namespace.take_descriptor(process, fd)
        finally:
            ready.release()
        threading.Event().wait()

    shares = [share for number in range(THREADS) if (share := fds[number::THREADS])]
    for share in shares:
        threading.Thread(target=hold, args=(share,), daemon=True).start()
    for _ in shares:
        ready.acquire()
