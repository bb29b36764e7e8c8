"""`arp`: the same reboot by broadcast ARP and by leasequery (section 4.1, R4.1-1)."""

from __future__ import annotations

import json
import time
from typing import Any

from lq.emulation.network import Emulation
from lq.emulation.processes import Process, Tell, cpu_seconds, end, python
from lq.scenarios.course import Phase, begin, finish, phase
from lq.scenarios.reboot import restart
from topologies import plan
from topologies.nodes import Subscriber

MODES = ("arp", "leasequery")


def arp(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Reboot once in each mode, beside a host that claims its neighbours' addresses.

    Each phase also has `arp_requests` (that reached hosts, summed up over these), `access_packets` (frames
    that left the concentrator downstream), `work_cpu_s` (processor seconds of the controller once it had
    taken over), `spoofed_answers`, and `stolen` (how many packets for each neighbour came to the thief
    instead, by address).
    """
    spec = lab.spec
    once = spec.arp.duration + spec.reboot.downtime + 10
    leases = begin(lab, tell, len(MODES) * once)
    return finish(lab, leases, [_phase(lab, tell, mode, leases) for mode in MODES])


def _phase(lab: Emulation, tell: Tell, mode: str, leases: dict[str, str]) -> Phase:
    lab.behave(mode=mode)
    watchers: list[tuple[Process, str]] = []
    before: dict[str, float] = {}

    def watch() -> None:
        """Begin while the concentrator is down: what it knew before is no theft of this phase."""
        watchers.extend(_watch(lab, mode, leases))
        before["sent"] = lab.concentrator.sent_downstream()

    def course() -> float:
        ready = restart(lab, tell, watch)
        before["work"] = cpu_seconds(lab.control.process)
        seconds = round(lab.spec.arp.duration)
        while (spent := time.monotonic() - ready) < lab.spec.arp.duration:
            tell(mode, int(spent), seconds)
            time.sleep(0.1)
        tell(mode, seconds, seconds)
        return ready

    measured = phase(lab, mode, course)
    sent, work = lab.concentrator.sent_downstream(), cpu_seconds(lab.control.process)
    counts, *thefts = [_report(lab, process, name) for process, name in watchers]
    theft = thefts[0] if thefts else {"answers": 0, "stolen": {}}
    return {
        **measured,
        "arp_requests": sum(counts.values()),
        "access_packets": sent - before["sent"],
        "work_cpu_s": work - before["work"],
        "spoofed_answers": theft["answers"],
        "stolen": theft["stolen"],
    }


def _watch(lab: Emulation, mode: str, leases: dict[str, str]) -> list[tuple[Process, str]]:
    """Begin to count at every host, and have the first one begin to steal."""
    hosts = [node for node in lab.net.hosts if isinstance(node, Subscriber)]
    started = [_launch(lab, "count", mode, {"pids": {node.name: node.pid for node in hosts}}, None)]
    if lab.spec.arp.spoofer:
        interface = hosts[0].defaultIntf()
        what = {"interface": interface.name, "mac": interface.MAC(), "gateway": str(plan.GATEWAY)}
        what["address"] = leases[hosts[0].name]
        started.append(_launch(lab, "spoof", mode, what, hosts[0]))
    return started


def _launch(lab: Emulation, what: str, mode: str, settings: dict[str, Any], node: Any) -> tuple[Process, str]:
    """Start one of the programs of `lq.emulation.programs.neighbours`; return it, and its name."""
    name = f"{what}-{mode}"
    path = lab.raw / f"{name}.json"
    path.write_text(json.dumps({**settings, "report_file": str(lab.raw / f"{name}-report.json")}))
    process = lab.programs.launch(name, python("lq.emulation.programs.neighbours", what, str(path)), node)
    lab.programs.await_line(name, process)
    return process, name


def _report(lab: Emulation, process: Process, name: str) -> dict[str, Any]:
    """End a program, and return its report."""
    end(process)
    return dict(json.loads((lab.raw / f"{name}-report.json").read_text()))
