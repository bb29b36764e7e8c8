"""The lab's first process: enters the namespaces, starts the lab's main program, and ends with it.

Run as `python -m lq.sandbox.init LIFELINE_FD REASON_FD SPARED TRUSTED -- COMMAND...`. REASON_FD is where it
says why no lab can be had. SPARED is the one directory of the machine that may be written, or empty. TRUSTED
is `trusted` if COMMAND mounts /proc and /sys itself. Two processes carry a lab:

* the *keeper*, outside the PID namespace, unshares, seals the file system and waits;
* *init*, process 1 of the PID namespace, mounts, starts COMMAND and reaps orphans.

There are two user namespaces, one in the other. What the outer has mounted is locked in the inner, where
COMMAND is root: it has all rights over the lab's network, and none to make the machine's files writable.

Whatever is killed, everything goes: the kernel kills a PID namespace with its process 1, and
init ends when COMMAND ends, when the keeper dies (parent-death signal), or when the caller's
end of the lifeline pipe closes, which the kernel does for a caller that was killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from pathlib import Path

from lq.sandbox import ending, filesystem, namespace

FAILED_TO_ENTER = 125  # as env(1), chroot(1) and unshare(1) say "the wrapper itself failed"


def _enter(spared: Path | None, protect: bool) -> bool:
    """Unshare and seal; return whether a second user namespace may follow. Root may have to do without."""
    locking = _become_root_of_own() and _allowed(namespace.CLONE_NEWUSER, namespace.CLONE_NEWNS)
    namespace.unshare(namespace.CLONE_NEWNS | namespace.CLONE_NEWPID)
    with contextlib.suppress(OSError):  # or System V's memory and queues would outlive the lab
        namespace.unshare(namespace.CLONE_NEWIPC)
    filesystem.seal(spared, protect=protect)
    return locking


def _become_root_of_own() -> bool:
    """Enter a new user namespace; False where root is refused one."""
    uid, gid = os.getuid(), os.getgid()
    try:
        namespace.unshare(namespace.CLONE_NEWUSER)
    except OSError:
        if uid != 0:
            raise
        return False
    namespace.map_self_to_root(uid, gid)
    return True


def _allowed(*kinds: int) -> bool:
    """Whether a child may enter such namespaces one after the other: a policy may hit only the second one."""
    pid = os.fork()
    if pid == 0:
        try:
            for kind in kinds:
                namespace.unshare(kind)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def _init(lifeline: int, locking: bool, spared: Path | None, protect: bool, command: list[str]) -> int:
    """Be process 1 until `command` ends or the lifeline closes; return an exit status."""
    filesystem.mount_proc(protect=protect)
    if locking:
        _become_root_of_own()
    namespace.unshare(namespace.CLONE_NEWNS | namespace.CLONE_NEWNET)
    namespace.die_with_parent()
    filesystem.mount_own(spared)
    namespace.bring_up("lo")
    try:
        return _reap_until_end(lifeline, command)
    finally:
        ending.release_packet_sockets()


def _reap_until_end(lifeline: int, command: list[str]) -> int:
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.close(lifeline)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            os._exit(127)
    poll = select.poll()
    poll.register(lifeline, select.POLLHUP)
    poll.register(wake_read, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == lifeline:
                return 128 + signal.SIGHUP
            os.read(fd, 512)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == child:
                return _exit_status(status)


def _exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Enter the namespaces, run the command in them, return its exit status."""
    lifeline, reason, protect = int(arguments[0]), int(arguments[1]), arguments[3] != "trusted"
    spared, command = Path(arguments[2]) if arguments[2] else None, arguments[5:]
    os.set_inheritable(reason, reason <= 2)  # it is of no use to the command, unless it is standard error
    try:
        locking = _enter(spared, protect)
    except OSError as error:
        os.write(reason, f"cannot create namespaces: {error}\n".encode())
        return FAILED_TO_ENTER
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command
    pid = os.fork()
    if pid == 0:
        # The fork is made in the new PID namespace, where getppid() is 0 while the keeper lives.
        namespace.die_with_parent()
        try:
            status = _init(lifeline, locking, spared, protect, command)
        except OSError as error:
            os.write(reason, f"cannot prepare the lab: {error}\n".encode())
            status = FAILED_TO_ENTER
        os._exit(status)
    os.close(lifeline)
    return _exit_status(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
