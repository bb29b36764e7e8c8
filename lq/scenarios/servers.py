"""`servers`: the built-in server and ISC dhcpd under the same reboot, each in a lab of its own.

One after the other, so that neither is in the other's way. Same specification and seed, so the same network,
traffic, and order of queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lq.errors import BadInput
from lq.results.schema import VERDICT, Column
from lq.sandbox import dhcpd
from lq.sandbox.tools import find
from lq.scenarios.parts.common import Common
from lq.scenarios.scenario import NoOptions, Scenario, SideBySide


def refuses(spec: Common, options: NoOptions) -> str | None:
    """Both must speak the same leasequery."""
    if spec.server.dialect != "rfc4388":
        return "the scenario servers uses ISC dhcpd, which speaks only RFC 4388: leave server.dialect out"
    return None


def check() -> None:
    """Raise BadInput if the peer is not there."""
    if find("dhcpd") is None:
        raise BadInput(
            f"servers compares with ISC dhcpd: sudo apt-get install --no-install-recommends {dhcpd.PACKAGE}"
        )


def _told(row: Mapping[str, Any]) -> str:
    def shown(key: str) -> str:
        return "-" if row[key] is None else f"{row[key] * 1000:.0f} ms"

    return (
        f"{row['server']}: {row['recovered']} of {row['subscribers']} back, "
        f"median {shown('recovery_p50_s')}, at most {shown('recovery_max_s')}, "
        f"{row['queries_sent']} queries ({row['queries_resent']} sent again), "
        f"{shown('server_cpu_s')} of the server's processor"
    )


COMPARED = (
    Column("subscribers", "number", "hosts", "how many there are"),
    Column("recovered", "number", "hosts", "that came back"),
    Column("recovery_p50_s", "number?", "s", "from the takeover to a subscriber's first probe: median"),
    Column("recovery_p99_s", "number?", "s", "the same, 99th percentile"),
    Column("recovery_max_s", "number?", "s", "the same, the longest"),
    Column("queries_sent", "number", "queries", "first transmissions"),
    Column("queries_resent", "number", "queries", "further transmissions"),
    Column("queries_per_address", "number", "queries", "first transmissions for each address"),
    Column("replies_active", "number", "answers", "that were ACTIVE"),
    Column("server_cpu_s", "number", "s", "processor time of the server"),
    Column("valid", "bool", "", "whether the emulation can be believed"),
)

SCENARIO = Scenario(
    name="servers",
    question="The built-in server and ISC dhcpd serve under the same reboot. How well does each one answer?",
    place=10,
    options=NoOptions,
    refuses=refuses,
    comparison=SideBySide(
        of="reboot",
        part="server",
        variants={"builtin": {"kind": "builtin"}, "dhcpd": {"kind": "dhcpd"}},
        keys=[column.name for column in COMPARED],
        check=check,
        told=_told,
    ),
    tables={"servers": (Column("server", "text", "", "which one"), *COMPARED)},
    keys=(
        *(Column(f"dhcpd_{key.name}", key.kind, key.unit, f"dhcpd: {key.meaning}") for key in COMPARED),
        VERDICT,
    ),
)
