"""The servers that `lq conform --peer` starts: their configurations, and how to start them.

All of this happens inside a sealed lab, in a network namespace that a veth pair joins to the relay's.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from lq import __version__
from lq.conformance.trial import Target
from lq.sandbox import dhcpd
from lq.sandbox.tools import PYTHON, find
from lq.wire import dialect
from lq.wire.text import hardware_address

RELAY, SECOND_RELAY, SERVER = (IPv4Address(f"198.18.0.{last}") for last in (1, 3, 2))
PREFIX = 16
RESERVED_MAC = bytes.fromhex("020000000077")
START_TIMEOUT = 20.0
_RUN = Path("/run/conformance")  # on the lab's own file system

_BUILTIN = """
listen: {server}
database: {directory}/bindings.sqlite
dialect: {dialect}
lease_time: 600
max_lease_time: 4294967295
options: {{routers: [{relay}], domain-name-servers: [{relay}], domain-name: access.example}}
subnets: [{{network: 198.18.0.0/{prefix}, pools: [198.18.1.10-198.18.1.250]}}]
reservations: [{{address: 198.18.50.1, hardware: '{mac}'}}]
leasequery: {{requesters: [{relay}, {second}], {settings}}}
"""
# Without a threshold dhcpd may answer an early renewal without taking note of it.
_DHCPD = """
authoritative;
{settings} leasequery;
ping-check false;
dhcp-cache-threshold 0;
min-lease-time 1;
default-lease-time 600;
max-lease-time 600;
option routers {relay};
option domain-name-servers {relay};
option domain-name "access.example";
subnet 198.18.0.0 netmask 255.255.0.0 {{ range 198.18.1.10 198.18.1.250; }}
host reserved {{ hardware ethernet {mac}; fixed-address 198.18.50.1; }}
"""


@dataclass(frozen=True)
class Variant:
    """One way to configure a server: its settings, the rows judged so (all if none), what is told of it."""

    name: str
    settings: str
    rows: tuple[str, ...] = ()
    told: dict[str, Any] = field(default_factory=dict)

    def target(self, dialect_name: str) -> Target:
        """What the suite is told of a server in the lab."""
        return Target(
            SERVER,
            giaddr=RELAY,
            other_giaddr=SECOND_RELAY,
            dialect=dialect(dialect_name),
            silence=0.2,
            free=IPv4Address("198.18.1.249"),
            outside=IPv4Address("198.18.99.1"),
            foreign=IPv4Address("198.19.7.7"),
            reserved=IPv4Address("198.18.50.1"),
            reserved_mac=RESERVED_MAC,
            **self.told,
        )


_RESERVATION_AS_ACTIVE = {"reservation_as_active": True}
VARIANTS = {
    "builtin": (
        Variant("", ""),
        Variant("without leasequery", "enabled: false", ("R5-3",), {"without_leasequery": True}),
        Variant(
            "to answer by address only, and ACTIVE for reservations",
            "forms: [address], reservation_as_active: true",
            ("R6.4-5", "R6.4-6"),
            _RESERVATION_AS_ACTIVE,
        ),
    ),
    "dhcpd": (
        Variant("", "allow"),
        Variant("without leasequery", "deny", ("R5-3",), {"without_leasequery": True}),
    ),
}
"""The configurations of each server: the first is judged by all rows, the others by what it leaves open."""

PACKAGES = {"dhcpd": dhcpd.PACKAGE}
"""Debian's package of each server that is a program of the system."""


class Wire:
    """The relay's side of a veth pair, in this process's network namespace; the server's, in its own."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--", "sh", "-c", "echo made; exec sleep infinity"], stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()
        far = ["netns", str(self._holder.pid)]
        self._run("ip", "link", "add", "relay", "type", "veth", "peer", "name", "server", *far)
        for address in (RELAY, SECOND_RELAY):
            self._run("ip", "address", "add", f"{address}/{PREFIX}", "dev", "relay")
        self._run("ip", "link", "set", "relay", "up")
        self._run(*self.at_server("ip", "address", "add", f"{SERVER}/{PREFIX}", "dev", "server"))
        for interface in ("lo", "server"):
            self._run(*self.at_server("ip", "link", "set", interface, "up"))

    def at_server(self, *command: str) -> list[str]:
        """The command, run on the server's side."""
        return ["nsenter", "--net", f"--target={self._holder.pid}", "--", *command]

    @staticmethod
    def _run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


@contextlib.contextmanager
def running(peer: str, variant: Variant, dialect_name: str, wire: Wire) -> Iterator[None]:
    """The server, started so and ready, for the length of a `with` block. Raises RuntimeError."""
    settings = {
        "settings": variant.settings,
        "relay": RELAY,
        "second": SECOND_RELAY,
        "server": SERVER,
        "prefix": PREFIX,
        "mac": hardware_address(RESERVED_MAC),
        "dialect": dialect_name,
    }
    if peer == "builtin":
        directory = _fresh(_RUN / (variant.name.partition(",")[0].replace(" ", "-") or "plain"))
        config = directory / "server.yaml"
        config.write_text(_BUILTIN.format(directory=directory, **settings))
        command, sign = [*PYTHON, "lq.server", str(config)], "ready "
    else:
        command = dhcpd.command(_DHCPD.format(**settings), "server", leases="")
        sign = dhcpd.READY
    log = _RUN / f"{peer}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(wire.at_server(*command), stdout=output, stderr=output)
    try:
        _await(process, peer, log, sign)
        yield
    finally:
        process.kill()
        process.wait()


def version(peer: str) -> str:
    """What the server says it is."""
    if peer == "builtin":
        return f"lq {__version__}"
    done = subprocess.run(
        [find("dhcpd") or "dhcpd", "--version"], capture_output=True, text=True, check=False
    )
    return (done.stderr or done.stdout).strip()


def _fresh(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _await(process: subprocess.Popen[bytes], peer: str, log: Path, sign: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while sign not in (said := log.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = [line for line in said.splitlines() if line.strip()]
            raise RuntimeError(f"{peer} did not start: {' '.join(lines[-3:]) or 'it said nothing'}")
        time.sleep(0.02)
