"""Namespaces by system call: what Python before 3.12 does not offer, and nothing else.

Everything here acts on the calling process. Errors are `OSError`, as the kernel reports them.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

CLONE_FILES = 0x00000400
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MS_NOSUID, _MS_NODEV = 0x2, 0x4
_PR_SET_PDEATHSIG = 1
_SYS_PIDFD_GETFD = 438  # on every architecture but alpha
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCETHTOOL = 0x8913, 0x8914, 0x8946
_IFF_UP = 0x1
_ETHTOOL_STXCSUM = 0x17

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: int | bytes | None) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` (an OR of CLONE_NEW...) for new ones.

    CLONE_FILES gives the calling thread a table of descriptors of its own.
    """
    _call("unshare", ctypes.c_int(flags))  # type: ignore[arg-type]


def setns(fd: int, kind: int = 0) -> None:
    """Enter the namespace behind an open `/proc/PID/ns/...` file."""
    _call("setns", fd, kind)


def map_self_to_root(uid: int, gid: int) -> None:
    """Inside a new user namespace: be root there, and `uid`, `gid` outside."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that created it ends."""
    parent = os.getppid()
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call took effect
        os._exit(1)


def mount(source: str, target: str, kind: str, data: str = "") -> None:
    """Mount a new file system of `kind` (proc, sysfs, tmpfs) on `target`."""
    flags = _MS_NOSUID | _MS_NODEV
    _call("mount", source.encode(), target.encode(), kind.encode(), flags, data.encode())


def bind(source: str, target: str) -> None:
    """Show the file or directory `source` in the place of `target`."""
    _call("mount", source.encode(), target.encode(), None, _MS_BIND, None)


def make_mounts_private() -> None:
    """Keep every mount made from now on within this mount namespace."""
    _call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)


def take_descriptor(process: int, fd: int) -> int:
    """Return a duplicate of another process's open file; `process` is a pidfd (pidfd_getfd(2), Linux 5.6)."""
    taken: int = _libc.syscall(_SYS_PIDFD_GETFD, process, fd, 0)
    if taken < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return taken


def bring_up(interface: str) -> None:
    """Set an interface of this network namespace up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = interface.encode()
        request = struct.pack("16sH14x", name, 0)
        flags = struct.unpack("16xH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", name, flags | _IFF_UP))


def disable_ipv6() -> None:
    """Switch IPv6 off in this network namespace, on its present and future interfaces."""
    for scope in ("default", "all"):
        with open(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "wb", buffering=0) as setting:
            setting.write(b"1")


def disable_transmit_checksum_offload(interface: str) -> None:
    """Have the kernel fill in checksums before a frame leaves by `interface`.

    A switch in user space reads frames before a network card would have completed them.
    """
    value = ctypes.create_string_buffer(struct.pack("II", _ETHTOOL_STXCSUM, 0), 8)
    request = struct.pack("16sP8x", interface.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)


@contextlib.contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Be in the network namespace of process `pid` for the length of a `with` block.

    A socket belongs to the namespace in which it was made, and stays there afterwards.
    """
    with open("/proc/self/ns/net") as home, open(f"/proc/{pid}/ns/net") as there:
        setns(there.fileno(), CLONE_NEWNET)
        try:
            yield
        finally:
            setns(home.fileno(), CLONE_NEWNET)
