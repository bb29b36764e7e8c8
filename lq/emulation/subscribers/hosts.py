"""Who is behind the modems, as an experiment sees them: `Subscribers`; the ordinary kind, a host for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lq.emulation.processes import Process, Programs, end
from lq.emulation.programs.probes import start_sender, start_sink
from topologies.nodes import Subscriber


class Subscribers(Protocol):
    """All subscribers of a network, by whatever they are emulated."""

    @property
    def count(self) -> int:
        """How many there are."""

    def start_clients(self) -> None:
        """Have each of them begin to ask for a lease."""

    def leases(self) -> dict[str, str | None]:
        """Return the address that each one holds, by name in the order of the figure; None for none."""

    def start_sink(self, latest: Path, received: Path) -> None:
        """Begin to note the arrival of probes (`lq.emulation.programs.probes`); return when it has begun.

        `latest` is a file of `count` float64: subscriber n's latest arrival on the monotonic clock, in
        seconds, to be kept up to date. `received` is for `stop_sink`.
        """

    def stop_sink(self) -> None:
        """Stop, and write all arrivals to the file `received` (NumPy, `probes.RECEIVED`)."""

    def start_sending(self, schedule: Path, sent: Path, target: str) -> tuple[float, Process | None]:
        """Have them send probes to an address by a schedule (NumPy, `probes.SCHEDULE`).

        Returns the moment that it counts from, and the process that sends, where it is one of its own: its
        end is the end of sending, too. `sent` is for `stop_sending`.
        """

    def stop_sending(self) -> None:
        """Stop, and write what was sent to the file `sent` (NumPy, `probes.SENT`)."""

    def namespaces(self) -> list[int]:
        """Return a process in each network namespace whose sockets receive probes."""

    def processes(self) -> dict[str, Process]:
        """Return, by name, the processes that the measurement hangs on."""

    def lost(self) -> int:
        """Return how many frames the emulation of the subscribers has lost."""


class HostSubscribers:
    """Each subscriber a namespace with a DHCP client of its own."""

    def __init__(self, programs: Programs, nodes: Sequence[Subscriber]) -> None:
        self._programs = programs
        self.nodes = list(nodes)
        self._sink: Process | None = None
        self._sender: Process | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.nodes)

    def start_clients(self) -> None:
        """Start every host's DHCP client."""
        for node in self.nodes:
            node.start_client()

    def leases(self) -> dict[str, str | None]:
        """Return the address that each client holds."""
        return {node.name: node.leased_address for node in self.nodes}

    def start_sink(self, latest: Path, received: Path) -> None:
        """Receive probes in every namespace, with one process."""
        self._sink = start_sink(self._programs, "sink", latest, received, self.namespaces())

    def stop_sink(self) -> None:
        """Have it write what it received."""
        end(self._sink)

    def start_sending(self, schedule: Path, sent: Path, target: str) -> tuple[float, Process | None]:
        """Send from every namespace, with one process."""
        start, self._sender = start_sender(
            self._programs, "send-up", schedule, sent, [target], self.namespaces()
        )
        return start, self._sender

    def stop_sending(self) -> None:
        """Have it write what it sent."""
        end(self._sender)

    def namespaces(self) -> list[int]:
        """Return each host's process."""
        return [node.pid for node in self.nodes]

    def processes(self) -> dict[str, Process]:
        """None: time stamps are the kernel's, and the sink's sockets are large."""
        return {}

    def lost(self) -> int:
        """None but those that the sockets' own counts show."""
        return 0
