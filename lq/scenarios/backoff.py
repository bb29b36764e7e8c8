"""`backoff`: a server that does not answer, or late; what reaches it is counted on the wire (section 6.6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lq.emulation.attacks import Attack
from lq.emulation.network import Emulation
from lq.emulation.processes import Tell
from lq.scenarios.course import begin, finish, phase, wait_until_reached
from lq.scenarios.reboot import restart

DEMAND = 100.0  # packets a second for nobody's addresses: each comes again before its query is given up


def backoff(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Let the first server fail, have the concentrator look for all subscribers, and watch for a time.

    The phase also has `failed_at` (when the server began to be as specified), and `returned_at`, both on the
    monotonic clock.
    """
    spec, wanted = lab.spec, lab.spec.backoff
    leases = begin(lab, tell, 2 * spec.timeout + spec.reboot.downtime + wanted.duration)
    moments: dict[str, Any] = {"failed_at": None, "returned_at": None}
    demand = Attack(lab.programs, lab.raw, lab.net, "demand")

    def fail() -> None:
        _fail(lab)
        moments["failed_at"] = time.monotonic()

    if wanted.heard:
        wait_until_reached(lab, restart(lab, tell), spec.timeout, "recovery", tell)

    def course() -> float | None:
        ready = None
        if wanted.heard:
            fail()
        else:
            ready = restart(lab, tell, fail)
        if wanted.addresses:
            most = max(1, round(DEMAND * wanted.duration))
            demand.start("scan", "sequential", DEMAND, most, count=wanted.addresses, seed=spec.seed)
        moments["returned_at"] = _sit_out(lab, tell, lambda: lab.start_server(0))
        return ready

    demands = [demand] if wanted.addresses else []
    measured = phase(lab, wanted.server, course, demands, reboot=not wanted.heard)
    return finish(lab, leases, [{**measured, **moments}])


def _fail(lab: Emulation) -> None:
    """Have the first server be as specified."""
    wanted = lab.spec.backoff
    if wanted.server == "slow":
        usual = lab.wan.impairment
        limit = max(usual.limit, 10_000)
        lab.know_neighbours(0)
        lab.wan.change(replace(usual, delay=usual.delay + wanted.late / 2, limit=limit))
        for name, process in lab.wan.processes.items():
            lab.watch.add(name, process.pid)
    elif wanted.server == "silent":
        lab.start_server(0, leasequery=False)
    else:
        lab.kill_server(0)


def _sit_out(lab: Emulation, tell: Tell, bring_back: Callable[[], None]) -> float | None:
    """Wait for the time of the experiment, and have the server come back if it does; return when."""
    wanted, start = lab.spec.backoff, time.monotonic()
    returned: float | None = None
    while (spent := time.monotonic() - start) < wanted.duration:
        tell("watching", int(spent), round(wanted.duration))
        if wanted.server == "returning" and returned is None and spent >= wanted.after:
            bring_back()
            returned = time.monotonic()
        time.sleep(0.1)
    tell("watching", round(wanted.duration), round(wanted.duration))
    return returned
