"""A benchmark's own lab: started from outside, it sends one result back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lq.experiments import directories
from lq.sandbox.sealed_lab import SealedLab

Tell = Callable[[str, int, int], None]
"""Takes what is going on, how much of it is done, of how much."""


def play(
    module: str, arguments: Sequence[str], tell: Tell = lambda *_: None, *, trusted: bool = False
) -> dict[str, Any]:
    """Run `python -m module CHANNEL_FD DIRECTORY arguments...` in a sealed lab; return what it sends.

    The directory is below `runs/` and gone afterwards. `tell` gets what it tells of its progress. Raises
    BadInput if there can be no directory, RuntimeError with the reason if the benchmark fails. One that
    is `trusted` may open labs of its own.
    """
    with (
        directories.temporary("bench") as directory,
        SealedLab(
            module,
            [str(directory), *arguments],
            log=directory / "benchmark.log",
            directory=directory,
            trusted=trusted,
        ) as lab,
    ):
        for message in lab.channel:
            if "progress" not in message:
                return message
            tell(*message["progress"])
        lab.wait()
        raise RuntimeError(f"the benchmark failed: {lab.last_words()}")
