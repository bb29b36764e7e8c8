"""A population's place in the network: a namespace with one port on the cable or the DSLAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from topologies.nodes import Station


class PopulationNode(Station):
    """All modems and their hosts: `circuits[m]` are modem m's tags, `hosts[m]` how many hosts it has."""

    def __init__(
        self, name: str, circuits: Sequence[tuple[int, ...]], hosts: Sequence[int], **parameters: Any
    ) -> None:
        super().__init__(name, **parameters)
        self.circuits, self.hosts = list(circuits), list(hosts)
