"""A database file held by one process, so that its log can be read before SQLite is let in."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

# The octets of a database file that SQLite locks, their number and the first (its os.h, PENDING_BYTE).
_LOCKS = (512, 0x40000000)

_held: set[tuple[int, int]] = set()  # device and inode of what this process holds


class Hold:
    """The file at `path`, made if it is not there, until `close`.

    The locks are those that SQLite itself takes. They belong to the process, and closing any descriptor of
    the file gives all of them up; so a second use within the process is refused before the file is opened.
    Raises BlockingIOError if another holds it, OSError if it cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._key: tuple[int, int] | None = None
        self._descriptor = -1
        with suppress(FileNotFoundError):
            if _identity(path.stat()) in _held:
                raise BlockingIOError(f"{path} is in use")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, *_LOCKS)
        self._key = _identity(os.fstat(self._descriptor))
        _held.add(self._key)

    def size(self) -> int:
        """Octets of the file."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._key is not None:
            _held.discard(self._key)
            self._key = None

    __del__ = close


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
