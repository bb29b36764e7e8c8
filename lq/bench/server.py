"""`lq bench server`: leasequeries answered and leases granted per second, beside ISC dhcpd in one run.

The servers run in turns on one processor core, the same load generator on another; the median of the
rounds counts. Everything happens in network namespaces made for it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

from lq.bench import compared_servers
from lq.bench.cases import Case, case, limited, median
from lq.bench.program import Tell, play
from lq.bench.two_hosts import REQUESTER, SERVER, TwoHosts
from lq.sandbox.channel import Channel
from lq.sandbox.tools import PYTHON, find

SMALL, LARGE = 10_000, 1_000_000
GOAL = 3.0  # times ISC dhcpd

# Subscribers are in 198.18.0.0/15; a million of them need more room than these test addresses have.
SMALL_NETWORK = ("198.18.0.0/15", IPv4Address("198.18.1.0"), IPv4Address("198.19.0.255"))
LARGE_NETWORK = ("10.0.0.0/8", IPv4Address("10.1.0.0"), IPv4Address("10.31.255.255"))


def run(
    rounds: int = 3,
    queries: int = 200_000,
    leases: int = 3000,
    large: bool = True,
    peer: bool = True,
    tell: Tell = lambda *_: None,
) -> Case:
    """Run the benchmark in fresh namespaces; the result as `lq bench NAME --json` prints it.

    `queries` and `leases` are those of one round. Without `peer`, or where ISC dhcpd is not installed,
    there is no ratio. Its files are below `runs/` meanwhile: on a disk, since leases are to be synced to
    one. Raises BadInput if they cannot be, RuntimeError with the reason if a part fails.
    """
    arguments = [f"--rounds={rounds}", f"--queries={queries}", f"--leases={leases}"]
    arguments += [] if large else ["--small"]
    arguments += [] if peer else ["--alone"]
    return play("lq.bench.server", arguments, tell)


Network = tuple[str, IPv4Address, IPv4Address]


def _load(
    running: compared_servers.Running, kind: str, network: Network, bindings: int, count: int, **more: int
) -> Case:
    """One run of the load generator against a server, and the processor time that it cost the server."""
    command = [*PYTHON, "lq.bench.query_load", kind, f"--server={SERVER}", f"--giaddr={REQUESTER}"]
    command += [f"--first={network[1]}", f"--bindings={bindings}", f"--count={count}"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in more.items()]
    used = running.cpu_seconds()
    done = subprocess.run(
        compared_servers.pinned(compared_servers.LOAD_CORE, command),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr.strip()[-1000:]}")
    result: Case = json.loads(done.stdout)
    result["cpu_s"] = running.cpu_seconds() - used
    result["rate_per_cpu_s"] = result["answered"] / result["cpu_s"] if result["cpu_s"] else 0.0
    return result


class ServerBenchmark:
    """The rounds of one run inside the namespaces."""

    def __init__(self, hosts: TwoHosts, directory: Path, rounds: int, queries: int, peer: bool) -> None:
        self.hosts, self.directory, self.rounds, self.queries = hosts, directory, rounds, queries
        self.peer = peer and find("dhcpd") is not None
        self.ours: list[Case] = []  # by IP address, 10,000 bindings

    def by_address(self) -> Case:
        """The main figure: by IP address, 10,000 bindings, ours, dhcpd and the bare loop in turns."""
        found: dict[str, list[Case]] = {"ours": self.ours, "dhcpd": [], "loop": []}
        kinds: dict[str, Callable[[], contextlib.AbstractContextManager[compared_servers.Running]]] = {
            "loop": lambda: compared_servers.bare_loop(self.hosts),
            "ours": lambda: compared_servers.ours(self.hosts, self.directory, *SMALL_NETWORK, SMALL),
        }
        if self.peer:
            kinds["dhcpd"] = lambda: compared_servers.dhcpd(self.hosts, self.directory, *SMALL_NETWORK, SMALL)
        for _ in range(self.rounds):
            for name, start in kinds.items():
                with start() as running:
                    _load(running, "address", SMALL_NETWORK, SMALL, SMALL)  # each binding once, to warm up
                    found[name].append(_load(running, "address", SMALL_NETWORK, SMALL, self.queries))
        result = case("server", "answers/s", self.ours, found["dhcpd"], GOAL, "ISC dhcpd")
        result["ceiling"] = median(found["loop"], "rate")
        result["ceiling_per_cpu_s"] = median(found["loop"], "rate_per_cpu_s")
        return result

    def other_forms(self) -> list[Case]:
        """By hardware address and by client identifier, in turns with our own rate by IP address."""
        found: dict[str, list[Case]] = {"address": [], "hardware": [], "client-id": []}
        with compared_servers.ours(self.hosts, self.directory, *SMALL_NETWORK, SMALL) as running:
            for _ in range(self.rounds):
                for form, samples in found.items():
                    _load(running, form, SMALL_NETWORK, SMALL, SMALL)
                    samples.append(_load(running, form, SMALL_NETWORK, SMALL, self.queries // 2))
        ours = found.pop("address")
        return [
            case(f"query by {form}", "answers/s", samples, ours, 0.5, "ours, by IP address")
            for form, samples in found.items()
        ]

    def large(self) -> list[Case]:
        """A million bindings: rate, resident memory, time to start."""
        with compared_servers.ours(self.hosts, self.directory, *LARGE_NETWORK, LARGE) as running:
            started = running.started_s
            _load(running, "address", LARGE_NETWORK, LARGE, LARGE, different=LARGE)  # to warm up
            samples = [
                _load(running, "address", LARGE_NETWORK, LARGE, self.queries) for _ in range(self.rounds)
            ]
            resident = running.resident_bytes()
        return [
            case("rate at 1,000,000 bindings", "answers/s", samples, self.ours, 0.9, "ours at 10,000"),
            limited("start with 1,000,000 bindings", "s", started, 20.0),
            limited("memory with 1,000,000 bindings", "bytes", resident, 1.5 * 2**30),
        ]

    def leases(self, count: int) -> Case:
        """Leases granted per second, each stored before its ACK."""
        ours: list[Case] = []
        dhcpd: list[Case] = []
        for _ in range(self.rounds):
            with compared_servers.ours(self.hosts, self.directory, *SMALL_NETWORK, 0) as running:
                ours.append(_load(running, "lease", SMALL_NETWORK, 0, count))
            if self.peer:
                with compared_servers.dhcpd(self.hosts, self.directory, *SMALL_NETWORK, 0) as running:
                    dhcpd.append(_load(running, "lease", SMALL_NETWORK, 0, count))
        return case("leases granted", "leases/s", ours, dhcpd, 1.0, "ISC dhcpd")


def main() -> int:
    """Run inside the lab, send the result through the channel."""
    parser = argparse.ArgumentParser(prog="python -m lq.bench.server")
    parser.add_argument("channel", type=int)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=200_000)
    parser.add_argument("--leases", type=int, default=3000)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    with TwoHosts() as hosts:
        measuring = ServerBenchmark(
            hosts, arguments.directory, arguments.rounds, arguments.queries, not arguments.alone
        )
        result = measuring.by_address()
        result["cases"] = measuring.other_forms()
        if not arguments.small:
            result["cases"] += measuring.large()
        result["cases"].append(measuring.leases(arguments.leases))
    Channel.from_fd(arguments.channel).send(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
