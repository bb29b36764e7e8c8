"""The flow tables of the concentrator's bridge, all in one place.

```
table 0  CLASSIFY    what kind of packet, from which side
table 1  VERIFY      upstream: one flow for each located host; anything else to the controller (R1-5)
table 2  DOWNSTREAM  one flow for each located host; anything else to the controller (R1-4, R5-1)
table 3  ROUTE       upstream packets that passed: to the network, or to the concentrator itself
```

CLASSIFY, by port:

| from   | packet                               | goes                                   |
|--------|--------------------------------------|----------------------------------------|
| uplink | IP to giaddr                         | relay port (the concentrator's socket) |
| uplink | IP to the access network             | DOWNSTREAM                             |
| uplink | ARP                                  | controller                             |
| access | DHCP broadcast (UDP port 67), ARP    | controller                             |
| access | IP                                   | VERIFY                                 |
| relay  | IP to the access network             | DOWNSTREAM                             |
| relay  | other IP                             | uplink                                 |
| any    | anything else                        | dropped                                |

A unicast DHCP renewal is ordinary upstream IP: verified, routed, not gleaned (R4.3-1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from controllers.frames import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_VLAN, UDP
from controllers.framework import ofp, parser
from lq.concentrator.events import Circuit, Location

CLASSIFY, VERIFY, DOWNSTREAM, ROUTE = range(4)
MAXIMUM_TIMEOUT = 0xFFFF  # seconds; a longer lease is permitted again when the flow runs out
_HOST_PRIORITY, _REFUSED_PRIORITY, _DROP_PRIORITY, _MISS_PRIORITY = 100, 50, 40, 0
_TO_CONTROLLER = [parser.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)]


@dataclass(frozen=True)
class Wiring:
    """The bridge's ports, and the hardware addresses on both ends of its links."""

    uplink: int
    access: int
    relay: int
    uplink_mac: str
    access_mac: str
    relay_mac: str
    router_mac: str


class Tables:
    """Makes the flow entries; sends nothing itself: each method returns OpenFlow messages."""

    def __init__(self, datapath: Any, wiring: Wiring, giaddr: IPv4Address, networks: Iterable[IPv4Network]):
        self._datapath = datapath
        self._wiring = wiring
        self._giaddr = giaddr
        self._networks = tuple(networks)

    def initial(self) -> list[Any]:
        """Return what a freshly started concentrator installs: empty tables, then the fixed flows."""
        w = self._wiring
        clear = parser.OFPFlowMod(
            self._datapath,
            command=ofp.OFPFC_DELETE,
            table_id=ofp.OFPTT_ALL,
            out_port=ofp.OFPP_ANY,
            out_group=ofp.OFPG_ANY,
        )
        to_relay = [parser.OFPActionSetField(eth_dst=w.relay_mac), parser.OFPActionOutput(w.relay)]
        to_uplink = [
            parser.OFPActionSetField(eth_src=w.uplink_mac),
            parser.OFPActionSetField(eth_dst=w.router_mac),
            parser.OFPActionOutput(w.uplink),
        ]
        routed = [parser.OFPActionDecNwTtl(), *to_uplink]
        dhcp = {
            "eth_type": ETHERTYPE_IPV4, "ip_proto": UDP, "udp_dst": 67, "ipv4_dst": "255.255.255.255",
        }  # fmt: skip
        ip, arp = {"eth_type": ETHERTYPE_IPV4}, {"eth_type": ETHERTYPE_ARP}
        messages = [
            clear,
            self._add(CLASSIFY, 40, {"in_port": w.uplink, **ip, "ipv4_dst": str(self._giaddr)}, to_relay),
            self._add(CLASSIFY, 30, {"in_port": w.uplink, **arp}, _TO_CONTROLLER),
            self._add(CLASSIFY, 40, {"in_port": w.access, **dhcp}, _TO_CONTROLLER),
            self._add(CLASSIFY, 30, {"in_port": w.access, **arp}, _TO_CONTROLLER),
            self._add(CLASSIFY, 20, {"in_port": w.access, **ip}, goto=VERIFY),
            self._add(CLASSIFY, 10, {"in_port": w.relay, **ip}, to_uplink),
            self._add(VERIFY, _MISS_PRIORITY, {}, _TO_CONTROLLER),
            self._add(DOWNSTREAM, _MISS_PRIORITY, {}, _TO_CONTROLLER),
            self._add(ROUTE, 10, {**ip, "ipv4_dst": str(self._giaddr)}, to_relay),
            self._add(ROUTE, 0, ip, routed),
        ]
        for network in self._networks:
            inside = {**ip, "ipv4_dst": (str(network.network_address), str(network.netmask))}
            for port in (w.uplink, w.relay):
                messages.append(self._add(CLASSIFY, 20, {"in_port": port, **inside}, goto=DOWNSTREAM))
        return messages

    def permit(self, location: Location, lifetime: float) -> list[Any]:
        """Return the two flows of a located host; `lifetime` in seconds (R1-4, R1-5)."""
        timeout = _seconds(lifetime)
        mac, w = location.chaddr.hex(":"), self._wiring
        downstream = [
            parser.OFPActionDecNwTtl(),
            parser.OFPActionSetField(eth_src=w.access_mac),
            parser.OFPActionSetField(eth_dst=mac),
        ]
        for tag in reversed(location.circuit.tags):
            downstream.append(parser.OFPActionPushVlan(ETHERTYPE_VLAN))
            downstream.append(parser.OFPActionSetField(vlan_vid=tag | ofp.OFPVID_PRESENT))
        downstream.append(parser.OFPActionOutput(location.circuit.port))
        strip = [parser.OFPActionPopVlan() for _ in location.circuit.tags]
        return [
            self._add(
                DOWNSTREAM, _HOST_PRIORITY, self._to(location.address), downstream, hard_timeout=timeout
            ),
            self._add(VERIFY, _HOST_PRIORITY, self._from(location), strip, goto=ROUTE, hard_timeout=timeout),
        ]

    def withdraw(self, location: Location) -> list[Any]:
        """Return what removes a host's flows."""
        return [
            self._delete(DOWNSTREAM, _HOST_PRIORITY, self._to(location.address)),
            self._delete(VERIFY, _HOST_PRIORITY, self._from(location)),
        ]

    def refuse(self, address: IPv4Address, lifetime: float) -> list[Any]:
        """Return flows that drop traffic for and from a refused address in the switch (R6.5-2, R6.5-5)."""
        timeout = _seconds(lifetime)
        source = {"eth_type": ETHERTYPE_IPV4, "ipv4_src": str(address)}
        return [
            self._add(DOWNSTREAM, _REFUSED_PRIORITY, self._to(address), hard_timeout=timeout),
            self._add(VERIFY, _REFUSED_PRIORITY, source, hard_timeout=timeout),
        ]

    def drop(
        self, circuit: Circuit, chaddr: bytes, address: IPv4Address | None, lifetime: float
    ) -> list[Any]:
        """Return a flow that drops what failed verification: more of it costs the controller nothing."""
        match = self._source(circuit, chaddr)
        if address is not None:
            match["ipv4_src"] = str(address)
        return [self._add(VERIFY, _DROP_PRIORITY, match, hard_timeout=_seconds(lifetime))]

    def through_tables(self, frame: bytes, in_port: int) -> Any:
        """Return what sends a held frame through the tables as if it had just come in."""
        return self.output(frame, ofp.OFPP_TABLE, in_port)

    def output(self, frame: bytes, port: int, in_port: int | None = None) -> Any:
        """Return what sends a frame out of a port."""
        return parser.OFPPacketOut(
            self._datapath,
            buffer_id=ofp.OFP_NO_BUFFER,
            in_port=ofp.OFPP_CONTROLLER if in_port is None else in_port,
            actions=[parser.OFPActionOutput(port)],
            data=frame,
        )

    def barrier(self) -> Any:
        """Return a request that is answered when everything before it has taken effect."""
        return parser.OFPBarrierRequest(self._datapath)

    @staticmethod
    def _to(address: IPv4Address) -> dict[str, Any]:
        return {"eth_type": ETHERTYPE_IPV4, "ipv4_dst": str(address)}

    def _from(self, location: Location) -> dict[str, Any]:
        return {**self._source(location.circuit, location.chaddr), "ipv4_src": str(location.address)}

    @staticmethod
    def _source(circuit: Circuit, chaddr: bytes) -> dict[str, Any]:
        match: dict[str, Any] = {
            "in_port": circuit.port, "eth_type": ETHERTYPE_IPV4, "eth_src": chaddr.hex(":")
        }  # fmt: skip
        if circuit.tags:
            match["vlan_vid"] = circuit.tags[0] | ofp.OFPVID_PRESENT
        return match

    def _add(
        self,
        table: int,
        priority: int,
        match: dict[str, Any],
        actions: list[Any] | None = None,
        *,
        goto: int | None = None,
        hard_timeout: int = 0,
    ) -> Any:
        instructions = []
        if actions:
            instructions.append(parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions))
        if goto is not None:
            instructions.append(parser.OFPInstructionGotoTable(goto))
        return parser.OFPFlowMod(
            self._datapath,
            table_id=table,
            priority=priority,
            match=parser.OFPMatch(**match),
            instructions=instructions,
            hard_timeout=hard_timeout,
        )

    def _delete(self, table: int, priority: int, match: dict[str, Any]) -> Any:
        return parser.OFPFlowMod(
            self._datapath,
            command=ofp.OFPFC_DELETE_STRICT,
            table_id=table,
            priority=priority,
            match=parser.OFPMatch(**match),
            out_port=ofp.OFPP_ANY,
            out_group=ofp.OFPG_ANY,
        )


def _seconds(lifetime: float) -> int:
    """A flow's timeout: whole seconds, at least one."""
    return max(1, min(MAXIMUM_TIMEOUT, round(lifetime)))
