"""Commands on the nodes of a live network: started, watched, waited for, stopped. Their output is bounded."""

from __future__ import annotations

import codecs
import collections
import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from lq.emulation.processes import Process
from lq.errors import BadInput, RunFailed

MOST_RUNNING = 32  # jobs at a time
MOST_KEPT = 64  # ended jobs whose output is still there; older ones are forgotten
MOST_OUTPUT = 1 << 18  # characters of the beginning of an output that are kept, and as many of its end
_LOOK = 0.05  # seconds between two looks whether a request was cancelled
_PIECE = 1 << 16  # octets read at a time


class Kept:
    """What a program printed: its beginning and its end; what lies between is counted."""

    def __init__(self, most: int = MOST_OUTPUT) -> None:
        self._most = most
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._beginning: list[str] = []
        self._begun = 0  # characters of the beginning
        self._end: collections.deque[str] = collections.deque()
        self._ending = 0  # characters of the end
        self._left_out = 0

    def feed(self, octets: bytes, last: bool = False) -> None:
        """Take in what was printed next; `last` says that nothing follows."""
        text = self._decoder.decode(octets, final=last)
        if room := self._most - self._begun:
            self._beginning.append(text[:room])
            self._begun += len(text[:room])
            text = text[room:]
        if text:
            self._end.append(text)
            self._ending += len(text)
        while self._end and self._ending - len(self._end[0]) >= self._most:
            self._ending -= len(self._end[0])
            self._left_out += len(self._end.popleft())

    @property
    def pieces(self) -> list[str]:
        """The beginning, piece by piece: what comes later is only added."""
        return self._beginning

    @property
    def rest(self) -> str:
        """What is kept beyond the beginning, after a mark that says how much is left out."""
        end = "".join(self._end)
        surplus = max(0, len(end) - self._most)
        left_out = self._left_out + surplus
        return (f"\n[... {left_out:,} characters left out ...]\n" if left_out else "") + end[surplus:]

    @property
    def text(self) -> str:
        """All that is kept."""
        return "".join(self._beginning) + self.rest


class Job:
    """A shell command on a node, in a session of its own, so that all it starts can be ended with it."""

    def __init__(self, number: int, node: Any, command: str) -> None:
        self.number = number
        self.node = node.name
        self.command = command
        self.output, self.errors = Kept(), Kept()
        self.news = threading.Condition()  # of output, and of the end
        self.status: int | None = None  # as long as it runs
        self._killed = False
        self._process: Process = node.popen(
            ["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether the command, or what it has left in the background with its output, goes on."""
        return self.status is None

    def state(self) -> dict[str, Any]:
        """Return `status` (None while it runs), `output` and `errors` so far."""
        with self.news:
            return {"status": self.status, "output": self.output.text, "errors": self.errors.text}

    def kill(self) -> None:
        """Kill it with all that it has started, and wait until it is over.

        What has left its session is not found, and goes on; what it prints is no longer read.
        """
        self._killed = True
        while self.running:
            with contextlib.suppress(ProcessLookupError):  # it has no session of its own yet
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            with self.news:
                self.news.wait_for(lambda: not self.running, _LOOK)

    def wait(
        self, timeout: float | None, given_up: Callable[[], bool], say: Callable[..., None] | None = None
    ) -> bool:
        """Wait for its end; return whether it has ended: not if `timeout` seconds are over, or `given_up`.

        `say` gets its `output` and `errors` as they come.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        said = {"output": 0, "errors": 0}
        while True:
            with self.news:
                ended = not self.running
                fresh = {}
                for name, before in said.items():
                    kept: Kept = getattr(self, name)
                    fresh[name] = "".join(kept.pieces[before:]) + (kept.rest if ended else "")
                    said[name] = len(kept.pieces)
                fresh = {name: text for name, text in fresh.items() if text}
                if not (fresh and say) and not ended:
                    self.news.wait(_LOOK)
            if fresh and say is not None:
                say(**fresh)
            if ended:
                return True
            if given_up() or (deadline is not None and time.monotonic() > deadline):
                return False

    def _read(self) -> None:
        """Take in what it prints until nobody can print any more, then its exit status."""
        kept = {self._process.stdout: self.output, self._process.stderr: self.errors}
        poll = select.poll()
        files = {file.fileno(): (file, into) for file, into in kept.items() if file is not None}
        for fd in files:
            poll.register(fd, select.POLLIN)
        while files:
            # What has left the session may go on printing: of that, what is in the pipes now is the last.
            over = self._killed and self._process.poll() is not None
            for fd, _ in poll.poll(0 if over else _LOOK * 1000):
                octets = os.read(fd, _PIECE)
                with self.news:
                    files[fd][1].feed(octets, last=not octets)
                    self.news.notify_all()
                if not octets:
                    poll.unregister(fd)
                    files.pop(fd)[0].close()
            if over:
                break
        for file, _ in files.values():
            file.close()
        status = self._process.wait()
        with self.news:
            self.status = status
            self.news.notify_all()


class Jobs:
    """All commands that were started. Any thread may start one."""

    def __init__(self) -> None:
        self._jobs: dict[int, Job] = {}
        self._started = 0
        self._lock = threading.Lock()

    def start(self, node: Any, command: str) -> Job:
        """Start a command. Raises BadInput when too many run."""
        with self._lock:
            running = sum(job.running for job in self._jobs.values())
            if running >= MOST_RUNNING:
                raise BadInput(f"{running} commands run, and that is the most: stop one of them first")
            ended = [number for number, job in self._jobs.items() if not job.running]
            for number in ended[: max(0, len(ended) - MOST_KEPT + 1)]:
                del self._jobs[number]
            self._started += 1
            job = self._jobs[self._started] = Job(self._started, node, command)
            return job

    def run(
        self, node: Any, command: str, timeout: float, given_up: Callable[[], bool], say: Callable[..., None]
    ) -> int | None:
        """Run a command, say its `output` and `errors` as they come; return its exit status.

        One that goes on after `timeout` seconds, or when it is given up, is killed. Raises RunFailed.
        """
        job = self.start(node, command)
        try:
            ended = job.wait(timeout, given_up, say)
        finally:
            job.kill()  # it does nothing to one that has ended
            with self._lock:
                del self._jobs[job.number]
        if not ended:
            raise RunFailed(f"{command!r} on {job.node} did not end within {timeout:g} s")
        return job.status

    def __getitem__(self, number: int) -> Job:
        """Return a job by its number. Raises RunFailed for one that is forgotten."""
        try:
            return self._jobs[number]
        except KeyError:
            raise RunFailed(
                f"job {number} is forgotten: of the jobs that have ended the latest {MOST_KEPT} are kept"
            ) from None
