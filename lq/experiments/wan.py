"""The long way to the servers while the network lives: by netem, or by delay lines (`topologies.wan`)."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from lq.errors import RunFailed
from lq.experiments.programs import Process, Programs, end, python
from lq.experiments.spec import Spec
from topologies import plan
from topologies.wan import Impairment, has_netem, netem_command, netem_takes_seeds

LINES = "delay lines in user space (topologies.wan)"
SEEDED = "netem, by the seed"
UNSEEDED = "netem, whose chances do not follow the seed (that takes Linux and iproute2 6.6)"


class Wan:
    """The links between the network's router and each server. Files go to `raw`.

    Make it before the network is built: `by_lines` says whether the figure needs nodes for delay lines.
    Then set `net`. `impairment` is the present one. Raises RunFailed where netem is asked for and the kernel
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
        self.by_lines = False
        if self.impairment.any and emulator != "user-space":
            self.by_lines = not has_netem()
            if self.by_lines and emulator == "netem":
                raise RunFailed("the kernel has no netem (modprobe sch_netem): use wan.emulator=user-space")
        elif self.impairment.any:
            self.by_lines = True
        elif spec.scenario == "backoff" and spec.backoff.server == "slow":  # an impairment will come
            self.by_lines = not has_netem()
        self.processes: dict[str, Process] = {}
        self.emulator = "nothing"  # what impairs the links so far, in words

    def start(self) -> None:
        """Set it up; return when it works."""
        if self.impairment.any or self.by_lines:
            self._set_up()

    def change(self, impairment: Impairment) -> dict[str, Any]:
        """Have another impairment from now on; return the reports so far. What is on its way may be lost.

        Raises RunFailed where there was none and the links have no place for a delay line.
        """
        if not self.by_lines and not has_netem():
            raise RunFailed("the network was built without delay lines: give it some wan.delay")
        reports = self.stop()
        self.impairment = impairment
        self._set_up()
        return reports

    def _set_up(self) -> None:
        seeded = not self.by_lines and netem_takes_seeds()
        self.emulator = LINES if self.by_lines else SEEDED if seeded else UNSEEDED
        for number, place in enumerate(self._servers, start=1):
            if self.by_lines:
                self._start_line(f"wan{number}")
            else:
                server = self.net[place.name]
                self._netem(server, server.defaultIntf().name, seeded)
                self._netem(self.net["network"], f"network-eth{number}", seeded)

    def _netem(self, node: Any, interface: str, seeded: bool) -> None:
        # An impairment that is there would keep what the new one does not name: its rate, its reordering.
        node.popen(["tc", "qdisc", "del", "dev", interface, "root"], stderr=subprocess.DEVNULL).wait()
        seed = f"{self._seed} {interface}" if seeded else None
        tc = node.popen(netem_command(interface, self.impairment, seed), stderr=subprocess.PIPE)
        _, complaint = tc.communicate()
        if tc.returncode != 0:
            raise RunFailed(f"tc: {' '.join(complaint.decode().split())}")

    def _start_line(self, name: str) -> None:
        path = self._raw / f"{name}.json"
        settings = {
            "interfaces": [f"{name}-eth0", f"{name}-eth1"],
            "impairment": self.impairment.__dict__,
            "seed": self._seed,
            "report": str(self._report(name)),
        }
        path.write_text(json.dumps(settings))
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
        """End the delay lines; return their reports by node. Raises RunFailed where one had died before."""
        for process in self.processes.values():
            end(process)
        reports = {}
        for name in self.processes:
            if not self._report(name).exists():
                raise RunFailed(f"the delay line {name} died: {self._programs.last_words(name)}")
            reports[name] = json.loads(self._report(name).read_text())
        self.processes.clear()
        return reports
