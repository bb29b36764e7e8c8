"""`claim`: one query for each subscriber after a reboot, whatever is scanned: the draft's headline (R7-5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lq.progress import Progress
from lq.results.schema import VERDICT, Column, prefixed
from lq.scenarios import denial
from lq.scenarios.course import begin, finish, phase, restart
from lq.scenarios.denial import Attack
from lq.scenarios.network import Network, Pattern
from lq.scenarios.outcome import Phase, Result
from lq.scenarios.parts.common import Common
from lq.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from lq.results.evidence import Evidence

_UNDEFENDED = ("queries_per_subscriber", "inside_queries", "inside_queries_most", "outside_queries")


def claim(network: Network, options: Attack, tell: Progress) -> Result:
    """Reboot twice under scans within and outside the range: with the defences, then without them."""
    spec = network.spec
    leases = begin(network, tell, 2 * (options.duration + spec.timeout + spec.reboot.downtime + 10))
    phases = [
        _reboot_under_scans(network, options, tell, name, defended, leases)
        for name, defended in (("defended", True), ("undefended", False))
    ]
    return finish(network, leases, phases)


def _reboot_under_scans(
    network: Network, options: Attack, tell: Progress, name: str, defended: bool, leases: Mapping[str, str]
) -> Phase:
    """Reboot with both defences, the negative cache and the restriction to its own networks, or neither."""
    patterns: dict[str, Pattern] = {"inside": "random", "outside": "out-of-range"}
    scans = [
        denial.flood(network, options, f"{name}-{where}", pattern, leases)
        for where, pattern in patterns.items()
    ]

    def begin_scans() -> None:
        for scan in scans:
            scan.start()

    def course() -> float:
        network.behave(negative_cache=defended, ciaddr_restriction=defended)
        ready = restart(network, tell, begin_scans)
        denial.sit_out(network, options, tell, ready)
        return ready

    return phase(network, name, course, scans)


def summarize(spec: Common, options: Attack, evidence: Evidence) -> dict[str, Any]:
    """Return what `dos` does, of the phase with the defences, and what is judged of both."""
    return {**denial.summarize(spec, options, evidence), **judge(spec, evidence.phases)}


def judge(spec: Common, phases: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return `claim_holds` (R7-5) with `verdict` in words, and the same numbers without the defences.

    It holds if, with the defences, every subscriber came back by one query about its address, no query was
    about an address outside the range, and of those within that are nobody's none was asked about more than
    once in a negative time.
    """
    rows = {str(row["phase"]): row for row in phases}
    with_, without = rows["defended"], rows["undefended"]
    shortest = min(spec.concentrator.known_time, spec.concentrator.unknown_time)
    most = int((with_["end"] - with_["start"]) / shortest) + 1
    faults = []
    if with_["reached"] < with_["addressed"]:
        faults.append(f"{with_['addressed'] - with_['reached']} subscribers did not come back")
    if with_["queries_per_subscriber"] != 1.0:
        faults.append(f"{with_['queries_per_subscriber']:.2f} queries for each subscriber's address")
    if with_["outside_queries"]:
        faults.append(f"{with_['outside_queries']} queries about addresses outside the range")
    if with_["inside_queries_most"] > most:
        faults.append(f"{with_['inside_queries_most']} queries about one address that is nobody's")
    told = [
        f"{name}: {row['queries_per_subscriber']:.2f} queries for each subscriber, {row['outside_queries']} "
        f"about addresses outside the range, at most {row['inside_queries_most']} about one within that is "
        f"nobody's, {row['queries_sent']} in all"
        for name, row in (("with the defences", with_), ("without", without))
    ]
    holds = "the claim does not hold: " + ", ".join(faults) if faults else "the claim holds"
    return {
        "claim_holds": not faults,
        "verdict": f"{holds}; " + "; ".join(told),
        "undefended_queries_per_subscriber": float(without["queries_per_subscriber"]),
        "undefended_inside_queries": int(without["inside_queries"]),
        "undefended_inside_queries_most": int(without["inside_queries_most"]),
        "undefended_outside_queries": int(without["outside_queries"]),
    }


SCENARIO = Scenario(
    name="claim",
    question="After a reboot, somebody scans all addresses. Is there still only one query per "
    "subscriber (R7-5)?",
    place=3,
    options=Attack,
    section=denial.SECTION,
    refuses=denial.refuses,
    play=claim,
    keys=(
        *denial.KEYS,
        Column("claim_holds", "bool", "", "whether the claim holds, with the defences (R7-5)"),
        VERDICT,
        *prefixed(
            "undefended_",
            (key for name in _UNDEFENDED for key in denial.KEYS if key.name == name),
            "without the defences: ",
        ),
    ),
    summarize=summarize,
    attacked=True,
    drawn=denial.DRAWN,
)
