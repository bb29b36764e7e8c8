"""`dos`: a flood for or from a great many addresses. `claim`: the draft's headline (R7-5)."""

from __future__ import annotations

from collections.abc import Mapping

from lq.progress import Progress
from lq.scenarios.course import begin, finish, phase, wait_until_reached, watch_until
from lq.scenarios.network import Attack, Network, Pattern
from lq.scenarios.phases import Phase, Result
from lq.scenarios.reboot import restart


def dos(network: Network, tell: Progress) -> Result:
    """Attack for a time, alone or while the concentrator reboots, under the subscribers' own traffic."""
    spec, wanted = network.spec, network.spec.attack
    leases = begin(network, tell, wanted.duration + spec.timeout)
    attack = _attack(network, "attack", wanted.pattern, leases)

    def course() -> float | None:
        if not wanted.during_reboot:
            attack.start()
        ready = restart(network, tell, attack.start) if wanted.during_reboot else None
        _sit_out(network, tell, ready)
        return ready

    measured = phase(network, "attack", course, [attack], reboot=wanted.during_reboot)
    return finish(network, leases, [measured])


def claim(network: Network, tell: Progress) -> Result:
    """Reboot twice under scans within and outside the range: with the defences, then without them."""
    spec, wanted = network.spec, network.spec.attack
    leases = begin(network, tell, 2 * (wanted.duration + spec.timeout + spec.reboot.downtime + 10))
    phases = [
        _reboot_under_scans(network, tell, name, defended, leases)
        for name, defended in (("defended", True), ("undefended", False))
    ]
    return finish(network, leases, phases)


def _reboot_under_scans(
    network: Network, tell: Progress, name: str, defended: bool, leases: Mapping[str, str]
) -> Phase:
    """Reboot with both defences, the negative cache and the restriction to its own networks, or neither."""
    patterns: dict[str, Pattern] = {"inside": "random", "outside": "out-of-range"}
    scans = [_attack(network, f"{name}-{where}", pattern, leases) for where, pattern in patterns.items()]

    def begin_scans() -> None:
        for scan in scans:
            scan.start()

    def course() -> float:
        network.behave(negative_cache=defended, ciaddr_restriction=defended)
        ready = restart(network, tell, begin_scans)
        _sit_out(network, tell, ready)
        return ready

    return phase(network, name, course, scans)


def _attack(network: Network, name: str, pattern: Pattern, leases: Mapping[str, str]) -> Attack:
    wanted = network.spec.attack
    return network.flood(
        name,
        wanted.kind,
        pattern,
        wanted.rate,
        max(1, round(wanted.rate * wanted.duration)),
        source="internet" if wanted.kind == "scan" else next(iter(leases)),
        addresses=wanted.addresses,
        listed=list(leases.values()),
    )


def _sit_out(network: Network, tell: Progress, ready: float | None) -> None:
    """Wait until the attack's time is over, and after a reboot until all are back, as long as one waits."""
    watch_until(network, network.now(), network.spec.attack.duration, "attack", tell)
    if ready is not None:
        wait_until_reached(network, ready, network.spec.timeout, "recovery", tell)
