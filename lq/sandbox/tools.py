"""Where the system's tools are: daemons live in directories that not every user's PATH names."""

from __future__ import annotations

import os
import shutil
import sys

# What a lab cannot do without: name, Debian's package, its commands.
NEEDED = (
    ("Open vSwitch", "openvswitch-switch",
     ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl")),
    ("mnexec", "mininet", ("mnexec",)),
    ("udhcpc", "udhcpc", ("udhcpc",)),
    ("ip", "iproute2", ("ip",)),
    ("ifconfig", "net-tools", ("ifconfig",)),
)  # fmt: skip
# What runs a module of ours, its name to follow. It imports nothing from the present directory, which may be
# anybody's (`-P`); Python 3.10 cannot be told that.
PYTHON = (sys.executable, "-W", "ignore", *(["-P"] if sys.version_info >= (3, 11) else []), "-m")
_FOR_DAEMONS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path() -> str:
    """Return PATH, with the directories of daemons behind it."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*path, *(part for part in _FOR_DAEMONS if part not in path)])


def find(tool: str) -> str | None:
    """Return the full name of a tool, or None where it is not installed."""
    return shutil.which(tool, path=search_path())


def missing() -> list[str]:
    """Return the needed tools that are not installed."""
    return [tool for _, _, tools in NEEDED for tool in tools if find(tool) is None]
