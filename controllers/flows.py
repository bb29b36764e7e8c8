"""The flow tables of the concentrator's bridge, all in one place.

```
table 0  CLASSIFY    what kind of packet, from which side
table 1  OUTER       upstream with two tags: the outer one into the metadata, off the frame; -> VERIFY
table 2  VERIFY      upstream: one flow for each located host; anything else to the controller (R1-5)
table 3  ROUTE       upstream packets that passed: to the network, or to the concentrator itself
table 4  DOWNSTREAM  one flow for each located host; anything else to the controller (R1-4, R5-1)
```

CLASSIFY, by port; the first line that fits counts. What comes from the access side must bear a tag.

| from   | packet                                              | goes                                   |
|--------|-----------------------------------------------------|----------------------------------------|
| uplink | IP to giaddr                                        | relay port (the concentrator's socket) |
| uplink | IP to the network or broadcast address of a subnet  | dropped                                |
| uplink | IP to the access networks                           | DOWNSTREAM                             |
| uplink | ARP                                                 | controller                             |
| access | UDP to port 68, UDP from port 67: a rogue server    | dropped                                |
| access | UDP to giaddr's port 67: only servers write there   | dropped                                |
| access | DHCP broadcast (UDP port 67)                        | VERIFY; by OUTER if tags are stacked   |
| access | ARP, a modem's registration                         | controller                             |
| access | other IP to 255.255.255.255 and to multicast groups | dropped                                |
| access | IP from giaddr, from a subnet's own two addresses   | dropped                                |
| access | IP from the access networks                         | VERIFY; by OUTER if tags are stacked   |
| relay  | IP to the access networks                           | DOWNSTREAM                             |
| relay  | other IP                                            | uplink                                 |
| any    | anything else                                       | dropped                                |

So hosts get no frame of one another's, only IP packets that passed VERIFY, and what is out of range costs
the controller nothing (R6.2-7, R7-4). What a host sends to a DHCP server itself (UDP port 67) is verified
like other upstream IP. ROUTE then hands it to the controller, without the tags: only what such a host may say
there goes on, and a RELEASE is noted, which is unicast (RFC 2131, 4.4.4). Renewals are not gleaned (R4.3-1).

Priorities in VERIFY and DOWNSTREAM, so that what is known about one host outranks what is known about many:

| priority | flow                                                                    | ends              |
|----------|-------------------------------------------------------------------------|-------------------|
| 120      | VERIFY: DHCP of a circuit that has used up its share: dropped (`muted`) | with the interval |
| 110      | VERIFY: DHCP broadcasts: to the controller                              |                   |
| 100      | a located host (`permit`)                                               | `withdraw`        |
| 50       | a refused address: dropped, for the direction of its use (`refuse`)   | with the refusal  |
| 40       | VERIFY: a source that failed verification: dropped (`drop`)             | after drop_time   |
| 10       | who has used up its share of queries: dropped (`exhausted`)             | with the interval |
| 0        | to the controller                                                       |                   |

A packet in fragments is judged by its first one, which holds the UDP header.

No flow has a timeout: the controller takes each out when its time has come. Open vSwitch looks at every flow
that has one after each change of its tables: that was half its work in a recovery of 10,000 hosts, and a
minute of it for 65,000 refused addresses.

Meters bound what goes to the controller, one for each kind of packet (`controllers.settings.Rates`):

| meter      | packets                                                       | from                |
|------------|---------------------------------------------------------------|---------------------|
| downstream | to unknown destinations                                       | DOWNSTREAM          |
| upstream   | from unverified sources, and ARP replies, which claim as much | VERIFY, CLASSIFY    |
| dhcp       | of DHCP clients                                               | VERIFY, ROUTE       |
| arp        | ARP requests of hosts                                         | CLASSIFY            |
| devices    | modems' registrations and the router's ARP                    | CLASSIFY            |

A datapath without meters goes without.

OpenFlow 1.3 matches the outermost tag only. So with two tags OUTER moves the 12 bits of the outer one
into the metadata and pops it; VERIFY matches the metadata and the inner one. What VERIFY does
not know gets its outer tag back before it goes to the controller: that sees every frame as it came in, and
can put it back into CLASSIFY. Networks with one tag do not pass OUTER.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from controllers import openflow
from controllers.framework import ofp, parser
from controllers.settings import Rates
from lq.concentrator.events import Circuit, Location
from lq.wire import registration
from lq.wire.frames import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_SERVICE_VLAN, ETHERTYPE_VLAN, UDP
from lq.wire.message import CLIENT_PORT, SERVER_PORT

CLASSIFY, OUTER, VERIFY, ROUTE, DOWNSTREAM = range(5)
_METERS = {kind.name: number for number, kind in enumerate(fields(Rates), 1)}
_MUTED_PRIORITY, _DHCP_PRIORITY = 120, 110
_HOST_PRIORITY, _REFUSED_PRIORITY, _DROP_PRIORITY, _EXHAUSTED_PRIORITY, _MISS_PRIORITY = 100, 50, 40, 10, 0
_METER_BURST = 1.0  # seconds of its rate that a meter lets pass at once
_MOST_TEMPLATES = 1 << 16
_TO_CONTROLLER = [parser.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)]
_TAGGED = (ofp.OFPVID_PRESENT, ofp.OFPVID_PRESENT)  # a value and its mask: any tag
_MULTICAST = ("224.0.0.0", "240.0.0.0")
_EVERYBODY = "255.255.255.255"
_FRAGMENTS_BY_PORTS = 3  # OFPC_FRAG_NX_MATCH: first fragments have ports, and the rest are of no use alone
_IS_IPV4 = openflow.eth_type(ETHERTYPE_IPV4)
_VERIFIED = openflow.apply(openflow.POP_VLAN) + openflow.goto(ROUTE)


Temporary = tuple[bytes, bytes]
"""A flow that drops something for a while: what adds it, and what deletes it."""


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
    """Makes the flow entries; sends nothing itself: each method returns OpenFlow messages as octets.

    What is installed once is written with the framework's classes, what comes with every host with
    `controllers.openflow`.
    """

    def __init__(
        self,
        datapath: Any,
        wiring: Wiring,
        giaddr: IPv4Address,
        networks: Iterable[IPv4Network],
        *,
        stacked_tags: bool,
        rates: Rates | None,
    ):
        self._datapath = datapath
        self._wiring = wiring
        self._giaddr = giaddr
        self._networks = tuple(networks)
        self._stacked = stacked_tags
        own_mac = _mac(wiring.access_mac)
        self._permits: dict[Circuit, openflow.Template] = {}
        self._from_here = openflow.DECREMENT_TTL + openflow.set_field(openflow.eth_src(own_mac))
        self._routed = (
            openflow.DECREMENT_TTL
            + openflow.set_field(openflow.eth_src(_mac(wiring.uplink_mac)))
            + openflow.set_field(openflow.eth_dst(_mac(wiring.router_mac)))
            + openflow.output(wiring.uplink)
        )
        self._rates: dict[str, int] = {} if rates is None else asdict(rates)

    def initial(self) -> list[bytes]:
        """Return what a freshly started concentrator installs: empty tables, meters, the fixed flows."""
        clear = parser.OFPFlowMod(
            self._datapath,
            command=ofp.OFPFC_DELETE,
            table_id=ofp.OFPTT_ALL,
            out_port=ofp.OFPP_ANY,
            out_group=ofp.OFPG_ANY,
        )
        # By itself Open vSwitch takes the ports of fragments for 0, and hosts would pass the rules by them.
        config = parser.OFPSetConfig(self._datapath, _FRAGMENTS_BY_PORTS, ofp.OFPCML_NO_BUFFER)
        return [_octets(each) for each in (config, clear, *self._meters(), *self._classify(), *self._fixed())]

    def _meters(self) -> list[Any]:
        if not any(self._rates.values()):
            return []
        messages = [parser.OFPMeterMod(self._datapath, ofp.OFPMC_DELETE, 0, ofp.OFPM_ALL)]
        flags = ofp.OFPMF_PKTPS | ofp.OFPMF_BURST
        for kind, rate in self._rates.items():
            if rate:
                band = parser.OFPMeterBandDrop(rate, max(1, round(rate * _METER_BURST)))
                meter = parser.OFPMeterMod(self._datapath, ofp.OFPMC_ADD, flags, _METERS[kind], [band])
                messages.append(meter)
        return messages

    def _classify(self) -> list[Any]:
        """Return CLASSIFY, row by row of the module's table."""
        w, giaddr = self._wiring, str(self._giaddr)
        ip, arp = {"eth_type": ETHERTYPE_IPV4}, {"eth_type": ETHERTYPE_ARP}
        uplink = {"in_port": w.uplink}
        access = {"in_port": w.access, "vlan_vid": _TAGGED}
        udp = {**access, **ip, "ip_proto": UDP}
        verify = OUTER if self._stacked else VERIFY
        messages = [
            self._add(CLASSIFY, 90, {**uplink, **ip, "ipv4_dst": giaddr}, self._to_relay),
            self._add(CLASSIFY, 60, {**uplink, **arp}, _TO_CONTROLLER, meter="devices"),
            self._add(CLASSIFY, 90, {**udp, "udp_dst": CLIENT_PORT}),
            self._add(CLASSIFY, 90, {**udp, "udp_src": SERVER_PORT}),
            self._add(CLASSIFY, 90, {**udp, "udp_dst": SERVER_PORT, "ipv4_dst": giaddr}),
            self._add(CLASSIFY, 80, {**udp, "udp_dst": SERVER_PORT, "ipv4_dst": _EVERYBODY}, goto=verify),
            self._add(CLASSIFY, 80, {**access, **arp}, _TO_CONTROLLER, meter="arp"),
            self._add(CLASSIFY, 85, {**access, **arp, "arp_op": 2}, _TO_CONTROLLER, meter="upstream"),
            self._add(
                CLASSIFY, 80, {**access, "eth_type": registration.ETHERTYPE}, _TO_CONTROLLER,
                meter="devices",
            ),
            self._add(CLASSIFY, 70, {**access, **ip, "ipv4_dst": _EVERYBODY}),
            self._add(CLASSIFY, 70, {**access, **ip, "ipv4_dst": _MULTICAST}),
            self._add(CLASSIFY, 60, {**access, **ip, "ipv4_src": giaddr}),
            self._add(CLASSIFY, 10, {"in_port": w.relay, **ip}, self._to_uplink),
        ]  # fmt: skip
        for network in self._networks:
            inside = (str(network.network_address), str(network.netmask))
            messages.append(self._add(CLASSIFY, 50, {**access, **ip, "ipv4_src": inside}, goto=verify))
            for port in (w.uplink, w.relay):
                messages.append(
                    self._add(CLASSIFY, 50, {"in_port": port, **ip, "ipv4_dst": inside}, goto=DOWNSTREAM)
                )
            if network.prefixlen < 31:
                for nobody in map(str, (network.network_address, network.broadcast_address)):
                    messages.append(self._add(CLASSIFY, 60, {**uplink, **ip, "ipv4_dst": nobody}))
                    messages.append(self._add(CLASSIFY, 60, {**access, **ip, "ipv4_src": nobody}))
        return messages

    def _fixed(self) -> list[Any]:
        """Return the fixed flows of the other tables."""
        ip = {"eth_type": ETHERTYPE_IPV4}
        routed = [parser.OFPActionDecNwTtl(), *self._to_uplink]
        dhcp = {**ip, "ip_proto": UDP, "udp_dst": SERVER_PORT}
        broadcast = {"vlan_vid": _TAGGED, **dhcp, "ipv4_dst": _EVERYBODY}
        unverified: list[Any] = _TO_CONTROLLER
        messages = []
        if self._stacked:
            keep = parser.NXActionRegMove(src_field="vlan_vid", dst_field="metadata", n_bits=12)
            pop = [keep, parser.OFPActionPopVlan()]
            messages.append(self._add(OUTER, 0, {"vlan_vid": _TAGGED}, pop, goto=VERIFY))
            back = parser.NXActionRegMove(src_field="metadata", dst_field="vlan_vid", n_bits=12)
            unverified = [parser.OFPActionPushVlan(ETHERTYPE_SERVICE_VLAN), back, *_TO_CONTROLLER]
        return [
            *messages,
            self._add(VERIFY, _DHCP_PRIORITY, broadcast, unverified, meter="dhcp"),
            self._add(VERIFY, _MISS_PRIORITY, {"vlan_vid": _TAGGED}, unverified, meter="upstream"),
            self._add(ROUTE, 10, {**ip, "ipv4_dst": str(self._giaddr)}, self._to_relay),
            self._add(ROUTE, 5, dhcp, _TO_CONTROLLER, meter="dhcp"),
            self._add(ROUTE, 0, ip, routed),
            self._add(DOWNSTREAM, _MISS_PRIORITY, {}, _TO_CONTROLLER, meter="downstream"),
        ]

    @property
    def _to_relay(self) -> list[Any]:
        w = self._wiring
        return [parser.OFPActionSetField(eth_dst=w.relay_mac), parser.OFPActionOutput(w.relay)]

    @property
    def _to_uplink(self) -> list[Any]:
        w = self._wiring
        return [
            parser.OFPActionSetField(eth_src=w.uplink_mac),
            parser.OFPActionSetField(eth_dst=w.router_mac),
            parser.OFPActionOutput(w.uplink),
        ]

    def permit(self, location: Location) -> list[bytes]:
        """Return the two flows of a located host, until `withdraw` (R1-4, R1-5)."""
        circuit, mac, packed = location.circuit, location.chaddr, location.address.packed
        template = self._permits.get(circuit)
        if template is None:
            if len(self._permits) >= _MOST_TEMPLATES:
                self._permits.clear()
            template = self._permits[circuit] = self._permit(circuit)
        return [template.fill(packed, mac, mac, packed)]

    def _permit(self, circuit: Circuit) -> openflow.Template:
        """Make the flows of the hosts on a circuit once: only the hosts' addresses differ."""
        packed, mac = openflow.Template.OF_4, openflow.Template.OF_6
        *outer, inner = circuit.tags
        push = openflow.push_vlan(ETHERTYPE_VLAN) + openflow.set_field(openflow.vlan(inner))
        if outer:
            push += openflow.push_vlan(ETHERTYPE_SERVICE_VLAN) + openflow.set_field(openflow.vlan(outer[0]))
        to_mac = openflow.set_field(openflow.eth_dst(mac))
        downstream = openflow.apply(self._from_here + to_mac + push + openflow.output(circuit.port))
        return openflow.Template(
            openflow.flow_add(DOWNSTREAM, _HOST_PRIORITY, _to(packed), downstream)
            + openflow.flow_add(VERIFY, _HOST_PRIORITY, _from(circuit, mac, packed), _VERIFIED)
        )

    def withdraw(self, location: Location) -> list[bytes]:
        """Return what removes a host's flows."""
        packed = location.address.packed
        source = _from(location.circuit, location.chaddr, packed)
        return [
            openflow.flow_delete(DOWNSTREAM, _HOST_PRIORITY, _to(packed)),
            openflow.flow_delete(VERIFY, _HOST_PRIORITY, source),
        ]

    @staticmethod
    def refuse(address: IPv4Address, *, upstream: bool) -> Temporary:
        """Return the flow that drops traffic from (`upstream`) or for a refused address (R6.5-2, R6.5-5)."""
        packed = address.packed
        table, match = (VERIFY, _source_address(packed)) if upstream else (DOWNSTREAM, _to(packed))
        return _temporary(table, _REFUSED_PRIORITY, match)

    @staticmethod
    def exhausted(circuit: Circuit | None) -> Temporary:
        """Return the flow that drops all unlocated traffic from a circuit, or from the network (None)."""
        table, fields = (DOWNSTREAM, b"") if circuit is None else (VERIFY, _circuit(circuit))
        return _temporary(table, _EXHAUSTED_PRIORITY, openflow.match(fields))

    @staticmethod
    def muted(circuit: Circuit) -> Temporary:
        """Return the flow that drops the DHCP of a circuit that has used up its share."""
        fields = _circuit(circuit) + _IS_IPV4 + openflow.udp_to(SERVER_PORT)
        return _temporary(VERIFY, _MUTED_PRIORITY, openflow.match(fields))

    def to_network(self, frame: bytes) -> bytes:
        """Return what sends a frame that passed VERIFY and ROUTE to the network, as ROUTE would."""
        return openflow.packet_out_with(frame, self._routed)

    @staticmethod
    def drop(circuit: Circuit, chaddr: bytes, address: IPv4Address) -> Temporary:
        """Return a flow that drops what failed verification: more of it costs the controller nothing."""
        return _temporary(VERIFY, _DROP_PRIORITY, _from(circuit, chaddr, address.packed))

    @staticmethod
    def through_tables(frame: bytes, in_port: int) -> bytes:
        """Return what sends a held frame through the tables as if it had just come in."""
        return openflow.packet_out(frame, openflow.TABLE, in_port)

    def barrier(self) -> bytes:
        """Return a request that is answered when everything before it has taken effect."""
        return _octets(parser.OFPBarrierRequest(self._datapath))

    def _add(
        self,
        table: int,
        priority: int,
        match: dict[str, Any],
        actions: list[Any] | None = None,
        *,
        goto: int | None = None,
        meter: str | None = None,
    ) -> Any:
        instructions = []
        if meter is not None and self._rates.get(meter):
            instructions.append(parser.OFPInstructionMeter(_METERS[meter]))
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
        )


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _temporary(table: int, priority: int, match: bytes) -> Temporary:
    return openflow.flow_add(table, priority, match), openflow.flow_delete(table, priority, match)


def _to(packed: bytes) -> bytes:
    """What DOWNSTREAM matches of a host."""
    return openflow.match(_IS_IPV4 + openflow.ipv4_dst(packed))


def _source_address(packed: bytes) -> bytes:
    return openflow.match(_IS_IPV4 + openflow.ipv4_src(packed))


def _from(circuit: Circuit, chaddr: bytes, packed: bytes) -> bytes:
    """What VERIFY matches of a host."""
    source = openflow.eth_src(chaddr) + _IS_IPV4 + openflow.ipv4_src(packed)
    return openflow.match(_circuit(circuit) + source)


def _circuit(circuit: Circuit) -> bytes:
    """What VERIFY sees of a circuit: the inner tag on the frame, the outer one in the metadata."""
    *outer, inner = circuit.tags
    fields = openflow.in_port(circuit.port) + openflow.vlan(inner)
    return fields + openflow.metadata(outer[0]) if outer else fields


def _octets(message: Any) -> bytes:
    """A message of the framework's classes as it is sent."""
    message.set_xid(0)
    message.serialize()
    return bytes(message.buf)
