"""The emulated network while it lives: built from a specification, inside the sealed lab.

Everything that a scenario does to the network is a method here: bring it up, give the
subscribers leases, send probes, kill the concentrator's controller and start another one.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mininet.log import setLogLevel
from mininet.net import Mininet

from controllers.settings import Modem, Settings
from lq.errors import RunFailed
from lq.experiments import fidelity
from lq.experiments.spec import Spec
from lq.sandbox.switch import PrivateSwitch, datapath_type
from topologies import nodes, plan
from topologies.cable import CableTopo

OPENFLOW_PORT = 6653
START_TIMEOUT = 30.0  # seconds for a server, a controller or a traffic program to come up
LEASE_TIMEOUT = 60.0  # seconds for all subscribers to get their first lease
TOPOLOGIES = {"cable": CableTopo}

Tell = Callable[[str, int, int], None]  # what is going on, how much of it is done, of how much


class Emulation:
    """One network with its server, controller, subscribers and traffic. Files go to `run_dir`."""

    def __init__(self, spec: Spec, run_dir: Path) -> None:
        self.spec = spec
        self.raw = run_dir / "raw"
        self.logs = run_dir / "logs"
        self.capture_file = run_dir / "server.pcap"
        self.switch = PrivateSwitch(self.logs)
        self.net: Any = None
        self.server: subprocess.Popen[bytes] | None = None
        self.controller: subprocess.Popen[bytes] | None = None
        self.controller_generation = -1
        self._capture: subprocess.Popen[bytes] | None = None
        self._traffic: dict[str, subprocess.Popen[bytes]] = {}
        self._latest: Any = None
        self.watch = fidelity.Watch()

    # -- bringing it up

    def build(self) -> None:
        """Start the switch and the devices of the figure, all without a controller."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # every Mininet node costs three
        setLogLevel("critical")
        Mininet.inited = True  # its own preparation would change limits of the whole machine
        nodes.prepare()
        self.switch.start()
        nodes.BridgeDevice.datapath_type = datapath_type()
        topology = self.spec.topology
        topo = TOPOLOGIES[topology.figure](modems=topology.modems, hosts_per_modem=topology.hosts_per_modem)
        nodes.BridgeDevice.setup()
        self.net = Mininet(topo=topo, controller=None, link=nodes.LabLink)
        self.net.start()
        for switch in self.net.switches:
            if isinstance(switch, nodes.Cable):
                switch.connect()

    @property
    def subscribers(self) -> list[nodes.Subscriber]:
        """The hosts behind the modems, in the order of the figure."""
        return [host for host in self.net.hosts if isinstance(host, nodes.Subscriber)]

    @property
    def concentrator(self) -> nodes.Concentrator:
        """The concentrator's bridge."""
        return next(switch for switch in self.net.switches if isinstance(switch, nodes.Concentrator))

    def start(self) -> None:
        """Start the capture, the DHCP server and the controller; return when all three do their work."""
        self._capture = self._launch_capture()
        self.server = self._launch_server()
        self._launch_controller()
        self._await_line("capture", self._capture)
        self._await_line("server", self.server)
        self._connect_controller()

    def _launch_capture(self) -> subprocess.Popen[bytes]:
        """Capture what passes the server's interface until the run ends."""
        server = self.net["server"]
        command = [*_python("lq.experiments.capture"), server.defaultIntf().name, str(self.capture_file)]
        return self._launch("capture", command, server)

    def _launch_server(self) -> subprocess.Popen[bytes]:
        config = {
            "listen": str(plan.SERVER),
            "database": str(self.raw / "bindings.sqlite"),
            "dialect": "rfc4388",
            "subnets": [
                {
                    "network": str(plan.ACCESS_NETWORK),
                    "pools": [f"{plan.POOL_FIRST}-{plan.POOL_LAST}"],
                    "lease_time": self.spec.server.lease_time,
                    "options": {"routers": [str(plan.GATEWAY)]},
                }
            ],
        }
        path = self.raw / "server.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        command = [
            *_python("lq.server"),
            str(path),
            "--counters-json",
            str(self.raw / "server-counters.json"),
        ]
        return self._launch("server", command, self.net["server"])

    def start_controller(self) -> None:
        """Start a controller with an empty memory, and wait until it holds the bridge."""
        self._launch_controller()
        self._connect_controller()

    def _launch_controller(self) -> None:
        self.controller_generation += 1
        path = self.raw / f"controller-{self.controller_generation}.json"
        bridge = self.concentrator
        Settings(
            giaddr=plan.GATEWAY,
            networks=(plan.ACCESS_NETWORK,),
            servers=(plan.SERVER,),
            uplink_address=plan.UPLINK_CONCENTRATOR,
            wiring={
                "uplink": bridge.UPLINK, "access": bridge.ACCESS, "relay": bridge.RELAY,
                "uplink_mac": plan.CONCENTRATOR_UPLINK_MAC, "access_mac": plan.CONCENTRATOR_ACCESS_MAC,
                "relay_mac": plan.RELAY_MAC, "router_mac": plan.ROUTER_UPLINK_MAC,
            },
            modems=tuple(
                Modem(modem.mac, (modem.circuit,))
                for modem in self.net.switches if isinstance(modem, nodes.Modem)
            ),
            record=self.record_file,
            framework=self.spec.controller.framework,
            listen=("127.0.0.1", OPENFLOW_PORT),
            engine={**self.spec.concentrator.model_dump(), "seed": self.spec.seed},
        ).save(path)  # fmt: skip
        self.controller = self._launch(path.stem, [*_python("controllers"), str(path)])

    def _connect_controller(self) -> None:
        """Point the bridge at the controller once that listens; wait until it has taken over."""
        assert self.controller is not None
        name = f"controller-{self.controller_generation}"
        self._await(self.controller, name, lambda: _listening(OPENFLOW_PORT))
        self.watch.add("controller", self.controller.pid)
        self.concentrator.connect_to(f"tcp:127.0.0.1:{OPENFLOW_PORT}")
        self._await(self.controller, name, lambda: self.ready_at is not None)

    @property
    def record_file(self) -> Path:
        """Where the present controller writes what it does."""
        return self.raw / f"controller-{self.controller_generation}.jsonl"

    @property
    def ready_at(self) -> float | None:
        """The moment, on the monotonic clock, at which the present controller held the bridge."""
        for line in _lines(self.record_file):
            if line["event"] == "ready":
                return float(line["at"])
        return None

    # -- what scenarios do

    def lease_all(self, tell: Tell) -> dict[str, str]:
        """Start every subscriber's DHCP client; return address by host when all have one."""
        subscribers = self.subscribers
        for subscriber in subscribers:
            subscriber.start_client()
        deadline = time.monotonic() + LEASE_TIMEOUT
        while True:
            leases = {host.name: host.leased_address for host in subscribers}
            leased = {name: address for name, address in leases.items() if address is not None}
            tell("leases", len(leased), len(subscribers))
            if len(leased) == len(subscribers):
                return leased
            if time.monotonic() > deadline:
                missing = next(name for name in leases if name not in leased)
                raise RunFailed(
                    f"{len(subscribers) - len(leased)} of {len(subscribers)} subscribers got no lease "
                    f"within {LEASE_TIMEOUT:.0f} s, {missing} among them"
                )
            time.sleep(0.05)

    def start_probes(self, addresses: list[str], interval: float, maximum_seconds: float) -> None:
        """Probe every address once an interval (seconds) until `stop_probes`, or `maximum_seconds`."""
        latest = self.raw / "latest.f8"
        np.zeros(len(addresses)).tofile(latest)
        self._latest = np.memmap(latest, dtype="f8", mode="r", shape=(len(addresses),))
        path = self.raw / "traffic.json"
        path.write_text(
            json.dumps(
                {
                    "targets": addresses,
                    "pids": [host.pid for host in self.subscribers],
                    "interval": interval,
                    "maximum_packets": int(len(addresses) * maximum_seconds / interval),
                    "latest_file": str(latest),
                    "sent_file": str(self.raw / "sent.npy"),
                    "received_file": str(self.raw / "received.npy"),
                }
            )
        )
        program = [*_python("lq.experiments.traffic")]
        for name, node in (("sink", None), ("send", self.net["internet"])):
            self._traffic[name] = self._launch(name, [*program, name, str(path)], node)
            self._await_line(name, self._traffic[name])
        watched = {"server": self.server, "controller": self.controller, "prober": self._traffic["send"]}
        watched["switch"] = self.switch.processes["ovs-vswitchd"]
        self.watch.start({name: process.pid for name, process in watched.items() if process is not None})

    def reached_since(self, moment: float) -> int:
        """Return how many subscribers received a probe after `moment` (monotonic)."""
        return int((self._latest >= moment).sum())

    def stop_probes(self) -> None:
        """Stop sending, wait for what is under way, stop receiving."""
        self.watch.close("prober")
        for name, pause in (("send", 0.2), ("sink", 0.0)):
            _end(self._traffic[name], signal.SIGTERM)
            time.sleep(pause)

    def kill_controller(self) -> float:
        """Kill the controller at once, and make the bridge forget; return the moment of the kill."""
        assert self.controller is not None
        moment = time.monotonic()
        self.controller.kill()
        self.controller.wait()
        self.concentrator.disconnect()
        self.concentrator.forget_flows()
        return moment

    def stop(self) -> dict[str, Any]:
        """Stop capture, controller and server in an orderly way, so that they write their counts.

        Returns what was observed of the run's fidelity.
        """
        if self._capture is not None:
            _end(self._capture, signal.SIGTERM)
        namespaces = [node.pid for node in self.net.hosts] + [os.getpid()]
        observed = self.watch.finish(namespaces, self.switch.appctl("dpctl/show"), self.logs / "capture.log")
        for process in (self.controller, self.server):
            if process is not None:
                _end(process, signal.SIGTERM)
        return observed

    # -- processes

    def _launch(self, name: str, command: list[str], node: Any = None) -> subprocess.Popen[bytes]:
        """Start a program in a node, or beside them; what it prints goes to the log of that name."""
        popen = subprocess.Popen if node is None else node.popen
        with (self.logs / f"{name}.log").open("wb") as log:
            process: subprocess.Popen[bytes] = popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return process

    def _await_line(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Wait until a program has printed a line that begins with `ready`."""
        path = self.logs / f"{name}.log"
        self._await(process, name, lambda: b"\nready" in b"\n" + path.read_bytes())

    def _await(self, process: subprocess.Popen[bytes], name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                lines = (self.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
                raise RunFailed(f"the {name} did not come up: {lines[-1] if lines else 'it said nothing'}")
            time.sleep(0.01)


def cpu_seconds(process: subprocess.Popen[bytes] | None) -> float:
    """Return the processor time that a running process has used so far."""
    if process is None:
        return 0.0
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _python(module: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", module]


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listening(port: int) -> bool:
    """Whether something in this namespace listens on a TCP port of the loopback (proc(5), net/tcp)."""
    wanted = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        if local.endswith(wanted) and state == "0A":
            return True
    return False


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text().splitlines():
            yield json.loads(line)
