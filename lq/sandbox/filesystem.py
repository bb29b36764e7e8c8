"""The file system that a lab sees: the machine's own, which can be read, and nowhere be written.

All acts on the mount namespace of the calling process. What is mounted in one user namespace, and inherited
by a further one, stays as it is for whoever is root in that: the kernel locks it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lq.sandbox import namespace

# What programs need of /dev: no disk, no memory, nobody's terminal.
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_SHARED = "/dev/shm"
TEMPORARY = "/tmp"  # where programs make files that they do not name, TMPDIR or not
# Of /proc, what is the machine's; and of that, what belongs to the lab all the same.
_SPARED = ("/proc/sys/net", "/proc/sys/user")
_KERNEL = ("/proc/sys", *_SPARED, "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs")
_STAGE = "/proc"  # any directory: a mount is prepared there, and moved


def seal(spared: Path | None, *, protect: bool) -> None:
    """Make all read-only but the directory `spared` and /proc; leave few devices. Raises OSError.

    /tmp and /dev/shm are the lab's own, in memory, and so are terminals. /sys is read-only for the machine's
    root, if `protect`; others can change nothing there.
    """
    writable = ["/proc"] if protect and _machines_root() else ["/proc", "/sys"]
    namespace.make_mounts_private()
    make_read_only()
    for path in writable:  # or no other that is writable could be mounted
        with contextlib.suppress(PermissionError):  # locked, since read-only before, as in a container
            if os.path.ismount(path):
                namespace.set_read_only(path, False)
    cover(TEMPORARY, "mode=1777", spared)
    if spared is not None:
        namespace.bind(str(spared), str(spared))
        namespace.set_read_only(str(spared), False)
    with _kept(_SHARED, spared):
        _mount_devices()
    _enter_present()


def _enter_present() -> None:
    """Be in the present directory as it is mounted now, or its paths would lead behind what covers it."""
    with contextlib.suppress(OSError):  # it is gone, or nobody's to enter: then it stays the old one
        os.chdir(os.getcwd())


def cover(place: str, data: str, spared: Path | None) -> None:
    """Put memory in the place of a directory, but for what is needed of it."""
    with _kept(place, spared):
        namespace.mount("tmpfs", os.path.realpath(place), data)


@contextlib.contextmanager
def _kept(place: str, spared: Path | None) -> Iterator[None]:
    """Cover `place` within the `with` block; afterwards there is again what this program needs of it.

    That is `spared`, the present directory, and where its modules and other programs are.
    """
    kept = {path: os.open(path, os.O_PATH) for path in _needed(os.path.realpath(place), spared)}
    yield
    for path, fd in kept.items():
        os.makedirs(path, exist_ok=True)
        namespace.bind(f"/proc/self/fd/{fd}", path)
        os.close(fd)


def _needed(place: str, spared: Path | None) -> list[str]:
    """Return the directories below `place` that this program needs, none within another."""
    found: list[str] = []
    wanted = [*sys.path, sys.prefix, sys.base_prefix, *os.environ.get("PATH", "").split(os.pathsep)]
    wanted += ["."] if spared is None else [".", str(spared)]
    try:
        present = os.getcwd()
    except FileNotFoundError:
        present = "/"
    for path in sorted({os.path.realpath(os.path.join(present, path)) for path in wanted}):
        within = any(path.startswith(f"{other}/") for other in found)
        if path.startswith(f"{place}/") and os.path.isdir(path) and not within:
            found.append(path)
    return found


def make_read_only() -> None:
    """Make every mount read-only. Raises OSError."""
    try:
        namespace.set_all_read_only("/")
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        remount_read_only()


def remount_read_only() -> None:
    """The same for Linux before 5.12, which must be told of each mount.

    What lies below a directory that we may not enter cannot be told of, nor can we write there.
    """
    for line in Path("/proc/self/mountinfo").read_bytes().split(b"\n")[:-1]:
        path = line.split(b" ")[4].decode("unicode_escape").encode("latin-1")
        with contextlib.suppress(PermissionError, FileNotFoundError):
            namespace.set_read_only(os.fsdecode(path), True)


def _mount_devices() -> None:
    """Put a directory with few devices in the place of /dev."""
    there = [name for name in _DEVICES if os.path.exists(f"/dev/{name}")]
    namespace.mount("tmpfs", _STAGE, "mode=755")
    for name in there:
        path = Path(_STAGE, name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
        namespace.bind(f"/dev/{name}", str(path))
    for name, target in _LINKS.items():
        Path(_STAGE, name).symlink_to(target)
    for name in ("shm", "pts"):
        Path(_STAGE, name).mkdir()
    namespace.mount("tmpfs", f"{_STAGE}/shm", "mode=1777")
    namespace.mount("devpts", f"{_STAGE}/pts", "newinstance,ptmxmode=0666", namespace.MS_NOSUID)
    namespace.move_mount(_STAGE, "/dev")


def mount_proc(*, protect: bool) -> None:
    """Mount what shows the lab's own processes. Raises OSError.

    Root's own settings of the kernel are the machine's: they are made read-only, if `protect`, but for those
    of networks and user namespaces. A lab where they are cannot have labs in it.
    """
    namespace.mount_like("proc", "/proc")
    if not (protect and _machines_root()):
        return
    for path in _KERNEL:
        if os.path.exists(path):
            namespace.bind(path, path)
            namespace.set_read_only(path, path not in _SPARED)


def _machines_root() -> bool:
    """Whether the kernel takes us for the machine's root, be it in a user namespace, and lets us set it."""
    return os.access("/proc/sys/kernel/core_pattern", os.W_OK)


def mount_own(spared: Path | None) -> None:
    """Mount what shows the lab's own interfaces, and memory for its files. Raises OSError."""
    namespace.make_mounts_private()
    mount_sysfs()
    # The switch's data base and sockets, `ip netns` names: gone with the mount namespace.
    cover("/run", "mode=755", spared)
    _enter_present()


def mount_sysfs() -> None:
    """Have /sys show the present network namespace. Where that is refused, it shows the machine's interfaces.

    Where a part of /sys is hidden, as in many a container, the kernel gives only the machine's root another.
    """
    for flags in (0, namespace.MS_RDONLY):
        with contextlib.suppress(OSError):
            return namespace.mount_like("sysfs", "/sys", flags)
