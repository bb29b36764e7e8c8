"""Files that somebody else may have made: read within bounds, and written without following a link.

A run's directory may come from anybody. So a pipe in it must not hang the reader, an endless device must not
fill the memory, and a link in it must not lead what is written or removed to another place.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lq.errors import BadInput

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def exists(path: Path | str) -> bool:
    """Whether there is something of this name that can be looked at; no path is too odd to ask."""
    return os.path.exists(path)


def open_regular(path: Path | str, most: int) -> BinaryIO:
    """Open a regular file of at most `most` octets. Raises BadInput that names it."""
    try:
        # A pipe that nobody writes to would keep an ordinary open waiting for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    except ValueError:  # NUL, or half a surrogate pair
        raise BadInput(f"cannot read {str(path)!r}: a file cannot have this name; correct it") from None
    try:
        found = os.fstat(fd)
        if kind := _kind(found.st_mode):
            raise BadInput(f"cannot read {path}: it is {kind}; name a file")
        if found.st_size > most:
            raise _too_large(path, most)
    except BaseException:
        os.close(fd)
        raise
    return os.fdopen(fd, "rb")


def read(path: Path | str, most: int) -> bytes:
    """Return what is in a regular file of at most `most` octets. Raises BadInput that names it."""
    with open_regular(path, most) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror}") from None
    if len(content) > most:  # a file of /proc tells no size
        raise _too_large(path, most)
    return content


def read_object(path: Path | str, most: int) -> dict[str, Any]:
    """Return the JSON object in a file of at most `most` octets. Raises BadInput that names it."""
    content = read(path, most)
    try:
        found = json.loads(content)
    except RecursionError:
        raise BadInput(f"{path} is damaged: its JSON is nested too deeply") from None
    except ValueError as error:  # not JSON, not UTF-8, a number of thousands of digits
        raise BadInput(f"{path} is damaged: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadInput(f"{path} is damaged: it does not hold a JSON object")
    return found


def write(path: Path | str, content: bytes) -> None:
    """Write a file that the user has named: there whole or not at all. Raises BadInput.

    A link of that name is replaced, not followed.
    """
    path = Path(path)
    Tree(path.parent).write(path.name, content)


class Tree:
    """A directory and what is below it. Nothing is written or removed through a link that lies in it.

    The directory itself is as the user has named it, and may be reached by links. Names are relative to it,
    with `/` between their parts. Every method raises BadInput if it cannot be done, and says where.
    """

    def __init__(self, base: Path | str) -> None:
        self.base = Path(base)

    def write(self, name: str, content: bytes) -> Path:
        """Write a file, and the directories it is in: there whole or not at all. Return its path."""
        with self._parent(name, make=True) as (parent, last):
            with contextlib.suppress(FileNotFoundError):
                if kind := _kind(os.stat(last, dir_fd=parent).st_mode):
                    raise BadInput(f"cannot write {self.base / name}: it is {kind}")
            part = f".{secrets.token_hex(8)}.part"
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=parent)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(content)
                os.replace(part, last, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(part, dir_fd=parent)
                raise
        return self.base / name

    def make(self, name: str) -> Path:
        """Make a directory, and those it is in, where they are missing. Return its path."""
        with self._parent(f"{name}/.", make=True):
            return self.base / name

    def remove(self, name: str) -> None:
        """Remove a file, a link (not what it leads to), or a directory with all in it, if it is there."""
        with contextlib.suppress(FileNotFoundError), self._parent(name) as (parent, last):
            if stat.S_ISDIR(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode):
                shutil.rmtree(f"/proc/self/fd/{parent}/{last}")
            else:
                os.unlink(last, dir_fd=parent)

    def move(self, name: str, to: str) -> None:
        """Rename what is there, a link itself and not what it leads to."""
        with self._parent(name) as (old, last), self._parent(to, make=True) as (new, new_last):
            os.rename(last, new_last, src_dir_fd=old, dst_dir_fd=new)

    def has(self, name: str) -> bool:
        """Whether there is something of that name, be it a link that leads nowhere."""
        return os.path.lexists(self.base / name)

    @contextlib.contextmanager
    def _parent(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Hold the directory open that a name is in, reached without following a link; with its last part."""
        *parts, last = name.split("/")
        with contextlib.ExitStack() as held:

            def hold(fd: int) -> int:
                held.callback(os.close, fd)
                return fd

            where = self.base
            try:
                fd = hold(os.open(self.base, _DIRECTORY))
                for part in parts:
                    where /= part
                    if make:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(part, dir_fd=fd)
                    fd = hold(os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd))
                where = self.base / name
                yield fd, last
            except FileNotFoundError as error:
                if not make:
                    raise
                raise BadInput(f"cannot write {where}: {error.strerror}") from None
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.ELOOP) and where.is_symlink():
                    raise BadInput(
                        f"{where} is a symbolic link, and lq does not write through links: put a directory "
                        "there"
                    ) from None
                raise BadInput(f"cannot write {where}: {error.strerror}") from None
            except ValueError:  # NUL, or half a surrogate pair
                raise BadInput(
                    f"cannot write {str(where)!r}: a file cannot have this name; correct it"
                ) from None


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "")


def _too_large(path: Path | str, most: int) -> BadInput:
    return BadInput(f"cannot read {path}: it is larger than the limit of {most:,} octets")
