"""Why a file cannot be written, in one line that says what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path


def cannot_write(path: Path, error: OSError | sqlite3.Error) -> str:
    """The cause as the operating system has it: SQLite often says no more than that it could not."""
    number = error.errno if isinstance(error, OSError) else _cause(path, str(error))
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return f"cannot write {path}: {_advice(path, number or 0, said)}"


def _advice(path: Path, number: int, said: str) -> str:
    match number:
        case errno.EROFS:
            return "the file system is read-only: mount it for writing, or name another file"
        case errno.EACCES | errno.EPERM:
            return f"no permission to write {_forbidden(path) or path.parent}: grant it, or name another file"
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full: free some space; no data is damaged"
        case errno.ENOENT | errno.ENOTDIR:
            return f"the directory {path.parent} does not exist: make it, or name another file"
        case errno.EISDIR:
            return "it is a directory: name a file"
    return f"{said}; check whether a limit on the size of files applies, or whether the disk fails"


def _cause(path: Path, said: str) -> int:
    """The error number behind what SQLite says, 0 if it is not known."""
    try:
        room = os.statvfs(path.parent)
    except OSError as error:
        return error.errno or 0
    if room.f_flag & os.ST_RDONLY:
        return errno.EROFS
    if "full" in said or ("disk I/O" in said and not room.f_bavail):
        return errno.ENOSPC
    if ("readonly" in said or "unable to open" in said) and _forbidden(path):
        return errno.EACCES
    return 0


def _forbidden(path: Path) -> Path | None:
    """Which of the files, or their directory, this process may not write."""
    for each in (path, Path(f"{path}-wal"), path.parent):
        if each.exists() and not os.access(each, os.R_OK | os.W_OK):
            return each
    return None
