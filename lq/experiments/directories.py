"""Where files of runs go: below `runs/` of the present directory, unless told otherwise."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lq.errors import BadInput

RUNS = Path("runs")


def unused(name: str) -> Path:
    """Return a directory that is not there yet, with the present time in its name."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    base = RUNS / f"{name}-{stamp}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def prepare(out: Path) -> Path:
    """Make a directory, new or empty, and return where it really is. Raises BadInput with the fix.

    In one that is empty no link can lead what is written to another place.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise BadInput(f"{out} is not empty: name a new directory (--out)")
        (out / ".probe").touch()
        (out / ".probe").unlink()
    except (OSError, ValueError) as error:  # no file can have NUL in its name
        said = error.strerror if isinstance(error, OSError) else "no file can have this name"
        raise BadInput(f"cannot write to {out}: {said}; name a directory of yours (--out)") from None
    return Path(os.path.realpath(out))


def fresh(name: str) -> Path:
    """Make a directory below `runs/` that nobody else has; BadInput if there can be none."""
    try:
        RUNS.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=RUNS.resolve()))
    except OSError as error:
        raise BadInput(
            f"cannot write to {RUNS}/: {error.strerror}; start it in a directory of yours"
        ) from None


@contextlib.contextmanager
def temporary(name: str) -> Iterator[Path]:
    """Make a directory that is gone after the `with` block; BadInput if there can be none.

    It is on a disk, where what is to be synced to one must be, and what is killed leaves it in `runs/`.
    """
    path = fresh(name)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
