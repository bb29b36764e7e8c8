"""`reboot` and `replace`: the concentrator loses its memory under traffic; how long until all are back?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lq.emulation.network import Emulation
from lq.emulation.processes import Tell
from lq.scenarios.course import begin, finish, phase, wait_until_reached


def replace(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Put another concentrator in the place of the first; else as `reboot`."""
    return reboot(lab, tell, lab.change_identity)


def reboot(lab: Emulation, tell: Tell, meanwhile: Callable[[], None] | None = None) -> dict[str, Any]:
    """Take the concentrator's memory away under traffic; watch the subscribers come back.

    `meanwhile` happens while the concentrator is down.
    """
    spec = lab.spec
    leases = begin(lab, tell, spec.reboot.downtime + spec.timeout + spec.reboot.settle)

    def course() -> float:
        ready = restart(lab, tell, meanwhile)
        wait_until_reached(lab, ready, spec.timeout, "recovery", tell)
        time.sleep(spec.reboot.settle)
        return ready

    return finish(lab, leases, [phase(lab, "reboot", course)])


def restart(lab: Emulation, tell: Tell, meanwhile: Callable[[], None] | None = None) -> float:
    """Kill the controller and start another; return the moment at which that held the switch."""
    tell("reboot", 0, 1)
    lab.kill_controller()
    if meanwhile is not None:
        meanwhile()
    time.sleep(lab.spec.reboot.downtime)
    ready = lab.start_controller()
    tell("reboot", 1, 1)
    return ready
