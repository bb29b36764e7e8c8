"""`reboot` and `replace`: the concentrator loses its memory under traffic; how long until all are back?"""

from __future__ import annotations

from collections.abc import Callable

from lq.progress import Progress
from lq.scenarios.course import begin, finish, phase, wait_until_reached
from lq.scenarios.network import Network
from lq.scenarios.phases import Result


def replace(network: Network, tell: Progress) -> Result:
    """Put another concentrator in the place of the first; else as `reboot`."""
    return reboot(network, tell, network.change_identity)


def reboot(network: Network, tell: Progress, meanwhile: Callable[[], None] | None = None) -> Result:
    """Take the concentrator's memory away under traffic; watch the subscribers come back.

    `meanwhile` happens while the concentrator is down.
    """
    spec = network.spec
    leases = begin(network, tell, spec.reboot.downtime + spec.timeout + spec.reboot.settle)

    def course() -> float:
        ready = restart(network, tell, meanwhile)
        wait_until_reached(network, ready, spec.timeout, "recovery", tell)
        network.sleep(spec.reboot.settle)
        return ready

    return finish(network, leases, [phase(network, "reboot", course)])


def restart(network: Network, tell: Progress, meanwhile: Callable[[], None] | None = None) -> float:
    """Kill the controller and start another; return the moment at which that held the switch."""
    tell("reboot", 0, 1)
    network.kill_controller()
    if meanwhile is not None:
        meanwhile()
    network.sleep(network.spec.reboot.downtime)
    ready = network.start_controller()
    tell("reboot", 1, 1)
    return ready
