"""The concentrator's flow table as rows, read from what ovs-ofctl(8) prints."""

from __future__ import annotations

import re
import subprocess
from typing import Any


def rows(bridge: str) -> list[dict[str, Any]]:
    """Return a bridge's flows: table, priority, match, actions, packets, octets, age and hard_timeout (s)."""
    command = ["ovs-ofctl", "-O", "OpenFlow13", "--names", "dump-flows", bridge]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [row for line in text.splitlines() if (row := _flow(line))]


def _flow(line: str) -> dict[str, Any] | None:
    """Take a line of `ovs-ofctl dump-flows` apart."""
    found = re.match(
        r" cookie=\S+ duration=(?P<age>[\d.]+)s, table=(?P<table>\d+), n_packets=(?P<packets>\d+), "
        r"n_bytes=(?P<octets>\d+), (?P<match>.*) actions=(?P<actions>.*)",
        line,
    )
    if found is None:
        return None
    parts = [part.strip() for part in found["match"].split(",")]
    own = dict(part.split("=", 1) for part in parts if part.startswith(("priority=", "hard_timeout=")))
    match = ",".join(p for p in parts if not p.startswith(("priority=", "hard_timeout=", "idle_timeout=")))
    return {
        "table": int(found["table"]),
        "priority": int(own.get("priority", 0x8000)),
        "match": match,
        "actions": found["actions"],
        "packets": int(found["packets"]),
        "octets": int(found["octets"]),
        "age": float(found["age"]),
        "hard_timeout": int(own.get("hard_timeout", 0)),
    }
