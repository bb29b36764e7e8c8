"""A benchmark's own lab: started from outside, it sends one result back."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lq.errors import BadInput
from lq.sandbox.lab import Lab

RUNS = Path("runs")


Tell = Callable[[str, int, int], None]
"""Takes what is going on, how much of it is done, of how much."""


def play(module: str, arguments: Sequence[str], tell: Tell = lambda *_: None) -> dict[str, Any]:
    """Run `python -m module CHANNEL_FD DIRECTORY arguments...` in a sealed lab; return what it sends.

    The directory is below `runs/` and gone afterwards: it is on a disk, where what is to be synced to one
    must be. `tell` gets what it tells of its progress. Raises BadInput if there can be no directory,
    RuntimeError with the reason if the benchmark fails.
    """
    with contextlib.ExitStack() as stack:
        try:
            RUNS.mkdir(exist_ok=True)
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=RUNS.resolve()))
        except OSError as error:
            raise BadInput(
                f"cannot write to {RUNS}/: {error.strerror}; start it in a directory of yours"
            ) from None
        lab = stack.enter_context(Lab(module, [name, *arguments], log=Path(name) / "benchmark.log"))
        for message in lab.channel:
            if "progress" not in message:
                return message
            tell(*message["progress"])
        lab.wait()
        raise RuntimeError(f"the benchmark failed: {lab.last_words()}")
