"""The address plan: who has which address and circuit, on every figure. All addresses lie in 198.18.0.0/15.

(RFC 2544 sets that network apart for tests.)
"""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

ACCESS_NETWORK = IPv4Network("198.18.0.0/16")  # the subscribers' subnet, shared among all circuits
GATEWAY = IPv4Address("198.18.0.1")  # the concentrator on the access side; also its giaddr
POOL_FIRST = IPv4Address("198.18.0.16")
POOL_LAST = IPv4Address("198.18.255.254")

# Routed to the concentrator, attached to nothing: addresses that a concentrator must not ask about (R7-4).
UNATTACHED_NETWORK = IPv4Network("198.19.128.0/17")

UPLINK_NETWORK = IPv4Network("198.19.0.0/30")  # concentrator - network
UPLINK_CONCENTRATOR = IPv4Address("198.19.0.1")
UPLINK_ROUTER = IPv4Address("198.19.0.2")

SERVER_NETWORK = IPv4Network("198.19.1.0/24")
SERVER_ROUTER = IPv4Address("198.19.1.1")
SERVER = IPv4Address("198.19.1.2")

INTERNET_NETWORK = IPv4Network("198.19.2.0/24")
INTERNET_ROUTER = IPv4Address("198.19.2.1")
INTERNET = IPv4Address("198.19.2.2")

SECOND_SERVER_NETWORK = IPv4Network("198.19.3.0/24")
SECOND_SERVER_ROUTER = IPv4Address("198.19.3.1")
SECOND_SERVER = IPv4Address("198.19.3.2")

MOST_CIRCUITS = 4094  # that one VLAN tag can tell apart


class ServerPlace(NamedTuple):
    """A DHCP server's node, its address, and the router's on their link."""

    name: str
    address: IPv4Address
    router: IPv4Address


SERVERS = (
    ServerPlace("server", SERVER, SERVER_ROUTER),
    ServerPlace("server2", SECOND_SERVER, SECOND_SERVER_ROUTER),
)


class ModemPlace(NamedTuple):
    """A modem's hardware address (the remote-id of option 82) and its circuit's VLAN tags, outer first."""

    mac: str
    tags: tuple[int, ...]


def network_of(address: IPv4Address) -> IPv4Network:
    """Return the network of a server's link that the address lies in."""
    return next(network for network in (SERVER_NETWORK, SECOND_SERVER_NETWORK) if address in network)


def pools(servers: int) -> list[tuple[IPv4Address, IPv4Address]]:
    """Return each server's share of the subscribers' addresses, first and last: equal parts of the pool."""
    first, count = int(POOL_FIRST), int(POOL_LAST) - int(POOL_FIRST) + 1
    bounds = [first + count * number // servers for number in range(servers + 1)]
    return [(IPv4Address(a), IPv4Address(b - 1)) for a, b in itertools.pairwise(bounds)]


def tags(circuit: int, stacked: bool) -> tuple[int, ...]:
    """Return the VLAN tags of circuit number `circuit`, from 1, outer first: one, or two stacked."""
    if not stacked:
        return (circuit,)
    outer, inner = divmod(circuit - 1, MOST_CIRCUITS)
    return (outer + 1, inner + 1)


def modem_place(number: int, stacked: bool) -> ModemPlace:
    """Return where modem `number`, from 1, is: modem n holds circuit n."""
    return ModemPlace(modem_mac(number), tags(number, stacked))


def hardware_address(kind: int, number: int) -> str:
    """Return a locally administered unicast hardware address, the same in every run."""
    return (bytes([0x02, kind]) + number.to_bytes(4, "big")).hex(":")


def mac_octets(mac: str) -> bytes:
    """Return a hardware address that is written with colons."""
    return bytes.fromhex(mac.replace(":", ""))


ROUTER_UPLINK_MAC = hardware_address(0xB0, 1)
RELAY_MAC = hardware_address(0xC0, 3)
CONCENTRATOR_UPLINK_MAC = hardware_address(0xC0, 1)
CONCENTRATOR_ACCESS_MAC = hardware_address(0xC0, 2)


class Identity(NamedTuple):
    """What tells one concentrator from another: its bridge's datapath identifier, and its own addresses."""

    datapath_id: str
    uplink_mac: str
    access_mac: str


CONCENTRATOR = Identity(f"{1:016x}", CONCENTRATOR_UPLINK_MAC, CONCENTRATOR_ACCESS_MAC)
REPLACEMENT = Identity(f"{0xC1:016x}", hardware_address(0xC1, 1), hardware_address(0xC1, 2))


def host_mac(number: int) -> str:
    """Return the hardware address of host `number`, from 1."""
    return hardware_address(0x0A, number)


def modem_mac(number: int) -> str:
    """Return the hardware address of modem `number`, from 1: its remote-id in option 82."""
    return hardware_address(0x0B, number)
