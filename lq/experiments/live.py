"""The live lab's inside: `python -m lq.experiments.live CHANNEL_FD`, in the sealed lab.

First takes `{"spec": ..., "run_dir": ...}`, brings the network up and says `{"up": true}`; then carries
out one request after the other: `{"do": name, "with": {...}}`, answered by `{"value": ...}` or `{"error":
line}`. What can be asked for are the public methods of `Live`. Outside is `lq.live.Lab`.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from lq.errors import BadInput, RunFailed
from lq.experiments import bindings, names
from lq.experiments.attacking import Attack
from lq.experiments.emulation import Emulation
from lq.experiments.programs import Process, end, python
from lq.experiments.servers import Server
from lq.experiments.sight import Sight
from lq.experiments.spec import Spec
from lq.sandbox.channel import Channel
from topologies import plan

Rows = list[dict[str, Any]]
PROBING_LIMIT = 3600.0  # seconds; then the probes stop by themselves


class Live:
    """A running network, and what may be asked of it. Every value is what JSON can say."""

    def __init__(self, spec: Spec, run_dir: Path, channel: Channel) -> None:
        self._lab = lab = Emulation(spec, run_dir)
        for directory in (lab.raw, lab.logs):
            directory.mkdir(parents=True, exist_ok=True)
        self._spec = spec
        channel.tell("network", 0, 1)
        names.prepare()
        lab.build()
        lab.start()
        channel.tell("network", 1, 1)
        self._leases = lab.lease_all(channel.tell)
        self._attack = Attack(lab.programs, lab.raw, lab.net)
        self._captures: dict[tuple[str, str], Process] = {}
        self._probing = False
        self._sight = Sight(lab, self.running, self.reached)

    # -- nodes

    def nodes(self) -> Rows:
        """Return every node with its kind."""
        return [{"node": name, "kind": type(node).__name__} for name, node in sorted(self._lab.net.items())]

    def command(self, node: str, command: str, timeout: float) -> dict[str, Any]:
        """Run a shell command on a node; return its exit status and what it printed."""
        names.tell(self._addresses())
        process = self._node(node).popen(
            ["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # a shell's children hold the pipes, too
            process.communicate()
            raise RunFailed(f"{command!r} on {node} did not end within {timeout:g} s") from None
        return {
            "status": process.returncode,
            "output": output.decode(errors="replace"),
            "errors": errors.decode(errors="replace"),
        }

    def _addresses(self) -> dict[str, str]:
        """Return every node's address, fixed or leased at present, by name."""
        fixed = {name: node.IP() for name, node in self._lab.net.items() if node.inNamespace}
        fixed[self._lab.concentrator.name] = str(plan.GATEWAY)
        addresses = fixed | self._lab.subscribers.leases()
        return {name: address for name, address in addresses.items() if address is not None}

    def _node(self, name: str) -> Any:
        if name not in self._lab.net:
            raise BadInput(f"no node {name!r}: there are {', '.join(sorted(self._lab.net.keys()))}")
        return self._lab.net[name]

    # -- what the concentrator and the server know

    def hosts(self) -> Rows:
        """Return every subscriber with its address and what the concentrator knows of that."""
        leases = self._lab.subscribers.leases()
        with self._sight.memory() as (states, now):
            return [
                {"host": name, "address": address, "state": states.of(address, now)}
                for name, address in leases.items()
            ]

    def locations(self) -> Rows:
        """Return the location table."""
        with self._sight.memory() as (states, now):
            return [
                {"address": address, **_details(known.detail), "expires_in": known.until - now}
                for address, known in states.items("located", now)
            ]

    def refused(self) -> Rows:
        """Return the negative cache."""
        with self._sight.memory() as (states, now):
            return [
                {"address": address, "reason": known.detail.get("reason"), "ends_in": known.until - now}
                for address, known in states.items("refused", now)
            ]

    def view(self, most: int, within: float) -> dict[str, Any]:
        """Return one moment of the network (`Sight.view`)."""
        return self._sight.view(most, within)

    def flows(self) -> Rows:
        """Return the concentrator's flow table."""
        bridge = self._lab.concentrator.name
        command = ["ovs-ofctl", "-O", "OpenFlow13", "--names", "dump-flows", bridge]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [row for line in text.splitlines() if (row := _flow(line))]

    def bindings(self) -> Rows:
        """Return what each server has bound."""
        kind = self._spec.server.kind
        return [row for server in self._lab.servers for row in bindings.rows(server, kind)]

    # -- what happens to them

    def running(self) -> dict[str, bool]:
        """Return whether the concentrator's controller and each server run."""
        return {"concentrator": self._lab.control.up} | {s.name: _runs(s) for s in self._lab.servers}

    def kill_concentrator(self) -> None:
        """Kill the controller if it runs, and make the switch forget."""
        self._lab.kill_controller()

    def start_concentrator(self) -> None:
        """Start a controller with an empty memory. One that does not come up is not left behind."""
        if self._lab.control.up:
            raise BadInput("the concentrator runs: kill it first")
        try:
            self._lab.start_controller()
        except RunFailed:
            self._lab.kill_controller()
            raise

    def kill_server(self, number: int) -> None:
        """Kill a DHCP server, counted from 1, if it runs."""
        if _runs(self._server(number)):
            self._lab.kill_server(number - 1)

    def start_server(self, number: int) -> None:
        """Start a DHCP server, counted from 1, with the bindings that it has kept."""
        server = self._server(number)
        if _runs(server):
            raise BadInput(f"{server.name} runs: kill it first")
        try:
            self._lab.start_server(number - 1)
        except RunFailed:
            server.kill()
            raise

    def _server(self, number: int) -> Server:
        servers = self._lab.servers
        if number not in range(1, len(servers) + 1):
            raise BadInput(f"no server {number}: use a number from 1 to server.count, {len(servers)}")
        return servers[number - 1]

    # -- traffic

    def start_probes(self, interval: float) -> None:
        """Probe every subscriber once an interval until `stop_probes`."""
        if self._probing:
            raise BadInput("probes are being sent: stop them first")
        self._lab.start_probes(list(self._leases.values()), interval, PROBING_LIMIT)
        self._probing = True

    def stop_probes(self) -> str:
        """Stop, and return the directory with what was sent and received (`lq.experiments.probing`)."""
        if not self._probing:
            raise BadInput("no probes are being sent")
        self._probing = False
        self._lab.stop_probes()
        return str(self._lab.raw)

    def reached(self, within: float) -> dict[str, bool]:
        """Return of which subscribers a probe has arrived during the last `within` seconds."""
        if not self._probing:
            return dict.fromkeys(self._leases, False)
        reached = self._lab.probing.reached_since(time.monotonic() - within)
        return dict(zip(self._leases, reached, strict=True))

    def start_attack(
        self, kind: Any, pattern: Any, rate: float, packets: int, node: str | None, listed: list[str]
    ) -> None:
        """Begin an attack; it stops by itself."""
        if self._attack.running:
            raise BadInput("an attack is under way: stop it first")
        node = node or ("internet" if kind == "scan" else next(iter(self._leases)))
        if not self._node(node).inNamespace:
            raise BadInput(f"{node} is a bridge: an attack comes from a host")
        if kind == "scan" and not self._lab.net["network"].connectionsTo(self._node(node)):
            raise BadInput(f"{node} is not beside the router: a scan comes from internet, or a server")
        self._attack.start(kind, pattern, rate, packets, node=node, listed=listed, seed=self._spec.seed)

    def stop_attack(self) -> dict[str, Any]:
        """Stop the attack; return what was sent."""
        return self._attack.stop()

    def start_capture(self, node: str, interface: str | None, file: str) -> None:
        """Capture what an interface of a node, its first unless named, sends and receives."""
        target = self._node(node)
        interface = self._interface(target, interface)
        key = (node, interface)
        if key in self._captures:
            raise BadInput(f"{interface} is being captured: stop that first")
        name = f"capture-live-{interface}"
        process = self._lab.programs.launch(name, python("lq.experiments.capture", interface, file), target)
        self._lab.programs.await_line(name, process)
        self._captures[key] = process

    @staticmethod
    def _interface(node: Any, interface: str | None) -> str:
        """Return the interface of a node to capture at; BadInput where there is none of that name.

        A bridge shares the lab's own network namespace with the others. What joins two bridges is within the
        switch: no interface of the kernel's, and nothing to capture at.
        """
        if node.inNamespace:
            there = [name for name in node.intfNames() if name != "lo"]
        else:
            there = [name for _, name in socket.if_nameindex() if name.startswith(f"{node.name}-")]
        if interface is None and node.inNamespace:
            interface = str(node.defaultIntf().name)
        if interface is not None and interface in there:
            return interface
        wrong = f"{node.name} is a bridge" if interface is None else f"{node.name} has no {interface}"
        raise BadInput(f"{wrong}: name one of its interfaces, {', '.join(there) or 'of which it has none'}")

    def stop_capture(self, node: str) -> None:
        """End the captures at a node: their files are complete then."""
        keys = [key for key in self._captures if key[0] == node]
        if not keys:
            raise BadInput(f"{node} is not being captured")
        for key in keys:
            end(self._captures.pop(key))


def _runs(server: Server) -> bool:
    return server.process is not None and server.process.poll() is None


def _details(record: Any) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("at", "event", "address", "expires")}


def _flow(line: str) -> dict[str, Any] | None:
    """Take a line of `ovs-ofctl dump-flows` apart."""
    found = re.match(
        r" cookie=\S+ duration=(?P<age>[\d.]+)s, table=(?P<table>\d+), n_packets=(?P<packets>\d+), "
        r"n_bytes=(?P<octets>\d+), (?P<match>.*) actions=(?P<actions>.*)",
        line,
    )
    if found is None:
        return None
    parts = [part.strip() for part in found["match"].split(",")]
    own = dict(part.split("=", 1) for part in parts if part.startswith(("priority=", "hard_timeout=")))
    match = ",".join(p for p in parts if not p.startswith(("priority=", "hard_timeout=", "idle_timeout=")))
    return {
        "table": int(found["table"]),
        "priority": int(own.get("priority", 0x8000)),
        "match": match,
        "actions": found["actions"],
        "packets": int(found["packets"]),
        "octets": int(found["octets"]),
        "age": float(found["age"]),
        "hard_timeout": int(own.get("hard_timeout", 0)),
    }


def main(channel: Channel) -> int:
    """Bring the network up, then do what is asked until the other end hangs up."""
    request = channel.receive()
    if request is None:
        return 1
    try:
        live = Live(Spec.model_validate(request["spec"]), Path(request["run_dir"]), channel)
    except (RunFailed, RuntimeError) as error:
        channel.send({"error": str(error)})
        return 1
    channel.send({"up": True})
    for request in channel:
        try:
            if request["do"].startswith("_"):
                raise BadInput(f"no request {request['do']!r}")
            value = getattr(live, request["do"])(**request["with"])
        except (BadInput, RunFailed, RuntimeError) as error:
            channel.send({"error": str(error), "kind": type(error).__name__})
        except Exception as error:  # a fault of ours: the log has the traceback, the user gets the line
            traceback.print_exc()
            channel.send({"error": f"{type(error).__name__}: {error}"})
        else:
            channel.send({"value": value})
    return 0


if __name__ == "__main__":
    sys.exit(main(Channel.from_fd(int(sys.argv[1]))))
