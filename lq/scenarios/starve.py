"""`starve`: one subscriber floods with DHCP, while new hosts look for a lease and queries for an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from lq.progress import Progress
from lq.results.schema import VERDICT, Column
from lq.scenarios import adversaries
from lq.scenarios.course import begin, finish, phase
from lq.scenarios.network import Attack, DhcpFlood, Identities, Network, Pool
from lq.scenarios.outcome import Phase, Result
from lq.scenarios.parts.common import Common
from lq.scenarios.parts.part import Part, one_is_a_list
from lq.scenarios.scenario import Scenario, Settings
from lq.server.bindings import State

if TYPE_CHECKING:
    from lq.results.evidence import Evidence, Table

AHEAD = 1.0  # seconds of a flood before the first newcomer
SPACING = 0.25  # seconds between two newcomers
AFTER = 2.0  # seconds after a flood, in which nothing of it must be missed
MOST_ASKED = 20_000  # addresses that the concentrator is made to ask about
SUBSCRIBERS = 3  # hosts with a lease and traffic, beside the attacker
FLOODS: tuple[DhcpFlood, ...] = ("discover", "request", "decline", "inform")
SERVER_GROWTH = 64 << 20  # octets by which a server may grow under all floods together: see `KEYS`
CONTROLLER_GROWTH = 64 << 20  # the same of a controller


class Starve(Part):
    """The floods of the scenario `starve`, in turns, each with newcomers and free addresses."""

    defences: bool = Field(True, description="false: every limit is off unless it is set explicitly")
    floods: tuple[DhcpFlood, ...] = Field(
        FLOODS,
        min_length=1,
        max_length=len(FLOODS),
        description="the floods; discover: DISCOVERs; request: REQUESTs without an offer; decline: such "
        "REQUESTs, each followed by a DECLINE; inform: INFORMs, each with another option",
    )
    identities: tuple[Identities, ...] = Field(
        ("one", "many"),
        min_length=1,
        max_length=2,
        description="the clients in the flood's messages; one: the attacker's hardware address with many "
        "client identifiers (inform: the attacker itself); many: many hardware addresses",
    )
    rate: float = Field(1000.0, gt=0, le=20_000, description="messages per second of a flood")
    duration: float = Field(8.0, ge=2, le=600, description="length of each flood in seconds")
    clients: int = Field(
        4,
        ge=1,
        le=100,
        description="number of new hosts that look for a lease during each flood, each on its own circuit",
    )
    pool: int = Field(
        200, ge=20, le=5000, description="number of addresses that are free when each flood begins"
    )
    demand: float = Field(
        20.0,
        ge=0,
        le=1000,
        description="packets per second to addresses that the concentrator must ask about",
    )

    @property
    def phases(self) -> list[tuple[DhcpFlood, Identities]]:
        """The floods in order, each with whose identities."""
        return [
            (flood, who)
            for flood in self.floods
            for who in self.identities
            if flood != "inform" or who == self.identities[0]
        ]

    def modems(self, behind: int) -> int:
        """Return how many it takes: for the attacker, the subscribers, and each newcomer, one."""
        return 1 + SUBSCRIBERS + self.clients * len(self.phases)

    _lists = field_validator("floods", "identities", mode="before")(one_is_a_list)


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


def starve(network: Network, wanted: Starve, tell: Progress) -> StarveResult:
    """Flood in each of the ways wanted, each with newcomers of its own and as many free addresses.

    A phase for each, named `FLOOD IDENTITIES`.
    """
    each = wanted.duration + AFTER + 10
    leases = begin(network, tell, each * len(wanted.phases), first=SUBSCRIBERS + 1)
    attacker = next(iter(leases))
    newcomers = [host for host in network.hosts() if host not in leases]
    demands = [_demand(network, wanted, each * len(wanted.phases))] if wanted.demand else []
    for demand in demands:
        demand.start()
    phases: list[Phase] = []
    clients: list[Client] = []
    for number, (flood, who) in enumerate(wanted.phases):
        some = newcomers[number * wanted.clients :][: wanted.clients]
        free = _make_room(network, wanted)
        most = max(1, round(wanted.rate * wanted.duration))
        flooder = network.dhcp_flood(f"{flood}-{who}", attacker, flood, who, free, wanted.rate, most)
        measured, came = _phase(network, wanted, tell, flooder, (flood, who), some)
        phases.append(measured)
        clients += came
    for demand in demands:
        phases[-1] = replace(phases[-1], attacks=[*phases[-1].attacks, demand.stop()])
    return StarveResult(**vars(finish(network, leases, phases)), clients=clients)


def _demand(network: Network, wanted: Starve, seconds: float) -> Attack:
    """Make packets ready for the range's last addresses: nobody's, and none is asked about twice."""
    rate = wanted.demand
    most = max(1, round(rate * seconds))
    listed = [str(network.pool.last - number) for number in range(min(most, MOST_ASKED))]
    return network.flood("demand", "scan", "hit-list", rate, most, listed=listed)


def _make_room(network: Network, wanted: Starve) -> list[str]:
    """Start the server with a pool in which as many addresses are free as wanted; return these.

    It forgets what it has offered, and keeps what is leased or declined.
    """
    kept = (State.LEASED, State.DECLINED)
    taken = {binding.address for binding in network.bindings(0) if binding.state in kept}
    free: list[str] = []
    end = network.pool.first
    while len(free) < wanted.pool:
        if end not in taken:
            free.append(str(end))
        end += 1
    network.start_server(0, pool=Pool(network.pool.first, end - 1))
    return free


def _phase(
    network: Network,
    wanted: Starve,
    tell: Progress,
    flooder: Attack,
    what: tuple[DhcpFlood, Identities],
    names: Sequence[str],
) -> tuple[Phase, list[Client]]:
    """Flood once; return the phase, and what became of the newcomers."""
    name = " ".join(what)
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


UNDEFENDED: Settings = {
    "server": {"leases_per_circuit": 0, "leases_per_client": 0},
    "concentrator": {"circuit_messages": 0},
}
"""What `starve.defences=false` sets, part by part, unless that is set by itself."""


def sizes(raw: Mapping[str, Any]) -> Settings:
    """Return the size that all floods take, one host behind each modem."""
    return adversaries.sizes(raw, "starve", Starve, 1, UNDEFENDED)


def refuses(spec: Common, options: Starve) -> str | None:
    """Hosts are nodes, and there is one pool to fill."""
    if problem := adversaries.no_nodes(spec):
        return problem
    if spec.server.count != 1:
        return "starve fills the pool of one server: set server.count=1"
    return adversaries.too_few_modems(spec, options)


# -- who got a lease, how long queries took, and what the floods leave in memory

CLIENTS = (
    Column("phase", "text", "", "beside which flood"),
    Column("client", "text", "", "the newcomer"),
    Column("started", "time", "s", "since the first flood began"),
    Column("leased", "time?", "s", "since the first flood began; nothing without a lease"),
    Column("wait_s", "number?", "s", "from one to the other"),
)


def tabulate(spec: Common, wanted: Starve, evidence: Evidence) -> dict[str, Table]:
    """Return a row for each newcomer (`CLIENTS`)."""
    zero = float(evidence.result["killed"])
    table = evidence.table(evidence.result["clients"], ["phase", "client", "started", "leased"])
    table[["started", "leased"]] = table[["started", "leased"]].astype(float) - zero
    table["wait_s"] = table["leased"] - table["started"]
    return {"clients": table}


def summarize(spec: Common, wanted: Starve, evidence: Evidence) -> dict[str, Any]:
    """Return of all floods together the keys of `KEYS`."""
    table = evidence.tables["clients"]
    served = table["leased"].notna()
    waits = table.loc[served, "wait_s"]
    queries = evidence.tables["queries"]
    answered = queries.groupby("address").agg(at=("at", "min"), answered=("answered", "min"))
    asked = answered["at"].astype(float)
    beside = asked.isna()  # none yet: in between the server starts anew
    for flood in evidence.phases:
        beside |= asked.between(flood["start"], flood["end"], inclusive="right")
    times = (answered["answered"] - answered["at"]).astype(float)[beside]
    found = {
        "clients": len(table),
        "clients_starving": int((~served).sum()),
        "clients_served": float(served.mean()),
        "lease_wait_p50_s": float(waits.median()) if len(waits) else None,
        "lease_wait_max_s": float(waits.max()) if len(waits) else None,
        "leasequery_p99_s": float(times.quantile(0.99)) if times.notna().any() else None,
        "leasequery_unanswered": int(times.isna().sum()),
        **_memory(evidence.tables["load"], "server", SERVER_GROWTH),
        **_memory(evidence.tables["load"], "controller", CONTROLLER_GROWTH),
    }
    return {**found, "verdict": _verdict(table, found)}


def _memory(load: Table, process: str, growth: int) -> dict[str, int]:
    """Return what a process occupied, in octets: at the first flood's beginning, at the end, and at most."""
    own = load[(load["process"] == process)]
    before = own.loc[own["at"] <= 0, "memory"]
    first = int(before.iloc[-1] if len(before) else own["memory"].iloc[0])
    meanwhile = own.loc[own["at"] >= 0, "memory"]
    return {
        f"{process}_memory_before": first,
        f"{process}_memory_after": int(own["memory"].iloc[-1]),
        f"{process}_memory_max": int(meanwhile.max()) if len(meanwhile) else first,
        f"{process}_memory_bound": first + growth,
    }


def _verdict(table: Table, found: Mapping[str, Any]) -> str:
    told = f"{found['clients'] - found['clients_starving']} of {found['clients']} newcomers got a lease"
    starved = table[table["leased"].isna()]
    if len(starved):
        by_flood = starved.groupby("phase", sort=False).size()
        told += f" (without: {', '.join(f'{count} in {name}' for name, count in by_flood.items())})"
    if found["leasequery_p99_s"] is not None:
        told += f"; queries were answered within {found['leasequery_p99_s'] * 1000:.0f} ms (99th percentile)"
        if found["leasequery_unanswered"]:
            told += f", {found['leasequery_unanswered']} were not"
    for process in ("server", "controller"):
        before, most, bound = (
            found[f"{process}_memory_{key}"] / (1 << 20) for key in ("before", "max", "bound")
        )
        told += f"; the {process} grew from {before:.0f} to {most:.0f} MiB (bound {bound:.0f})"
    return told


def _memory_keys(process: str) -> tuple[Column, ...]:
    return (
        Column(f"{process}_memory_before", "number", "octets", "resident as the first flood began"),
        Column(f"{process}_memory_after", "number", "octets", "resident at the end"),
        Column(f"{process}_memory_max", "number", "octets", "the most"),
        Column(f"{process}_memory_bound", "number", "octets", "what the most must not exceed: 64 MiB more"),
    )


KEYS = (
    Column("clients", "number", "hosts", "that looked for a lease beside a flood"),
    Column("clients_starving", "number", "hosts", "of these, those that got none"),
    Column("clients_served", "number", "", "the share of them that got one"),
    Column("lease_wait_p50_s", "number?", "s", "from a client's start to its lease: median"),
    Column("lease_wait_max_s", "number?", "s", "the longest"),
    Column("leasequery_p99_s", "number?", "s", "from a query beside a flood to its answer: 99th percentile"),
    Column("leasequery_unanswered", "number", "queries", "of these, those that were not answered"),
    *_memory_keys("server"),
    *_memory_keys("controller"),
    VERDICT,
)

SCENARIO = Scenario(
    name="starve",
    question="One subscriber floods the network with DHCP messages. Do the others still get leases, "
    "and does leasequery still work?",
    place=9,
    options=Starve,
    section="starve",
    further_sizes=sizes,
    refuses=refuses,
    play=starve,
    tables={"clients": CLIENTS},
    tabulate=tabulate,
    keys=KEYS,
    summarize=summarize,
    beginning="the first flood began",
    drawn=("clients_served", "lease_wait_p50_s", "leasequery_p99_s"),
)
