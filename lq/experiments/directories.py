"""Where files of runs go: below `runs/` of the present directory, unless told otherwise."""

from __future__ import annotations

import contextlib
import datetime
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


@contextlib.contextmanager
def temporary(name: str) -> Iterator[Path]:
    """Make a directory that is gone after the `with` block; BadInput if there can be none.

    It is on a disk, where what is to be synced to one must be, and what is killed leaves it in `runs/`.
    """
    try:
        RUNS.mkdir(exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix=f"{name}-", dir=RUNS.resolve())
    except OSError as error:
        raise BadInput(
            f"cannot write to {RUNS}/: {error.strerror}; start it in a directory of yours"
        ) from None
    with made as path:
        yield Path(path)
