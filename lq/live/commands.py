"""Commands on a live network's nodes, as whoever has started them sees them."""

from __future__ import annotations

from typing import Any, NamedTuple

from lq.errors import RunFailed
from lq.live.connection import Connection


class Done(NamedTuple):
    """What a command on a node came to: its exit status and what it printed."""

    status: int
    output: str
    errors: str

    def __repr__(self) -> str:
        failed = "" if self.status == 0 else f"exit status {self.status}\n"
        return (self.output + self.errors).rstrip() + ("\n" + failed if failed else "")


class Shown(Done):
    """A command whose output was shown as it came: a notebook need not show it again."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"exit status {self.status}"


class Job:
    """A command that goes on while other things are done: what `Lab.start` returns.

    Of each output the first and the last 262,144 characters are kept; a mark says how many are left out.
    """

    def __init__(self, connection: Connection, number: int, node: str, command: str) -> None:
        self._connection = connection
        self._number = number
        self._over: dict[str, Any] | None = None  # its state once it has ended
        self.node = node
        self.command = command

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return str(self._state()["output"])

    @property
    def errors(self) -> str:
        """What it has printed on standard error so far."""
        return str(self._state()["errors"])

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._state()["status"] is None

    def wait(self, timeout: float | None = None) -> Done:
        """Wait for its end; RunFailed if it goes on after `timeout` seconds, which it may."""
        if self._over is None:
            self._take("wait_for_job", timeout=timeout)
        if self._over is None:
            raise RunFailed(f"{self.command!r} on {self.node} is still running after {timeout:g} s")
        return Done(**self._over)

    def stop(self) -> Done:
        """Kill it, with all that it has started, unless it has ended."""
        if self._over is None:
            self._take("stop_job")
        assert self._over is not None
        return Done(**self._over)

    def _state(self) -> dict[str, Any]:
        return self._over or self._take("job")

    def _take(self, what: str, **details: Any) -> dict[str, Any]:
        state: dict[str, Any] = self._connection.ask(what, {"number": self._number, **details})
        if state["status"] is not None:
            self._over = state
        return state

    def __repr__(self) -> str:
        try:
            state = self._state()
        except Exception as error:  # a notebook shows this one, too
            return f"{self.command!r} on {self.node}: {error}"
        now = "runs" if state["status"] is None else f"ended with exit status {state['status']}"
        return f"{self.command!r} on {self.node} {now}\n{state['output']}{state['errors']}".rstrip()
