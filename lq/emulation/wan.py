"""The long way to the servers while the network lives: by netem, or by delay lines."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lq.emulation.processes import Process, Programs, end, python
from lq.errors import RunFailed
from lq.experiments.spec import Spec
from lq.sandbox import plans
from topologies import plan
from topologies.netem import has_netem, join_commands, netem_command, netem_takes_seeds, report
from topologies.network import ip_commands
from topologies.wan import Impairment, WanPlan

LINES = "delay lines in user space (topologies.wan)"
NETEM = "netem"
SEEDED = "netem, by the seed"
UNSEEDED = "netem, whose chances do not follow the seed (that takes Linux and iproute2 6.6)"


class Wan:
    """The links between the network's router and each server. Files go to `raw`.

    Make it before the network is built: `has_nodes` says whether the figure needs nodes on the way.
    Then set `net`. `impairment` is the present one. Unless told, netem does it where it is there and leaves
    nothing to chance that does not follow the seed. Raises RunFailed where netem is asked for and the kernel
    has none.
    """

    net: Any

    def __init__(self, programs: Programs, raw: Path, spec: Spec) -> None:
        self._programs = programs
        self._raw = raw
        self._seed = spec.seed
        self._servers = plan.SERVERS[: spec.server.count]
        wanted = spec.wan.model_dump()
        emulator = wanted.pop("emulator")
        self.impairment = Impairment(**wanted)
        self.has_nodes = self.impairment.any or spec.lengthens_way
        self._by_netem = self._seeded = False
        if self.has_nodes and emulator != "user-space":
            self._by_netem, self._seeded = has_netem(), netem_takes_seeds()
            if emulator == "netem" and not self._by_netem:
                raise RunFailed("the kernel has no netem (modprobe sch_netem): use wan.emulator=user-space")
            if emulator == "auto" and self.impairment.by_chance and not self._seeded:
                self._by_netem = False
        self.processes: dict[str, Process] = {}

    @property
    def emulator(self) -> str:
        """What impairs the links, in words."""
        if not self.has_nodes:
            return "nothing"
        if not self._by_netem:
            return LINES
        if not self.impairment.by_chance:
            return NETEM
        return SEEDED if self._seeded else UNSEEDED

    def start(self) -> None:
        """Set it up; return when it works. Raises RunFailed."""
        if not self.has_nodes:
            return
        if self._by_netem:
            for name in self._nodes:
                try:
                    ip_commands(join_commands(self._interfaces(name)), at=self.net[name].pid)
                except RuntimeError as error:
                    raise RunFailed(f"the way to the servers: {error}") from error
        self._set_up()

    def change(self, impairment: Impairment) -> dict[str, Any]:
        """Have another impairment from now on; return the reports so far. What is on its way may be lost.

        Raises RunFailed where there was none and the links have no place for one.
        """
        if not self.has_nodes:
            raise RunFailed("the network was built without a long way to the servers: give it some wan.delay")
        reports = self.stop()
        self.impairment = impairment
        self._set_up()
        return reports

    @property
    def _nodes(self) -> list[str]:
        """The nodes on the way, one for each server."""
        return [f"wan{number}" for number in range(1, len(self._servers) + 1)]

    @staticmethod
    def _interfaces(node: str) -> list[str]:
        """A node's interfaces: to the network, to the server."""
        return [f"{node}-eth0", f"{node}-eth1"]

    def _set_up(self) -> None:
        if not self._by_netem:
            for name in self._nodes:
                self._start_line(name)
            return
        for name in self._nodes:
            for interface in self._interfaces(name):
                self._netem(self.net[name], interface)

    def _netem(self, node: Any, interface: str) -> None:
        # An impairment that is there would keep what the new one does not name: its rate, its reordering.
        node.popen(["tc", "qdisc", "del", "dev", interface, "root"], stderr=subprocess.DEVNULL).wait()
        seed = f"{self._seed} {interface}" if self._seeded else None
        tc = node.popen(netem_command(interface, self.impairment, seed), stderr=subprocess.PIPE)
        _, complaint = tc.communicate()
        if tc.returncode != 0:
            raise RunFailed(f"tc: {' '.join(complaint.decode().split())}")

    def _start_line(self, name: str) -> None:
        path = self._raw / f"{name}.json"
        near, far = self._interfaces(name)
        told = WanPlan(
            interfaces=(near, far),
            impairment=self.impairment,
            seed=self._seed,
            report_file=self._report(name),
        )
        plans.save(told, path)
        self._report(name).unlink(missing_ok=True)  # of a line before this one
        process = self._programs.launch(name, python("topologies.wan", str(path)), self.net[name])
        self._programs.await_line(name, process)
        self.processes[name] = process

    def watch(self) -> None:
        """Count from now on how late frames leave the delay lines."""
        for process in self.processes.values():
            process.send_signal(signal.SIGUSR1)

    def _report(self, name: str) -> Path:
        return self._raw / f"{name}-report.json"

    def stop(self) -> dict[str, Any]:
        """End the delay lines; return reports by node. Raises RunFailed where one had died before.

        Of netem they have but what it tells (`topologies.netem.report`).
        """
        if self._by_netem:
            return {name: self._netem_report(name) for name in self._nodes}
        for process in self.processes.values():
            end(process)
        reports = {}
        for name in self.processes:
            if not self._report(name).exists():
                raise RunFailed(f"the delay line {name} died: {self._programs.last_words(name)}")
            reports[name] = json.loads(self._report(name).read_text())
        self.processes.clear()
        return reports

    def _netem_report(self, name: str) -> dict[str, Any]:
        shown = self.net[name].popen(["tc", "-s", "-j", "qdisc"]).communicate()[0].decode()
        directions = [
            report(interface, self.impairment, shown) for interface in reversed(self._interfaces(name))
        ]
        return {"impairment": asdict(self.impairment), "missed": 0, "directions": directions}
