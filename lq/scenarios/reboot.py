"""`reboot`: the concentrator loses its memory under traffic; how long until all are back?"""

from __future__ import annotations

from collections.abc import Callable

from lq.progress import Progress
from lq.scenarios.course import begin, finish, phase, restart, wait_until_reached
from lq.scenarios.network import Network
from lq.scenarios.outcome import Result
from lq.scenarios.scenario import NoOptions, Scenario


def reboot(
    network: Network, _: NoOptions, tell: Progress, meanwhile: Callable[[], None] | None = None
) -> Result:
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


SCENARIO = Scenario(
    name="reboot",
    question="The concentrator loses its memory. How long does it take until each subscriber is "
    "reachable again?",
    place=1,
    options=NoOptions,
    play=reboot,
    one_reboot=True,
)
