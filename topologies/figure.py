"""What both of the draft's figures have: the servers, the network, the concentrator, modems and hosts."""

from __future__ import annotations

from typing import Any

from mininet.topo import Topo

from topologies import plan
from topologies.access import AccessBridge
from topologies.nodes import Concentrator, Router, Station, Subscriber
from topologies.population.node import PopulationNode

FIGURE = (1, 2)  # hosts behind Modem1, Modem2


def hosts_behind_modems(modems: int | None, hosts_per_modem: int | None) -> tuple[int, ...]:
    """Return how many hosts each modem has: the figure's numbers unless told otherwise."""
    if modems is None and hosts_per_modem is None:
        return FIGURE
    return (1 if hosts_per_modem is None else hosts_per_modem,) * (2 if modems is None else modems)


class Figure(Topo):  # type: ignore[misc]
    """A figure of the draft. Subclasses say what the modems hang on (`add_access`), and what they are.

    `modems` and `hosts_per_modem` are the figure's own numbers if not given. A circuit is one VLAN
    tag, or two with `stacked_tags` or where one is not enough. `servers` is 1 or 2. With `wan_nodes` there
    is a node on the way to each server, which delays and loses (`topologies.wan`). With `population` one node
    stands for all modems and hosts (`topologies.population`). With `access_veth` the concentrator's access
    link is a veth pair, at whose ends frames can be captured, not a patch port. With `intermediate_agent`
    a DSLAM inserts option 82 itself (`topologies.agent`). With `ingress_filter` the router drops packets
    whose source cannot come from where they come.

    `stacked_tags`, `population` and `modem_places` say what became of it.
    """

    concentrator: str

    def build(
        self,
        modems: int | None = None,
        hosts_per_modem: int | None = None,
        stacked_tags: bool = False,
        servers: int = 1,
        wan_nodes: bool = False,
        population: bool = False,
        access_veth: bool = False,
        intermediate_agent: bool = False,
        ingress_filter: bool = True,
        **_: Any,
    ) -> None:
        """Build the network that both figures share, then what is particular."""
        hosts = hosts_behind_modems(modems, hosts_per_modem)
        self.stacked_tags = stacked_tags or len(hosts) > plan.MOST_CIRCUITS
        self.population = population
        self.access_veth, self.ingress_filter = access_veth, ingress_filter
        self.intermediate_agent = intermediate_agent
        self.modem_places = tuple(
            plan.modem_place(number, self.stacked_tags) for number in range(1, len(hosts) + 1)
        )
        self._add_network(servers, wan_nodes)
        access = self.add_access(len(hosts))
        if population:
            self._add_population(access, hosts)
        else:
            self._add_modems(access, hosts)

    def add_access(self, modems: int) -> str:
        """Add what joins the modems to the concentrator's access port; return the name of its last part."""
        raise NotImplementedError

    def access_options(self, modems: int) -> dict[str, Any]:
        """Return what the bridge that modems hang on is told (`AccessBridge`)."""
        return {"stacked_tags": self.stacked_tags, "modems": modems, "population": self.population}

    def modem(self, place: plan.ModemPlace) -> dict[str, Any]:
        """Return a modem's class, as `cls`, and what else Mininet gives to it."""
        raise NotImplementedError

    def _add_network(self, servers: int, wan_nodes: bool) -> None:
        self.addSwitch(self.concentrator, cls=Concentrator, dpid=plan.CONCENTRATOR.datapath_id)
        own = {"ip": f"{plan.UPLINK_ROUTER}/30", "mac": plan.ROUTER_UPLINK_MAC}
        self.addHost("network", cls=Router, ingress_filter=self.ingress_filter, **own)
        self.addLink("network", self.concentrator, port1=0, port2=Concentrator.UPLINK)
        internet = plan.ServerPlace("internet", plan.INTERNET, plan.INTERNET_ROUTER)
        for port, (name, address, router) in enumerate((*plan.SERVERS[:servers], internet), start=1):
            self.addHost(name, cls=Station, ip=f"{address}/24", defaultRoute=f"via {router}")
            towards = {"port1": port, "params1": {"ip": f"{router}/24"}}
            if wan_nodes and name != "internet":
                way = f"wan{port}"
                self.addHost(way, cls=Station, ip=None)
                self.addLink("network", way, port2=0, **towards)
                self.addLink(way, name, port1=1, port2=0)
            else:
                self.addLink("network", name, port2=0, **towards)

    def _add_population(self, access: str, hosts: tuple[int, ...]) -> None:
        """Add one node for all modems and hosts."""
        circuits = [place.tags for place in self.modem_places]
        self.addHost("population", cls=PopulationNode, ip=None, circuits=circuits, hosts=hosts)
        self.addLink(access, "population", port1=AccessBridge.POPULATION, port2=0, tagged=True)

    def _add_modems(self, access: str, hosts: tuple[int, ...]) -> None:
        """Add the modems, each at its own port of `access`, and the hosts behind them."""
        host = 0
        for number, (place, behind) in enumerate(zip(self.modem_places, hosts, strict=True), start=1):
            modem = f"modem{number}"
            self.addSwitch(modem, mac=place.mac, dpid=f"{0x100 + number:016x}", **self.modem(place))
            self.addLink(access, modem, port1=1 + number, port2=1)
            for _port in range(behind):
                host += 1
                self.addHost(f"host{host}", cls=Subscriber, ip=None, mac=plan.host_mac(host))
                self.addLink(f"host{host}", modem)
