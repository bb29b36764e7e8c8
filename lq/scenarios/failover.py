"""`failover`: two servers, one of which dies (R4.4-1), or which disagree (R6.7-1), around a reboot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lq.errors import RunFailed
from lq.progress import Progress
from lq.results.schema import VERDICT, WIRE, Column
from lq.scenarios.course import begin, finish, phase, sleep_until, wait_until_reached
from lq.scenarios.network import Network
from lq.scenarios.outcome import Phase, Result
from lq.scenarios.parts.common import Common
from lq.scenarios.parts.part import Part
from lq.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from lq.results.evidence import Evidence, Table
from lq.scenarios.course import restart

APART = 3.0  # seconds between two transactions that option 91, in whole seconds, is to tell apart
POLLS = 20.0  # seconds that a silent server's polls may be apart when it has just come back
LEASE_TIMEOUT = 60.0  # seconds in which a host that has moved must get a lease


class Failover(Part):
    """What happens to two servers in the scenario `failover`."""

    case: Literal["death", "disagreement"] = Field(
        "death",
        description="death: one server dies; disagreement: a host moves, and only one server learns of it",
    )
    when: Literal["before", "during", "after"] = Field(
        "during",
        description="when the server with the most leases dies (death); before: before the concentrator is "
        "killed; during: while it is down; after: after the new one has taken over",
    )
    shared: bool = Field(
        True, description="each server has a copy of the other's bindings, as in a failover pair (death)"
    )
    returns: float | None = Field(
        None,
        ge=0,
        le=3600,
        description="seconds until the dead server comes back; null: it stays dead (death)",
    )


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


def failover(network: Network, wanted: Failover, tell: Progress) -> Result:
    """Reboot the concentrator while a server dies, or after a host moved that one server has not heard of."""
    if wanted.case == "disagreement":
        return _disagreement(network, tell)
    return _death(network, wanted, tell)


def _death(network: Network, wanted: Failover, tell: Progress) -> Result:
    spec = network.spec
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


def refuses(spec: Common, options: Failover) -> str | None:
    """There must be two servers; what one of them is to know of the other is copied."""
    if spec.server.count != 2:
        return "failover needs two servers: set server.count=2"
    copied = options.shared or options.case == "disagreement"
    if copied and spec.server.kind != "builtin":
        return "only the built-in server's bindings can be copied: set failover.shared=false"
    if options.case == "disagreement" and (spec.topology.population or spec.topology.modems == 1):
        return "a host moves to another modem: set topology.modems=2 or more, and topology.population=false"
    return None


# -- who came back, and whose answer counted

ANSWERS = (
    Column("at", "time", "s", "since the reboot"),
    Column("server", "text", "", "which one answered"),
    Column("address", "text", "", "that more than one answered for"),
    Column("modem", "text", "", "its hardware address, from option 82"),
    Column("last_transaction", "number?", "s", "since the client's last transaction (option 91)"),
    Column("won", "bool", "", "that is where the concentrator has located the host in the end (R6.7-1)"),
)


def tabulate(spec: Common, wanted: Failover, evidence: Evidence) -> dict[str, Table]:
    """Return what the captures hold, and the ACTIVE answers in which the servers may differ (`ANSWERS`)."""
    wire = evidence.wire()
    return {"wire": wire, "answers": answers(spec, wire, evidence)}


def answers(spec: Common, wire: Table, evidence: Evidence) -> Table:
    """Return the servers' ACTIVE answers since the reboot about addresses that more than one answered for."""
    events = evidence.tables["events"]
    found = wire[(wire["type"] == "active") & (wire["at"] >= 0)]
    several = found.groupby("address")["server"].transform("nunique") > 1
    table: Table = found[several][[column.name for column in ANSWERS[:-1]]].reset_index(drop=True)
    permits = events[(events["event"] == "permit") & (events["at"] >= 0)]
    located = {} if permits.empty else permits.groupby("address")["tags"].last().map(tuple).to_dict()
    tags = evidence.tags_of_modems(spec)
    table["won"] = [
        tags.get(modem) == located.get(address)
        for modem, address in zip(table["modem"], table["address"], strict=True)
    ]
    return table


def summarize(spec: Common, wanted: Failover, evidence: Evidence) -> dict[str, Any]:
    """Return `verdict`, and more: `KEYS_OF_DEATH`, or `KEYS_OF_DISAGREEMENT`."""
    if wanted.case == "disagreement":
        return _who_won(evidence.tables["answers"])
    phase = evidence.result["phases"][0]
    back = evidence.recovery(float(phase["ready"]) - float(evidence.result["killed"]))
    held = back.reindex(phase["held_by_dead"])
    returned = phase["returned_at"]
    knew = "the other had its bindings" if wanted.shared else "the other knew nothing of its leases"
    told = (
        f"{int(back.notna().sum())} of {len(back)} subscribers came back, "
        f"{int(held.notna().sum())} of the {len(held)} whose lease {phase['dead']} held"
        f" ({wanted.when} the reboot it died; {knew})"
    )
    if returned is not None:
        told += ", and it returned"
    return {
        "dead_server": phase["dead"],
        "held_by_dead": len(held),
        "recovered_of_dead": int(held.notna().sum()),
        "returned_s": evidence.since_reboot(returned),
        "verdict": told,
    }


def _who_won(table: Table) -> dict[str, Any]:
    told, fresher, disagreements = [], 0, 0
    for address, of_one in table.groupby("address"):
        if of_one["modem"].nunique() < 2:
            continue
        disagreements += 1
        # A server that is asked twice answers twice: what counts is its first answer.
        said = of_one.sort_values("last_transaction").drop_duplicates("server").to_dict("records")
        fresher += bool(said[0]["won"])
        told += [
            f"{row['server']} said {row['modem']} of {address}, as of {row['last_transaction']:.0f} s before"
            f"{' (that counted)' if row['won'] else ''}"
            for row in said
        ]
    held = f"the later transaction counted for {fresher} of {disagreements} addresses (R6.7-1)"
    return {
        "disagreements": disagreements,
        "fresher_won": fresher,
        "verdict": "; ".join([held, *told]),
    }


KEYS_OF_DEATH = (
    Column("dead_server", "text", "", "which one died"),
    Column("held_by_dead", "number", "hosts", "subscribers whose lease is its"),
    Column("recovered_of_dead", "number", "hosts", "of these, those that came back"),
    Column("returned_s", "number?", "s", "when it was back, since the phase began"),
)
KEYS_OF_DISAGREEMENT = (
    Column("disagreements", "number", "addresses", "of which the servers said different things"),
    Column("fresher_won", "number", "addresses", "of these, those where the later transaction counted"),
)

SCENARIO = Scenario(
    name="failover",
    question="One of two servers dies around the reboot, or the two disagree. Which subscribers come"
    " back, and which answer wins (R4.4-1, R6.7-1)?",
    place=6,
    options=Failover,
    section="failover",
    sizes={"server": {"count": 2}},
    refuses=refuses,
    play=failover,
    phase_columns=(
        Column("died_at", "time", "s", "when the server died (death)"),
        Column("returned_at", "time?", "s", "when it was back (death)"),
    ),
    tables={"wire": WIRE, "answers": ANSWERS},
    tabulate=tabulate,
    keys=(*KEYS_OF_DEATH, *KEYS_OF_DISAGREEMENT, VERDICT),
    summarize=summarize,
)
