"""The programs of a run: each started beside the nodes or in one, its output in a log of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lq.errors import RunFailed
from lq.sandbox.tools import PYTHON

T = TypeVar("T")

START_TIMEOUT = 30.0  # seconds for a program to come up

Process = subprocess.Popen[bytes]


class Programs:
    """Starts programs and waits until they do their work; what they print goes to `logs`."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.given_up: Callable[[], bool] = lambda: False  # whether nobody waits for a program any more

    def log(self, name: str) -> Path:
        """The file with what a program printed."""
        return self.logs / f"{name}.log"

    def launch(
        self, name: str, command: list[str], node: Any = None, pass_fds: Sequence[int] = ()
    ) -> Process:
        """Start a program in a Mininet node, or in the lab's own namespace; it inherits `pass_fds`."""
        popen = subprocess.Popen if node is None else node.popen
        with self.log(name).open("wb") as log:
            process: Process = popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=pass_fds
            )
        return process

    def await_line(self, name: str, process: Process, sign: str = "ready") -> str:
        """Wait until a program has printed a line that begins with `sign`; return it. Raises RunFailed.

        Only a whole line counts: where PYTHONUNBUFFERED is set, Python prints its words one by one.
        """
        log, line = self.log(name), re.compile(rf"^{re.escape(sign)}.*\n", re.MULTILINE)
        found = self.wait_for(lambda: line.search(log.read_text(errors="replace")), name, process)
        return found.group()

    def wait_for(
        self, ready: Callable[[], T | None], name: str, process: Process, patience: float = 0.0
    ) -> T:
        """Wait until `ready` says something that is true, `patience` seconds longer than usual; return it.

        Raises RunFailed with the program's last words.
        """
        deadline = time.monotonic() + START_TIMEOUT + patience
        while not (found := ready()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RunFailed(f"the {name} did not come up: {self.last_words(name)}")
            if self.given_up():
                raise RunFailed(f"the {name} was no longer waited for")
            time.sleep(0.01)
        return found

    def last_words(self, name: str) -> str:
        """Return the last line that a program printed."""
        lines = self.log(name).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules."""
    return [*PYTHON, module, *arguments]


def end(process: Process | None, how: signal.Signals = signal.SIGTERM) -> None:
    """Ask a program to end, and see that it does."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(process: Process | None) -> float:
    """Return the processor time that a running process has used so far."""
    if process is None:
        return 0.0
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
