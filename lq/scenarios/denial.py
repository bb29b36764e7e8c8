"""`dos`: a flood for or from a great many addresses. `claim`: the draft's headline (R7-5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from lq.emulation.attacks import Attack
from lq.emulation.network import Emulation
from lq.emulation.processes import Tell
from lq.scenarios.course import begin, finish, phase, wait_until_reached
from lq.scenarios.reboot import restart


def dos(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Attack for a time, alone or while the concentrator reboots, under the subscribers' own traffic."""
    spec, wanted = lab.spec, lab.spec.attack
    leases = begin(lab, tell, wanted.duration + spec.timeout)
    attack = Attack(lab.programs, lab.raw, lab.net)

    def begin_attack() -> None:
        _start(lab, attack, wanted.pattern, leases)

    def course() -> float | None:
        if not wanted.during_reboot:
            begin_attack()
        ready = restart(lab, tell, begin_attack) if wanted.during_reboot else None
        _sit_out(lab, tell, ready)
        return ready

    measured = phase(lab, "attack", course, [attack], reboot=wanted.during_reboot)
    return finish(lab, leases, [measured])


def claim(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Reboot twice under scans within and outside the range: with the defences, then without them."""
    spec, wanted = lab.spec, lab.spec.attack
    leases = begin(lab, tell, 2 * (wanted.duration + spec.timeout + spec.reboot.downtime + 10))
    phases = []
    for name, defended in (("defended", True), ("undefended", False)):
        scans = [Attack(lab.programs, lab.raw, lab.net, f"{name}-{where}") for where in ("inside", "outside")]

        def begin_scans(scans: Sequence[Attack] = scans) -> None:
            for scan, pattern in zip(scans, ("random", "out-of-range"), strict=True):
                _start(lab, scan, pattern, leases)

        def course(begin_scans: Callable[[], None] = begin_scans, defended: bool = defended) -> float:
            lab.defend(defended)
            ready = restart(lab, tell, begin_scans)
            _sit_out(lab, tell, ready)
            return ready

        phases.append(phase(lab, name, course, scans))
    return finish(lab, leases, phases)


def _start(lab: Emulation, attack: Attack, pattern: Any, leases: dict[str, str]) -> None:
    wanted = lab.spec.attack
    attack.start(
        wanted.kind,
        pattern,
        wanted.rate,
        max(1, round(wanted.rate * wanted.duration)),
        node="internet" if wanted.kind == "scan" else next(iter(leases)),
        count=wanted.addresses,
        listed=list(leases.values()),
        seed=lab.spec.seed,
    )


def _sit_out(lab: Emulation, tell: Tell, ready: float | None) -> None:
    """Wait until the attack's time is over, and after a reboot until all are back, as long as one waits."""
    seconds = round(lab.spec.attack.duration)
    start = time.monotonic()
    while (spent := time.monotonic() - start) < lab.spec.attack.duration:
        tell("attack", int(spent), seconds)
        time.sleep(0.1)
    tell("attack", seconds, seconds)
    if ready is not None:
        wait_until_reached(lab, ready, lab.spec.timeout, "recovery", tell)
