"""The concentrator's control software while the network lives: started, killed, started again."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from controllers.record import read
from controllers.settings import Modem, Settings
from lq.emulation.processes import Process, Programs, end, python
from lq.experiments.spec import Spec
from lq.scenarios.outcome import Died
from lq.scenarios.parts.control import Concentrator as Behaviour
from topologies import plan
from topologies.figure import Figure
from topologies.nodes import Concentrator

PORT = 6653  # OpenFlow, on the lab's loopback


class Control:
    """One life of the controller after another; `generation` counts them from 0. Files go to `raw`."""

    def __init__(self, programs: Programs, raw: Path, bridge: Concentrator) -> None:
        self._programs = programs
        self._raw = raw
        self._bridge = bridge
        self.generation = -1
        self.process: Process | None = None
        self._killed: tuple[int, float] = (-1, 0.0)  # which, and when
        self.died: list[Died] = []

    @property
    def _name(self) -> str:
        return f"controller-{self.generation}"

    @property
    def up(self) -> bool:
        """Whether the present controller runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def record_file(self) -> Path:
        """Where the present controller writes what it does."""
        return self._raw / f"{self._name}.jsonl"

    def launch(self, settings: Settings) -> None:
        """Start a controller with an empty memory; `settings.record` and `settings.listen` are set here."""
        self.generation += 1
        path = self._raw / f"{self._name}.json"
        dataclasses.replace(settings, record=self.record_file, listen=("127.0.0.1", PORT)).save(path)
        self.process = self._programs.launch(self._name, python("controllers", str(path)))

    def connect(self) -> Process:
        """Point the bridge at the controller once that listens; return when it has taken over."""
        assert self.process is not None
        self._programs.wait_for(lambda: listening(PORT), self._name, self.process)
        self._bridge.connect_to(f"tcp:127.0.0.1:{PORT}")
        self._programs.wait_for(lambda: self.ready_at is not None, self._name, self.process)
        return self.process

    @property
    def ready_at(self) -> float | None:
        """The moment, on the monotonic clock, at which the present controller held the bridge."""
        return next((float(line["at"]) for line in self.record() if line["event"] == "ready"), None)

    def record(self) -> list[dict[str, Any]]:
        """What the present controller has written so far."""
        return read(self.record_file) if self.record_file.exists() else []

    def kill(self) -> float:
        """Kill the controller at once, and make the bridge forget; return the moment of the kill."""
        assert self.process is not None
        self._look()
        moment = time.monotonic()
        if self.process.poll() is None:
            self._killed = (self.generation, moment)
        self.process.kill()
        self.process.wait()
        self._bridge.disconnect()
        self._bridge.forget_flows()
        return moment

    def latest_kill(self, up: bool) -> float | None:
        """Return when the present controller, or while it is `up` the one before it, was killed.

        None where it was not: the first has none before it, and one that died by itself tells no time.
        """
        killed, moment = self._killed
        return moment if killed >= 0 and killed == self.generation - up else None

    def stop(self) -> None:
        """Have the controller write its counts, and end."""
        self._look()
        end(self.process)

    def _look(self) -> None:
        """Note whether the present controller has ended by itself."""
        status = None if self.process is None else self.process.poll()
        if status is not None:
            said = self._programs.last_words(self._name)
            self.died.append(Died(self._name, status, said))


def listening(port: int) -> bool:
    """Whether something in this namespace listens on a TCP port of the loopback (proc(5), net/tcp)."""
    wanted = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        if local.endswith(wanted) and state == "0A":
            return True
    return False


def settings(
    spec: Spec,
    behaviour: Behaviour,
    figure: Figure,
    servers: Sequence[IPv4Address],
    identity: plan.Identity,
    life: int,
) -> Settings:
    """Return what a controller is told that behaves so, with an identity of its own, for one `life`."""
    frames = spec.modems.registration == "frames"
    engine: dict[str, Any] = {**behaviour.model_dump(), "seed": spec.seed}
    engine["dialect"] = spec.server.dialect
    if engine["circuit_messages"] is None:
        engine["circuit_messages"] = max(100, 20 * (spec.topology.hosts_per_modem or 0))
    networks = [plan.ACCESS_NETWORK]
    if not engine.pop("ciaddr_restriction"):  # then it also asks about what is merely routed to it
        networks.append(plan.UNATTACHED_NETWORK)
    engine["registered_only"] = frames
    if spec.topology.figure == "dsl":
        engine.update(circuit_id="text", access_node=spec.topology.access_node)
    return Settings(
        giaddr=plan.GATEWAY,
        networks=tuple(networks),
        servers=tuple(servers),
        uplink_address=plan.UPLINK_CONCENTRATOR,
        wiring={
            "uplink": Concentrator.UPLINK, "access": Concentrator.ACCESS, "relay": Concentrator.RELAY,
            "uplink_mac": identity.uplink_mac, "access_mac": identity.access_mac,
            "relay_mac": plan.RELAY_MAC, "router_mac": plan.ROUTER_UPLINK_MAC,
        },
        modems=() if frames else tuple(Modem(mac, tags) for mac, tags in figure.modem_places),
        life=life if frames else None,
        stacked_tags=figure.stacked_tags,
        record=Path(),
        framework=spec.controller.framework,
        engine=engine,
    )  # fmt: skip
