"""`starve`: who gets a lease beside a flood, how long queries take, and what the flood leaves in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lq.experiments.spec import Spec

Tables = Mapping[str, pd.DataFrame]
SERVER_GROWTH = 64 << 20  # octets by which a server may grow under all floods together: see `summarize`
CONTROLLER_GROWTH = 64 << 20  # the same of a controller


def clients(result: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each newcomer: phase, client, started, leased (NaN: not), wait_s.

    `started` and `leased` in seconds since the first flood began, `wait_s` from one to the other.
    """
    zero = float(result["killed"])
    table: pd.DataFrame = pd.DataFrame(result["clients"], columns=["phase", "client", "started", "leased"])
    table[["started", "leased"]] = table[["started", "leased"]].astype(float) - zero
    table["wait_s"] = table["leased"] - table["started"]
    return table


def summarize(spec: Spec, result: Mapping[str, Any], tables: Tables) -> dict[str, Any]:
    """Return of all floods together, and `verdict` in words:

    clients              hosts that looked for a lease beside a flood
    clients_starving     how many of them got none
    clients_served       the share of them that got one, 0 to 1
    lease_wait_p50_s     seconds from a client's start to its lease, of those that got one: median
    lease_wait_max_s     the longest
    leasequery_p99_s     seconds from a query's first transmission, beside a flood, to its answer (99th
                         percentile)
    leasequery_unanswered   of these queries, those that were not answered
    server_memory_before, _after, _max            octets resident, as the first flood began, at the end, most
    controller_memory_before, _after, _max        the same of the controller
    server_memory_bound, controller_memory_bound  what the most must not exceed: `before`, and 64 MiB. What a
                         server or a relay keeps of one client is bounded, and so is their number.
    """
    table = tables["clients"]
    served = table["leased"].notna()
    waits = table.loc[served, "wait_s"]
    queries = tables["queries"]
    answered = queries.groupby("address").agg(at=("at", "min"), answered=("answered", "min"))
    floods = pd.IntervalIndex.from_arrays(tables["phases"]["start"], tables["phases"]["end"])
    beside = (
        floods.get_indexer(pd.Index(answered["at"].astype(float))) >= 0
    )  # in between the server starts anew
    times = (answered["answered"] - answered["at"]).astype(float)[beside]
    found = {
        "clients": len(table),
        "clients_starving": int((~served).sum()),
        "clients_served": float(served.mean()),
        "lease_wait_p50_s": float(waits.median()) if len(waits) else None,
        "lease_wait_max_s": float(waits.max()) if len(waits) else None,
        "leasequery_p99_s": float(times.quantile(0.99)) if times.notna().any() else None,
        "leasequery_unanswered": int(times.isna().sum()),
        **_memory(tables["load"], "server", SERVER_GROWTH),
        **_memory(tables["load"], "controller", CONTROLLER_GROWTH),
    }
    return {**found, "verdict": _verdict(table, found)}


def _memory(load: pd.DataFrame, process: str, growth: int) -> dict[str, int]:
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


def _verdict(table: pd.DataFrame, found: Mapping[str, Any]) -> str:
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
