"""Thousands of subscribers as an experiment sees them: one process plays all (`topologies.population`)."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import numpy as np

from lq.emulation.processes import Process, Programs, python
from lq.errors import RunFailed
from lq.sandbox import plans
from lq.sandbox.channel import Channel
from topologies.population.layout import PopulationPlan
from topologies.population.node import PopulationNode

OUTSTANDING = 128  # clients that may be on their way to a lease at a time


class PopulationSubscribers:
    """Subscribers for whom one process speaks. Files go to `raw`."""

    def __init__(self, programs: Programs, raw: Path, node: PopulationNode, seed: int) -> None:
        self._programs = programs
        self._raw = raw
        self.node = node
        self._seed = seed
        self._channel: Channel | None = None
        self._received = self._sent = raw / "none"
        self._addresses: Any = None
        self.process: Process | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.node.hosts)

    def launch(self) -> None:
        """Start the process; return when it speaks for the modems."""
        addresses = self._raw / "leases.u4"
        path = self._raw / "population.json"
        plan = PopulationPlan(
            interface=self.node.defaultIntf().name,
            circuits=tuple(self.node.circuits),
            hosts=tuple(self.node.hosts),
            addresses_file=addresses,
            outstanding=OUTSTANDING,
            seed=self._seed,
        )
        plans.save(plan, path)
        ours, theirs = socket.socketpair()
        command = python("topologies.population", str(path), str(theirs.fileno()))
        self.process = self._programs.launch("population", command, self.node, pass_fds=[theirs.fileno()])
        theirs.close()
        self._channel = Channel(ours)
        self._programs.await_line("population", self.process)
        self._addresses = np.memmap(addresses, dtype=np.uint32, mode="r")

    def start_clients(self) -> None:
        """Have every host look for a lease, `OUTSTANDING` at a time."""
        if self.process is None:
            self.launch()
        self._ask("start")

    def leases(self) -> dict[str, str | None]:
        """Return the address that each host holds."""
        held = self._addresses.tolist()
        return {
            f"host{number}": str(IPv4Address(address)) if address else None
            for number, address in enumerate(held, start=1)
        }

    def renew(self, hosts: Sequence[int]) -> None:
        """Have these hosts, numbered from 0, renew their leases now."""
        self._ask("renew", hosts=list(hosts))

    def release(self, hosts: Sequence[int]) -> None:
        """Have these hosts, numbered from 0, give their leases back."""
        self._ask("release", hosts=list(hosts))

    def start_sink(self, latest: Path, received: Path) -> None:
        """Note probes from now on."""
        self._received = received
        self._ask("watch", latest_file=str(latest))

    def stop_sink(self) -> None:
        """Stop, and write what arrived."""
        self._ask("collect", received_file=str(self._received))

    def start_sending(self, schedule: Path, sent: Path, target: str) -> tuple[float, None]:
        """Have the hosts send probes; return when they began. The population's own process does it."""
        self._sent = sent
        return float(self._ask("send", schedule_file=str(schedule), target=target)), None

    def stop_sending(self) -> None:
        """Stop, and write what was sent."""
        self._ask("sent", sent_file=str(self._sent))

    def counts(self) -> dict[str, Any]:
        """Return what was lost on the way, and the clients by state: see `topologies.population.__main__`."""
        counts: dict[str, Any] = self._ask("counts")
        return counts

    def namespaces(self) -> list[int]:
        """Return a process in the population's namespace."""
        return [self.node.pid]

    def processes(self) -> dict[str, Process]:
        """Return the one process."""
        return {} if self.process is None else {"population": self.process}

    def lost(self) -> int:
        """Return how many frames found no room, on the way in or out."""
        counts = self.counts()
        return int(counts["dropped"] + counts["unsent"])

    def _ask(self, what: str, **details: Any) -> Any:
        assert self._channel is not None
        self._channel.send({"do": what, **details})
        answer = self._channel.receive()
        if answer is None:
            last = self._programs.log("population").read_text(errors="replace").strip().splitlines()
            raise RunFailed(f"the population ended: {last[-1] if last else 'it said nothing'}")
        return answer["done"]
