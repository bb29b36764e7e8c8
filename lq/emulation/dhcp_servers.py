"""The DHCP servers while the network lives: configured, started, killed, started again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

from lq import yaml_file
from lq.emulation.captures import Capture
from lq.emulation.processes import Process, Programs, cpu_seconds, end, python
from lq.errors import RunFailed
from lq.experiments.spec import Spec
from lq.sandbox import dhcpd
from lq.sandbox.tools import find
from lq.server.schema import Over
from lq.server.storage import Storage
from topologies import plan

_DHCPD = """
{allow} leasequery;
authoritative;
ping-check false;
dhcp-cache-threshold 0;
default-lease-time {lease_time};
max-lease-time {lease_time};
subnet {link.network_address} netmask {link.netmask} {{ }}
subnet {access.network_address} netmask {access.netmask} {{
    range {first} {last};
    option routers {gateway};
}}
"""
_PACKAGES = {"dhcpd": dhcpd.PACKAGE, "dnsmasq": "dnsmasq-base"}


class _Kind(NamedTuple):
    """How a kind of server is started, and the line by which it says that it answers."""

    command: Callable[[DhcpServer], list[str]]
    ready: str


class DhcpServer:
    """One server in its node, and the capture of what passes its interface. Files go to `raw`.

    `pool` is the first and the last address that it leases; `leasequery`, whether it answers that; and of the
    built-in server `forms`, the forms of query that it answers, and `reservations`, as it is told of them.
    They count from its next launch on. Leasequery is answered of the concentrator alone, unless
    `server.any_requester` says otherwise.
    """

    def __init__(
        self,
        programs: Programs,
        raw: Path,
        node: Any,
        place: plan.ServerPlace,
        pool: tuple[IPv4Address, IPv4Address],
        spec: Spec,
    ) -> None:
        self._programs = programs
        self._raw = raw
        self._node = node
        self.pool = pool
        self.leasequery = True
        self.forms = ("address", "hardware", "client-id")
        self.reservations: list[dict[str, str]] = []
        self._wanted = spec.server
        self._leases_per_circuit = spec.leases_per_circuit
        self.place = place
        self.capture_file = raw.parent / f"{self.name}.pcap"
        self.process: Process | None = None
        self.capture: Capture | None = None
        self._spent = 0.0  # processor seconds of its earlier processes

    @property
    def name(self) -> str:
        """Its node's name."""
        return self.place.name

    @property
    def interface(self) -> str:
        """Its interface's name."""
        return str(self._node.defaultIntf().name)

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far, by those of its processes that were killed, too."""
        return self._spent + cpu_seconds(self.process)

    def launch(self) -> None:
        """Start the server, and the first time the capture; `await_ready` waits for both.

        Raises RunFailed where the program is not installed.
        """
        kind = self._wanted.kind
        if kind in _PACKAGES and find(kind) is None:
            raise RunFailed(
                f"{kind} is not installed: sudo apt-get install --no-install-recommends {_PACKAGES[kind]}"
            )
        if self.capture is None:
            self.capture = Capture(self._programs, self.interface, self.capture_file, self._node)
        # In the node's network, but among the lab's mounts, where dhcpd's files are.
        there = ["nsenter", "--net", f"--target={self._node.pid}", "--"]
        self.process = self._programs.launch(self.name, [*there, *_KINDS[kind].command(self)])

    def await_ready(self) -> Process:
        """Return the server's process when it answers and the capture runs."""
        assert self.process is not None
        assert self.capture is not None
        self.capture.await_ready()
        self._programs.await_line(self.name, self.process, _KINDS[self._wanted.kind].ready)
        return self.process

    def builtin(self) -> list[str]:
        """Configure the built-in server; return its command."""
        first, last = self.pool
        config = {
            "listen": str(self.place.address),
            "database": str(self.database),
            "dialect": self._wanted.dialect,
            "service_time": self._wanted.service_time,
            "verify_source": self._wanted.verify_source,
            "leases_per_circuit": self._leases_per_circuit,
            "leases_per_client": self._wanted.leases_per_client,
            "leasequery": {
                "enabled": self.leasequery,
                "forms": [*self.forms],
                "requesters": ["0.0.0.0/0" if self._wanted.any_requester else str(plan.GATEWAY)],
            },
            "subnets": [
                {
                    "network": str(plan.ACCESS_NETWORK),
                    "pools": [f"{first}-{last}"],
                    "lease_time": self._wanted.lease_time,
                    "options": {"routers": [str(plan.GATEWAY)]},
                }
            ],
            "reservations": self.reservations,
        }
        path = self._raw / f"{self.name}.yaml"
        path.write_text(yaml_file.dump(config))
        counters = self._raw / f"{self.name}-counters.json"
        return python("lq.server", str(path), "--counters-json", str(counters))

    def dhcpd(self) -> list[str]:
        """Configure ISC dhcpd; return its command. It is confined to directories of its own."""
        first, last = self.pool
        config = _DHCPD.format(
            allow="allow" if self.leasequery else "deny",
            lease_time=self._wanted.lease_time,
            link=plan.network_of(self.place.address),
            access=plan.ACCESS_NETWORK,
            first=first,
            last=last,
            gateway=plan.GATEWAY,
        )
        (self._raw / f"{self.name}.conf").write_text(config)
        return dhcpd.command(config, self.interface, f"-{self.name}")

    @property
    def dhcpd_leases(self) -> Path:
        """The lease file of a server that is ISC dhcpd."""
        return dhcpd.leases_of(f"-{self.name}")

    def dnsmasq(self) -> list[str]:
        """Return dnsmasq's command: a server without leasequery, silent to it (R5-3)."""
        (first, last), mask = self.pool, plan.ACCESS_NETWORK.netmask
        return [
            *(find("dnsmasq") or "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0"),
            *("--user=root", "--group=root", f"--interface={self.interface}", "--no-ping"),
            *("--dhcp-authoritative", "--dhcp-lease-max=65536"),
            f"--dhcp-range={first},{last},{mask},{self._wanted.lease_time}s",
            f"--dhcp-option=option:router,{plan.GATEWAY}",
            f"--dhcp-leasefile={self._raw / self.name}.leases",
        ]  # fmt: skip

    def kill(self) -> None:
        """Kill the server at once; what it has not stored is lost."""
        assert self.process is not None
        self._spent += cpu_seconds(self.process)
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Have the server write its counts, and end."""
        self._spent += cpu_seconds(self.process)
        end(self.process)

    @property
    def database(self) -> Path:
        """The built-in server's bindings."""
        return self._raw / f"{self.name}.sqlite"

    def copy_bindings(self, other: DhcpServer) -> None:
        """Take over what another built-in server has bound and this one has not. Both must have ended."""
        with (
            contextlib.closing(Storage(other.database)) as source,
            contextlib.closing(Storage(self.database)) as own,
        ):
            own.commit(source.load(), Over.NOTHING)


_KINDS = {
    "builtin": _Kind(DhcpServer.builtin, "ready"),
    "dhcpd": _Kind(DhcpServer.dhcpd, dhcpd.READY),
    "dnsmasq": _Kind(DhcpServer.dnsmasq, "dnsmasq-dhcp: DHCP, IP range"),
}
