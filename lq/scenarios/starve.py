"""`starve`: one subscriber floods with DHCP, while new hosts look for a lease and queries for an answer."""

from __future__ import annotations

import time
from typing import Any

from lq.emulation import bindings
from lq.emulation.attacks import Attack, Sender
from lq.emulation.network import Emulation
from lq.emulation.processes import Tell
from lq.scenarios.adversaries import SUBSCRIBERS, Flood, Identities
from lq.scenarios.course import Phase, begin, finish, phase
from topologies import plan

AHEAD = 1.0  # seconds of a flood before the first newcomer
SPACING = 0.25  # seconds between two newcomers
AFTER = 2.0  # seconds after a flood, in which nothing of it must be missed


def starve(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Flood in each of the ways wanted, each with newcomers of its own and as many free addresses.

    A phase for each, named `FLOOD IDENTITIES`. The result also has `clients`: of each newcomer `phase`,
    `client`, and on the monotonic clock `started` and `leased` (None if it got no lease).
    """
    spec, wanted = lab.spec, lab.spec.starve
    lab.limit_pool(SUBSCRIBERS + 1)
    each = wanted.duration + AFTER + 10
    leases = begin(lab, tell, each * len(wanted.phases), first=SUBSCRIBERS + 1)
    newcomers = [name for name in lab.subscribers.leases() if name not in leases]
    demand = Attack(lab.programs, lab.raw, lab.net, "demand")
    if wanted.demand:  # addresses from the end of the range: of no pool, and none is asked about twice
        most = max(1, round(wanted.demand * each * len(wanted.phases)))
        listed = [str(plan.POOL_LAST - number) for number in range(min(most, 20_000))]
        demand.start("scan", "hit-list", wanted.demand, most, listed=listed, seed=spec.seed)
    phases, clients = [], []
    for number, (flood, who) in enumerate(wanted.phases):
        some = newcomers[number * wanted.clients :][: wanted.clients]
        free = _make_room(lab)
        flooder = Flooder(lab, f"{flood}-{who}", leases)
        measured, came = _phase(lab, tell, flooder, (flood, who), free, some)
        phases.append(measured)
        clients += came
    if wanted.demand:
        phases[-1]["attacks"].append(demand.stop())
    return {**finish(lab, leases, phases), "clients": clients}


def _bound(lab: Emulation) -> list[dict[str, Any]]:
    return bindings.rows(lab.server, lab.spec.server.kind)


def _make_room(lab: Emulation) -> list[str]:
    """Start the server with a pool in which as many addresses are free as wanted; return these.

    It forgets what it has offered, and keeps what is leased or declined.
    """
    taken = {row["address"] for row in _bound(lab) if row["state"] in ("leased", "declined")}
    free: list[str] = []
    last = plan.POOL_FIRST
    while len(free) < lab.spec.starve.pool:
        if str(last) not in taken:
            free.append(str(last))
        last += 1
    lab.start_server(0, pool=(plan.POOL_FIRST, last - 1))
    return free


class Flooder(Sender):
    """The attacker's program (`lq.emulation.programs.starver`)."""

    def __init__(self, lab: Emulation, name: str, leases: dict[str, str]) -> None:
        super().__init__(lab.programs, lab.raw, name)
        self._lab = lab
        self._host, self._address = next(iter(leases.items()))
        own = next(row for row in _bound(lab) if row["address"] == self._address)
        self._client_id = str(own["client_id"] or "").replace(":", "")

    def start(self, flood: Flood, who: Identities, free: list[str]) -> None:
        """Begin; it stops by itself."""
        lab, wanted = self._lab, self._lab.spec.starve
        interface = lab.net[self._host].defaultIntf()
        what = {
            "interface": interface.name,
            "mac": interface.MAC(),
            "address": self._address,
            "client_id": self._client_id,
            "next_hop": plan.CONCENTRATOR_ACCESS_MAC,
            "server": str(lab.server.place.address),
            "flood": flood,
            "identities": who,
            "wanted": free,
            "rate": wanted.rate,
            "maximum_packets": max(1, round(wanted.rate * wanted.duration)),
            "seed": lab.spec.seed,
        }
        self.launch("lq.emulation.programs.starver", what, lab.net[self._host])


def _phase(
    lab: Emulation,
    tell: Tell,
    flooder: Flooder,
    what: tuple[Flood, Identities],
    free: list[str],
    names: list[str],
) -> tuple[Phase, list[dict[str, Any]]]:
    """Flood once; return the phase, and what became of the newcomers."""
    wanted, name = lab.spec.starve, " ".join(what)
    started: dict[str, float] = {}
    leased: dict[str, float] = {}

    def course() -> None:
        flooder.start(*what, free)
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + wanted.duration + AFTER:
            tell(name, min(round(wanted.duration), int(now - begun)), round(wanted.duration))
            coming = int((now - begun - AHEAD) / SPACING) + 1
            for host in names[len(started) : max(0, coming)]:
                lab.net[host].start_client()
                started[host] = time.monotonic()
            for host in started:
                if host not in leased and lab.net[host].leased_address is not None:
                    leased[host] = time.monotonic()
            time.sleep(0.02)

    measured = phase(lab, name, course, [flooder], reboot=False)
    for host in names:
        lab.net[host].stop_client()  # who got no lease shall not go on asking
    rows = [
        {"phase": name, "client": host, "started": started[host], "leased": leased.get(host)}
        for host in started
    ]
    return measured, rows
