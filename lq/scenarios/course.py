"""What scenarios are made of: a network with leases and traffic, and phases that are measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from lq.clocks import time_of_day_ahead
from lq.emulation.network import Emulation
from lq.emulation.processes import Tell, cpu_seconds


class Attacking(Protocol):
    """What attacks during a phase."""

    def stop(self) -> dict[str, Any]:
        """End it; return its report, with its `name`."""


Phase = dict[str, Any]
"""A stretch of a run.

Moments on the monotonic clock, seconds: `start`, `ready` (the controller holds the switch), `registered` (all
modems have), `end`. Processor seconds used meanwhile: `server_cpu_s`, `controller_cpu_s`, `switch_cpu_s`.
`controller_memory` at the end, octets; `attacks`, what each attack reported; `delivered`, how many attack
packets subscribers got (None where that cannot be told); and `name`. A scenario may add what it measures:
those that are numbers become columns of the table of phases."""


def begin(lab: Emulation, tell: Tell, seconds: float, first: int | None = None) -> dict[str, str]:
    """Bring everything up, and probe all subscribers for `seconds` at most; return address by name.

    Or only so many, the `first` of the figure: the others' clients are not started.
    """
    tell("network", 0, 1)
    lab.build()
    lab.start()
    tell("network", 1, 1)
    leases = lab.lease_all(tell, first)
    lab.start_probes(list(leases.values()), lab.spec.probe_interval, seconds + lab.spec.probes.warmup + 60)
    start = time.monotonic()
    wait_until_reached(lab, start, lab.spec.probes.warmup + 10, "traffic", tell)
    time.sleep(max(0.0, start + lab.spec.probes.warmup - time.monotonic()))
    return leases


def phase(
    lab: Emulation,
    name: str,
    what: Callable[[], float | None],
    attacks: Sequence[Attacking] = (),
    reboot: bool = True,
) -> Phase:
    """Carry out `what`, which returns when a new controller held the switch, and take its measure."""
    before = _used(lab, with_controller=not reboot)
    delivered = _discarded(lab)
    start = time.monotonic()
    ready = what()
    end = time.monotonic()
    after, delivered_after = _used(lab, with_controller=True), _discarded(lab)
    return {
        "name": name,
        "start": start,
        "ready": start if ready is None else ready,
        "end": end,
        **{key: after[key] - before[key] for key in after},
        "registered": lab.registered_at,
        "controller_memory": _resident(lab),
        "attacks": [attack.stop() for attack in attacks],
        "delivered": None if delivered is None else (delivered_after or 0) - delivered,
    }


def wait_until_reached(lab: Emulation, since: float, timeout: float, what: str, tell: Tell) -> None:
    """Wait until a probe of every subscriber arrived after `since`, for `timeout` seconds at most.

    In each direction specified; of those subscribers that have a probe due in that time.
    """
    deadline = time.monotonic() + timeout
    addressed = lab.probing.addressed(since, deadline)
    wanted = int(addressed.any(axis=0).sum())
    while True:
        reached = lab.probing.reached(addressed, since)
        tell(what, reached, wanted)
        if reached == wanted or time.monotonic() > deadline:
            return
        time.sleep(0.02)


def finish(lab: Emulation, leases: dict[str, str], phases: Sequence[Phase]) -> dict[str, Any]:
    """Stop everything; return the run's result, whose time zero is the start of the first phase."""
    lab.stop_probes()
    first = phases[0]
    return {
        "killed": first["start"],
        "ready": first["ready"],
        "registered": first["registered"],
        "ended": time.monotonic(),
        "clock": time_of_day_ahead(),  # captures have the time of day
        "addresses": leases,
        "server_cpu_s": first["server_cpu_s"],
        "controller_cpu_s": first["controller_cpu_s"],
        "phases": list(phases),
        "observed": lab.stop(),
    }


def _used(lab: Emulation, with_controller: bool) -> dict[str, float]:
    """Processor seconds so far. A controller that is about to be killed takes its own with it."""
    return {
        "server_cpu_s": sum(server.cpu_seconds for server in lab.servers),
        "controller_cpu_s": cpu_seconds(lab.control.process) if with_controller else 0.0,
        "switch_cpu_s": cpu_seconds(lab.switch.processes["ovs-vswitchd"]),
    }


def _resident(lab: Emulation) -> int | None:
    """Octets of memory that the controller occupies (proc(5))."""
    process = lab.control.process
    if process is None or process.poll() is not None:
        return None
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return None


def _discarded(lab: Emulation) -> int | None:
    """Datagrams that reached subscribers at a port on which nobody listens, as an attack's do (proc(5))."""
    namespaces = lab.subscribers.namespaces()
    if len(namespaces) != lab.subscribers.count:  # a population has no namespaces of its own
        return None
    total = 0
    for pid in namespaces:
        rows = [
            line.split()
            for line in Path(f"/proc/{pid}/net/snmp").read_text().splitlines()
            if line.startswith("Udp:")
        ]
        total += int(rows[1][rows[0].index("NoPorts")])
    return total
