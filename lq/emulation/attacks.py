"""Attacks on the live network: programs in an attacker's node, each with a plan and a report."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Generic, TypeVar

from lq.emulation.processes import Process, Programs, end, python
from lq.emulation.programs.flood import FloodPlan, FloodReport
from lq.emulation.programs.hijacker import ForgeryReport, OnPathReport
from lq.emulation.programs.starver import StarverPlan
from lq.sandbox import plans
from lq.scenarios.network import DhcpFlood, Identities, Kind, Pattern
from lq.scenarios.outcome import AttackReport
from lq.server.bindings import Binding
from topologies import plan

_PROGRAMS = "lq.emulation.programs"
Report = TypeVar("Report")


class Reporting(Generic[Report]):
    """A program with a plan, which leaves a report of a kind when it ends. Files go to `raw`.

    `words` come before the plan on its command line.
    """

    def __init__(
        self,
        programs: Programs,
        raw: Path,
        name: str,
        module: str,
        what: Any,
        node: Any,
        kind: type[Report],
        *words: str,
    ) -> None:
        self.name = name
        self._programs = programs
        self._plan_file, self._report_file = raw / f"{name}.json", raw / f"{name}-report.json"
        self._command = python(f"{_PROGRAMS}.{module}", *words, str(self._plan_file))
        self._plan, self._node, self._kind = what, node, kind
        self._process: Process | None = None

    def start(self) -> None:
        """Begin; return when it does."""
        self._report_file.unlink(missing_ok=True)
        plans.save(dataclasses.replace(self._plan, report_file=self._report_file), self._plan_file)
        self._process = self._programs.launch(self.name, self._command, self._node)
        self._programs.await_line(self.name, self._process)

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self._process is not None and self._process.poll() is None

    def report(self) -> Report | None:
        """End it, if it has not ended; return its report, None where it left none."""
        end(self._process)
        if self._process is None or not self._report_file.exists():
            return None
        return plans.load(self._kind, self._report_file)

    def fire(self) -> None:
        """Have it begin now, if it waits for that."""
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)


class AttackProgram(Reporting[Any]):
    """An attack by one of the programs `flood`, `starver` and `hijacker` (`lq.scenarios.network.Attack`)."""

    def stop(self) -> AttackReport:
        """End it, if it has not ended; return its report."""
        found: FloodReport | ForgeryReport | OnPathReport | None = self.report()
        return AttackReport(name=self.name, **({} if found is None else vars(found)))


def flood(
    programs: Programs,
    raw: Path,
    net: Any,
    name: str,
    kind: Kind,
    pattern: Pattern,
    rate: float,
    packets: int,
    *,
    source: str = "internet",
    addresses: int | None = None,
    listed: Sequence[str] = (),
    seed: int = 1,
) -> AttackProgram:
    """Make a flood ready (`lq.scenarios.network.Network.flood`).

    A scan comes from `source` on the network side, spoofed packets from a host on the access side.
    """
    attacker = net[source]
    interface = attacker.defaultIntf()
    next_hop = plan.CONCENTRATOR_ACCESS_MAC
    if kind == "scan":
        router, _ = net["network"].connectionsTo(attacker)[0]
        next_hop = router.MAC()
    first, last = plan.POOL_FIRST, plan.POOL_LAST
    if pattern == "out-of-range":
        first, last, pattern = plan.UNATTACHED_NETWORK[1], plan.UNATTACHED_NETWORK[-2], "sequential"
    if addresses is not None:
        last = min(last, first + (addresses - 1))
    what = FloodPlan(
        interface=interface.name,
        source_mac=plan.mac_octets(interface.MAC()),
        next_hop_mac=plan.mac_octets(next_hop),
        address=plan.INTERNET,
        kind=kind,
        pattern=pattern,
        first=first,
        last=last,
        outside=plan.UNATTACHED_NETWORK[1],
        listed=tuple(map(IPv4Address, listed)),
        rate=rate,
        maximum_packets=packets,
        seed=seed,
    )
    return AttackProgram(programs, raw, name, "flood", what, attacker, FloodReport)


def dhcp_flood(
    programs: Programs,
    raw: Path,
    node: Any,
    name: str,
    own: Binding,
    server: IPv4Address,
    flood: DhcpFlood,
    identities: Identities,
    wanted: Sequence[str],
    rate: float,
    packets: int,
    seed: int,
) -> AttackProgram:
    """Make a flood of DHCP ready (`lq.scenarios.network.Network.dhcp_flood`); `own` is the node's lease."""
    interface = node.defaultIntf()
    what = StarverPlan(
        interface=interface.name,
        mac=plan.mac_octets(interface.MAC()),
        address=own.address,
        client_id=own.client_id or b"",
        next_hop=plan.mac_octets(plan.CONCENTRATOR_ACCESS_MAC),
        server=server,
        flood=flood,
        identities=identities,
        wanted=tuple(map(IPv4Address, wanted)),
        rate=rate,
        maximum_packets=packets,
        seed=seed,
    )
    return AttackProgram(programs, raw, name, "starver", what, node, FloodReport)
