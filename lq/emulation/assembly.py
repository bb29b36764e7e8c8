"""The parts of an emulated network: made from a specification, started, ended. Files go to one directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from mininet.log import setLogLevel

from controllers.settings import draw_life
from lq.emulation.access_devices import IntermediateAgent, ModemProcessors
from lq.emulation.captures import Capture
from lq.emulation.controller import Control, settings
from lq.emulation.dhcp_servers import DhcpServer
from lq.emulation.monitor import Monitor
from lq.emulation.probing import Probing
from lq.emulation.processes import Process, Programs
from lq.emulation.subscribers.hosts import HostSubscribers, Subscribers
from lq.emulation.subscribers.population import PopulationSubscribers
from lq.emulation.wan import Wan
from lq.emulation.watch import Watch
from lq.experiments.spec import Spec
from lq.sandbox import resources
from lq.sandbox.switch import PrivateSwitch, datapath_type
from lq.scenarios.network import Pool
from lq.scenarios.outcome import Observed
from topologies import nodes, plan
from topologies.cable import CableTopo
from topologies.dsl import DslTopo
from topologies.figure import Figure
from topologies.network import LabNet

TOPOLOGIES: dict[str, type[Figure]] = {"cable": CableTopo, "dsl": DslTopo}


class Assembly:
    """Switch, nodes, servers, controller, subscribers, traffic, and what watches them.

    `build` makes all but the first three of these attributes; `raw` and `logs` are below `run_dir`.
    """

    figure: Figure
    wan: Wan
    servers: list[DhcpServer]
    control: Control
    subscribers: Subscribers
    probing: Probing
    agent: IntermediateAgent
    processors: ModemProcessors
    monitor: Monitor

    def __init__(self, spec: Spec, run_dir: Path) -> None:
        self.spec = spec
        self.raw = run_dir / "raw"
        self.logs = run_dir / "logs"
        self.programs = Programs(self.logs)
        self.switch = PrivateSwitch(self.logs)
        self.net: Any = None
        self.watch = Watch()
        self._identity = plan.CONCENTRATOR
        self._behaviour = spec.concentrator
        self._captures: list[Capture] = []

    @property
    def server(self) -> DhcpServer:
        """The first server."""
        return self.servers[0]

    @property
    def concentrator(self) -> nodes.Concentrator:
        """The concentrator's bridge."""
        return next(switch for switch in self.net.switches if isinstance(switch, nodes.Concentrator))

    # -- making it

    def build(self, pool: Pool | None = None) -> None:
        """Start the switch and the devices of the figure, all without a controller.

        The first server has all of `pool`, or without one each server its share of all addresses.
        """
        setLogLevel("critical")
        self.wan = Wan(self.programs, self.raw, self.spec)
        self.figure = self._figure()
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
        self.servers = self._make_servers(pool)
        self.control = Control(self.programs, self.raw, self.concentrator)
        self.agent = IntermediateAgent(self.programs, self.raw, self.spec, self.figure)
        self.processors = ModemProcessors(self.programs, self.raw, self.spec, self.figure)
        self.subscribers = self._make_subscribers()
        self.wan.net = self.net
        self.probing = Probing(self.programs, self.raw, self.net["internet"], self.subscribers)

    def _figure(self) -> Figure:
        topology = self.spec.topology
        return TOPOLOGIES[topology.figure](
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

    def _make_subscribers(self) -> Subscribers:
        if self.figure.population:
            return PopulationSubscribers(self.programs, self.raw, self.net["population"], self.spec.seed)
        hosts = [host for host in self.net.hosts if isinstance(host, nodes.Subscriber)]
        return HostSubscribers(self.programs, hosts)

    def _make_servers(self, pool: Pool | None) -> list[DhcpServer]:
        pools = plan.pools(self.spec.server.count) if pool is None else [pool]
        places = zip(plan.SERVERS, pools, strict=False)
        return [
            DhcpServer(self.programs, self.raw, self.net[place.name], place, pool, self.spec)
            for place, pool in places
        ]

    # -- starting it

    def start(self) -> None:
        """Start the WAN, the servers, the controller and the modems; return when all do their work."""
        self._start_captures()
        self.wan.start()
        for server in self.servers:
            server.launch()
        self.agent.launch()
        self.processors.launch()
        self.launch_controller()
        for server in self.servers:
            server.await_ready()
        for capture in self._captures:
            capture.await_ready()
        self.connect_controller()
        self.processors.wait_for(lambda: self.registered_at() is not None)

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

    def launch_controller(self) -> None:
        """Start the next controller; `connect_controller` has it take over."""
        life = draw_life(self.spec.seed, self.control.generation + 1)
        servers = [server.place.address for server in self.servers]
        told = settings(self.spec, self._behaviour, self.figure, servers, self._identity, life)
        self.control.launch(told)

    def connect_controller(self) -> None:
        """Have the controller that was launched take the bridge over; its start is watched by itself."""
        assert self.control.process is not None
        self.watch.add("starting controller", self.control.process.pid)
        process = self.control.connect()
        self.watch.close("starting controller")
        self.watch.add("controller", process.pid)

    def registered_at(self) -> float | None:
        """Return when all modems had registered with the present controller; None if they have not."""
        return self.processors.registered_at(draw_life(self.spec.seed, self.control.generation))

    # -- watching it

    def start_watching(self) -> None:
        """Watch from now on what the machine does to the processes, and what these use."""
        self.wan.watch()
        self.monitor = Monitor(self.raw / "load.jsonl", self.processes)
        self.monitor.start()
        watched = {server.name: server.process for server in self.servers}
        watched.update(controller=self.control.process, **self.wan.processes)
        watched["switch"] = self.switch.processes["ovs-vswitchd"]
        watched.update(self.subscribers.processes())
        self.watch.start({name: process.pid for name, process in watched.items() if process is not None})

    def processes(self) -> dict[str, Process | None]:
        """Return the present processes whose load is of interest, by name."""
        processes = {server.name: server.process for server in self.servers}
        switch = self.switch.processes["ovs-vswitchd"]
        return {**processes, "controller": self.control.process, "switch": switch}

    # -- ending it

    def stop(self) -> Observed:
        """Stop captures, controller and server in an orderly way, so that they write their counts.

        Returns what was observed of the run's fidelity.
        """
        captures = [*self._captures, *(server.capture for server in self.servers if server.capture)]
        for capture in captures:
            capture.stop()
        namespaces = {node.pid for node in self.net.hosts} | {os.getpid(), *self.subscribers.namespaces()}
        watched = self.watch.finish(namespaces, self.switch.appctl("dpctl/show"), [c.log for c in captures])
        ways = self.wan.stop()
        population_drops = self.subscribers.lost()
        self.control.stop()
        for server in self.servers:
            server.stop()
        self.processors.stop()
        return Observed(
            **vars(watched),
            wan=ways,
            wan_emulator=self.wan.emulator,
            population_drops=population_drops,
            died=self.control.died,
            agent=self.agent.stop(),
        )
