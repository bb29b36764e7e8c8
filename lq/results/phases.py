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

from topologies import plan

_COMMON = {"start", "ready", "end", "registered", "delivered", "controller_memory"}
_COMMON |= {"server_cpu_s", "controller_cpu_s", "switch_cpu_s"}


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
