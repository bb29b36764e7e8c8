"""How figures name the keys of specifications and summaries, their values, and a sweep's points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

LABELS = {
    "arp.duration": "time watched (s)",
    "arp.spoofer": "thief",
    "attack.addresses": "addresses attacked",
    "attack.duration": "duration of the attack (s)",
    "attack.during_reboot": "reboot",
    "attack.kind": "attack",
    "attack.pattern": "addresses",
    "attack.rate": "attack (packets/s)",
    "backoff.heard": "heard before",
    "backoff.server": "server",
    "concentrator.ciaddr_restriction": "restriction",
    "concentrator.circuit_queries": "share of a circuit (queries)",
    "concentrator.known_time": "time that KNOWN is cached (s)",
    "concentrator.circuit_messages": "DHCP messages of a circuit",
    "concentrator.mode": "mode",
    "concentrator.moves": "moves",
    "concentrator.negative_cache": "negative cache",
    "concentrator.network_queries": "share of the network side (queries)",
    "concentrator.quota_interval": "quota interval (s)",
    "concentrator.retry_first": "time until the first retry (s)",
    "concentrator.retry_last": "longest retry interval (s)",
    "concentrator.server_timer": "server's timer (s)",
    "concentrator.unknown_time": "time that UNKNOWN is cached (s)",
    "concentrator.window": "window (queries)",
    "controller.framework": "framework",
    "failover.returns": "time until the dead server returns (s)",
    "failover.shared": "shared bindings",
    "failover.when": "server dies",
    "hijack.defences": "defences",
    "modems.delay": "time until the modems register (s)",
    "probes.direction": "probes",
    "probes.exponent": "exponent of zipf (probes)",
    "probes.interval": "interval of the probes (s)",
    "probes.pattern": "probes",
    "reboot.downtime": "downtime (s)",
    "server.dialect": "dialect",
    "server.count": "servers",
    "server.kind": "server",
    "server.lease_time": "lease time (s)",
    "server.service_time": "service time of the server (s)",
    "starve.defences": "limits",
    "starve.rate": "flood (messages/s)",
    "topology.figure": "topology",
    "topology.hosts_per_modem": "hosts behind each modem",
    "topology.modems": "modems",
    "topology.population": "population",
    "wan.delay": "delay of the WAN, each way (s)",
    "wan.jitter": "jitter of the WAN (s)",
    "wan.loss": "share of packets lost on the WAN",
    "wan.duplication": "share of packets duplicated on the WAN",
    "wan.reordering": "share of packets reordered on the WAN",
    "wan.rate": "rate of the WAN (bit/s)",
    "attack_packets": "attack packets",
    "bindings_disclosed": "bindings disclosed",
    "clients_served": "share of new hosts that got a lease",
    "honest_move_s": "time until the moved host is reached (s)",
    "lease_wait_p50_s": "median time until a new host has a lease (s)",
    "leasequery_p99_s": "time until 99 % of the queries are answered (s)",
    "on_path_hijacked": "victims hijacked by the on-path attacker",
    "victims_cut_off": "victims cut off",
    "victims_hijacked": "victims hijacked",
    "controller_cpu_s": "controller's processor time (s)",
    "controller_load": "load of the controller (share of a core)",
    "outage_s": "outage (s)",
    "probes_lost_share": "share of the subscribers' probes lost",
    "queries_per_address": "queries per address",
    "queries_per_s": "queries (/s)",
    "queries_resent": "repeated queries",
    "queries_sent": "queries",
    "recovered": "subscribers recovered",
    "recovery_max_s": "time until the last subscriber is back (s)",
    "recovery_p50_s": "median time until a subscriber is back (s)",
    "recovery_p99_s": "time until 99 % of the subscribers are back (s)",
    "server_cpu_s": "server's processor time (s)",
    "server_load": "load of the DHCP server (share of a core)",
    "switch_load": "load of the switch (share of a core)",
}
"""How axes name the keys of specifications and summaries; a key without a name stands for itself."""

DEFENCES = ("concentrator.ciaddr_restriction", "concentrator.negative_cache")  # R7-4, R7-3


def label(key: str) -> str:
    """Return how an axis names a key."""
    return LABELS.get(key, key)


def value_name(value: Any) -> str:
    """Return how a legend names a value by itself."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "none"
    if pd.api.types.is_bool(value):
        return "on" if value else "off"
    return f"{value:,.10g}" if pd.api.types.is_number(value) else str(value)


def setting_name(key: str, value: Any) -> str:
    """Return how a legend names a key with its value and unit: `delay of the WAN 0.02 s`."""
    name, _, unit = label(key).partition(" (")
    return " ".join(filter(None, (name.partition(",")[0], value_name(value), unit.removesuffix(")"))))


def point_names(table: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """Return for each row what tells its point from others that differ in `keys`.

    The defences of the concentrator are told together, where both differ: by which of them are on.
    """
    defended = set(DEFENCES) <= set(keys)
    others = [key for key in keys if not (defended and key in DEFENCES)]
    rows = []
    for row in table[list(keys)].to_dict("records"):
        parts = [_defences(row)] if defended else []
        rows.append(", ".join(parts + [setting_name(key, row[key]) for key in others]) or "all runs")
    names: pd.Series = pd.Series(rows, index=table.index, dtype=object)
    return names


def _defences(row: dict[Any, Any]) -> str:
    on = [label(key) for key in DEFENCES if row[key]]
    if len(on) == len(DEFENCES):
        return f"all: {' and '.join(on)}"
    return on[0] if on else "defences off"


def differing(table: pd.DataFrame) -> list[str]:
    """Return the keys of the grid in which a sweep's points differ; seeds make repeats, not points."""
    columns = [str(name) for name in table.columns]
    if not {"repeat", "scenario"} <= set(columns):
        return []
    keys = columns[columns.index("repeat") + 1 : columns.index("scenario")]
    return [key for key in keys if key != "seed" and table[key].map(value_name).nunique() > 1]


def is_number(column: pd.Series) -> bool:
    """Whether a key's values can be an axis: numbers, all of them, and not true and false."""
    kind = pd.api.types
    return kind.is_numeric_dtype(column) and not kind.is_bool_dtype(column) and bool(column.notna().all())
