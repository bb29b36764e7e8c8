"""Where files of runs go: below `runs/` of the present directory, unless told otherwise.

A run's directory holds the file `unfinished.txt` from before anything else until all of it is there. Whatever
ends a run early, that file says that the rest is not to be believed.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lq import files
from lq.errors import BadInput, one_line

RUNS = Path("runs")
UNFINISHED = "unfinished.txt"
DEPTH = 3  # levels below `runs/` that are looked through: as deep as the runs of a sweep lie
MOST_LOOKED_AT = 50_000  # files and directories


def unused(name: str) -> Path:
    """Return a directory that is not there yet, with the present time in its name."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return beside(RUNS / f"{name}-{stamp}")


def beside(path: Path) -> Path:
    """Return `path`, or if that is there the first of `path-2`, `path-3` and so on that is not."""
    names = (f"{path.name}-{number}" for number in itertools.count(2))
    tried = itertools.chain([path], map(path.with_name, names))
    return next(each for each in tried if not os.path.lexists(each))


def refuse_used(out: Path) -> None:
    """Raise BadInput where a directory is not empty. What else is wrong with it, `prepare` says."""
    with contextlib.suppress(OSError, ValueError), os.scandir(out) as entries:
        if any(entries):
            raise BadInput(f"{out} is not empty: name a new directory (--out)")


def prepare(out: Path) -> Path:
    """Make a directory, new or empty, and return where it really is. Raises BadInput with the fix.

    In one that is empty no link can lead what is written to another place.
    """
    with making(out):
        refuse_used(out)
        (out / ".probe").touch()
        (out / ".probe").unlink()
    return Path(os.path.realpath(out))


@contextlib.contextmanager
def making(out: Path) -> Iterator[None]:
    """Make a directory if it is not there, and look into it; raises BadInput with the fix if that fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, ValueError) as error:  # no file can have NUL in its name
        said = error.strerror if isinstance(error, OSError) else "no file can have this name"
        raise BadInput(f"cannot write to {out}: {said}; name a directory of yours (--out)") from None


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
def unfinished(directory: Path) -> Iterator[None]:
    """Mark a run's directory as unfinished until the `with` block has ended well, and say what ended it."""
    tree = files.Tree(directory)
    tree.write(UNFINISHED, b"This run has not ended, or was killed. Its files are not complete.\n")
    try:
        yield
    except BaseException as error:
        said = "It was interrupted." if isinstance(error, KeyboardInterrupt) else one_line(str(error))
        with contextlib.suppress(BadInput, OSError):
            content = f"This run has not ended. Its files are not complete. {said}\n"
            tree.write(UNFINISHED, content.encode(errors="backslashreplace"))
        raise
    tree.remove(UNFINISHED)


def finished(directory: Path) -> bool:
    """Whether a directory holds a run with all that belongs to it."""
    return files.exists(directory / "summary.json") and not os.path.lexists(directory / UNFINISHED)


def holding(name: str) -> list[Path]:
    """Return the directories below `runs/` with a file of this name, the one whose file is newest first."""
    found: list[tuple[float, Path]] = []
    looked_at = 0
    level = [RUNS]
    for _ in range(DEPTH):
        below: list[Path] = []
        for directory in level:
            with contextlib.suppress(OSError), os.scandir(directory) as entries:
                for entry in itertools.islice(entries, MOST_LOOKED_AT - looked_at):
                    looked_at += 1
                    if entry.is_dir(follow_symlinks=False):
                        below.append(Path(entry))
        for directory in below:
            with contextlib.suppress(OSError):
                found.append((os.lstat(directory / name).st_mtime, directory))
        level = below
    return [directory for _, directory in sorted(found, reverse=True)]


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
