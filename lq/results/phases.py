"""A run's phases as a table: what each cost, told apart by whose addresses the queries were about.

Columns, times in seconds since the reboot (or the attack's beginning, if there is no reboot):

phase, start, ready, end
subscribers, addressed, reached     how many there are; of how many a probe was due between `ready` and `end`,
                               and was delivered
queries_sent, queries_resent   first transmissions, and further ones
queries_refresh                both, about locations that were about to end; no other column counts them
subscriber_queries             first transmissions about subscribers' addresses
queries_per_subscriber         the same for each subscriber's address that was asked about
inside_queries, outside_queries     first transmissions about nobody's addresses in and outside the range
inside_addresses                    how many addresses in the range, nobody's, were asked about
inside_queries_most                 the most that were sent about one of them to one server
attack_packets, attack_addresses    what the attack sent, to (or from) how many different addresses
attack_delivered               how many of its packets reached subscribers (NaN where that cannot be told)
probes_sent, probes_delivered  due between `ready` and `end`
server_cpu_s, controller_cpu_s, switch_cpu_s, controller_memory (octets, at the end)
negative_entries               addresses that the controller refused at the end, for whatever reason: the
                               entries of its negative cache whose time was not over
and what the scenario has measured itself (`lq.scenarios`)
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

import numpy as np
import pandas as pd

from lq.experiments.spec import Spec
from topologies import plan

_COMMON = {"start", "ready", "end", "registered", "delivered", "controller_memory"}
_COMMON |= {"server_cpu_s", "controller_cpu_s", "switch_cpu_s"}
ATTACKED = ("dos", "claim")  # scenarios with an attack


def tabulate(result: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the phases of a run's `result`, measured on its tables."""
    zero = float(result["killed"])
    rows = [_row(phase, zero, set(result["addresses"].values()), tables) for phase in result["phases"]]
    table: pd.DataFrame = pd.DataFrame(rows)
    return table


def _row(
    phase: Mapping[str, Any], zero: float, leased: set[str], tables: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    start, ready, end = (phase[key] - zero for key in ("start", "ready", "end"))
    queries, probes = tables["queries"], tables["probes"]
    queries = queries[(queries["at"] >= start) & (queries["at"] < end)]
    refresh, queries = queries[queries["refresh"]], queries[~queries["refresh"]]
    probes = probes[(probes["due"] >= ready) & (probes["due"] < end)]
    first = queries[queries["attempt"] == 1]
    own = first[first["address"].isin(leased)]
    others = first[~first["address"].isin(leased)].dropna(subset=["address"])
    inside = others["address"].map(_in_range).astype(bool)
    within = others[inside]
    asked = own.groupby(["address", "server"]).size()
    attacks = phase["attacks"]
    delivered = probes["received"].notna()
    return {
        "phase": phase["name"],
        "start": start,
        "ready": ready,
        "end": end,
        "subscribers": len(leased),
        "addressed": probes["subscriber"].nunique(),
        "reached": probes.loc[delivered, "subscriber"].nunique(),
        "queries_sent": len(first),
        "queries_resent": len(queries) - len(first),
        "queries_refresh": len(refresh),
        "subscriber_queries": len(own),
        "queries_per_subscriber": float(asked.mean()) if len(asked) else 0.0,
        "inside_queries": len(within),
        "outside_queries": len(others) - len(within),
        "inside_addresses": within["address"].nunique(),
        "inside_queries_most": int(within.groupby(["address", "server"]).size().max()) if len(within) else 0,
        "attack_packets": sum(attack.get("packets", 0) for attack in attacks),
        "attack_addresses": sum(attack.get("addresses", 0) for attack in attacks),
        "attack_delivered": np.nan if phase["delivered"] is None else phase["delivered"],
        "probes_sent": len(probes),
        "probes_delivered": int(delivered.sum()),
        **{key: phase[key] for key in ("server_cpu_s", "controller_cpu_s", "switch_cpu_s")},
        "controller_memory": phase["controller_memory"],
        "negative_entries": negative_entries(tables["events"], zero, end),
        **_further(phase, zero),
    }


def negative_entries(events: pd.DataFrame, zero: float, moment: float) -> int:
    """Return how many addresses the controller of a moment refuses then, seconds since the reboot.

    `zero` is the reboot on the monotonic clock, which the events' `until` is on.
    """
    events = events[events["at"] < moment]
    if "until" not in events:  # nobody was ever refused
        return 0
    own = events[events["generation"] == events["generation"].max()]
    last = own[own["event"].isin(["refuse", "permit"])].drop_duplicates("address", keep="last")
    return int(((last["event"] == "refuse") & (last["until"].astype(float) - zero > moment)).sum())


def _further(phase: Mapping[str, Any], zero: float) -> dict[str, float]:
    """Return the numbers that a scenario has measured itself; moments, which end in `_at`, since `zero`."""
    return {
        key: value - zero if key.endswith("_at") else value
        for key, value in phase.items()
        if key not in _COMMON and isinstance(value, int | float)
    }


def _in_range(address: str) -> bool:
    return IPv4Address(address) in plan.ACCESS_NETWORK


def summarize(spec: Spec, table: pd.DataFrame) -> dict[str, Any]:
    """Return what the summary of an attacked run has beyond that of others; of others, nothing."""
    if spec.scenario not in ATTACKED:
        return {}
    first = table.iloc[0]
    delivered = first["attack_delivered"]
    summary = {
        "attack_packets": int(first["attack_packets"]),
        "attack_addresses": int(first["attack_addresses"]),
        "attack_delivered": None if pd.isna(delivered) else int(delivered),
        "queries_per_subscriber": float(first["queries_per_subscriber"]),
        "inside_queries": int(first["inside_queries"]),
        "inside_queries_most": int(first["inside_queries_most"]),
        "outside_queries": int(first["outside_queries"]),
        "server_load": _load(first, "server_cpu_s"),
        "controller_load": _load(first, "controller_cpu_s"),
        "switch_load": _load(first, "switch_cpu_s"),
        "probes_lost_share": 1 - first["probes_delivered"] / max(1, first["probes_sent"]),
        "controller_memory": int(first["controller_memory"] or 0),
        "negative_entries": int(first["negative_entries"]),
    }
    return summary if spec.scenario != "claim" else {**summary, **judge_claim(spec, table)}


def _load(phase: pd.Series, key: str) -> float:
    """Processor time for each second: 1 is a core."""
    return float(phase[key] / (phase["end"] - phase["start"]))


def judge_claim(spec: Spec, table: pd.DataFrame) -> dict[str, Any]:
    """Return `claim_holds` (R7-5) with `verdict` in words, and the same numbers without the defences.

    It holds if, with the defences, every subscriber came back by one query about its address, no query was
    about an address outside the range, and of those within that are nobody's none was asked about more than
    once in a negative time.
    """
    rows = {str(row["phase"]): row for row in table.to_dict("records")}
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
