"""What may be asked of a live network's nodes: commands, and what their DHCP clients are to do."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from lq.emulation import names
from lq.emulation.jobs import Jobs
from lq.emulation.network import Emulation
from lq.errors import BadInput, RunFailed, expect, unknown
from lq.sandbox import requests
from topologies import plan
from topologies.nodes import Subscriber

Rows = list[dict[str, Any]]
CLIENT_TIMEOUT = 10.0  # seconds for a DHCP client to do as it is told


class LiveNodes:
    """The part of a running network's requests that are about one node. Names are those of `nodes`."""

    def __init__(self, network: Emulation) -> None:
        self._network = network
        self._jobs = Jobs()
        self._naming = threading.Lock()

    def nodes(self) -> Rows:
        """Return every node with its kind."""
        return [
            {"node": name, "kind": type(node).__name__} for name, node in sorted(self._network.net.items())
        ]

    def kind(self, node: str) -> str:
        """Return "host" for a host with a DHCP client of its own, "node" for any other node."""
        return "host" if isinstance(self._node(node), Subscriber) else "node"

    def release(self, host: str) -> None:
        """Have a host give its address back, if it holds one; return when it has none."""
        node = self._node(host)
        if node.leased_address is not None:
            node.signal_client(signal.SIGUSR2)
            missing = f"{host} has not released its address within {CLIENT_TIMEOUT:g} s"
            self._await(lambda: node.leased_address is None, CLIENT_TIMEOUT, missing)

    def renew(self, host: str, timeout: float) -> str:
        """Have a host renew its lease, or ask for one; return its address once that is acknowledged."""
        node = self._node(host)
        before = node.acknowledged
        node.signal_client(signal.SIGUSR1)
        missing = f"{host} got no acknowledgement within {timeout:g} s"
        self._await(lambda: node.acknowledged > before, timeout, missing)
        return str(node.leased_address)

    @staticmethod
    def _await(condition: Callable[[], bool], timeout: float, otherwise: str) -> None:
        """Wait until a condition holds; RunFailed after `timeout` seconds, or when nobody waits any more."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline or requests.given_up():
                raise RunFailed(otherwise)
            time.sleep(0.01)

    def command(self, node: str, command: str, timeout: float) -> int | None:
        """Run a shell command on a node; return its exit status. What it prints is told as it comes."""
        self._tell_names()
        say = requests.current().say
        return self._jobs.run(self._node(node), command, timeout, requests.given_up, say)

    def start_job(self, node: str, command: str) -> int:
        """Start a shell command on a node; return the job's number."""
        self._tell_names()
        return self._jobs.start(self._node(node), command).number

    def job(self, number: int) -> dict[str, Any]:
        """Return a job's `status` (None while it runs), and its `output` and `errors` so far."""
        return self._jobs[number].state()

    def wait_for_job(self, number: int, timeout: float | None) -> dict[str, Any]:
        """Wait for a job's end, at most `timeout` seconds; return what it came to, or where it is."""
        job = self._jobs[number]
        job.wait(timeout, requests.given_up)
        return job.state()

    def stop_job(self, number: int) -> dict[str, Any]:
        """Kill a job with all that it has started; return what it came to."""
        job = self._jobs[number]
        job.kill()
        return job.state()

    def _tell_names(self) -> None:
        """Have every node's address, fixed or leased at present, known by the node's name."""
        fixed = {name: node.IP() for name, node in self._network.net.items() if node.inNamespace}
        fixed[self._network.concentrator.name] = str(plan.GATEWAY)
        addresses = fixed | self._network.subscribers.leases()
        with self._naming:
            names.tell({name: address for name, address in addresses.items() if address is not None})

    def _node(self, name: str) -> Any:
        expect(name, str, "a node", 'write its name, such as "host1"')
        if name not in self._network.net:
            known = self._network.net.keys()
            raise BadInput(f"{unknown('node', name, known)} (nodes() lists all {len(known)})")
        return self._network.net[name]
