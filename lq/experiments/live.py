"""The live lab's inside: `python -m lq.experiments.live CHANNEL_FD`, in the sealed lab.

First takes `{"spec": ..., "run_dir": ...}`, brings the network up and says `{"up": true}`; then carries
out one request after the other: `{"do": name, "with": {...}}`, answered by `{"value": ...}` or `{"error":
line}`. What can be asked for are the public methods of `Live`. Outside is `lq.live.Lab`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from lq.errors import BadInput, RunFailed
from lq.experiments.attacking import Attack
from lq.experiments.emulation import Emulation
from lq.experiments.programs import end, python
from lq.experiments.spec import Spec
from lq.experiments.states import States
from lq.sandbox.channel import Channel
from lq.server.bindings import State
from lq.wire import RelayInfo

Rows = list[dict[str, Any]]
PROBING_LIMIT = 3600.0  # seconds; then the probes stop by themselves


class Live:
    """A running network, and what may be asked of it. Every value is what JSON can say."""

    def __init__(self, spec: Spec, run_dir: Path, channel: Channel) -> None:
        self._lab = lab = Emulation(spec, run_dir)
        for directory in (lab.raw, lab.logs):
            directory.mkdir(parents=True, exist_ok=True)
        self._spec = spec
        self._states = States()
        self._read: tuple[Path | None, int] = (None, 0)
        channel.tell("network", 0, 1)
        lab.build()
        lab.start()
        channel.tell("network", 1, 1)
        self._leases = lab.lease_all(channel.tell)
        self._attack = Attack(lab.programs, lab.raw, lab.net)
        self._captures: dict[str, Any] = {}
        self._probing = False

    # -- nodes

    def nodes(self) -> Rows:
        """Return every node with its kind."""
        return [{"node": name, "kind": type(node).__name__} for name, node in sorted(self._lab.net.items())]

    def command(self, node: str, command: str, timeout: float) -> dict[str, Any]:
        """Run a shell command on a node; return its exit status and what it printed."""
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

    def _node(self, name: str) -> Any:
        if name not in self._lab.net:
            raise BadInput(f"no node {name!r}: there are {', '.join(sorted(self._lab.net.keys()))}")
        return self._lab.net[name]

    # -- what the concentrator and the server know

    def hosts(self) -> Rows:
        """Return every subscriber with its address and what the concentrator knows of that."""
        now = self._refresh()
        return [
            {"host": name, "address": address, "state": self._states.of(address, now)}
            for name, address in self._lab.subscribers.leases().items()
        ]

    def locations(self) -> Rows:
        """Return the location table."""
        now = self._refresh()
        return [
            {"address": address, **_details(known.detail), "expires_in": known.until - now}
            for address, known in self._states.items("located", now)
        ]

    def refused(self) -> Rows:
        """Return the negative cache."""
        now = self._refresh()
        return [
            {"address": address, "reason": known.detail.get("reason"), "ends_in": known.until - now}
            for address, known in self._states.items("refused", now)
        ]

    def _refresh(self) -> float:
        """Read what the present controller wrote since the last look; return the time."""
        path = self._lab.control.record_file
        if path != self._read[0]:  # a new controller knows nothing
            self._states, self._read = States(), (path, 0)
        if path.exists():
            with path.open("rb") as record:
                record.seek(self._read[1])
                lines = record.read()
            whole = lines[: lines.rfind(b"\n") + 1]
            self._read = (path, self._read[1] + len(whole))
            self._states.feed(json.loads(line) for line in whole.splitlines())
        return time.monotonic()

    def flows(self) -> Rows:
        """Return the concentrator's flow table."""
        bridge = self._lab.concentrator.name
        command = ["ovs-ofctl", "-O", "OpenFlow13", "--names", "dump-flows", bridge]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [row for line in text.splitlines() if (row := _flow(line))]

    def bindings(self) -> Rows:
        """Return what the server has bound."""
        rows: Rows = []
        for path in sorted(self._lab.raw.glob("*.sqlite")):
            with tempfile.TemporaryDirectory(dir=self._lab.raw) as copies:  # the server has it for itself
                for suffix in ("", "-wal"):
                    shutil.copy(f"{path}{suffix}", copies)
                database = sqlite3.connect(Path(copies, path.name))
                columns = "address, chaddr, client_id, state, expires, last_transaction, relay_info"
                rows += map(_binding, database.execute(f"SELECT {columns} FROM bindings ORDER BY address"))
                database.close()
        return rows

    # -- what happens to them

    def kill_concentrator(self) -> float:
        """Kill the controller, and make the switch forget."""
        self._lab.kill_controller()
        return time.monotonic()

    def start_concentrator(self) -> float:
        """Start a controller with an empty memory."""
        return self._lab.start_controller()

    def kill_server(self) -> None:
        """Kill the DHCP server."""
        process = self._lab.server.process
        if process is not None:
            process.kill()
            process.wait()

    def start_server(self) -> None:
        """Start the DHCP server again, with the bindings that it has kept."""
        self._lab.server.launch()
        self._lab.server.await_ready()

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
        self._node(node)
        self._attack.start(kind, pattern, rate, packets, node=node, listed=listed, seed=self._spec.seed)

    def stop_attack(self) -> dict[str, Any]:
        """Stop the attack; return what was sent."""
        return self._attack.stop()

    def start_capture(self, node: str, file: str) -> None:
        """Capture what a node's first interface sends and receives."""
        if node in self._captures:
            raise BadInput(f"{node} is being captured: stop that first")
        target = self._node(node)
        name = f"capture-live-{node}"
        command = python("lq.experiments.capture", target.defaultIntf().name, file)
        self._captures[node] = self._lab.programs.launch(name, command, target)
        self._lab.programs.await_line(name, self._captures[node])

    def stop_capture(self, node: str) -> None:
        """End a capture: its file is complete then."""
        if node not in self._captures:
            raise BadInput(f"{node} is not being captured")
        end(self._captures.pop(node))


def _details(record: Any) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("at", "event", "address", "expires")}


def _binding(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a row of the server's data base as a person reads it; times in seconds from now."""
    address, chaddr, client_id, state, expires, last_transaction, relay_info = row
    now = time.time()
    info = RelayInfo() if relay_info is None else RelayInfo.decode(relay_info)
    return {
        "address": str(IPv4Address(address)),
        "state": State(state).name.lower(),
        "chaddr": chaddr.hex(":"),
        "client_id": None if client_id is None else client_id.hex(":"),
        "expires_in": None if expires is None else expires - now,
        "last_transaction": None if last_transaction is None else last_transaction - now,
        "circuit_id": None if info.circuit_id is None else info.circuit_id.hex(),
        "remote_id": None if info.remote_id is None else info.remote_id.hex(":"),
    }


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
