"""What goes on, told while one waits: bars in a terminal, a line in a notebook, nothing in a file or pipe."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

Progress = Callable[[str, int, int], None]
"""Takes what is going on, how much of it is done, of how much."""

WIDTH = 24  # signs of a notebook's bar
OFTEN = 0.1  # seconds between two drawings of a notebook's line


def silent(what: str, done: int, total: int) -> None:
    """Show nothing."""


@contextlib.contextmanager
def showing(wanted: Progress | None, title: str) -> Iterator[Progress]:
    """Give what to tell progress to: `wanted`, or without it what is right where this program runs."""
    if wanted is not None:
        yield wanted
    elif threading.current_thread() is not threading.main_thread():
        yield silent  # a notebook would show it below whatever cell comes next
    elif _in_notebook():
        with Line(title) as line:
            yield line.update
    else:
        with Bars() as bars:
            yield bars.update


class Bars:
    """Bars on standard error, gone at the end; silent where that is not a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Shown

        console = Console(stderr=True)
        self._shown = Shown(
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        self._shown.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.stop()

    def update(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` of something is done."""
        if what not in self._tasks:
            self._tasks[what] = self._shown.add_task(what, total=total)
        self._shown.update(self._tasks[what], completed=done, total=total)


class Line:
    """A line of plain text below a notebook's cell, written anew; a saved or exported one has the last only.

    It needs no widgets, so it is the same wherever a notebook is shown.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = self._drawn = time.monotonic()
        self._handle: Any = None

    def __enter__(self) -> Line:
        self._draw(f"{self._title}: ...")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = "done" if kind is None else "interrupted" if kind is KeyboardInterrupt else "failed"
        self._draw(f"{self._title}: {ended} after {self._spent()}")

    def update(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` of something is done."""
        if time.monotonic() - self._drawn < OFTEN:
            return
        full = round(WIDTH * min(done, total) / total) if total > 0 else 0
        bar = "█" * full + "░" * (WIDTH - full)
        self._draw(f"{self._title}: {what} {bar} {done}/{total}, {self._spent()}")

    def _spent(self) -> str:
        return f"{time.monotonic() - self._begun:.1f} s"

    def _draw(self, text: str) -> None:
        from IPython.display import display

        self._drawn = time.monotonic()
        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content, raw=True)


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive else None
    return hasattr(shell, "kernel")
