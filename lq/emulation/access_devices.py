"""What works in the access network beside the bridges: the modems' own processors, the DSLAM's agent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from lq.concentrator.circuit_id import TextCircuitId
from lq.concentrator.events import Circuit
from lq.emulation.processes import Process, Programs, end, python
from lq.errors import RunFailed
from lq.experiments.spec import Spec
from lq.sandbox import plans
from topologies import plan
from topologies.access import AccessBridge, Dslam
from topologies.agent import AgentPlan
from topologies.figure import Figure
from topologies.nodes import Concentrator
from topologies.registration import RegistrationPlan

AGENT = "intermediate-agent"


class IntermediateAgent:
    """The agent in the DSLAM that inserts option 82 (`topologies.agent`), where the figure has one."""

    def __init__(self, programs: Programs, raw: Path, spec: Spec, figure: Figure) -> None:
        self._programs, self._spec, self._figure = programs, spec, figure
        self._plan_file, self._report_file = raw / f"{AGENT}.json", raw / f"{AGENT}-report.json"
        self._process: Process | None = None

    def launch(self) -> None:
        """Start it, where there is one; return when it works."""
        if not self._figure.intermediate_agent:
            return
        ids = TextCircuitId(self._spec.topology.access_node)
        told = AgentPlan(
            interface=Dslam.AGENT_INTERFACE,
            circuits=tuple(
                (tags, ids.encode(Circuit(Concentrator.ACCESS, tags)).decode("ascii"), plan.mac_octets(mac))
                for mac, tags in self._figure.modem_places
            ),
            report_file=self._report_file,
        )
        plans.save(told, self._plan_file)
        self._process = self._programs.launch(AGENT, python("topologies.agent", str(self._plan_file)))
        self._programs.await_line(AGENT, self._process)

    def stop(self) -> dict[str, int] | None:
        """End it; return its counts (`topologies.agent`), None where there is none.

        Raises RunFailed where it had died before.
        """
        if self._process is None:
            return None
        end(self._process)
        if not self._report_file.exists():
            raise RunFailed(f"the intermediate agent died: {self._programs.last_words(AGENT)}")
        counts: dict[str, int] = json.loads(self._report_file.read_text())
        return counts


class ModemProcessors:
    """The modems' own processors, where these register (`topologies.registration`)."""

    def __init__(self, programs: Programs, raw: Path, spec: Spec, figure: Figure) -> None:
        self._programs, self._spec, self._figure = programs, spec, figure
        self._plan_file, self._record = raw / "modems.json", raw / "modems.jsonl"
        self._process: Process | None = None

    def launch(self) -> None:
        """Start them, where modems register."""
        if self._spec.modems.registration == "told":
            return
        told = RegistrationPlan(
            interface=AccessBridge.PROCESSORS_INTERFACE,
            delay=self._spec.modems.delay,
            modems=tuple((plan.mac_octets(mac), tags) for mac, tags in self._figure.modem_places),
            record=self._record,
        )
        plans.save(told, self._plan_file)
        command = python("topologies.registration", str(self._plan_file))
        self._process = self._programs.launch("modems", command)
        self._programs.await_line("modems", self._process)

    def registered_at(self, life: int) -> float | None:
        """Return when all modems had registered with the controller of this `life`; None if they have not."""
        if not self._record.exists():
            return None
        lines = self._record.read_text().splitlines()
        latest = json.loads(lines[-1]) if lines else {}
        return latest["at"] if latest.get("life") == life else None

    def wait_for(self, registered: Callable[[], bool]) -> None:
        """Wait until all modems have registered. Raises RunFailed."""
        if self._process is not None:
            patience = self._spec.modems.delay
            self._programs.wait_for(registered, "modems", self._process, patience=patience)

    def stop(self) -> None:
        """End them."""
        end(self._process)
