"""What joins the modems to the concentrator: the shared cable, or the DSLAM (and the network before it).

Modems are boxes with a processor of their own, which registers them with the concentrator
(`lq.wire.registration`). One program speaks for all of these (`topologies.registration`), from a port of
its own. Frames of that kind pass between this port and the concentrator alone: whatever a host sends
is no modem's word.

With a population (`topologies.population`) port 2 stands for all modems at once: what comes there bears its
circuit's tags already, and gets all that comes down.

A DSLAM may have an *intermediate agent* (`topologies.agent`) at a port of its own: all DHCP to and from the
lines makes a detour through it, with the circuit's tags, before it goes on.
"""

from __future__ import annotations

from typing import Any

from lq.sandbox import namespace
from lq.wire import CLIENT_PORT, SERVER_PORT
from lq.wire.registration import ETHERTYPE as REGISTRATION
from topologies import plan
from topologies.network import TAGGED_MTU, ip_commands
from topologies.nodes import BridgeDevice

S_TAG, C_TAG = 0x88A8, 0x8100  # IEEE 802.1Q: the outer of two tags, and the inner or only one


def push(tags: tuple[int, ...]) -> str:
    """Return the actions, in ovs-ofctl(8) syntax, that put a circuit's tags on a frame."""
    kinds = (C_TAG,) if len(tags) == 1 else (C_TAG, S_TAG)
    return ",".join(
        f"push_vlan:{kind:#x},set_field:{tag | 0x1000}->vlan_vid"
        for kind, tag in zip(kinds, reversed(tags), strict=True)
    )


class AccessBridge(BridgeDevice):
    """A bridge with the concentrator at port 1, modem n at port 1 + n, and the modems' processors."""

    CONCENTRATOR, POPULATION, PROCESSORS = 1, 2, 0xFE00
    PROCESSORS_INTERFACE = "modems0"

    def __init__(
        self,
        name: str,
        stacked_tags: bool = False,
        modems: int = 0,
        population: bool = False,
        **parameters: Any,
    ) -> None:
        super().__init__(name, failMode="secure", **parameters)
        self.stacked_tags, self.modems, self.population = stacked_tags, modems, population

    def start(self, controllers: list[Any]) -> None:
        """Start without a controller; `connect` makes it carry frames."""
        super().start([])
        self._add_program(self.PROCESSORS_INTERFACE, f"{self.name}-modems", self.PROCESSORS)

    def _add_program(self, inside: str, outside: str, port: int) -> None:
        """Give a program, at the interface `inside`, a port of its own."""
        ip_commands(
            [
                f"link add {inside} mtu {TAGGED_MTU} type veth peer name {outside} mtu {TAGGED_MTU}",
                f"link set {outside} up",
                f"link set {inside} up",
            ]
        )
        namespace.disable_transmit_checksum_offload(inside)
        self.vsctl(f"-- add-port {self} {outside} -- set Interface {outside} ofport_request={port}")

    def connect(self) -> None:
        """Install the flows that carry frames."""
        concentrator, processors = f"in_port={self.CONCENTRATOR}", f"in_port={self.PROCESSORS}"
        frames = f"dl_type={REGISTRATION:#x}"
        self.add_flows(
            f"priority=30,{concentrator},{frames},actions=output:{self.PROCESSORS}",
            f"priority=30,{processors},{frames},actions=output:{self.CONCENTRATOR}",
            f"priority=20,{frames},actions=drop",
            f"priority=20,{processors},actions=drop",
            *(self._carry_population() if self.population else self.carry()),
        )

    def _carry_population(self) -> list[str]:
        concentrator, population = self.CONCENTRATOR, self.POPULATION
        return [
            f"priority=1,in_port={concentrator},actions=output:{population}",
            f"priority=1,in_port={population},actions=output:{concentrator}",
        ]

    def carry(self) -> list[str]:
        """Return the flows for all other frames."""
        raise NotImplementedError


class Cable(AccessBridge):
    """The shared medium: downstream frames reach every modem, upstream frames only the concentrator.

    With stacked tags the modems' radio ends are in here: upstream they add the outer tag.
    """

    def carry(self) -> list[str]:
        """Return the two rules of the medium."""
        # Not `flood`: that would reach the processors' port, too.
        every = ",".join(f"output:{1 + number}" for number in range(1, self.modems + 1))
        down, up = f"priority=1,in_port={self.CONCENTRATOR},actions={every}", f"output:{self.CONCENTRATOR}"
        if not self.stacked_tags:
            return [down, f"priority=0,actions={up}"]
        return [down] + [
            f"priority=0,in_port={1 + number},actions=push_vlan:{S_TAG:#x},"
            f"set_field:{plan.tags(number, True)[0] | 0x1000}->vlan_vid,{up}"
            for number in range(1, self.modems + 1)
        ]


class Dslam(AccessBridge):
    """Gives each line its own circuit: tags what a modem sends, and sends each circuit down its own line.

    A modem does not tag; frames that come with tags from a line are dropped. With `agent` what comes up for
    UDP port 67, and what comes down for port 68, goes through the intermediate agent.
    """

    AGENT, AGENT_INTERFACE = 0xFE01, "agent0"
    _UP, _DOWN = (f"udp,tp_dst={port}" for port in (SERVER_PORT, CLIENT_PORT))

    def __init__(self, name: str, agent: bool = False, **parameters: Any) -> None:
        super().__init__(name, **parameters)
        self.agent = agent

    def start(self, controllers: list[Any]) -> None:
        """Start without a controller; `connect` makes it carry frames."""
        super().start(controllers)
        if self.agent:
            self._add_program(self.AGENT_INTERFACE, f"{self.name}-agent", self.AGENT)

    def connect(self) -> None:
        """Install the flows that carry frames."""
        super().connect()
        if self.agent:
            concentrator, agent = f"in_port={self.CONCENTRATOR}", f"in_port={self.AGENT}"
            again = f"set_field:1->reg1,resubmit({self.CONCENTRATOR},0)"
            self.add_flows(
                f"priority=15,{concentrator},{self._DOWN},reg1=0,actions=output:{self.AGENT}",
                f"priority=15,{agent},{self._DOWN},actions={again}",
                f"priority=15,{agent},{self._UP},actions=output:{self.CONCENTRATOR}",
                f"priority=14,{agent},actions=drop",
            )

    def _carry_population(self) -> list[str]:
        flows = super()._carry_population()
        if self.agent:
            flows.append(f"priority=15,in_port={self.POPULATION},{self._UP},actions=output:{self.AGENT}")
        return flows

    def carry(self) -> list[str]:
        """Return two rules for each line, three with an agent."""
        flows, outer_tags = [], set()
        for number in range(1, self.modems + 1):
            line, tags = 1 + number, plan.tags(number, self.stacked_tags)
            up = f"{push(tags)},output:{self.CONCENTRATOR}"
            flows.append(f"priority=10,in_port={line},vlan_tci=0,actions={up}")
            if self.agent:
                detour = f"{push(tags)},output:{self.AGENT}"
                flows.append(f"priority=15,in_port={line},{self._UP},vlan_tci=0,actions={detour}")
            if self.stacked_tags:
                outer_tags.add(tags[0])
                match = f"table=1,priority=10,reg0={tags[0]},dl_vlan={tags[1]}"
            else:
                match = f"priority=10,in_port={self.CONCENTRATOR},dl_vlan={tags[0]}"
            flows.append(f"{match},actions=pop_vlan,output:{line}")
        flows += [
            f"priority=10,in_port={self.CONCENTRATOR},dl_vlan={tag},"
            f"actions=pop_vlan,set_field:{tag}->reg0,resubmit(,1)"
            for tag in sorted(outer_tags)
        ]
        return flows


class Aggregation(BridgeDevice):
    """The network between concentrator and DSLAM: what goes in at one port leaves at the other."""

    def __init__(self, name: str, **parameters: Any) -> None:
        super().__init__(name, failMode="secure", **parameters)

    def start(self, controllers: list[Any]) -> None:
        """Start without a controller."""
        super().start([])

    def connect(self) -> None:
        """Join the two ports."""
        self.add_flows("in_port=1,actions=output:2", "in_port=2,actions=output:1")
