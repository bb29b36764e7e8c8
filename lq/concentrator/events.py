"""What goes into the concentrator and what comes out: events, effects, and what they speak of.

Times are seconds of the caller's monotonic clock, the one that it passes to `Concentrator.handle`.
None of these objects is changed once it is made. (They are not frozen, because Python takes four
times as long to make a frozen one, and every recovery makes half a dozen.)
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal, NamedTuple, NoReturn

from lq.concentrator.reasons import DropReason, RefusalReason
from lq.concentrator.timers import LONG_AGO
from lq.wire import Message, decode
from lq.wire.message import SERVER_PORT

QueryForm = Literal["ip", "mac"]
"""The forms of query that packets cause (section 5, R5-7): by IP address, by MAC address."""

Reply = Literal["active", "known", "unknown", "unimplemented"]
"""What a server answers to a query (section 6.4)."""


class Circuit(NamedTuple):
    """A subscriber's circuit: the access port of the switch and the VLAN tags on it, outer first."""

    port: int
    tags: tuple[int, ...] = ()


@dataclass(slots=True)
class Location:
    """Where the host that leases an address is (R1-3, R5-11).

    `chaddr` of type `htype` is the host's hardware address, `modem` that of the subscriber's modem
    where known; all of it holds until `expires`.
    """

    address: IPv4Address
    htype: int
    chaddr: bytes
    circuit: Circuit
    modem: bytes | None
    expires: float

    def admits(self, circuit: Circuit, chaddr: bytes) -> bool:
        """Whether a packet from this circuit and hardware address may bear the address (R1-5)."""
        return self.chaddr == chaddr and self.circuit == circuit


# -- events


@dataclass(slots=True)
class FromClient:
    """A DHCP message came from the access side."""

    circuit: Circuit
    message: Message


@dataclass(slots=True)
class FromLocated:
    """A located host sends a DHCP message to a server itself; the switch has verified its source.

    The switch holds the message until `PassOn` says that it may go to the server.
    """

    address: IPv4Address
    message: Message


@dataclass(slots=True)
class FromServer:
    """A DHCP message reached the relay's own address (giaddr); `server` and `port` are its UDP source."""

    server: IPv4Address
    message: Message
    port: int = SERVER_PORT


@dataclass(slots=True)
class Downstream:
    """A packet for an address whose location the switch does not hold (R5-1)."""

    address: IPv4Address


@dataclass(slots=True)
class Upstream:
    """A packet from a source that the switch has not verified (R1-5)."""

    circuit: Circuit
    chaddr: bytes
    address: IPv4Address


@dataclass(slots=True)
class ModemRegistered:
    """The modem with this hardware address is on this circuit now."""

    modem: bytes
    circuit: Circuit


@dataclass(slots=True)
class ArpReply:
    """A host on this circuit says that it has the address.

    It may answer a `Probe`; in mode "arp" whoever says so first is believed.
    """

    circuit: Circuit
    chaddr: bytes
    address: IPv4Address


Event = FromClient | FromLocated | FromServer | Downstream | Upstream | ModemRegistered | ArpReply


# -- effects


@dataclass(slots=True)
class QueryInfo:
    """Which query a message to a server is: `attempt` 1 is the first transmission to that server.

    `address` is None unless the form is "ip"; then `client` is the MAC address.
    `refresh`: no packet causes it, it asks about a location that is about to end.
    """

    address: IPv4Address | None
    form: QueryForm
    attempt: int
    client: bytes | None = None
    refresh: bool = False


@dataclass(slots=True)
class ToServer:
    """Send these octets from giaddr, port 67, to the server, port 67. `query` is None if relayed."""

    server: IPv4Address
    octets: bytes
    query: QueryInfo | None = None

    @property
    def message(self) -> Message:
        """The octets, read: for display and for tests."""
        return decode(self.octets)


@dataclass(slots=True)
class ToClient:
    """Send this message to the client: in a broadcast frame or to `chaddr`, on its circuit alone."""

    circuit: Circuit
    message: Message
    chaddr: bytes
    broadcast: bool


@dataclass(slots=True)
class PassOn:
    """Let the message of this `FromLocated` go on to the server."""

    address: IPv4Address


@dataclass(slots=True)
class Probe:
    """Ask the host at this location by unicast ARP, on its own circuit alone, whether it is still there."""

    location: Location


@dataclass(slots=True)
class Permit:
    """Forward both ways for this location until it expires, and release what was held for it.

    It takes the place of an earlier Permit or Refuse of the same address, and outranks any Drop.
    """

    location: Location


@dataclass(slots=True)
class BroadcastArp:
    """Ask every host on every circuit by ARP who has the address (mode "arp", R4.1-1)."""

    address: IPv4Address


@dataclass(slots=True)
class Withdraw:
    """Stop forwarding for this location."""

    location: Location


@dataclass(slots=True)
class Refuse:
    """Drop traffic for and from this address until then, and what was held for it.

    `quiet`: no packet asked, so there is no traffic yet to drop.
    """

    address: IPv4Address
    until: float
    reason: RefusalReason
    quiet: bool = False


class SpoofedSource(NamedTuple):
    """Packets with this source address from this circuit and hardware address (R1-5)."""

    circuit: Circuit
    chaddr: bytes
    address: IPv4Address


class RefusedAddress(NamedTuple):
    """Packets from (`upstream`) or for an address of the negative cache (R7-3)."""

    address: IPv4Address
    upstream: bool


class ExhaustedCircuit(NamedTuple):
    """Packets from this circuit, or from the network side (None), that would cause a query."""

    circuit: Circuit | None


class MutedCircuit(NamedTuple):
    """DHCP messages from this circuit."""

    circuit: Circuit


Unseen = SpoofedSource | RefusedAddress | ExhaustedCircuit | MutedCircuit
"""What the switch may drop by itself for a while, as long as no Permit says otherwise."""


@dataclass(slots=True)
class Drop:
    """Drop the packet or message of this event, and what is held for this address.

    The packet came from `circuit` and `chaddr`; both are None if it came from the network side. `unseen`
    says what may be dropped without the engine until the time `until`.
    """

    reason: DropReason
    address: IPv4Address | None = None
    circuit: Circuit | None = None
    chaddr: bytes | None = None
    until: float = LONG_AGO
    unseen: Unseen | None = None


@dataclass(slots=True)
class Abandon:
    """The query (or search by ARP) for this address was given up: discard what was held for it."""

    address: IPv4Address


@dataclass(slots=True)
class Answered:
    """For the record: a server answered a query. `rtt` is in seconds since its latest transmission.

    `refresh` as in `QueryInfo`.
    """

    address: IPv4Address | None
    server: IPv4Address
    form: QueryForm
    reply: Reply
    rtt: float
    attempts: int
    client: bytes | None = None
    refresh: bool = False


Effect = (
    ToServer
    | ToClient
    | PassOn
    | Probe
    | Permit
    | BroadcastArp
    | Withdraw
    | Refuse
    | Drop
    | Abandon
    | Answered
)


def assert_never(value: NoReturn) -> NoReturn:
    """Stand where no event or effect is left: the type checker holds that each has its case."""
    raise AssertionError(f"no case for {value!r}")
