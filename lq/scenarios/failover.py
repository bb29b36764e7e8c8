"""`failover`: two servers, one of which dies (R4.4-1), or which disagree (R6.7-1), around a reboot."""

from __future__ import annotations

import time
from typing import Any

from lq.emulation.network import Emulation
from lq.emulation.processes import Tell
from lq.scenarios.course import begin, finish, phase, wait_until_reached
from lq.scenarios.reboot import restart

APART = 3.0  # seconds between two transactions that option 91, in whole seconds, is to tell apart
POLLS = 20.0  # seconds that a silent server's polls may be apart when it has just come back


def failover(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Reboot the concentrator while a server dies, or after a host moved that one server has not heard of."""
    return _disagreement(lab, tell) if lab.spec.failover.case == "disagreement" else _death(lab, tell)


def _death(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """The phase also has `dead` (the server's name), `died_at` and `returned_at` (None: not)."""
    spec, wanted = lab.spec, lab.spec.failover
    patience = spec.timeout if wanted.returns is None else spec.timeout + 2 * wanted.returns + POLLS
    leases = begin(lab, tell, spec.reboot.downtime + patience + spec.reboot.settle + 20)
    holders = [lab.holder(address) for address in leases.values()]
    dead = max(range(len(lab.servers)), key=holders.count)
    held_by_dead = [name for name, holder in zip(leases, holders, strict=True) if holder == dead]
    if wanted.shared:
        lab.share_bindings()
    died: list[float] = []

    def die() -> None:
        died.append(time.monotonic())
        lab.kill_server(dead)

    moments: dict[str, Any] = {"returned_at": None}

    def course() -> float:
        if wanted.when == "before":
            die()
        ready = restart(lab, tell, die if wanted.when == "during" else None)
        if wanted.when == "after":
            die()
        if wanted.returns is not None:
            left = died[0] + wanted.returns - time.monotonic()
            wait_until_reached(lab, ready, max(0.0, left), "recovery", tell)
            time.sleep(max(0.0, died[0] + wanted.returns - time.monotonic()))
            lab.start_server(dead)
            moments["returned_at"] = time.monotonic()
        wait_until_reached(lab, ready, ready + patience - time.monotonic(), "recovery", tell)
        time.sleep(spec.reboot.settle)
        return ready

    measured = phase(lab, wanted.when, course)
    moments.update(dead=lab.servers[dead].name, died_at=died[0], held_by_dead=held_by_dead)
    return finish(lab, leases, [{**measured, **moments}])


def _disagreement(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Both servers know the first host's lease; it moves and leases at one of them; then comes the reboot."""
    spec = lab.spec
    leases = begin(lab, tell, spec.reboot.downtime + spec.timeout + spec.reboot.settle + 20)
    leased = time.monotonic()
    lab.share_bindings()
    host = next(iter(leases))
    modem = next(name for name in map(lab.modem_of, leases) if name != lab.modem_of(host))
    time.sleep(max(0.0, leased + APART - time.monotonic()))
    moved = lab.move(host, modem)
    if moved != leases[host]:
        lab.stop_probes()
        raise RuntimeError(f"{host} got another address, {moved}, behind {modem}: nothing to disagree about")
    wait_until_reached(lab, time.monotonic(), 10, "traffic", tell)

    def course() -> float:
        ready = restart(lab, tell)
        wait_until_reached(lab, ready, spec.timeout, "recovery", tell)
        time.sleep(spec.reboot.settle)
        return ready

    return finish(lab, leases, [phase(lab, "disagreement", course)])
