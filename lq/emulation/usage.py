"""What processes and hosts tell of themselves in proc(5): memory, and packets that nobody listened for."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from pathlib import Path


def resident(pid: int) -> int:
    """Return the octets of memory that a process occupies (proc(5), statm); 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * resource.getpagesize()


def udp_count(pid: int, name: str) -> int:
    """Return one of UDP's counts in the network namespace of a process (proc(5), net/snmp)."""
    header, values = (
        line.split()
        for line in Path(f"/proc/{pid}/net/snmp").read_text().splitlines()
        if line.startswith("Udp:")
    )
    return int(values[header.index(name)])


def discarded(namespaces: Iterable[int]) -> int:
    """Return how many datagrams came to a port on which nobody listens, given a process of each namespace."""
    return sum(udp_count(pid, "NoPorts") for pid in namespaces)
