"""`flap`: the concentrator reboots several times in a row; what of that adds up?

Each new concentrator begins with an empty memory, and so with a back-off of its own (section 6.6).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lq.progress import Progress
from lq.results.schema import VERDICT, Column
from lq.scenarios.course import begin, finish, phase, restart, wait_until_reached, watch_until
from lq.scenarios.network import Network
from lq.scenarios.outcome import Phase, Result
from lq.scenarios.parts.common import Common
from lq.scenarios.parts.part import Part
from lq.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from lq.results.evidence import Evidence, Table

START = 15.0  # seconds that a new controller may take at most, for the length of the traffic


class Flap(Part):
    """The reboots of the scenario `flap`."""

    reboots: int = Field(5, ge=2, le=100, description="how many times the concentrator reboots")
    interval: float = Field(
        2.0, ge=0.1, le=600, description="seconds from a new concentrator's taking over to the next reboot"
    )


def flap(network: Network, options: Flap, tell: Progress) -> Result:
    """Reboot again and again, a phase each; after the last reboot wait until all subscribers are back."""
    spec = network.spec
    each = spec.reboot.downtime + options.interval + START
    leases = begin(network, tell, options.reboots * each + spec.timeout + spec.reboot.settle)
    numbers = range(1, options.reboots + 1)
    return finish(network, leases, [_phase(network, options, tell, number) for number in numbers])


def _phase(network: Network, options: Flap, tell: Progress, number: int) -> Phase:
    spec, name = network.spec, f"reboot {number}"

    def course() -> float:
        ready = restart(network, tell)
        watch_until(network, ready, options.interval, name, tell)
        if number == options.reboots:
            wait_until_reached(network, ready, spec.timeout, "recovery", tell)
            network.sleep(spec.reboot.settle)
        return ready

    return phase(network, name, course)


def summarize(spec: Common, options: Flap, evidence: Evidence) -> dict[str, Any]:
    """Return what all reboots add up to: the keys of `KEYS`."""
    phases = evidence.phases
    outages: Counter[str] = Counter()
    waited = cut_short = 0
    for number, row in enumerate(phases, start=1):
        lost = _outages(evidence, row)
        length = float(row["end"] - row["start"])
        outages.update(lost)
        if number < len(phases):
            waited += len(lost)
            cut_short += sum(outage >= length for outage in lost.values())
    sums = evidence.table([{"outage_s": outage} for outage in outages.values()], ["outage_s"])
    found = {
        "reboots": len(phases),
        "queries_per_subscriber_all": sum(row["subscriber_queries"] for row in phases)
        / phases[0]["subscribers"],
        "queries_resent_all": int(sum(row["queries_resent"] for row in phases)),
        "outage_sum_p50_s": _quantile(sums, 0.5),
        "outage_sum_max_s": _quantile(sums, 1.0),
        "cut_short_share": cut_short / waited if waited else None,
    }
    return {**found, "verdict": _verdict(options, found)}


def _outages(evidence: Evidence, row: dict[str, Any]) -> dict[str, float]:
    """Return for how many seconds of a phase each subscriber was cut off, from the reboot on.

    That is the whole phase for one that was not back in it. A subscriber without a probe in it is left out.
    """
    start, ready, end = (float(row[key]) for key in ("start", "ready", "end"))
    back = ready + evidence.recovery(ready, end)
    return {str(name): min(end, moment) - start for name, moment in back.fillna(end).items()}


def _quantile(sums: Table, share: float) -> float | None:
    return float(sums["outage_s"].quantile(share)) if len(sums) else None


def _verdict(options: Flap, found: dict[str, Any]) -> str:
    each = found["queries_per_subscriber_all"] / found["reboots"]
    told = (
        f"{found['reboots']} reboots, each {options.interval:g} s after the last takeover, took "
        f"{found['queries_per_subscriber_all']:.2f} queries for each subscriber ({each:.2f} a reboot); "
        f"{found['queries_resent_all']} queries were sent again"
    )
    if found["outage_sum_p50_s"] is not None:
        told += (
            f"; a subscriber's outages add up to {found['outage_sum_p50_s']:.1f} s (median), "
            f"{found['outage_sum_max_s']:.1f} s at most"
        )
    if found["cut_short_share"] is not None:
        told += f"; {100 * found['cut_short_share']:.0f} % were not back before the next reboot"
    return told


KEYS = (
    Column("reboots", "number", "reboots", "how many there were"),
    Column(
        "queries_per_subscriber_all", "number", "queries", "first transmissions, of all reboots, a subscriber"
    ),
    Column("queries_resent_all", "number", "queries", "further transmissions, of all reboots"),
    Column("outage_sum_p50_s", "number?", "s", "the sum of a subscriber's outages: median over subscribers"),
    Column("outage_sum_max_s", "number?", "s", "the same: the most"),
    Column(
        "cut_short_share", "number?", "", "share of the subscribers that were not back before the next reboot"
    ),
    VERDICT,
)

SCENARIO = Scenario(
    name="flap",
    question="The concentrator reboots several times in a row: what of the back-off, the queries and the "
    "outages adds up?",
    options=Flap,
    section="flap",
    play=flap,
    keys=KEYS,
    summarize=summarize,
    drawn=("queries_per_subscriber_all", "outage_sum_p50_s", "outage_sum_max_s", "cut_short_share"),
)
