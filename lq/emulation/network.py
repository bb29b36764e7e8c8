"""The emulated network while it lives: built from a specification, inside the sealed lab.

Everything that a scenario does to the network is a method here: bring it up, give the
subscribers leases, send probes, kill the concentrator's controller and start another one.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from mininet.log import setLogLevel

from controllers.settings import Modem, Settings, draw_life
from lq.concentrator.circuit_id import TextCircuitId
from lq.concentrator.events import Circuit
from lq.emulation.captures import Capture
from lq.emulation.controller import Control
from lq.emulation.monitor import Load
from lq.emulation.probing import Probing
from lq.emulation.processes import Process, Programs, Tell, end, python
from lq.emulation.servers import Server
from lq.emulation.subscribers.hosts import Hosts, Subscribers
from lq.emulation.subscribers.population import Population
from lq.emulation.wan import Wan
from lq.emulation.watch import Watch
from lq.errors import RunFailed
from lq.experiments.spec import Spec
from lq.sandbox import resources
from lq.sandbox.switch import PrivateSwitch, datapath_type
from topologies import nodes, plan
from topologies.access import AccessBridge, Dslam
from topologies.cable import CableTopo
from topologies.dsl import DslTopo
from topologies.figure import Figure
from topologies.network import LabNet, ip_commands

AGENT = "intermediate-agent"
LEASE_TIMEOUT = 60.0  # seconds in which at least one more subscriber must get its first lease
TOPOLOGIES: dict[str, type[Figure]] = {"cable": CableTopo, "dsl": DslTopo}


class Emulation:
    """One network with its servers, controller, subscribers and traffic. Files go to `run_dir`."""

    servers: list[Server]
    control: Control
    subscribers: Subscribers
    probing: Probing

    def __init__(self, spec: Spec, run_dir: Path) -> None:
        self.spec = spec
        self.raw = run_dir / "raw"
        self.logs = run_dir / "logs"
        self.programs = Programs(self.logs)
        self.switch = PrivateSwitch(self.logs)
        self.net: Any = None
        self.identity = plan.CONCENTRATOR
        self._processors: Process | None = None  # the modems'
        self._agent: Process | None = None  # the DSLAM's
        self._captures: list[Capture] = []
        self.watch = Watch()
        self._concentrator = spec.concentrator
        self._pool: tuple[IPv4Address, IPv4Address] | None = None

    # -- bringing it up

    def build(self) -> None:
        """Start the switch and the devices of the figure, all without a controller."""
        setLogLevel("critical")
        topology = self.spec.topology
        self.wan = Wan(self.programs, self.raw, self.spec)
        self.figure = TOPOLOGIES[topology.figure](
            modems=topology.modems,
            hosts_per_modem=topology.hosts_per_modem,
            stacked_tags=topology.stacked_tags,
            servers=self.spec.server.count,
            wan_nodes=self.wan.has_nodes,
            population=topology.population,
            access_veth="concentrator" in self.spec.capture.nodes,
            intermediate_agent=topology.intermediate_agent,
            ingress_filter=topology.ingress_filter,
        )
        resources.allow_open_files(len(self.figure.hosts()), len(self.figure.switches()))
        nodes.prepare()
        self.switch.start()
        # A frame's outer and inner tag, not just one, are matched and handled.
        subprocess.run(["ovs-vsctl", "set", "Open_vSwitch", ".", "other_config:vlan-limit=2"], check=True)
        nodes.BridgeDevice.datapath_type = datapath_type()
        nodes.BridgeDevice.setup()
        self.net = LabNet(self.figure)
        self.net.start()
        self.switch.widen_ports()
        for switch in self.net.switches:
            if hasattr(switch, "connect"):
                switch.connect()
        self.servers = self._make_servers()
        self.control = Control(self.programs, self.raw, self.concentrator)
        self.subscribers = self._make_subscribers()
        self.wan.net = self.net
        self.probing = Probing(self.programs, self.raw, self.net["internet"], self.subscribers)

    def _make_subscribers(self) -> Subscribers:
        if self.figure.population:
            return Population(self.programs, self.raw, self.net["population"], self.spec.seed)
        hosts = [host for host in self.net.hosts if isinstance(host, nodes.Subscriber)]
        return Hosts(self.programs, hosts)

    def _make_servers(self) -> list[Server]:
        pools = plan.pools(self.spec.server.count) if self._pool is None else [self._pool]
        places = zip(plan.SERVERS, pools, strict=False)
        return [
            Server(self.programs, self.raw, self.net[place.name], place, pool, self.spec)
            for place, pool in places
        ]

    @property
    def server(self) -> Server:
        """The first server."""
        return self.servers[0]

    @property
    def concentrator(self) -> nodes.Concentrator:
        """The concentrator's bridge."""
        return next(switch for switch in self.net.switches if isinstance(switch, nodes.Concentrator))

    def start(self) -> None:
        """Start the WAN, the servers, the controller and the modems; return when all do their work."""
        self._start_captures()
        self.wan.start()
        for server in self.servers:
            server.launch()
        self.launch_agent()
        self._launch_processors()
        self.control.launch(self._settings())
        for server in self.servers:
            server.await_ready()
        for capture in self._captures:
            capture.await_ready()
        self._connect_controller()
        self._await_registrations()

    def _start_captures(self) -> None:
        """Capture where the specification says; at the servers they have their own."""
        for name in dict.fromkeys(self.spec.capture.nodes):
            file = self.raw.parent / f"{name}.pcap"
            if name == "concentrator":
                interface = self.concentrator.intfs[self.concentrator.ACCESS].name
                self._captures.append(Capture(self.programs, interface, file))
            elif all(name != server.name for server in self.servers):
                node = self.net[name]
                self._captures.append(Capture(self.programs, node.defaultIntf().name, file, node))

    def launch_agent(self) -> None:
        """Start the DSLAM's intermediate agent, where it has one; return when it works."""
        if not self.figure.intermediate_agent:
            return
        path = self.raw / f"{AGENT}.json"
        ids = TextCircuitId(self.spec.topology.access_node)
        plan = {
            "interface": Dslam.AGENT_INTERFACE,
            "circuits": [
                (tags, ids.encode(Circuit(self.concentrator.ACCESS, tags)).decode("ascii"), mac)
                for mac, tags in self.figure.modem_places
            ],
            "report": str(self._agent_report),
        }
        path.write_text(json.dumps(plan))
        self._agent = self.programs.launch(AGENT, python("topologies.agent", str(path)))
        self.programs.await_line(AGENT, self._agent)

    @property
    def _agent_report(self) -> Path:
        return self.raw / f"{AGENT}-report.json"

    def stop_agent(self) -> dict[str, int] | None:
        """End the intermediate agent; return its counts (`topologies.agent`), None where there is none.

        Raises RunFailed where it had died before.
        """
        if self._agent is None:
            return None
        end(self._agent)
        if not self._agent_report.exists():
            raise RunFailed(f"the intermediate agent died: {self.programs.last_words(AGENT)}")
        counts: dict[str, int] = json.loads(self._agent_report.read_text())
        return counts

    def _launch_processors(self) -> None:
        """Start the modems' own processors, where these register."""
        if self.spec.modems.registration == "told":
            return
        path = self.raw / "modems.json"
        plan = {
            "interface": AccessBridge.PROCESSORS_INTERFACE,
            "delay": self.spec.modems.delay,
            "modems": self.figure.modem_places,
            "record": str(self.registrations_file),
        }
        path.write_text(json.dumps(plan))
        command = python("topologies.registration", str(path))
        self._processors = self.programs.launch("modems", command)
        self.programs.await_line("modems", self._processors)

    @property
    def registrations_file(self) -> Path:
        """Where the modems' processors write when all have registered (`topologies.registration`)."""
        return self.raw / "modems.jsonl"

    def _await_registrations(self) -> None:
        """Wait until all modems have registered with the present controller. Raises RunFailed."""
        if self._processors is None:
            return
        self.programs.wait_for(
            lambda: self.registered_at is not None,
            "modems",
            self._processors,
            patience=self.spec.modems.delay,
        )

    @property
    def registered_at(self) -> float | None:
        """When all modems had registered with the present controller; None if they have not."""
        if not self.registrations_file.exists():
            return None
        lines = self.registrations_file.read_text().splitlines()
        latest = json.loads(lines[-1]) if lines else {}
        return latest["at"] if latest.get("life") == self._life(self.control.generation) else None

    def _life(self, generation: int) -> int:
        return draw_life(self.spec.seed, generation)

    def _settings(self) -> Settings:
        """Return what the next controller is told."""
        bridge, frames = self.concentrator, self.spec.modems.registration == "frames"
        engine: dict[str, Any] = {**self._concentrator.model_dump(), "seed": self.spec.seed}
        engine["dialect"] = self.spec.server.dialect
        if engine["circuit_messages"] is None:
            engine["circuit_messages"] = max(100, 20 * (self.spec.topology.hosts_per_modem or 0))
        networks = [plan.ACCESS_NETWORK]
        if not engine.pop("ciaddr_restriction"):  # then it also asks about what is merely routed to it
            networks.append(plan.UNATTACHED_NETWORK)
        engine["registered_only"] = frames
        if self.spec.topology.figure == "dsl":
            engine.update(circuit_id="text", access_node=self.spec.topology.access_node)
        return Settings(
            giaddr=plan.GATEWAY,
            networks=tuple(networks),
            servers=tuple(server.place.address for server in self.servers),
            uplink_address=plan.UPLINK_CONCENTRATOR,
            wiring={
                "uplink": bridge.UPLINK, "access": bridge.ACCESS, "relay": bridge.RELAY,
                "uplink_mac": self.identity.uplink_mac, "access_mac": self.identity.access_mac,
                "relay_mac": plan.RELAY_MAC, "router_mac": plan.ROUTER_UPLINK_MAC,
            },
            modems=() if frames else tuple(Modem(mac, tags) for mac, tags in self.figure.modem_places),
            life=self._life(self.control.generation + 1) if frames else None,
            stacked_tags=self.figure.stacked_tags,
            record=Path(),
            framework=self.spec.controller.framework,
            engine=engine,
        )  # fmt: skip

    def _connect_controller(self) -> None:
        """Have the controller that was launched take the bridge over; its start is watched by itself."""
        assert self.control.process is not None
        self.watch.add("starting controller", self.control.process.pid)
        process = self.control.connect()
        self.watch.close("starting controller")
        self.watch.add("controller", process.pid)

    # -- what scenarios do

    def start_controller(self) -> float:
        """Start a controller with an empty memory; return the moment at which it held the bridge."""
        self.control.launch(self._settings())
        self._connect_controller()
        assert self.control.ready_at is not None
        return self.control.ready_at

    def kill_controller(self) -> float:
        """Kill the controller at once, and make the bridge forget; return the moment of the kill.

        What the switch has cached of its tables is forgotten, too: with thousands of entries it would take
        so long to bring them up to date that the next controller's first query met the empty tables' drop.
        """
        self.watch.close("controller")
        moment = self.control.kill()
        self.switch.appctl("revalidator/purge")
        return moment

    def change_identity(self) -> None:
        """Have another concentrator in the place of the one that was killed: other addresses of its own."""
        self.identity = plan.REPLACEMENT
        self.concentrator.be(self.identity.datapath_id)

    def defend(self, on: bool) -> None:
        """Have the next controller keep a negative cache, and ask only about its own networks; or neither."""
        self.behave(negative_cache=on, ciaddr_restriction=on)

    def behave(self, **fields: Any) -> None:
        """Have the next controller behave as specified, but for these fields of `spec.Concentrator`."""
        self._concentrator = self.spec.concentrator.model_copy(update=fields)

    def kill_server(self, number: int = 0) -> None:
        """Kill a server, counted from 0, at once; its `launch` and `await_ready` bring it back."""
        server = self.servers[number]
        with contextlib.suppress(KeyError):  # not watched before probes flow
            self.watch.close(server.name)
        server.kill()

    def start_server(self, number: int = 0, **changes: Any) -> None:
        """Start a server again with what it has stored; `changes` are attributes of it to set before.

        It is ended first, in an orderly way, if it is running. Returns when it answers.
        """
        server = self.servers[number]
        server.stop()
        for name, value in changes.items():
            setattr(server, name, value)
        server.launch()
        self.watch.add(server.name, server.await_ready().pid)

    def know_neighbours(self, number: int) -> None:
        """Have a server and the router know each other for good: ARP gives up on a link of seconds."""
        server, place = self.net[self.servers[number].name], self.servers[number].place
        router = self.net["network"]
        near, far = f"network-eth{number + 1}", server.defaultIntf().name
        for node, interface, address, mac in (
            (router, near, place.address, server.MAC()),
            (server, far, place.router, router.MAC(near)),
        ):
            neighbour = f"neigh replace {address} lladdr {mac} dev {interface} nud permanent"
            ip_commands([neighbour], at=node.pid)

    def holder(self, address: str) -> int:
        """Return the number of the server that has leased an address, by its pool."""
        value = IPv4Address(address)
        pools = plan.pools(len(self.servers))
        return next(number for number, (first, last) in enumerate(pools) if first <= value <= last)

    def modem_of(self, host: str) -> str:
        """Return the name of the modem that a host was built behind."""
        return str(self._modem_port(host).node.name)

    def _modem_port(self, host: str) -> Any:
        """Return the other end of a host's link."""
        interface = self.net[host].defaultIntf()
        link = interface.link
        return link.intf2 if link.intf1 is interface else link.intf1

    def limit_pool(self, addresses: int) -> None:
        """Have the first server lease no more than so many addresses; its `pool` says which."""
        self._pool = (plan.POOL_FIRST, plan.POOL_FIRST + (addresses - 1))

    def share_bindings(self) -> None:
        """Give each server a copy of the others' bindings, and the whole pool: what a failover pair has.

        Our servers have no failover protocol: this is what it would have told them. They are ended and
        started again.
        """
        for server in self.servers:
            server.stop()
        for server in self.servers:
            for other in self.servers:
                if other is not server:
                    server.copy_bindings(other)
        for number in range(len(self.servers)):
            self.start_server(number, pool=plan.pools(1)[0])

    def plug(self, host: str, modem: str) -> float:
        """Plug a host in behind another modem; its client asks anew. Return the moment."""
        node, port = self.net[host], self._modem_port(host)
        self.net[modem].adopt(port.name, port.node)
        moment = time.monotonic()
        node.restart_client()
        return moment

    def move(self, host: str, modem: str) -> str:
        """Plug a host in behind another modem; return the address that its client leases there.

        Raises RunFailed if it gets none.
        """
        deadline, node = self.plug(host, modem) + LEASE_TIMEOUT, self.net[host]
        while node.leased_address is None:
            if time.monotonic() > deadline:
                raise RunFailed(f"{host} got no lease behind {modem} for {LEASE_TIMEOUT:.0f} s")
            time.sleep(0.05)
        return str(node.leased_address)

    def lease_all(self, tell: Tell, first: int | None = None) -> dict[str, str]:
        """Start every subscriber's DHCP client, or those of the `first` so many hosts.

        Returns address by name when all of these have one. Raises RunFailed.
        """
        if first is None:
            self.subscribers.start_clients()
        else:
            for name in list(self.subscribers.leases())[:first]:
                self.net[name].start_client()
        most, deadline = 0, time.monotonic() + LEASE_TIMEOUT
        while True:
            leases = dict(list(self.subscribers.leases().items())[:first])
            leased = {name: address for name, address in leases.items() if address is not None}
            tell("leases", len(leased), len(leases))
            if len(leased) > most:
                most, deadline = len(leased), time.monotonic() + LEASE_TIMEOUT
            if len(leased) == len(leases):
                return leased
            if time.monotonic() > deadline:
                missing = next(name for name in leases if name not in leased)
                raise RunFailed(
                    f"{len(leases) - len(leased)} of {len(leases)} subscribers got no lease "
                    f"for {LEASE_TIMEOUT:.0f} s, {missing} among them"
                )
            time.sleep(0.05)

    def start_probes(self, addresses: list[str], interval: float, maximum_seconds: float) -> None:
        """Probe all subscribers as specified until `stop_probes`, or for `maximum_seconds`.

        `interval`: the mean time between two probes of a subscriber in a direction, seconds.
        """
        self.probing.start(addresses, self.spec.probes, interval, maximum_seconds, self.spec.seed)
        self.wan.watch()
        self._load = Load(self.raw / "load.jsonl", self._loaded)
        self._load.start()
        watched = {server.name: server.process for server in self.servers}
        watched.update(controller=self.control.process, **self.wan.processes)
        watched["switch"] = self.switch.processes["ovs-vswitchd"]
        watched.update(self.subscribers.processes())
        self.watch.start({name: process.pid for name, process in watched.items() if process is not None})

    def _loaded(self) -> dict[str, Process | None]:
        """Return the present processes whose load is of interest, by name."""
        processes = {server.name: server.process for server in self.servers}
        switch = self.switch.processes["ovs-vswitchd"]
        return {**processes, "controller": self.control.process, "switch": switch}

    def stop_probes(self) -> None:
        """Stop sending, wait for what is under way, stop receiving."""
        self._load.stop()
        self.probing.stop()

    def stop(self) -> dict[str, Any]:
        """Stop captures, controller and server in an orderly way, so that they write their counts.

        Returns what was observed of the run's fidelity.
        """
        captures = [*self._captures, *(server.capture for server in self.servers if server.capture)]
        for capture in captures:
            capture.stop()
        namespaces = {node.pid for node in self.net.hosts} | {os.getpid(), *self.subscribers.namespaces()}
        observed = self.watch.finish(namespaces, self.switch.appctl("dpctl/show"), [c.log for c in captures])
        observed.update(wan=self.wan.stop(), wan_emulator=self.wan.emulator)
        observed["population_drops"] = self.subscribers.lost()
        self.control.stop()
        observed["died"] = self.control.died
        for server in self.servers:
            server.stop()
        end(self._processors)
        observed["agent"] = self.stop_agent()
        return observed
