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
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV = 0x1, 0x2, 0x4
_MS_REMOUNT, _MS_BIND, _MS_MOVE, _MS_REC, _MS_PRIVATE = 0x20, 0x1000, 0x2000, 0x4000, 0x40000
_MS_NOATIME, _MS_NODIRATIME, _MS_RELATIME, _MS_STRICTATIME = 0x400, 0x800, 0x200000, 0x1000000
_ST_RELATIME = 0x1000  # as statvfs(3) says it; the other flags are those of mount(2)
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = -100, 0x8000, 0x1
_PR_SET_PDEATHSIG = 1
_SYS_PIDFD_GETFD, _SYS_MOUNT_SETATTR = 438, 442  # on every architecture but alpha
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


def mount(kind: str, target: str, data: str = "", flags: int = MS_NOSUID | MS_NODEV) -> None:
    """Mount a new file system of `kind` (proc, sysfs, tmpfs, devpts) on `target`."""
    _mount(kind, target, kind, flags, data)


def mount_like(kind: str, target: str, flags: int = 0) -> None:
    """Mount a new proc or sysfs over the one that is there, its times of access kept alike.

    For others than the machine's root the kernel allows no other times, and none at all where a part of the
    old one is hidden.
    """
    _mount(kind, target, kind, MS_NOSUID | MS_NODEV | flags | (_flags_of(target) & ~0xF), "")


def bind(source: str, target: str) -> None:
    """Show the file or directory `source`, with what is mounted below, in the place of `target`."""
    _mount(source, target, None, _MS_BIND | _MS_REC)


def move_mount(source: str, target: str) -> None:
    """Have what is mounted on `source` on `target` instead."""
    _mount(source, target, None, _MS_MOVE)


def make_mounts_private() -> None:
    """Keep every mount made from now on within this mount namespace."""
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)


def set_read_only(path: str, read_only: bool) -> None:
    """Make the mount at `path` read-only, or writable again."""
    flags = _flags_of(path) & ~MS_RDONLY
    _mount(None, path, None, _MS_REMOUNT | _MS_BIND | flags | (MS_RDONLY if read_only else 0))


def set_all_read_only(path: str) -> None:
    """Make the mount at `path` and all that are below it read-only (mount_setattr(2), Linux 5.12)."""
    wanted = struct.pack("4Q", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    if _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), _AT_RECURSIVE, wanted, len(wanted)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount_setattr {path}: {os.strerror(code)}")


def _flags_of(path: str) -> int:
    """Return the flags of the mount at `path`, for mount(2): some of them may not be left out."""
    found = os.statvfs(path).f_flag
    times = _MS_RELATIME if found & _ST_RELATIME else 0 if found & _MS_NOATIME else _MS_STRICTATIME
    return times | (found & (0xF | _MS_NOATIME | _MS_NODIRATIME))


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    coded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    if _libc.mount(*coded[:3], ctypes.c_ulong(flags), coded[3]) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {kind or ''} {target}: {os.strerror(code)}".replace("  ", " "))


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
    """Switch IPv6 off in this network namespace, for its future interfaces, too; some kernels have none."""
    for scope in ("default", "all"):
        with contextlib.suppress(FileNotFoundError):
            set_kernel(f"net/ipv6/conf/{scope}/disable_ipv6", "1")


def set_kernel(name: str, value: str) -> None:
    """Change a setting of the kernel, a file of /proc/sys, in this network namespace. Raises OSError."""
    with open(f"/proc/sys/{name}", "wb", buffering=0) as setting:
        setting.write(value.encode())


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
