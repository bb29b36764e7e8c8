"""Who lives where in a population: modems with their circuits, hosts with their modems, numbered from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lq.wire import frames
from topologies import plan

_HOST = plan.mac_octets(plan.host_mac(1))[:2]
HOST_PREFIX = int.from_bytes(_HOST, "big")
"""The first two octets of every host's hardware address; the other four are its number in the plan."""


@dataclass(frozen=True, kw_only=True)
class PopulationPlan:
    """What the population's process (`topologies.population`) is told.

    interface       the port, in this network namespace; every frame on it bears its circuit's tags
    circuits        each modem's tags, outer first
    hosts           how many hosts each modem has
    addresses_file  one uint32 for each host, made there: the address that it holds, 0 for none
    outstanding     clients that may be without a lease at a time, once they have begun
    seed            of the clients' transaction identifiers and delays
    """

    interface: str
    circuits: tuple[tuple[int, ...], ...]
    hosts: tuple[int, ...]
    addresses_file: Path
    outstanding: int
    seed: int


class Layout:
    """`circuits[m]` are modem m's tags, outer first; `hosts[m]` says how many hosts it has.

    All circuits have the same number of tags, `depth`. `outer`, `inner` (the same where there is but one) and
    `modem_of` are arrays over the hosts.
    """

    def __init__(self, circuits: Sequence[tuple[int, ...]], hosts: Sequence[int]) -> None:
        depths = {len(tags) for tags in circuits}
        if len(circuits) != len(hosts) or depths not in ({1}, {2}) or len(set(circuits)) != len(circuits):
            raise ValueError("each modem needs hosts and a circuit of its own, all of one or all of two tags")
        self.depth = depths.pop()
        self.circuits = list(circuits)
        self.tags = [frames.tagged(tags) for tags in circuits]
        self.modem_on = {tags: number for number, tags in enumerate(circuits)}
        self.modem_of = np.repeat(np.arange(len(circuits)), hosts)
        self.count = len(self.modem_of)
        of_modem = np.array(circuits, dtype=np.uint16).reshape(-1, self.depth)
        self.outer, self.inner = of_modem[self.modem_of, 0], of_modem[self.modem_of, -1]

    def mac(self, host: int) -> bytes:
        """Return a host's hardware address."""
        return _HOST + (host + 1).to_bytes(4, "big")

    def host(self, mac: bytes) -> int | None:
        """Return whose hardware address this is, None if nobody's here."""
        number = int.from_bytes(mac[2:6], "big") - 1
        return number if mac[:2] == _HOST and 0 <= number < self.count else None
