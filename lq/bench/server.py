"""`lq bench server`: leasequeries answered and leases granted per second, beside ISC dhcpd in one run.

The servers run in turns on one processor core, the same load generator on another; the median of the
rounds counts. Everything happens in network namespaces made for it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from lq.bench import servers
from lq.bench.network import REQUESTER, SERVER, TwoHosts, sealed

SMALL, LARGE = 10_000, 1_000_000
GOAL = 3.0  # times ISC dhcpd

# Subscribers are in 198.18.0.0/15; a million of them need more room than these test addresses have.
SMALL_NETWORK = ("198.18.0.0/15", IPv4Address("198.18.1.0"), IPv4Address("198.19.0.255"))
LARGE_NETWORK = ("10.0.0.0/8", IPv4Address("10.1.0.0"), IPv4Address("10.31.255.255"))

Case = dict[str, Any]


def run(
    rounds: int = 3, queries: int = 200_000, leases: int = 3000, large: bool = True, peer: bool = True
) -> Case:
    """Run the benchmark in fresh namespaces; the result as DESIGN's `lq bench NAME --json` has it.

    `queries` and `leases` are those of one round. Without `peer`, or where ISC dhcpd is not installed,
    there is no ratio. Raises RuntimeError with the reason if a part fails.
    """
    arguments = [f"--rounds={rounds}", f"--queries={queries}", f"--leases={leases}"]
    arguments += [] if large else ["--small"]
    arguments += [] if peer else ["--alone"]
    done = subprocess.run(sealed("lq.bench.server", arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the benchmark failed: {done.stderr.strip()[-2000:]}")
    result: Case = json.loads(done.stdout.splitlines()[-1])
    return result


def case(name: str, unit: str, ours: float, peer: float | None, goal: float | None, **more: Any) -> Case:
    """One measurement beside its peer; a ratio above 1 is better than the peer."""
    ratio = None if not peer or not ours else (peer / ours if unit in ("s", "bytes") else ours / peer)
    return {"name": name, "unit": unit, "ours": ours, "peer": peer, "ratio": ratio, "goal": goal, **more}


def _load(
    kind: str, network: tuple[str, IPv4Address, IPv4Address], bindings: int, count: int, **more: int
) -> Case:
    command = [sys.executable, "-m", "lq.bench.load", kind, f"--server={SERVER}", f"--giaddr={REQUESTER}"]
    command += [f"--first={network[1]}", f"--bindings={bindings}", f"--count={count}"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in more.items()]
    done = subprocess.run(
        servers.pinned(servers.LOAD_CORE, command), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr.strip()[-1000:]}")
    result: Case = json.loads(done.stdout)
    return result


class Measuring:
    """The rounds of one run inside the namespaces."""

    def __init__(self, hosts: TwoHosts, directory: Path, rounds: int, queries: int, peer: bool) -> None:
        self.hosts, self.directory, self.rounds, self.queries = hosts, directory, rounds, queries
        self.peer = peer and servers.dhcpd_path() is not None

    def _median(self, samples: list[Case]) -> float:
        return float(statistics.median(sample["rate"] for sample in samples))

    def by_address(self) -> Case:
        """The main figure: by IP address, 10,000 bindings, ours, dhcpd and the bare loop in turns."""
        found: dict[str, list[Case]] = {"ours": [], "dhcpd": [], "loop": []}
        kinds: dict[str, Callable[[], contextlib.AbstractContextManager[servers.Running]]] = {
            "loop": lambda: servers.bare_loop(self.hosts),
            "ours": lambda: servers.ours(self.hosts, self.directory, *SMALL_NETWORK, SMALL),
        }
        if self.peer:
            kinds["dhcpd"] = lambda: servers.dhcpd(self.hosts, self.directory, *SMALL_NETWORK, SMALL)
        for _ in range(self.rounds):
            for name, start in kinds.items():
                with start() as running:
                    _load("address", SMALL_NETWORK, SMALL, SMALL)  # each binding once, to warm up
                    used = running.cpu_seconds()
                    sample = _load("address", SMALL_NETWORK, SMALL, self.queries)
                    sample["cpu_s"] = running.cpu_seconds() - used
                    found[name].append(sample)
        result = case(
            "server",
            "answers/s",
            self._median(found["ours"]),
            self._median(found["dhcpd"]) if found["dhcpd"] else None,
            GOAL,
            peer_name="ISC dhcpd" if found["dhcpd"] else None,
            ceiling=self._median(found["loop"]),
            samples=found,
        )
        return result

    def other_forms(self, by_address: float) -> list[Case]:
        """By hardware address and by client identifier, beside our own rate by IP address."""
        rates: dict[str, list[Case]] = {"hardware": [], "client-id": []}
        with servers.ours(self.hosts, self.directory, *SMALL_NETWORK, SMALL):
            for form, samples in rates.items():
                _load(form, SMALL_NETWORK, SMALL, SMALL)
                samples += [_load(form, SMALL_NETWORK, SMALL, self.queries // 2) for _ in range(self.rounds)]
        return [
            case(
                f"query by {form}", "answers/s", self._median(samples), by_address, 0.5,
                peer_name="ours, by IP address",
            )
            for form, samples in rates.items()
        ]  # fmt: skip

    def large(self, by_address: float) -> list[Case]:
        """A million bindings: rate, resident memory, time to start."""
        with servers.ours(self.hosts, self.directory, *LARGE_NETWORK, LARGE) as running:
            started = running.started_s
            _load("address", LARGE_NETWORK, LARGE, LARGE, different=LARGE)  # each binding once, to warm up
            samples = [
                _load("address", LARGE_NETWORK, LARGE, self.queries, different=LARGE)
                for _ in range(self.rounds)
            ]
            resident = running.resident_bytes()
        rate = self._median(samples)
        return [
            case(
                "rate at 1,000,000 bindings", "answers/s", rate, by_address, 0.9, peer_name="ours at 10,000"
            ),
            case("start with 1,000,000 bindings", "s", started, None, 20.0, peer_name=None),
            case("memory with 1,000,000 bindings", "bytes", resident, None, 1.5 * 2**30, peer_name=None),
        ]

    def leases(self, count: int) -> Case:
        """Leases granted per second, each stored before its ACK."""
        found: dict[str, list[Case]] = {"ours": [], "dhcpd": []}
        for _ in range(self.rounds):
            with servers.ours(self.hosts, self.directory, *SMALL_NETWORK, 0):
                found["ours"].append(_load("lease", SMALL_NETWORK, 0, count))
            if self.peer:
                with servers.dhcpd(self.hosts, self.directory, *SMALL_NETWORK, 0):
                    found["dhcpd"].append(_load("lease", SMALL_NETWORK, 0, count))
        peer = self._median(found["dhcpd"]) if found["dhcpd"] else None
        return case(
            "leases granted", "leases/s", self._median(found["ours"]), peer, 1.0,
            peer_name="ISC dhcpd" if peer else None, samples=found,
        )  # fmt: skip


def main() -> int:
    """Run inside the namespaces, print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lq.bench.server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=200_000)
    parser.add_argument("--leases", type=int, default=3000)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    with TwoHosts() as hosts, tempfile.TemporaryDirectory(prefix="lq-bench-") as name:
        measuring = Measuring(hosts, Path(name), arguments.rounds, arguments.queries, not arguments.alone)
        result = measuring.by_address()
        result["cases"] = measuring.other_forms(result["ours"])
        if not arguments.small:
            result["cases"] += measuring.large(result["ours"])
        result["cases"].append(measuring.leases(arguments.leases))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
