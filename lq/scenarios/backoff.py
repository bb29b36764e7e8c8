"""`backoff`: a server that does not answer, or late; what reaches it is counted on the wire (section 6.6)."""

from __future__ import annotations

from dataclasses import dataclass

from lq.progress import Progress
from lq.scenarios.course import begin, finish, phase, wait_until_reached
from lq.scenarios.network import Network
from lq.scenarios.phases import Phase, Result
from lq.scenarios.reboot import restart

DEMAND = 100.0  # packets a second for nobody's addresses: each comes again before its query is given up


@dataclass(frozen=True, kw_only=True)
class BackoffPhase(Phase):
    """The time with a server that fails; moments are seconds on the network's clock.

    failed_at     when the server began to be as specified
    returned_at   when it was back, None if it does not come back
    """

    failed_at: float
    returned_at: float | None


def backoff(network: Network, tell: Progress) -> Result:
    """Let the first server fail, have the concentrator look for all subscribers, and watch for a time."""
    spec, wanted = network.spec, network.spec.backoff
    leases = begin(network, tell, 2 * spec.timeout + spec.reboot.downtime + wanted.duration)
    failed: list[float] = []
    returned: list[float | None] = []
    most = max(1, round(DEMAND * wanted.duration))
    demands = []
    if wanted.addresses:
        scan = network.flood("demand", "scan", "sequential", DEMAND, most, addresses=wanted.addresses)
        demands.append(scan)

    def fail() -> None:
        _fail(network)
        failed.append(network.now())

    if wanted.heard:
        wait_until_reached(network, restart(network, tell), spec.timeout, "recovery", tell)

    def course() -> float | None:
        ready = None
        if wanted.heard:
            fail()
        else:
            ready = restart(network, tell, fail)
        for demand in demands:
            demand.start()
        returned.append(_sit_out(network, tell))
        return ready

    measured = phase(network, wanted.server, course, demands, reboot=not wanted.heard)
    served = BackoffPhase(**vars(measured), failed_at=failed[0], returned_at=returned[0])
    return finish(network, leases, [served])


def _fail(network: Network) -> None:
    """Have the first server be as specified."""
    wanted = network.spec.backoff
    if wanted.server == "slow":
        network.lengthen_way(wanted.late / 2)
    elif wanted.server == "silent":
        network.start_server(0, leasequery=False)
    else:
        network.kill_server(0)


def _sit_out(network: Network, tell: Progress) -> float | None:
    """Wait for the time of the experiment, and have the server come back if it does; return when."""
    wanted, start = network.spec.backoff, network.now()
    returned: float | None = None
    while (spent := network.now() - start) < wanted.duration:
        tell("watching", int(spent), round(wanted.duration))
        if wanted.server == "returning" and returned is None and spent >= wanted.after:
            network.start_server(0)
            returned = network.now()
        network.sleep(0.1)
    tell("watching", round(wanted.duration), round(wanted.duration))
    return returned
