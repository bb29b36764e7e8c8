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

from topologies import plan
from topologies.access import Cable
from topologies.figure import Figure
from topologies.nodes import Concentrator, Modem


class StackedModem(Modem):
    """A modem whose circuit is two tags: inside it is the inner one; the outer goes at its radio end."""

    def __init__(self, name: str, tags: tuple[int, ...], **parameters: Any) -> None:
        super().__init__(name, circuit=tags[1], **parameters)
        self.tags = tags

    def connect(self) -> None:
        """Let down only what bears the outer tag, and take that off; the ports see to the inner one."""
        self.add_flows(
            f"priority=10,in_port=1,dl_vlan={self.tags[0]},actions=pop_vlan,NORMAL",
            "priority=9,in_port=1,actions=drop",
        )


class CableTopo(Figure):
    """Server - network - CMTS - one shared cable - modems - hosts."""

    concentrator = "cmts"

    def add_access(self, modems: int) -> str:
        """Add the cable."""
        self.addSwitch("cable", cls=Cable, dpid=f"{2:016x}", **self.access_options(modems))
        self.addLink(
            "cable",
            self.concentrator,
            port1=Cable.CONCENTRATOR,
            port2=Concentrator.ACCESS,
            veth=self.access_veth,
            tagged=True,
        )
        return "cable"

    def modem(self, place: plan.ModemPlace) -> dict[str, Any]:
        """Return a cable modem."""
        if self.stacked_tags:
            return {"cls": StackedModem, "tags": place.tags}
        return {"cls": Modem, "circuit": place.tags[0]}


topos = {"cable": CableTopo}  # for `mn --custom`
