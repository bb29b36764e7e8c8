"""`failover`: two servers, one of which dies (R4.4-1), or which disagree (R6.7-1), around a reboot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lq.errors import RunFailed
from lq.progress import Progress
from lq.scenarios.course import begin, finish, phase, sleep_until, wait_until_reached
from lq.scenarios.network import Network
from lq.scenarios.phases import Phase, Result
from lq.scenarios.reboot import restart

APART = 3.0  # seconds between two transactions that option 91, in whole seconds, is to tell apart
POLLS = 20.0  # seconds that a silent server's polls may be apart when it has just come back
LEASE_TIMEOUT = 60.0  # seconds in which a host that has moved must get a lease


@dataclass(frozen=True, kw_only=True)
class DeathPhase(Phase):
    """The reboot around which a server dies; moments are seconds on the network's clock.

    dead           the server's name
    died_at        when
    returned_at    when it was back, None if it does not come back
    held_by_dead   the subscribers whose lease is its
    """

    dead: str
    died_at: float
    returned_at: float | None
    held_by_dead: Sequence[str]


def failover(network: Network, tell: Progress) -> Result:
    """Reboot the concentrator while a server dies, or after a host moved that one server has not heard of."""
    if network.spec.failover.case == "disagreement":
        return _disagreement(network, tell)
    return _death(network, tell)


def _death(network: Network, tell: Progress) -> Result:
    spec, wanted = network.spec, network.spec.failover
    patience = spec.timeout if wanted.returns is None else spec.timeout + 2 * wanted.returns + POLLS
    leases = begin(network, tell, spec.reboot.downtime + patience + spec.reboot.settle + 20)
    holders = [network.holder(address) for address in leases.values()]
    dead = max(range(spec.server.count), key=holders.count)
    held_by_dead = [name for name, holder in zip(leases, holders, strict=True) if holder == dead]
    if wanted.shared:
        network.share_bindings()
    died: list[float] = []
    returned: list[float] = []

    def die() -> None:
        died.append(network.now())
        network.kill_server(dead)

    def course() -> float:
        if wanted.when == "before":
            die()
        ready = restart(network, tell, die if wanted.when == "during" else None)
        if wanted.when == "after":
            die()
        if wanted.returns is not None:
            back = died[0] + wanted.returns
            wait_until_reached(network, ready, max(0.0, back - network.now()), "recovery", tell)
            sleep_until(network, back)
            network.start_server(dead)
            returned.append(network.now())
        wait_until_reached(network, ready, ready + patience - network.now(), "recovery", tell)
        network.sleep(spec.reboot.settle)
        return ready

    measured = DeathPhase(
        **vars(phase(network, wanted.when, course)),
        dead=network.server_name(dead),
        died_at=died[0],
        returned_at=returned[0] if returned else None,
        held_by_dead=held_by_dead,
    )
    return finish(network, leases, [measured])


def _disagreement(network: Network, tell: Progress) -> Result:
    """Both servers know the first host's lease; it moves and leases at one of them; then comes the reboot."""
    spec = network.spec
    leases = begin(network, tell, spec.reboot.downtime + spec.timeout + spec.reboot.settle + 20)
    leased = network.now()
    network.share_bindings()
    host = next(iter(leases))
    modem = next(name for name in map(network.modem_of, leases) if name != network.modem_of(host))
    sleep_until(network, leased + APART)
    moved = _move(network, host, modem)
    if moved != leases[host]:
        network.stop_probes()
        raise RunFailed(f"{host} got another address, {moved}, behind {modem}: nothing to disagree about")
    wait_until_reached(network, network.now(), 10, "traffic", tell)

    def course() -> float:
        ready = restart(network, tell)
        wait_until_reached(network, ready, spec.timeout, "recovery", tell)
        network.sleep(spec.reboot.settle)
        return ready

    return finish(network, leases, [phase(network, "disagreement", course)])


def _move(network: Network, host: str, modem: str) -> str:
    """Plug a host in behind another modem; return the address that its client leases there.

    Raises RunFailed if it gets none.
    """
    deadline = network.plug(host, modem) + LEASE_TIMEOUT
    while (address := network.leased_address(host)) is None:
        if network.now() > deadline:
            raise RunFailed(f"{host} got no lease behind {modem} for {LEASE_TIMEOUT:.0f} s")
        network.sleep(0.05)
    return address
