"""`backoff`: what reached the server, counted on its interface, against the bounds of section 6.6.

Two sets of bounds, by what the concentrator knows of the server:

* not heard (R6.6-2, R6.6-3): from the first packet to its first answer, at most about one packet in 10 s,
  and at least one in a minute;
* heard, then silent (R6.6-4 to R6.6-6): until the server's timer expires, at most a window of queries, each
  sent again after intervals that double; from then on one query polls, within the first bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd

from lq.experiments.spec import Spec
from topologies import plan

SHORTEST, LONGEST = 10.0, 60.0  # seconds between two packets to a server that is silent (R6.6-2)
TOLERANCE = 0.25  # seconds: "about"; what the way adds to that is `_tolerance`


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


def summarize(spec: Spec, result: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the counts on the wire, `within_bounds`, and `verdict` in words.

    `wire_packets`: queries that reached the server, all in all; `wire_duplicates`: further copies of these
    that the WAN has made, which the bounds are not about; `wire_answers`: answers that it sent;
    `demand_packets`: packets for nobody's addresses, which make it ask;
    `judged_s`: seconds for which the bounds applied, that is, until its first answer or the end;
    `burst_packets`, `burst_addresses`, `polls`, `smallest_gap_s`, `largest_gap_s`: see `Bounds`;
    `returned_s`: when it was back, seconds since the phase began, `recovered_after_return_s`: from
    then to the last subscriber's return; None where that did not happen.
    """
    phase, wanted = result["phases"][0], spec.backoff
    zero = float(result["killed"])
    wire = tables["wire"]
    wire = wire[wire["server"] == plan.SERVERS[0].name]
    start, end = float(phase["start"]) - zero, float(phase["end"]) - zero
    asked = wire[(wire["type"] == "leasequery") & (wire["at"] >= start) & (wire["at"] < end)]
    copies, asked = asked[asked["duplicate"]], asked[~asked["duplicate"]]
    answered = wire[wire["type"].isin(["active", "known", "unknown"]) & (wire["at"] >= start)]
    failed = float(phase["failed_at"]) - zero
    # An answer that is late is heard late, and what that causes arrives late.
    late = wanted.late if wanted.server == "slow" else 0.0
    first = answered.loc[answered["at"] > failed, "at"].min() + late
    until = end if pd.isna(first) else min(first, end)
    # A concentrator that has heard of the server asks once there is something to ask about.
    since = failed if wanted.heard else max(failed, float(phase["ready"]) - zero)
    times = asked[(asked["at"] > failed) & (asked["at"] < until)]
    bounds = judge(spec, times["at"].tolist(), times["address"].tolist(), since, until)
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
        "verdict": _verdict(spec, bounds, until - since, back),
    }


def judge(spec: Spec, times: Sequence[float], addresses: Sequence[str], since: float, until: float) -> Bounds:
    """Hold the queries that reached a server at `times`, about `addresses`, against the bounds.

    `since` and `until` are when there was something to ask about, and no answer.
    """
    settings, heard, tolerance = spec.concentrator, spec.backoff.heard, _tolerance(spec)
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


def _tolerance(spec: Spec) -> float:
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


def _verdict(spec: Spec, bounds: Bounds, seconds: float, back: float | None) -> str:
    apart = "" if bounds.shortest is None else f", {bounds.shortest:.1f} s apart at least"
    told = (
        f"{bounds.polls} queries in {seconds:.0f} s to a server that was {_HOW[spec.backoff.server]}{apart}"
    )
    if spec.backoff.heard:
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
