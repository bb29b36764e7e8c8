"""The live lab's inside: `python -m lq.emulation.programs.live CHANNEL_FD`, in the sealed lab.

The first request, `open` with `spec` and `run_dir`, brings the network up; after that any number are
carried out at a time (`lq.sandbox.requests`). What can be asked for are the public methods of `Live`.
Outside is `lq.live.Lab`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lq.emulation import bindings, flow_table, names
from lq.emulation.attacks import AttackProgram
from lq.emulation.captures import Captures
from lq.emulation.dhcp_servers import DhcpServer
from lq.emulation.live_nodes import LiveNodes, Rows
from lq.emulation.network import Emulation
from lq.emulation.sight import Sight
from lq.errors import BadInput, RunFailed
from lq.experiments.spec import Spec
from lq.progress import Progress
from lq.sandbox import requests
from lq.sandbox.channel import Channel
from lq.scenarios.parts.common import MOST_PROBES_PER_SECOND

PROBING_LIMIT = 3600.0  # seconds; then the probes stop by themselves
MOST_PROBES = 10_000_000  # of a direction: the schedule of all of them is made beforehand, in memory


class Live(LiveNodes):
    """A running network, and what may be asked of it, each in a thread of its own.

    Every value is what JSON can say. What lasts, and may be given up half-way, looks at `requests.given_up`.
    """

    def __init__(self, spec: Spec, run_dir: Path, tell: Progress) -> None:
        network = Emulation(spec, run_dir)
        super().__init__(network)
        for directory in (network.raw, network.logs):
            directory.mkdir(parents=True, exist_ok=True)
        self._spec = spec
        tell("network", 0, 1)
        names.prepare()
        network.bring_up()
        tell("network", 1, 1)
        self._leases = network.lease_all(tell)
        network.programs.given_up = requests.given_up
        self._attack: AttackProgram | None = None
        self._captures = Captures(network.programs)
        self._sight = Sight(network, self.running, self.reached)
        self._probing = False
        self._missed = False  # whether probes were stopped for somebody who no longer waited
        self._traffic = threading.Lock()  # probes, attacks and captures begin and end one after the other
        self._restarting = threading.Lock()  # of the concentrator or a server: one at a time

    # -- what the concentrator and the server know

    def hosts(self) -> Rows:
        """Return every subscriber with its address and what the concentrator knows of that."""
        leases = self._network.subscribers.leases()
        with self._sight.look() as (states, now):
            return [
                {"host": name, "address": address, "state": states.of(address, now)}
                for name, address in leases.items()
            ]

    def locations(self) -> Rows:
        """Return the location table."""
        with self._sight.look() as (states, now):
            return [
                {"address": address, **_details(known.detail), "expires_in": known.until - now}
                for address, known in states.items("located", now)
            ]

    def refused(self) -> Rows:
        """Return the negative cache."""
        with self._sight.look() as (states, now):
            return [
                {"address": address, "reason": known.detail.get("reason"), "ends_in": known.until - now}
                for address, known in states.items("refused", now)
            ]

    def view(self, most: int, within: float) -> dict[str, Any]:
        """Return one moment of the network (`Sight.view`)."""
        return self._sight.view(most, within)

    def flows(self) -> Rows:
        """Return the concentrator's flow table."""
        return flow_table.rows(self._network.concentrator.name)

    def bindings(self) -> Rows:
        """Return what each server has bound."""
        kind = self._spec.server.kind
        return [row for server in self._network.servers for row in bindings.rows(server, kind)]

    # -- what happens to them

    def running(self) -> dict[str, bool]:
        """Return whether the concentrator's controller and each server run."""
        return {"concentrator": self._network.control.up} | {s.name: _runs(s) for s in self._network.servers}

    def reboot(self) -> None:
        """Kill the controller if it runs, and start one with an empty memory."""
        with self._restart():
            self._network.kill_controller()
            self._start_controller()

    def kill_concentrator(self) -> None:
        """Kill the controller if it runs, and make the switch forget."""
        with self._restart():
            self._network.kill_controller()

    def start_concentrator(self) -> None:
        """Start a controller with an empty memory."""
        with self._restart():
            if self._network.control.up:
                raise BadInput("the concentrator runs: kill it first")
            self._start_controller()

    def _start_controller(self) -> None:
        """Start a controller. One that does not come up, or is not waited for, is not left behind."""
        try:
            self._network.start_controller()
        except RunFailed:
            self._network.kill_controller()
            raise

    def kill_server(self, number: int) -> None:
        """Kill a DHCP server, counted from 1, if it runs."""
        with self._restart():
            if _runs(self._server(number)):
                self._network.kill_server(number - 1)

    def start_server(self, number: int) -> None:
        """Start a DHCP server, counted from 1, with the bindings that it has kept."""
        with self._restart():
            server = self._server(number)
            if _runs(server):
                raise BadInput(f"{server.name} runs: kill it first")
            try:
                self._network.start_server(number - 1)
            except RunFailed:
                server.kill()
                raise

    @contextlib.contextmanager
    def _restart(self) -> Iterator[None]:
        """Be the only one that kills and starts. Raises BadInput while another one does."""
        if not self._restarting.acquire(blocking=False):
            raise BadInput("a restart is under way: wait until it is over")
        try:
            yield
        finally:
            self._restarting.release()

    def _server(self, number: int) -> DhcpServer:
        servers = self._network.servers
        if number not in range(1, len(servers) + 1):
            raise BadInput(f"no server {number}: use a number from 1 to server.count, {len(servers)}")
        return servers[number - 1]

    # -- traffic

    @contextlib.contextmanager
    def _change_traffic(self) -> Iterator[None]:
        """Be the only one that begins or ends probes, attacks and captures; leave nothing half-begun."""
        with self._traffic, requests.to_its_end():
            yield

    def start_probes(self, interval: float) -> None:
        """Probe every subscriber once an interval until `stop_probes`, within the bounds above."""
        count = len(self._leases)
        least = count / MOST_PROBES_PER_SECOND
        if interval < least:
            raise BadInput(
                f"{count / interval:,.0f} probes a second for all hosts together, more than "
                f"{MOST_PROBES_PER_SECOND:,}: use an interval of at least {least:g} s"
            )
        with self._change_traffic():
            if self._probing:
                raise BadInput("probes are being sent: stop them first")
            seconds = min(PROBING_LIMIT, MOST_PROBES * interval / count)
            self._network.start_probes(self._leases, interval, seconds)
            self._probing, self._missed = True, False

    def stop_probes(self) -> str:
        """Stop, and return the directory with what was sent and received (`lq.emulation.probing`)."""
        with self._change_traffic():
            if self._probing:
                self._probing = False
                self._network.stop_probes()
            elif not self._missed:
                raise BadInput("no probes are being sent")
            self._missed = requests.current().cancelled.is_set()  # then the next one to ask gets them
            return str(self._network.raw)

    def reached(self, within: float) -> dict[str, bool]:
        """Return of which subscribers a probe has arrived during the last `within` seconds."""
        if not self._probing:
            return dict.fromkeys(self._leases, False)
        reached = self._network.probing.reached_since(time.monotonic() - within)
        return dict(zip(self._leases, reached, strict=True))

    def start_attack(
        self, kind: Any, pattern: Any, rate: float, packets: int, node: str | None, listed: list[str]
    ) -> None:
        """Begin an attack; it stops by itself."""
        node = node or ("internet" if kind == "scan" else next(iter(self._leases)))
        if not self._node(node).inNamespace:
            raise BadInput(f"{node} is a bridge: an attack comes from a host")
        if kind == "scan" and not self._network.net["network"].connectionsTo(self._node(node)):
            raise BadInput(f"{node} is not beside the router: a scan comes from internet, or a server")
        with self._change_traffic():
            if self._attack is not None and self._attack.running:
                raise BadInput("an attack is under way: stop it first")
            self._attack = self._network.flood(
                "attack", kind, pattern, rate, packets, source=node, listed=listed
            )
            self._attack.start()

    def stop_attack(self) -> dict[str, Any]:
        """Stop the attack; return what was sent."""
        with self._change_traffic():
            return {"name": "attack"} if self._attack is None else self._attack.stop().as_json()

    def start_capture(self, node: str, interface: str | None, file: str) -> None:
        """Capture what an interface of a node, its first unless named, sends and receives."""
        with self._change_traffic():
            self._captures.start(self._node(node), interface, Path(file))

    def stop_capture(self, node: str) -> None:
        """End the captures at a node: their files are complete then."""
        with self._change_traffic():
            self._captures.stop(self._node(node))


def _runs(server: DhcpServer) -> bool:
    return server.process is not None and server.process.poll() is None


def _details(record: Any) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("at", "event", "address", "expires")}


def main(channel: Channel) -> int:
    """Bring the network up, then do what is asked until the other end hangs up."""
    first = channel.receive()
    if first is None:
        return 1
    request = requests.Request(channel, first["number"])
    spec, run_dir = Spec.model_validate(first["with"]["spec"]), Path(first["with"]["run_dir"])
    opened: list[Live] = []
    request.answer(lambda: opened.append(Live(spec, run_dir, request.tell)))
    if not opened:
        return 1
    live = opened[0]

    def handle(what: str, details: Mapping[str, Any]) -> Any:
        if what.startswith("_"):
            raise BadInput(f"no request {what!r}")
        return getattr(live, what)(**details)

    requests.Responder(channel, handle).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(Channel.from_fd(int(sys.argv[1]))))
