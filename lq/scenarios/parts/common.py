"""What the specification of every scenario holds: the world that it is played in."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field

from lq.scenarios.parts.control import Concentrator, Controller, Modems
from lq.scenarios.parts.measurement import Capture, Probes, Reboot
from lq.scenarios.parts.part import Part
from lq.scenarios.parts.server import Server
from lq.scenarios.parts.topology import Topology
from lq.scenarios.parts.wan import Wan

PROBES_PER_SECOND = 5_000  # to all subscribers together, unless their interval is given
MOST_PROBES_PER_SECOND = 100_000  # about what the senders can do
MOST_SEED = 2**63 - 1  # what a table's whole numbers hold
PartT = TypeVar("PartT", bound=Part)


class World(Part):
    """The network, what runs in it, its traffic, and the reboot."""

    scenario: str = Field("reboot", description="the experiment")
    backend: Literal["mininet"] = Field(
        "mininet", description="the network; mininet: real packets in Mininet"
    )
    seed: int = Field(1, ge=0, le=MOST_SEED, description="seed of all random choices")
    topology: Topology = Topology()
    modems: Modems = Modems()
    wan: Wan = Wan()
    server: Server = Server()
    controller: Controller = Controller()
    concentrator: Concentrator = Concentrator()
    probes: Probes = Probes()
    reboot: Reboot = Reboot()


class Common(World):
    """What scenarios know of a specification, beside their own part of it."""

    capture: Capture = Capture()

    def part(self, kind: type[PartT]) -> PartT:
        """Return the part of the specification that is of this kind, such as a scenario's own options."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return next(value for value in values if isinstance(value, kind))

    def obstacle(self) -> str | None:
        """Return why this cannot be had, whatever the scenario, with the fix; None where nothing is wrong."""
        if self.concentrator.admit_reserved and self.server.dialect != "draft-03":
            return "only draft-03 has the R flag: set server.dialect=draft-03, or admit_reserved=false"
        return self._too_many_probes() or self._no_such_capture()

    def _too_many_probes(self) -> str | None:
        least = self._flows / MOST_PROBES_PER_SECOND
        if self.probe_interval >= least:
            return None
        return (
            f"{self._flows / self.probe_interval:,.0f} probes a second for all hosts together, more than "
            f"{MOST_PROBES_PER_SECOND:,}: set probes.interval to at least {least}"
        )

    def _no_such_capture(self) -> str | None:
        servers = ["server", "server2"][: self.server.count]
        count = 0 if self.topology.population else self.topology.subscribers
        hosts = [f"host{number}" for number in range(1, count + 1)]
        fixed = ["concentrator", "internet", "network", *servers]
        wrong = next((name for name in self.capture.nodes if name not in {*fixed, *hosts}), None)
        if wrong is None:
            return None
        there = ", ".join(fixed) + (f", {hosts[0]} to {hosts[-1]}" if hosts else "")
        why = "" if hosts else " (with topology.population=true, hosts are not nodes)"
        return f"capture.nodes: no captures at {wrong!r}, but at {there}{why}"

    @property
    def leases_per_circuit(self) -> int:
        """Addresses that the clients of a circuit may use up, as given or by default; 0: any number."""
        given = self.server.leases_per_circuit
        return max(16, 2 * (self.topology.hosts_per_modem or 1)) if given is None else given

    @property
    def timeout(self) -> float:
        """Seconds to wait for all subscribers to be back, as given or by default.

        A concentrator that does not know yet that the server supports leasequery polls it after 10 s, 20 s
        and so on (6.6), so with loss it may take minutes until the first answer comes.
        """
        default = 180.0 if self.wan.loss else 10.0
        return (self.reboot.timeout or default) + self.modems.delay

    @property
    def probe_interval(self) -> float:
        """Seconds between two probes of the same host in a direction, as given or by default."""
        return self.probes.interval or max(0.05, self._flows / PROBES_PER_SECOND)

    @property
    def _flows(self) -> int:
        """Of how many there is one probe in each interval."""
        return self.topology.subscribers * (2 if self.probes.direction == "both" else 1)

    def value(self, name: str) -> Any:
        """Return the value of a field by its dotted name."""
        value: Any = self
        for part in name.split("."):
            value = getattr(value, part)
        return value.model_dump() if isinstance(value, BaseModel) else value
