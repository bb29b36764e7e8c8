"""What scenarios are made of: a network with leases and traffic, reboots, and phases that are measured.

Moments are seconds on the network's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lq.progress import Progress
from lq.scenarios.network import Attack, Network, Pool
from lq.scenarios.outcome import Phase, Result


def begin(network: Network, tell: Progress, seconds: float, first: int | None = None) -> dict[str, str]:
    """Bring everything up, and probe all subscribers for `seconds` at most; return address by name.

    Or only so many, the `first` of the figure, from a pool of so many addresses: the others' clients are not
    started.
    """
    spec = network.spec
    tell("network", 0, 1)
    lowest = network.pool.first
    network.bring_up(None if first is None else Pool(lowest, lowest + (first - 1)))
    tell("network", 1, 1)
    leases = network.lease_all(tell, first)
    network.start_probes(leases, spec.probe_interval, seconds + spec.probes.warmup + 60)
    start = network.now()
    wait_until_reached(network, start, spec.probes.warmup + 10, "traffic", tell)
    sleep_until(network, start + spec.probes.warmup)
    return leases


def phase(
    network: Network,
    name: str,
    what: Callable[[], float | None],
    attacks: Sequence[Attack] = (),
    reboot: bool = True,
) -> Phase:
    """Carry out `what`, which returns when a new controller held the switch, and take its measure.

    With a `reboot` the controller's processor time counts from its start. The attacks are stopped at the end.
    """
    before = _used(network, with_controller=not reboot)
    delivered = network.discarded()
    start = network.now()
    ready = what()
    end = network.now()
    after, delivered_after = _used(network, with_controller=True), network.discarded()
    return Phase(
        name=name,
        start=start,
        ready=start if ready is None else ready,
        end=end,
        server_cpu_s=after["server"] - before["server"],
        controller_cpu_s=after["controller"] - before["controller"],
        switch_cpu_s=after["switch"] - before["switch"],
        registered=network.registered_at(),
        controller_memory=network.usage("controller").memory,
        attacks=[attack.stop() for attack in attacks],
        delivered=None if delivered is None else (delivered_after or 0) - delivered,
    )


def _used(network: Network, with_controller: bool) -> dict[str, float]:
    """Processor seconds so far. A controller that is about to be killed takes its own with it."""
    return {
        "server": network.usage("server").cpu_s,
        "controller": network.usage("controller").cpu_s if with_controller else 0.0,
        "switch": network.usage("switch").cpu_s,
    }


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


def sleep_until(network: Network, moment: float) -> None:
    """Let time go by until then."""
    network.sleep(moment - network.now())


def wait_until_reached(network: Network, since: float, timeout: float, what: str, tell: Progress) -> None:
    """Wait until a probe of every subscriber arrived after `since`, for `timeout` seconds at most.

    In each direction specified; of those subscribers that have a probe due in that time.
    """
    deadline = network.now() + timeout
    awaited = network.awaited(since, deadline)
    while True:
        reached = awaited.reached()
        tell(what, reached, awaited.count)
        if reached == awaited.count or network.now() > deadline:
            return
        network.sleep(0.02)


def watch_until(network: Network, start: float, seconds: float, what: str, tell: Progress) -> None:
    """Let time go by until `seconds` after `start`, and tell of it."""
    while (spent := network.now() - start) < seconds:
        tell(what, int(spent), round(seconds))
        network.sleep(0.1)
    tell(what, round(seconds), round(seconds))


def finish(network: Network, leases: dict[str, str], phases: Sequence[Phase]) -> Result:
    """Stop everything; return the run's result, whose time zero is the start of the first phase."""
    network.stop_probes()
    first = phases[0]
    return Result(
        killed=first.start,
        ready=first.ready,
        registered=first.registered,
        ended=network.now(),
        clock=network.time_of_day_ahead(),
        addresses=leases,
        server_cpu_s=first.server_cpu_s,
        controller_cpu_s=first.controller_cpu_s,
        phases=list(phases),
        observed=network.stop(),
    )
