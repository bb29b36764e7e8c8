"""What `dos` and `claim` share: their options, the flood, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lq.progress import Progress
from lq.results.schema import Column
from lq.scenarios import network as networks
from lq.scenarios.course import wait_until_reached, watch_until
from lq.scenarios.network import Network, Pattern
from lq.scenarios.parts.common import Common
from lq.scenarios.parts.part import Part

if TYPE_CHECKING:
    from lq.results.evidence import Evidence

SECTION = "attack"
DRAWN = (
    *("queries_per_s", "server_load", "controller_load", "probes_lost_share"),
    *("recovery_p50_s", "recovery_max_s", "queries_sent", "queries_per_address"),
)


class Attack(Part):
    """The flood of the scenarios `dos` and `claim`."""

    kind: Literal["scan", "spoof"] = Field(
        "scan",
        description="scan: packets from the Internet to one address after the other; spoof: packets of one "
        "host with the source address of others",
    )
    pattern: Literal["sequential", "random", "out-of-range", "mixed", "hit-list"] = Field(
        "sequential",
        description="which addresses (dos); sequential: the range in order; random: the range shuffled; "
        "out-of-range: addresses of other networks; mixed: half random, half out-of-range; "
        "hit-list: the subscribers' addresses",
    )
    addresses: int | None = Field(
        500,
        ge=1,
        le=65519,
        description="number of addresses of the range, used again and again; null: the whole range",
    )
    rate: float = Field(1000.0, gt=0, le=100_000, description="packets per second")
    duration: float = Field(10.0, gt=0, le=3600, description="length of the attack in seconds")
    during_reboot: bool = Field(
        True, description="the concentrator reboots as the attack begins; false: there is no reboot (dos)"
    )


KEYS = (
    Column("attack_packets", "number", "packets", "sent by the attack"),
    Column("attack_addresses", "number", "addresses", "to (or from) how many different ones"),
    Column("attack_delivered", "number?", "packets", "that reached subscribers; nothing if unknown"),
    Column("queries_per_subscriber", "number", "queries", "first transmissions for each subscriber"),
    Column("inside_queries", "number", "queries", "about addresses of the range that are nobody's"),
    Column("inside_queries_most", "number", "queries", "the most about one of them to one server"),
    Column("outside_queries", "number", "queries", "about addresses outside the range"),
    Column("server_load", "number", "cores", "the servers' processor time for each second"),
    Column("controller_load", "number", "cores", "the controller's"),
    Column("switch_load", "number", "cores", "the switch's"),
    Column("probes_lost_share", "number", "", "share of the probes lost once the concentrator was up"),
    Column("controller_memory", "number", "octets", "resident at the end"),
    Column("negative_entries", "number", "addresses", "that the controller refused at the end"),
)
"""What the summary says of the first phase."""


def refuses(spec: Common, options: Attack) -> str | None:
    """Return why there can be no such flood."""
    if options.kind == "spoof" and spec.topology.population:
        return (
            "a host that spoofs must be a node of its own: set topology.population=false or attack.kind=scan"
        )
    return None


def flood(
    network: Network, options: Attack, name: str, pattern: Pattern, leases: Mapping[str, str]
) -> networks.Attack:
    """Make a flood as specified ready, to (or from) the addresses of a pattern."""
    return network.flood(
        name,
        options.kind,
        pattern,
        options.rate,
        max(1, round(options.rate * options.duration)),
        source="internet" if options.kind == "scan" else next(iter(leases)),
        addresses=options.addresses,
        listed=list(leases.values()),
    )


def sit_out(network: Network, options: Attack, tell: Progress, ready: float | None) -> None:
    """Wait until the attack's time is over, and after a reboot until all are back, as long as one waits."""
    watch_until(network, network.now(), options.duration, "attack", tell)
    if ready is not None:
        wait_until_reached(network, ready, network.spec.timeout, "recovery", tell)


def summarize(spec: Common, options: Attack, evidence: Evidence) -> dict[str, Any]:
    """Return the keys of `KEYS`."""
    first = evidence.phases[0]
    delivered = float(first["attack_delivered"])
    return {
        "attack_packets": int(first["attack_packets"]),
        "attack_addresses": int(first["attack_addresses"]),
        "attack_delivered": None if math.isnan(delivered) else int(delivered),
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


def _load(phase: Mapping[str, Any], key: str) -> float:
    """Processor time for each second: 1 is a core."""
    return float(phase[key] / (phase["end"] - phase["start"]))
