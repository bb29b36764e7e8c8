"""The address plan: who has which address, on every figure. All of it lies in 198.18.0.0/15 (RFC 2544)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

ACCESS_NETWORK = IPv4Network("198.18.0.0/16")  # the subscribers' subnet, shared among all circuits
GATEWAY = IPv4Address("198.18.0.1")  # the concentrator on the access side; also its giaddr
POOL_FIRST = IPv4Address("198.18.0.16")
POOL_LAST = IPv4Address("198.18.255.254")

UPLINK_NETWORK = IPv4Network("198.19.0.0/30")  # concentrator - network
UPLINK_CONCENTRATOR = IPv4Address("198.19.0.1")
UPLINK_ROUTER = IPv4Address("198.19.0.2")

SERVER_NETWORK = IPv4Network("198.19.1.0/24")
SERVER_ROUTER = IPv4Address("198.19.1.1")
SERVER = IPv4Address("198.19.1.2")

INTERNET_NETWORK = IPv4Network("198.19.2.0/24")
INTERNET_ROUTER = IPv4Address("198.19.2.1")
INTERNET = IPv4Address("198.19.2.2")


def hardware_address(kind: int, number: int) -> str:
    """Return a locally administered unicast hardware address, the same in every run."""
    return (bytes([0x02, kind]) + number.to_bytes(4, "big")).hex(":")


CONCENTRATOR_UPLINK_MAC = hardware_address(0xC0, 1)
CONCENTRATOR_ACCESS_MAC = hardware_address(0xC0, 2)
RELAY_MAC = hardware_address(0xC0, 3)
ROUTER_UPLINK_MAC = hardware_address(0xB0, 1)


def host_mac(number: int) -> str:
    """Return the hardware address of host `number`, from 1."""
    return hardware_address(0x0A, number)


def modem_mac(number: int) -> str:
    """Return the hardware address of modem `number`, from 1: its remote-id in option 82."""
    return hardware_address(0x0B, number)
