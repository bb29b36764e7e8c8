"""A working folder with copies of the notebooks, in which a person may write: the originals stay as they are.

A hidden file in the folder says of which original each copy was made. A copy that nobody has changed follows
its original. One that somebody has changed is never overwritten: the new original is put beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from lq import files
from lq.errors import BadInput

RECORD = ".lq-notebooks.json"
MOST = 64 << 20  # octets of a file
LEFT_OUT = ("runs", "__pycache__")  # what running the notebooks makes


def is_ours(folder: Path) -> bool:
    """Whether a folder is for copies: there are some in it, it is empty, or it is not there yet."""
    if files.Tree(folder).has(RECORD) or not files.exists(folder):
        return True
    with contextlib.suppress(OSError):
        return not any(folder.iterdir())
    return False


def fill(originals: Path, folder: Path) -> list[str]:
    """Copy what is missing or new in `originals` into `folder`; return what was done, a line each.

    Raises BadInput where that cannot be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "no directory can have this name"
        raise BadInput(f"cannot make {folder}: {said}; name a directory that you may write to") from None
    tree = files.Tree(folder)
    made = files.read_object(folder / RECORD, MOST) if tree.has(RECORD) else {}
    done, copied = [], 0
    for name in _names(originals):
        content = files.read(originals / name, MOST)
        new = hashlib.sha256(content).hexdigest()
        if not tree.has(name):
            tree.write(name, content)
            copied += 1
        elif made.get(name) != new:
            there = _digest(folder / name)
            if there == made.get(name):
                tree.write(name, content)
                done.append(f"{name}: replaced by the new version")
            elif there != new:
                beside = _beside(tree, name)
                tree.write(beside, content)
                done.append(f"{name}: yours is unchanged; the new version is {beside}")
        made[name] = new
    tree.write(RECORD, json.dumps(made, indent=1).encode())
    return [*([f"{copied} files copied into {folder}"] if copied else []), *done]


def _names(originals: Path) -> Iterator[str]:
    """Go through the names of all files, with `/` between their parts; hidden ones are left out."""
    for base, directories, names in os.walk(originals):
        directories[:] = sorted(d for d in directories if not d.startswith(".") and d not in LEFT_OUT)
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(base, name).relative_to(originals).as_posix()


def _digest(path: Path) -> str | None:
    """Return what stands for a file's content, None for what is no file, or a link: a person made that."""
    if path.is_symlink():
        return None
    try:
        return hashlib.sha256(files.read(path, MOST)).hexdigest()
    except BadInput:
        return None


def _beside(tree: files.Tree, name: str) -> str:
    """Return a free name for a new version: `02-reboot.new.ipynb`, `02-reboot.new-2.ipynb`."""
    stem, dot, suffix = name.rpartition(".")
    base, number = f"{stem}.new", 1
    free = base
    while tree.has(f"{free}{dot}{suffix}"):
        number += 1
        free = f"{base}-{number}"
    return f"{free}{dot}{suffix}"
