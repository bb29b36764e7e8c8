"""Where the system's tools are: daemons live in directories that not every user's PATH names."""

from __future__ import annotations

import os
import shutil

_FOR_DAEMONS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path() -> str:
    """Return PATH, with the directories of daemons behind it."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*path, *(part for part in _FOR_DAEMONS if part not in path)])


def find(tool: str) -> str | None:
    """Return the full name of a tool, or None where it is not installed."""
    return shutil.which(tool, path=search_path())
