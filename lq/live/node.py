"""One node of a live network: what `lab["host1"]` returns."""

from __future__ import annotations

from typing import Any

from lq.live.asking import Asking
from lq.live.commands import Done, Job


class Node(Asking):
    """A node by its name. Everything is as the lab's methods of the same name do it."""

    def __init__(self, lab: Any, name: str) -> None:
        self._lab = lab
        self._connection = lab._connection
        self.name = name

    def run(self, command: str, timeout: float = 60.0, *, show: bool = True) -> Done:
        """Run a shell command here: see `Lab.run`."""
        done: Done = self._lab.run(self.name, command, timeout, show=show)
        return done

    def start(self, command: str) -> Job:
        """Start a shell command here: see `Lab.start`."""
        job: Job = self._lab.start(self.name, command)
        return job

    def __repr__(self) -> str:
        return self.name


class Host(Node):
    """A subscriber's host, with a DHCP client of its own."""

    @property
    def address(self) -> str | None:
        """The address that it holds, None for none."""
        (row,) = (row for row in self._ask("hosts") if row["host"] == self.name)
        return None if row["address"] is None else str(row["address"])

    def release(self) -> None:
        """Have the client give its address back (DHCPRELEASE); return when it has none.

        It stays without one until `renew`. Harmless when it holds none.
        """
        self._ask("release", host=self.name)

    def renew(self, timeout: float = 10.0) -> str:
        """Have the client renew its lease now, or ask for one; return the address that it holds then.

        Raises RunFailed if the server has not acknowledged it within `timeout` seconds.
        """
        return str(self._ask("renew", host=self.name, timeout=timeout))
