"""`starve`: one subscriber floods with DHCP, while new hosts look for a lease and queries for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lq.progress import Progress
from lq.scenarios.adversaries import SUBSCRIBERS, Flood, Identities
from lq.scenarios.course import begin, finish, phase
from lq.scenarios.network import Attack, Network, Pool
from lq.scenarios.phases import Phase, Result
from lq.server.bindings import State

AHEAD = 1.0  # seconds of a flood before the first newcomer
SPACING = 0.25  # seconds between two newcomers
AFTER = 2.0  # seconds after a flood, in which nothing of it must be missed
MOST_ASKED = 20_000  # addresses that the concentrator is made to ask about


@dataclass(frozen=True)
class Client:
    """What became of a newcomer: moments, in seconds on the network's clock; None if it got no lease."""

    phase: str
    client: str
    started: float
    leased: float | None


@dataclass(frozen=True, kw_only=True)
class StarveResult(Result):
    """What all floods came to; `clients` are the newcomers of all phases."""

    clients: Sequence[Client]


def starve(network: Network, tell: Progress) -> StarveResult:
    """Flood in each of the ways wanted, each with newcomers of its own and as many free addresses.

    A phase for each, named `FLOOD IDENTITIES`.
    """
    wanted = network.spec.starve
    each = wanted.duration + AFTER + 10
    leases = begin(network, tell, each * len(wanted.phases), first=SUBSCRIBERS + 1)
    attacker = next(iter(leases))
    newcomers = [host for host in network.hosts() if host not in leases]
    demands = [_demand(network, each * len(wanted.phases))] if wanted.demand else []
    for demand in demands:
        demand.start()
    phases: list[Phase] = []
    clients: list[Client] = []
    for number, (flood, who) in enumerate(wanted.phases):
        some = newcomers[number * wanted.clients :][: wanted.clients]
        free = _make_room(network)
        most = max(1, round(wanted.rate * wanted.duration))
        flooder = network.dhcp_flood(f"{flood}-{who}", attacker, flood, who, free, wanted.rate, most)
        measured, came = _phase(network, tell, flooder, (flood, who), some)
        phases.append(measured)
        clients += came
    for demand in demands:
        phases[-1] = replace(phases[-1], attacks=[*phases[-1].attacks, demand.stop()])
    return StarveResult(**vars(finish(network, leases, phases)), clients=clients)


def _demand(network: Network, seconds: float) -> Attack:
    """Make packets ready for the range's last addresses: nobody's, and none is asked about twice."""
    rate = network.spec.starve.demand
    most = max(1, round(rate * seconds))
    listed = [str(network.pool.last - number) for number in range(min(most, MOST_ASKED))]
    return network.flood("demand", "scan", "hit-list", rate, most, listed=listed)


def _make_room(network: Network) -> list[str]:
    """Start the server with a pool in which as many addresses are free as wanted; return these.

    It forgets what it has offered, and keeps what is leased or declined.
    """
    kept = (State.LEASED, State.DECLINED)
    taken = {binding.address for binding in network.bindings(0) if binding.state in kept}
    free: list[str] = []
    end = network.pool.first
    while len(free) < network.spec.starve.pool:
        if end not in taken:
            free.append(str(end))
        end += 1
    network.start_server(0, pool=Pool(network.pool.first, end - 1))
    return free


def _phase(
    network: Network,
    tell: Progress,
    flooder: Attack,
    what: tuple[Flood, Identities],
    names: Sequence[str],
) -> tuple[Phase, list[Client]]:
    """Flood once; return the phase, and what became of the newcomers."""
    wanted, name = network.spec.starve, " ".join(what)
    started: dict[str, float] = {}
    leased: dict[str, float] = {}

    def course() -> None:
        flooder.start()
        begun = network.now()
        while (now := network.now()) < begun + wanted.duration + AFTER:
            tell(name, min(round(wanted.duration), int(now - begun)), round(wanted.duration))
            coming = int((now - begun - AHEAD) / SPACING) + 1
            for host in names[len(started) : max(0, coming)]:
                network.start_client(host)
                started[host] = network.now()
            for host in started:
                if host not in leased and network.leased_address(host) is not None:
                    leased[host] = network.now()
            network.sleep(0.02)

    measured = phase(network, name, course, [flooder], reboot=False)
    for host in names:
        network.stop_client(host)  # who got no lease shall not go on asking
    return measured, [Client(name, host, started[host], leased.get(host)) for host in started]
