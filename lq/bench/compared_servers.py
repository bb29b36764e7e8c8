"""The servers that benchmarks compare, started with the same subscribers: ours, ISC dhcpd, a bare loop."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lq.bench.leaseholders import dhcpd_leases
from lq.bench.two_hosts import PREFIX, REQUESTER, SERVER, TwoHosts
from lq.sandbox.tools import PYTHON, find
from lq.server import synthetic
from lq.server.config import parse
from lq.server.query import ask

SERVER_CORE, LOAD_CORE = 0, 1


@dataclass
class Running:
    """A server under test. `started_s` is the time from its start until it answered, in seconds."""

    pid: int
    started_s: float

    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Memory resident now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()


def pinned(core: int, command: list[str]) -> list[str]:
    """The command on one processor core, where there are several."""
    if (os.cpu_count() or 1) < 2:
        return command
    return ["taskset", "--cpu-list", str(core), *command]


@contextlib.contextmanager
def _process(command: list[str], answers: str, **options: object) -> Iterator[Running]:
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
    try:
        line = process.stdout.readline()
        if answers not in line:
            raise RuntimeError(f"{command[-1]} did not start: {line or 'no output'}")
        # taskset and nsenter replace themselves by the server, so this is its own process id.
        yield Running(process.pid, time.perf_counter() - begin)
    finally:
        process.kill()
        process.communicate()


def bare_loop(hosts: TwoHosts) -> contextlib.AbstractContextManager[Running]:
    """The ceiling of a Python server."""
    command = [*PYTHON, "lq.bench.udp_loop", SERVER]
    return _process(hosts.at_server(pinned(SERVER_CORE, command)), "ready")


def our_config(directory: Path, network: str, first: IPv4Address, last: IPv4Address) -> str:
    """The configuration of our server, as YAML."""
    subnets = f"  - {{network: {network}, pools: [{first}-{last}]}}\n"
    if IPv4Address(REQUESTER) not in IPv4Network(network):
        subnets += f"  - {{network: 198.18.0.0/{PREFIX}}}\n"
    return (
        f"listen: {SERVER}\ndatabase: {directory}/bindings.sqlite\nlease_time: 86400\n"
        f"leasequery: {{requesters: [{REQUESTER}]}}\n"
        f"shared_networks:\n- name: access\n  subnets:\n{subnets}"
    )


@contextlib.contextmanager
def ours(
    hosts: TwoHosts, directory: Path, network: str, first: IPv4Address, last: IPv4Address, bindings: int
) -> Iterator[Running]:
    """Our server, its database filled before it starts."""
    text = our_config(directory, network, first, last)
    path = directory / "server.yaml"
    path.write_text(text)
    for suffix in ("", "-wal"):  # the one before was killed
        (directory / f"bindings.sqlite{suffix}").unlink(missing_ok=True)
    config = parse(text)
    synthetic.store(config, synthetic.bindings(config, bindings, time.time()))
    command = [*PYTHON, "lq.server", str(path)]
    with _process(
        hosts.at_server(pinned(SERVER_CORE, command)), "ready", stderr=subprocess.DEVNULL
    ) as running:
        yield running


@contextlib.contextmanager
def dhcpd(
    hosts: TwoHosts, directory: Path, network: str, first: IPv4Address, last: IPv4Address, bindings: int
) -> Iterator[Running]:
    """ISC dhcpd with the same leases. Raises RuntimeError if it does not start."""
    subnet = IPv4Network(network)
    config = directory / "dhcpd.conf"
    own = IPv4Network(f"198.18.0.0/{PREFIX}")
    body = f"subnet {subnet.network_address} netmask {subnet.netmask} {{ range {first} {last}; }}\n"
    if subnet != own:
        body += f"subnet {own.network_address} netmask {own.netmask} {{ }}\n"
    config.write_text(
        "authoritative; allow leasequery; ping-check false;\n"
        f"default-lease-time 86400; max-lease-time 86400;\nshared-network access {{\n{body}}}\n"
    )
    leases = directory / "dhcpd.leases"
    with leases.open("w") as file:
        dhcpd_leases(file, first, bindings, int(time.time()))
    log = (directory / "dhcpd.log").open("w")
    program = [
        find("dhcpd") or "dhcpd", "-4", "-f", "-q", "-cf", str(config), "-lf", str(leases),
        "-pf", str(directory / "dhcpd.pid"), "--no-pid", "server",
    ]  # fmt: skip
    begin = time.perf_counter()
    process = subprocess.Popen(
        hosts.at_server(pinned(SERVER_CORE, program)), stdout=log, stderr=subprocess.STDOUT
    )
    try:
        while not _answers(str(first)):
            if process.poll() is not None or time.perf_counter() - begin > 120:
                raise RuntimeError(f"dhcpd did not start: {(directory / 'dhcpd.log').read_text()[-500:]}")
        yield Running(process.pid, time.perf_counter() - begin)
    finally:
        process.kill()
        process.wait()
        log.close()


def _answers(address: str) -> bool:
    return ask(SERVER, giaddr=REQUESTER, address=address, timeout=0.1, attempts=1).reply is not None
