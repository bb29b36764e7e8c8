"""Where a run comes from: this package and its libraries, programs, the switch, the kernel."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from lq.experiments.spec import Spec
from lq.sandbox import tools
from lq.sandbox.switch import datapath_type

_PACKAGES = ("leasequery-lab", "mininet", "ryu", "os-ken", "eventlet", "scapy", "pandas", "numpy", "pyarrow")
_PEERS = {"dhcpd": ["dhcpd", "--version"], "dnsmasq": ["dnsmasq", "--version"]}
_DATAPATHS = {
    "system": "Open vSwitch's kernel datapath",
    "dummy": "Open vSwitch's user-space datapath; no bridge has a port of its own on the host",
}
_TREE = Path(__file__).resolve().parents[2]  # where `lq`, `controllers` and `topologies` are


def provenance(spec: Spec) -> dict[str, Any]:
    """Return versions of what takes part: this package and its libraries, programs, the switch, the kernel.

    `source` stands for this package's own code. `servers` and `clients` give versions by name, None where a
    program does not say; a population leases without a client. `datapath_meaning` explains Open vSwitch's
    name of its datapath.
    """
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    kind, datapath = spec.server.kind, datapath_type()
    clients = {} if spec.topology.population else {"udhcpc (BusyBox)": _version(["udhcpc", "--help"])}
    return {
        "versions": versions,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "openvswitch": _version(["ovs-vswitchd", "--version"]),
        "datapath": datapath,
        "datapath_meaning": _DATAPATHS[datapath],
        "servers": {kind: _version(_PEERS[kind]) if kind in _PEERS else versions[_PACKAGES[0]]},
        "clients": clients,
        "commit": _commit(),
        "source": source(),
    }


def source() -> str:
    """Return 16 hexadecimal digits that differ whenever any of this package's own code does."""
    digest = hashlib.sha256()
    for top in ("lq", "controllers", "topologies"):
        for path in sorted((_TREE / top).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(_TREE)} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:16]


def _version(command: list[str]) -> str | None:
    """Return the first version that a program's words have in them, None if it is not there."""
    program = tools.find(command[0])
    if program is None:
        return None
    done = subprocess.run(
        [program, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    found = re.search(r"\d+(\.\d+)+(-P\d+)?", done.stdout)
    return found.group() if found else None


def _commit() -> str | None:
    """Return the source tree's commit, with a `+` when changed since; None for an installed package."""
    if not (_TREE / ".git").exists():
        return None
    command = ["git", "-C", str(_TREE), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:
        return None
