"""ARP among neighbours, while the network lives: counted at every host, and answered by a thief."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

from lq.emulation.attacks import Reporting
from lq.emulation.processes import Programs
from lq.emulation.programs.neighbours import CountPlan, CountReport, SpoofPlan, SpoofReport
from lq.errors import RunFailed
from lq.scenarios.outcome import Theft
from topologies import plan
from topologies.nodes import Subscriber

Report = TypeVar("Report", CountReport, SpoofReport)


class Counting:
    """Counts the ARP requests that reach each host, from now on."""

    def __init__(self, programs: Programs, raw: Path, name: str, hosts: Sequence[Subscriber]) -> None:
        what = CountPlan(pids={node.name: node.pid for node in hosts})
        self._program = Reporting(programs, raw, name, "neighbours", what, None, CountReport, "count")
        self._program.start()

    def stop(self) -> Mapping[str, int]:
        """End; return how many, by host. Raises RunFailed."""
        return _told(self._program).requests


class Stealing:
    """A host that answers its neighbours' ARP requests from now on."""

    def __init__(self, programs: Programs, raw: Path, name: str, host: Any, address: str) -> None:
        interface = host.defaultIntf()
        what = SpoofPlan(
            interface=interface.name,
            mac=plan.mac_octets(interface.MAC()),
            address=IPv4Address(address),
            gateway=plan.GATEWAY,
        )
        self._program = Reporting(programs, raw, name, "neighbours", what, host, SpoofReport, "spoof")
        self._program.start()

    def stop(self) -> Theft:
        """End; return what was stolen. Raises RunFailed."""
        found = _told(self._program)
        return Theft(found.answers, found.stolen)


def _told(program: Reporting[Report]) -> Report:
    report = program.report()
    if report is None:
        raise RunFailed(f"the {program.name} died without a report")
    return report
