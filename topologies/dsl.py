"""Figure 2 of the draft: a DSL environment (R1-2).

```
+--------+     +---------------+
|  DHCP  |     |  DSL Access   |     +-------+
| Server |-...-| Concentrator  |-...-| DSLAM |
+--------+     | (Relay Agent) |     +-------+
               +---------------+      |      |
                                 +------+   +------+
                                 |Modem1|   |Modem2|
                                 +------+   +------+
                                    |        |    |
                                 +-----+ +-----+ +-----+
                                 |Host1| |Host2| |Host3|
                                 +-----+ +-----+ +-----+
```

The first "-...-" is the cable figure's router, the second a network that carries the DSLAM's frames with
their tags. Each modem has its own line and its own circuit.

With `intermediate_agent` the DSLAM writes the line into the subscribers' DHCP messages itself, as TR-101 has
access nodes do (`topologies.agent`), and the concentrator trusts it (RFC 3046, 2.1):

```
                                     +-------+
  DISCOVER, giaddr = concentrator    |       |   DISCOVER, giaddr 0       DISCOVER, giaddr 0
+ option 82 as the DSLAM wrote it <--| BRAS  |<--+ option 82 <-- DSLAM <-- (with option 82: dropped)
                                     +-------+
```
"""

from __future__ import annotations

from typing import Any

from topologies import plan
from topologies.access import Aggregation, Dslam
from topologies.figure import Figure
from topologies.nodes import BridgeDevice, Concentrator


class LineModem(BridgeDevice):
    """A DSL modem: a plain bridge between its line (port 1) and its hosts; the DSLAM knows the circuit."""

    def __init__(self, name: str, mac: str, **parameters: Any) -> None:
        super().__init__(name, failMode="standalone", **parameters)
        self.mac = mac

    def start(self, controllers: list[Any]) -> None:
        """Start without a controller."""
        super().start([])


class DslTopo(Figure):
    """Server - network - access concentrator - network - DSLAM - modems, a line for each - hosts."""

    concentrator = "bras"  # the field's name: broadband remote access server

    def add_access(self, modems: int) -> str:
        """Add the network, and the DSLAM."""
        self.addSwitch("metro", cls=Aggregation, dpid=f"{3:016x}")
        options = {**self.access_options(modems), "agent": self.intermediate_agent}
        self.addSwitch("dslam", cls=Dslam, dpid=f"{2:016x}", **options)
        access = {"veth": self.access_veth, "tagged": True}
        self.addLink("metro", self.concentrator, port1=1, port2=Concentrator.ACCESS, **access)
        self.addLink("dslam", "metro", port1=Dslam.CONCENTRATOR, port2=2)
        return "dslam"

    def modem(self, place: plan.ModemPlace) -> dict[str, Any]:
        """Return a DSL modem, which knows nothing of its circuit."""
        return {"cls": LineModem}


topos = {"dsl": DslTopo}  # for `mn --custom`
