"""`backoff`: a server that does not answer, or late; what reaches it is counted on the wire (section 6.6).

What reached it is held against two sets of bounds, by what the concentrator knows of the server:

* not heard (R6.6-2, R6.6-3): from the first packet to its first answer, at most about one packet in 10 s,
  and at least one in a minute;
* heard, then silent (R6.6-4 to R6.6-6): until the server's timer expires, at most a window of queries, each
  sent again after intervals that double; from then on one query polls, within the first bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from lq.progress import Progress
from lq.results.schema import VERDICT, WIRE, Column
from lq.scenarios.course import begin, finish, phase, wait_until_reached
from lq.scenarios.network import Network
from lq.scenarios.outcome import Phase, Result
from lq.scenarios.parts.common import Common
from lq.scenarios.parts.part import Part
from lq.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from lq.results.evidence import Evidence, Table
from lq.scenarios.course import restart

DEMAND = 100.0  # packets a second for nobody's addresses: each comes again before its query is given up
SHORTEST, LONGEST = 10.0, 60.0  # seconds between two packets to a server that is silent (R6.6-2)
TOLERANCE = 0.25  # seconds: "about"; what the way adds to that is `_tolerance`


class Backoff(Part):
    """What is wrong with the first server in the scenario `backoff`, and for how long."""

    server: Literal["dead", "slow", "silent", "returning"] = Field(
        "dead",
        description="state of the first server; dead: it is killed; slow: it answers late; silent: it "
        "answers no leasequery; returning: it is killed and comes back",
    )
    heard: bool = Field(
        False,
        description="true: the server answers leasequeries before it dies, so the concentrator knows that "
        "it supports them (dead, returning); false: the concentrator reboots when the server "
        "has failed",
    )
    duration: float = Field(
        45.0, gt=0, le=3600, description="seconds for which the packets that reach the server are counted"
    )
    after: float = Field(15.0, ge=0, le=3600, description="seconds until the server comes back (returning)")
    late: float = Field(12.0, gt=0, le=20, description="delay of the server's answers in seconds (slow)")
    addresses: int = Field(
        200,
        ge=0,
        le=60000,
        description="number of addresses without a host that get traffic, in addition to the subscribers",
    )


@dataclass(frozen=True, kw_only=True)
class BackoffPhase(Phase):
    """The time with a server that fails; moments are seconds on the network's clock.

    failed_at     when the server began to be as specified
    returned_at   when it was back, None if it does not come back
    """

    failed_at: float
    returned_at: float | None


def backoff(network: Network, wanted: Backoff, tell: Progress) -> Result:
    """Let the first server fail, have the concentrator look for all subscribers, and watch for a time."""
    spec = network.spec
    leases = begin(network, tell, 2 * spec.timeout + spec.reboot.downtime + wanted.duration)
    failed: list[float] = []
    returned: list[float | None] = []
    most = max(1, round(DEMAND * wanted.duration))
    demands = []
    if wanted.addresses:
        scan = network.flood("demand", "scan", "sequential", DEMAND, most, addresses=wanted.addresses)
        demands.append(scan)

    def fail() -> None:
        _fail(network, wanted)
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
        returned.append(_sit_out(network, wanted, tell))
        return ready

    measured = phase(network, wanted.server, course, demands, reboot=not wanted.heard)
    served = BackoffPhase(**vars(measured), failed_at=failed[0], returned_at=returned[0])
    return finish(network, leases, [served])


def _fail(network: Network, wanted: Backoff) -> None:
    """Have the first server be as specified."""
    if wanted.server == "slow":
        network.lengthen_way(wanted.late / 2)
    elif wanted.server == "silent":
        network.start_server(0, leasequery=False)
    else:
        network.kill_server(0)


def _sit_out(network: Network, wanted: Backoff, tell: Progress) -> float | None:
    """Wait for the time of the experiment, and have the server come back if it does; return when."""
    start = network.now()
    returned: float | None = None
    while (spent := network.now() - start) < wanted.duration:
        tell("watching", int(spent), round(wanted.duration))
        if wanted.server == "returning" and returned is None and spent >= wanted.after:
            network.start_server(0)
            returned = network.now()
        network.sleep(0.1)
    tell("watching", round(wanted.duration), round(wanted.duration))
    return returned


def refuses(spec: Common, options: Backoff) -> str | None:
    """A server is heard before it fails only if it answers; a late answer is not to overtake others."""
    never = options.server in ("silent", "slow") or spec.server.kind == "dnsmasq"
    if options.heard and never:
        return (
            "backoff.heard=true needs a server that answers leasequery first: set "
            "backoff.server=dead or returning, and server.kind=builtin or dhcpd"
        )
    if options.server == "slow" and spec.wan.reordering:
        return "a reordered answer would not be late: leave wan.reordering out, or set another backoff.server"
    return None


# -- what reached the server


class Bounds(NamedTuple):
    """Packets to a server, held against the bounds.

    `burst`, `polls`: how many before and after its timer expired; `addresses`: about how many different ones
    the burst was. `shortest`, `longest`: seconds between two polls, or between the last packet of the burst
    and the first poll; the longest also up to the end. None without two packets. `faults` in words.
    """

    burst: int
    addresses: int
    polls: int
    shortest: float | None
    longest: float | None
    faults: list[str]


def tabulate(spec: Common, wanted: Backoff, evidence: Evidence) -> dict[str, Table]:
    """Return what the capture at the server holds."""
    return {"wire": evidence.wire()}


def summarize(spec: Common, wanted: Backoff, evidence: Evidence) -> dict[str, Any]:
    """Return the counts on the wire, `within_bounds`, and `verdict` in words: see `KEYS`."""
    result, tables = evidence.result, evidence.tables
    phase = result["phases"][0]
    zero = float(result["killed"])
    wire = tables["wire"]
    wire = wire[wire["server"] == evidence.servers[0]]
    start, end = float(phase["start"]) - zero, float(phase["end"]) - zero
    asked = wire[(wire["type"] == "leasequery") & (wire["at"] >= start) & (wire["at"] < end)]
    copies, asked = asked[asked["duplicate"]], asked[~asked["duplicate"]]
    answered = wire[wire["type"].isin(["active", "known", "unknown"]) & (wire["at"] >= start)]
    failed = float(phase["failed_at"]) - zero
    # An answer that is late is heard late, and what that causes arrives late.
    late = wanted.late if wanted.server == "slow" else 0.0
    first = answered.loc[answered["at"] > failed, "at"].min() + late
    until = end if math.isnan(first) else min(first, end)
    # A concentrator that has heard of the server asks once there is something to ask about.
    since = failed if wanted.heard else max(failed, float(phase["ready"]) - zero)
    times = asked[(asked["at"] > failed) & (asked["at"] < until)]
    bounds = judge(spec, wanted, times["at"].tolist(), times["address"].tolist(), since, until)
    returned = None if phase["returned_at"] is None else float(phase["returned_at"]) - zero
    probes = tables["probes"]
    back = None
    if returned is not None:
        after = probes[probes["received"] >= returned]
        firsts = after.groupby("subscriber")["received"].min()
        if len(firsts) == probes["subscriber"].nunique():
            back = float(firsts.max()) - returned
    return {
        "wire_packets": len(asked),
        "wire_duplicates": len(copies),
        "wire_answers": len(answered),
        "demand_packets": sum(attack.get("packets", 0) for attack in phase["attacks"]),
        "judged_s": until - since,
        "burst_packets": bounds.burst,
        "burst_addresses": bounds.addresses,
        "polls": bounds.polls,
        "smallest_gap_s": bounds.shortest,
        "largest_gap_s": bounds.longest,
        "returned_s": returned,
        "recovered_after_return_s": back,
        "within_bounds": not bounds.faults,
        "verdict": _verdict(wanted, bounds, until - since, back),
    }


def judge(
    spec: Common,
    wanted: Backoff,
    times: Sequence[float],
    addresses: Sequence[str],
    since: float,
    until: float,
) -> Bounds:
    """Hold the queries that reached a server at `times`, about `addresses`, against the bounds.

    `since` and `until` are when there was something to ask about, and no answer.
    """
    settings, heard, tolerance = spec.concentrator, wanted.heard, _tolerance(spec)
    expiry = times[0] + settings.server_timer + tolerance if heard and times else since
    burst = [time for time in times if heard and time <= expiry]
    polls = times[len(burst) :]
    asked = list(addresses[: len(burst)])
    faults = []
    if len(set(asked)) > settings.window:
        faults.append(f"{len(set(asked))} queries out at once, more than the window of {settings.window}")
    if _too_soon(burst, asked, settings.retry_first, tolerance):
        faults.append("queries sent again sooner than their own back-off allows (R6.6-5)")
    last = burst[-1:] or [since]
    between = [b - a for a, b in pairwise([*burst[-1:], *polls])]
    open_ends = [b - a for a, b in pairwise([*last, *polls, until])]
    shortest = min(between, default=None)
    longest = max(open_ends)
    if shortest is not None and shortest < SHORTEST - tolerance:
        faults.append(f"two packets {shortest:.2f} s apart, sooner than {SHORTEST:.0f} s (R6.6-2)")
    if longest > LONGEST + tolerance:
        faults.append(f"no packet for {longest:.1f} s, longer than {LONGEST:.0f} s (R6.6-2)")
    if not times:
        faults.append("no packet at all")
    return Bounds(len(burst), len(set(asked)), len(polls), shortest, longest, faults)


def _tolerance(spec: Common) -> float:
    """Return by how many seconds two packets may arrive nearer to each other, or further, than they left."""
    wan = spec.wan
    return TOLERANCE + wan.jitter + (wan.delay if wan.reordering else wan.jitter)


def _too_soon(times: Sequence[float], addresses: Sequence[str], first: float, tolerance: float) -> bool:
    """Whether any query was sent again before its interval, which doubles from `first`, was over."""
    latest: dict[str, tuple[float, float]] = {}
    for time, address in zip(times, addresses, strict=True):
        if address in latest:
            before, interval = latest[address]
            if time - before < interval - tolerance:
                return True
            latest[address] = (time, 2 * interval)
        else:
            latest[address] = (time, first)
    return False


def _verdict(wanted: Backoff, bounds: Bounds, seconds: float, back: float | None) -> str:
    apart = "" if bounds.shortest is None else f", {bounds.shortest:.1f} s apart at least"
    told = f"{bounds.polls} queries in {seconds:.0f} s to a server that was {_HOW[wanted.server]}{apart}"
    if wanted.heard:
        told = (
            f"{bounds.burst} queries about {bounds.addresses} addresses until the server's timer expired, "
            f"then {bounds.polls} in what was left of {seconds:.0f} s{apart}"
        )
    held = "within the bounds" if not bounds.faults else "NOT within the bounds: " + ", ".join(bounds.faults)
    after = "" if back is None else f"; all were back {back:.1f} s after it returned"
    return f"{told}: {held}{after}"


_HOW = {
    "dead": "dead",
    "slow": "slow, before its first answer",
    "silent": "without leasequery",
    "returning": "dead, before its first answer",
}


KEYS = (
    Column("wire_packets", "number", "packets", "queries that reached the server, all in all"),
    Column(
        "wire_duplicates", "number", "packets", "further copies, made by the WAN; the bounds leave them out"
    ),
    Column("wire_answers", "number", "packets", "answers that it sent"),
    Column("demand_packets", "number", "packets", "for nobody's addresses, which make the concentrator ask"),
    Column("judged_s", "number", "s", "for which the bounds applied: until its first answer, or the end"),
    Column("burst_packets", "number", "packets", "queries until the server's timer expired"),
    Column("burst_addresses", "number", "addresses", "about how many different ones these were"),
    Column("polls", "number", "packets", "queries after that"),
    Column("smallest_gap_s", "number?", "s", "the least between two polls; nothing without two packets"),
    Column("largest_gap_s", "number?", "s", "the most between two polls, or up to the end"),
    Column("returned_s", "number?", "s", "when it was back, since the phase began"),
    Column("recovered_after_return_s", "number?", "s", "from then to the last subscriber's return"),
    Column("within_bounds", "bool", "", "whether all was within the bounds of section 6.6"),
    VERDICT,
)

SCENARIO = Scenario(
    name="backoff",
    question="The server is dead, slow or silent, or it comes back. How many queries reach it, and "
    "does the concentrator respect the draft's limits (6.6)?",
    place=5,
    options=Backoff,
    section="backoff",
    refuses=refuses,
    lengthens_way=lambda options: options.server == "slow",
    play=backoff,
    phase_columns=(
        Column("failed_at", "time", "s", "when the server began to be as specified"),
        Column("returned_at", "time?", "s", "when it was back"),
    ),
    tables={"wire": WIRE},
    tabulate=tabulate,
    keys=KEYS,
    summarize=summarize,
    beginning="the server failed",
)
