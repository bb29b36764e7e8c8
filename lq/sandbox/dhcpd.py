"""ISC dhcpd inside the lab: its files where even a confined one may read and write them."""

from __future__ import annotations

import os
from pathlib import Path

from lq.sandbox import namespace
from lq.sandbox.tools import find

PACKAGE = "isc-dhcp-server"
READY = "Server starting service"
"""What it says, at the beginning of a line on standard error, once it answers."""

_ELSEWHERE = Path("/run/dhcpd")  # on the lab's own file system


def command(config: str, interface: str, name: str = "", leases: str | None = None) -> list[str]:
    """Lay out dhcpd.conf(5) and the leases (dhcpd.leases(5)); return what starts dhcpd on an interface.

    Servers of one lab have different names. Without `leases` it keeps those of its last time. Call it
    inside the lab.
    """
    conf, lease_file = _own("/etc/dhcp") / f"dhcpd{name}.conf", leases_of(name)
    conf.write_text(config)
    if leases is not None or not lease_file.exists():
        lease_file.write_text(leases or "")
    files = ["-cf", str(conf), "-lf", str(lease_file), "--no-pid"]
    return [find("dhcpd") or "dhcpd", "-4", "-d", *files, interface]


def leases_of(name: str = "") -> Path:
    """Return where the server of this name keeps its leases (dhcpd.leases(5)), inside the lab."""
    return _own("/var/lib/dhcp") / f"dhcpd.leases{name}"


def _own(directory: str) -> Path:
    """An empty directory of the lab in place of the system's: AppArmor goes by the name."""
    if not os.path.isdir(directory):
        elsewhere = _ELSEWHERE / directory.strip("/").replace("/", "-")
        elsewhere.mkdir(parents=True, exist_ok=True)
        return elsewhere
    if not os.path.ismount(directory):
        namespace.mount("tmpfs", directory, "mode=755")
    return Path(directory)
