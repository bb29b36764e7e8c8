"""Figure 1 of the draft: a cable environment (R1-1).

```
+--------+     +---------------+
|  DHCP  |     |  DOCSIS CMTS  |
| Server |-...-|  or DVB INA   |-------------------
+--------+     | (Relay Agent) |    |          |
               +---------------+ +------+   +------+
                                 |Modem1|   |Modem2|
                                 +------+   +------+
                                    |        |    |
                                 +-----+ +-----+ +-----+
                                 |Host1| |Host2| |Host3|
                                 +-----+ +-----+ +-----+
```

The "-...-" is a router, behind which there is also a host of the Internet from which traffic
for the subscribers comes.
"""

from __future__ import annotations

from typing import Any

from mininet.topo import Topo

from topologies import plan
from topologies.nodes import Cable, Concentrator, Modem, Router, Station, Subscriber

FIGURE = (1, 2)  # hosts behind Modem1, Modem2
MAXIMUM_MODEMS = 1000  # bounded by the depth to which a switch resolves a frame that reaches all modems


def hosts_behind_modems(modems: int | None, hosts_per_modem: int | None) -> tuple[int, ...]:
    """Return how many hosts each modem has: the figure's numbers unless told otherwise."""
    if modems is None and hosts_per_modem is None:
        return FIGURE
    return (1 if hosts_per_modem is None else hosts_per_modem,) * (2 if modems is None else modems)


def add_network(topo: Topo) -> str:
    """Add what both figures share, the server and the network; return the concentrator's name."""
    topo.addSwitch("cmts", cls=Concentrator, dpid=f"{1:016x}")
    topo.addHost("network", cls=Router, ip=f"{plan.UPLINK_ROUTER}/30", mac=plan.ROUTER_UPLINK_MAC)
    topo.addLink("network", "cmts", port1=0, port2=Concentrator.UPLINK)
    stations = (
        ("server", plan.SERVER, plan.SERVER_ROUTER),
        ("internet", plan.INTERNET, plan.INTERNET_ROUTER),
    )
    for port, (name, address, router) in enumerate(stations, start=1):
        topo.addHost(name, cls=Station, ip=f"{address}/24", defaultRoute=f"via {router}")
        topo.addLink("network", name, port1=port, params1={"ip": f"{router}/24"})
    return "cmts"


class CableTopo(Topo):  # type: ignore[misc]
    """Server - network - CMTS - one shared cable - modems - hosts."""

    def build(self, modems: int | None = None, hosts_per_modem: int | None = None, **_: Any) -> None:
        """Build the figure, or one with `modems` modems and `hosts_per_modem` hosts behind each."""
        concentrator = add_network(self)
        self.addSwitch("cable", cls=Cable, dpid=f"{2:016x}")
        self.addLink("cable", concentrator, port1=1, port2=Concentrator.ACCESS)

        host = 0
        for number, hosts in enumerate(hosts_behind_modems(modems, hosts_per_modem), start=1):
            modem = f"modem{number}"
            self.addSwitch(
                modem, cls=Modem, circuit=number, mac=plan.modem_mac(number), dpid=f"{0x100 + number:016x}"
            )
            self.addLink("cable", modem, port1=1 + number, port2=1)
            for _port in range(hosts):
                host += 1
                self.addHost(f"host{host}", cls=Subscriber, ip=None, mac=plan.host_mac(host))
                self.addLink(f"host{host}", modem)


topos = {"cable": CableTopo}  # for `mn --custom`
