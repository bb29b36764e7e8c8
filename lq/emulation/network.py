"""The emulated network: real switches, servers, controllers and DHCP clients, inside the sealed lab.

`Emulation` is the `Network` that scenarios play on (`lq.scenarios.network`), and its parts are open to
benchmarks and to the live lab. The network's clock is the machine's monotonic clock.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from lq.clocks import time_of_day_ahead
from lq.emulation import attacks, bindings
from lq.emulation.assembly import Assembly
from lq.emulation.attacks import AttackProgram
from lq.emulation.hijackers import Hijackers
from lq.emulation.neighbourhood import Counting, Stealing
from lq.emulation.probing import AwaitedProbes
from lq.emulation.processes import cpu_seconds
from lq.emulation.usage import discarded, resident
from lq.errors import RunFailed
from lq.progress import Progress
from lq.scenarios.cast import Cast
from lq.scenarios.network import Component, DhcpFlood, Identities, Kind, Pattern, Pool, Usage
from lq.server.bindings import Binding
from topologies import nodes, plan
from topologies.network import ip_commands

LEASE_TIMEOUT = 60.0  # seconds in which at least one more subscriber must get its first lease
LONG_WAY_QUEUE = 10_000  # packets that a way to a server holds once it is lengthened, at least


class Emulation(Assembly):
    """One network with its servers, controller, subscribers and traffic. Files go to `run_dir`."""

    # -- the clock

    def now(self) -> float:
        """Return the present moment on the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let so many seconds go by; none if that is negative."""
        time.sleep(max(0.0, seconds))

    def time_of_day_ahead(self) -> float:
        """Return by how many seconds the time of day is ahead of the monotonic clock."""
        return time_of_day_ahead()

    # -- bringing it up

    @property
    def pool(self) -> Pool:
        """All addresses that the servers may lease."""
        return Pool(plan.POOL_FIRST, plan.POOL_LAST)

    def bring_up(self, pool: Pool | None = None) -> None:
        """Make all parts and start them, but for the hosts' DHCP clients. Raises RunFailed."""
        self.build(pool)
        self.start()

    # -- the hosts

    def hosts(self) -> list[str]:
        """Return the names of all hosts, in the order of the figure."""
        return list(self.subscribers.leases())

    def start_client(self, host: str) -> None:
        """Start a host's DHCP client."""
        self.net[host].start_client()

    def stop_client(self, host: str) -> None:
        """Kill a host's DHCP client, which tells nobody."""
        self.net[host].stop_client()

    def leased_address(self, host: str) -> str | None:
        """Return the address that a host holds now, None without a lease."""
        address: str | None = self.net[host].leased_address
        return address

    def lease_all(self, tell: Progress, first: int | None = None) -> dict[str, str]:
        """Start every subscriber's DHCP client, or those of the `first` so many hosts.

        Returns address by name when all of these have one. Raises RunFailed.
        """
        if first is None:
            self.subscribers.start_clients()
        else:
            for name in self.hosts()[:first]:
                self.start_client(name)
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

    def modem_of(self, host: str) -> str:
        """Return the name of the modem that a host was built behind."""
        return str(self._modem_port(host).node.name)

    def tags_of(self, modem: str) -> tuple[int, ...]:
        """Return the VLAN tags of a modem's circuit, outer first."""
        return plan.tags(int(modem.removeprefix("modem")), self.figure.stacked_tags)

    def _modem_port(self, host: str) -> Any:
        """Return the other end of a host's link."""
        interface = self.net[host].defaultIntf()
        link = interface.link
        return link.intf2 if link.intf1 is interface else link.intf1

    def plug(self, host: str, modem: str) -> float:
        """Plug a host in behind another modem; its client asks anew. Return the moment."""
        node, port = self.net[host], self._modem_port(host)
        self.net[modem].adopt(port.name, port.node)
        moment = time.monotonic()
        node.restart_client()
        return moment

    # -- the probes

    def start_probes(self, leases: Mapping[str, str], interval: float, maximum_seconds: float) -> None:
        """Probe these subscribers as specified until `stop_probes`, or for `maximum_seconds`.

        `interval`: the mean time between two probes of a subscriber in a direction, seconds.
        """
        self.probing.start(leases, self.spec.probes, interval, maximum_seconds, self.spec.seed)
        self.start_watching()

    def stop_probes(self) -> None:
        """Stop sending, wait for what is under way, stop receiving."""
        self.monitor.stop()
        self.probing.stop()

    def awaited(self, since: float, until: float) -> AwaitedProbes:
        """Return the subscribers that have a probe due between two moments."""
        return self.probing.awaited(since, until)

    def latest_arrival(self, host: str) -> float:
        """Return when a host's latest probe arrived, in the direction where that is longest ago."""
        return self.probing.latest(host)

    # -- the concentrator

    def start_controller(self) -> float:
        """Start a controller with an empty memory; return the moment at which it held the bridge."""
        self.launch_controller()
        self.connect_controller()
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

    def behave(
        self,
        *,
        mode: str | None = None,
        negative_cache: bool | None = None,
        ciaddr_restriction: bool | None = None,
    ) -> None:
        """Have the next controller behave as specified, but for these fields of `spec.Concentrator`."""
        fields = {"mode": mode, "negative_cache": negative_cache, "ciaddr_restriction": ciaddr_restriction}
        changed = {name: value for name, value in fields.items() if value is not None}
        self._behaviour = self.spec.concentrator.model_copy(update=changed)

    def change_identity(self) -> None:
        """Have another concentrator in the place of the one that was killed: other addresses of its own."""
        self._identity = plan.REPLACEMENT
        self.concentrator.be(self._identity.datapath_id)

    def sent_downstream(self) -> int:
        """Return how many frames have left the concentrator downstream so far."""
        return self.concentrator.sent_downstream()

    # -- the servers

    def server_name(self, number: int) -> str:
        """Return the name of a server's node."""
        return self.servers[number].name

    def holder(self, address: str) -> int:
        """Return the number of the server that has leased an address, by its pool."""
        value = IPv4Address(address)
        pools = plan.pools(len(self.servers))
        return next(number for number, (first, last) in enumerate(pools) if first <= value <= last)

    def bindings(self, number: int) -> list[Binding]:
        """Return what a server has stored, by address. Raises BadInput for a kind that is not read."""
        return bindings.read(self.servers[number], self.spec.server.kind)

    def kill_server(self, number: int) -> None:
        """Kill a server at once; `start_server` brings it back."""
        server = self.servers[number]
        with contextlib.suppress(KeyError):  # not watched before probes flow
            self.watch.close(server.name)
        server.kill()

    def start_server(self, number: int, *, pool: Pool | None = None, leasequery: bool | None = None) -> None:
        """Start a server again with what it has stored, and these changes. Returns when it answers.

        It is ended first, in an orderly way, if it is running.
        """
        server = self.servers[number]
        server.stop()
        if pool is not None:
            server.pool = pool
        if leasequery is not None:
            server.leasequery = leasequery
        server.launch()
        self.watch.add(server.name, server.await_ready().pid)

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
            self.start_server(number, pool=self.pool)

    def lengthen_way(self, seconds: float) -> None:
        """Have packets take so many seconds more on the way to each server, and as many back."""
        usual = self.wan.impairment
        for number in range(len(self.servers)):
            self._know_neighbours(number)
        limit = max(usual.limit, LONG_WAY_QUEUE)
        self.wan.change(replace(usual, delay=usual.delay + seconds, limit=limit))
        for name, process in self.wan.processes.items():
            self.watch.add(name, process.pid)

    def _know_neighbours(self, number: int) -> None:
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

    # -- what it costs

    def usage(self, part: Component) -> Usage:
        """Return the processor time and the memory of the processes that a part consists of."""
        switch = self.switch.processes["ovs-vswitchd"]
        if part == "server":
            processes = [server.process for server in self.servers]
            spent = sum(server.cpu_seconds for server in self.servers)
        else:
            processes = [self.control.process if part == "controller" else switch]
            spent = sum(map(cpu_seconds, processes))
        running = [process.pid for process in processes if process is not None and process.poll() is None]
        return Usage(spent, sum(map(resident, running)) if running else None)

    def discarded(self) -> int | None:
        """Return how many datagrams came to hosts at a port where nobody listens.

        None for a population, whose hosts have no namespaces of their own.
        """
        namespaces = self.subscribers.namespaces()
        return discarded(namespaces) if len(namespaces) == self.subscribers.count else None

    # -- attackers

    def flood(
        self,
        name: str,
        kind: Kind,
        pattern: Pattern,
        rate: float,
        packets: int,
        *,
        source: str = "internet",
        addresses: int | None = None,
        listed: Sequence[str] = (),
    ) -> AttackProgram:
        """Make a flood ready."""
        return attacks.flood(
            self.programs, self.raw, self.net, name, kind, pattern, rate, packets,
            source=source, addresses=addresses, listed=listed, seed=self.spec.seed,
        )  # fmt: skip

    def dhcp_flood(
        self, name: str, host: str, flood: DhcpFlood, identities: Identities, wanted: Sequence[str],
        rate: float, packets: int,
    ) -> AttackProgram:  # fmt: skip
        """Make a flood of DHCP by a host with a lease ready."""
        address = self.leased_address(host)
        own = next(binding for binding in self.bindings(0) if str(binding.address) == address)
        return attacks.dhcp_flood(
            self.programs, self.raw, self.net[host], name, own, self.server.place.address,
            flood, identities, wanted, rate, packets, self.spec.seed,
        )  # fmt: skip

    def forgers(self, cast: Cast, leases: Mapping[str, str]) -> Hijackers:
        """Make the attackers of `hijack` ready."""
        bound = [binding for number in range(len(self.servers)) for binding in self.bindings(number)]
        return Hijackers(
            self.programs, self.raw, self.net, self.spec, cast, leases, bound, self._identity.uplink_mac
        )

    def count_arp(self, name: str) -> Counting:
        """Count ARP requests at every host from now on."""
        hosts = [node for node in self.net.hosts if isinstance(node, nodes.Subscriber)]
        return Counting(self.programs, self.raw, name, hosts)

    def spoof_arp(self, name: str, host: str, address: str) -> Stealing:
        """Have a host, whose address this is, answer all its neighbours' ARP requests."""
        return Stealing(self.programs, self.raw, name, self.net[host], address)
