"""Ethernet frames as the switch hands them over: taking them apart, and putting answers together."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import NamedTuple

ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_VLAN, ETHERTYPE_SERVICE_VLAN = 0x0800, 0x0806, 0x8100, 0x88A8
UDP = 17
BROADCAST_MAC = b"\xff" * 6
BROADCAST = IPv4Address("255.255.255.255")
_ARP_FORMAT = "!HHBBH6s4s6s4s"
_ARP_REQUEST, _ARP_REPLY = 1, 2


class Frame(NamedTuple):
    """A frame's link layer: `tags` are VLAN identifiers, outer first; `payload` is what follows."""

    destination: bytes
    source: bytes
    tags: tuple[int, ...]
    ethertype: int
    payload: memoryview


class Arp(NamedTuple):
    """An ARP message for IPv4 over Ethernet (RFC 826)."""

    request: bool
    sender_mac: bytes
    sender: IPv4Address
    target: IPv4Address


def parse(data: bytes) -> Frame | None:
    """Take the link layer off; None for a frame that is too short."""
    if len(data) < 14:
        return None
    tags: tuple[int, ...] = ()
    offset = 12
    ethertype = int.from_bytes(data[12:14], "big")
    while ethertype in (ETHERTYPE_VLAN, ETHERTYPE_SERVICE_VLAN) and len(data) >= offset + 6:
        tags += (int.from_bytes(data[offset + 2 : offset + 4], "big") & 0xFFF,)
        offset += 4
        ethertype = int.from_bytes(data[offset : offset + 2], "big")
    return Frame(data[:6], data[6:12], tags, ethertype, memoryview(data)[offset + 2 :])


def ipv4_addresses(packet: memoryview) -> tuple[IPv4Address, IPv4Address] | None:
    """Return source and destination of an IPv4 packet; None when it is cut short."""
    if len(packet) < 20:
        return None
    return IPv4Address(bytes(packet[12:16])), IPv4Address(bytes(packet[16:20]))


def udp_payload(packet: memoryview) -> bytes | None:
    """Return what a whole UDP datagram carries; None for anything else."""
    header = (packet[0] & 0xF) * 4 if len(packet) else 0
    if len(packet) < header + 8 or header < 20 or packet[9] != UDP:
        return None
    length = int.from_bytes(packet[header + 4 : header + 6], "big")
    if length < 8 or len(packet) < header + length:
        return None
    return bytes(packet[header + 8 : header + length])


def parse_arp(packet: memoryview) -> Arp | None:
    """Return the ARP message; None when it is not for IPv4 over Ethernet."""
    if len(packet) < 28:
        return None
    hardware, protocol, hlen, plen, operation, sender_mac, sender, _, target = struct.unpack(
        _ARP_FORMAT, packet[:28]
    )
    if (hardware, protocol, hlen, plen) != (1, ETHERTYPE_IPV4, 6, 4):
        return None
    return Arp(operation == _ARP_REQUEST, sender_mac, IPv4Address(sender), IPv4Address(target))


def ethernet(
    destination: bytes, source: bytes, tags: tuple[int, ...], ethertype: int, payload: bytes
) -> bytes:
    """Put a frame together; of two tags the outer one is a service tag (IEEE 802.1ad)."""
    vlan = b"".join(
        struct.pack("!HH", ETHERTYPE_SERVICE_VLAN if inside else ETHERTYPE_VLAN, tag)
        for inside, tag in zip(range(len(tags) - 1, -1, -1), tags, strict=True)
    )
    return b"".join((destination, source, vlan, ethertype.to_bytes(2, "big"), payload))


def arp_request(sender_mac: bytes, sender: IPv4Address, target: IPv4Address, tags: tuple[int, ...]) -> bytes:
    """Return the broadcast frame that asks who has `target`; with `sender` as target it announces that."""
    body = struct.pack(
        _ARP_FORMAT, 1, ETHERTYPE_IPV4, 6, 4, _ARP_REQUEST, sender_mac, sender.packed, bytes(6), target.packed
    )
    return ethernet(BROADCAST_MAC, sender_mac, tags, ETHERTYPE_ARP, body)


def arp_reply(request: Arp, own_mac: bytes, tags: tuple[int, ...]) -> bytes:
    """Return the frame that answers `request` with `own_mac`."""
    body = struct.pack(
        _ARP_FORMAT, 1, ETHERTYPE_IPV4, 6, 4, _ARP_REPLY,
        own_mac, request.target.packed, request.sender_mac, request.sender.packed,
    )  # fmt: skip
    return ethernet(request.sender_mac, own_mac, tags, ETHERTYPE_ARP, body)


def udp_packet(
    source: tuple[IPv4Address, int], destination: tuple[IPv4Address, int], payload: bytes
) -> bytes:
    """Return an IPv4 packet with a UDP datagram, checksums filled in."""
    length = 8 + len(payload)
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, UDP, 0, source[0].packed, destination[0].packed
    )
    header = header[:10] + _checksum(header).to_bytes(2, "big") + header[12:]
    datagram = struct.pack("!HHHH", source[1], destination[1], length, 0) + payload
    pseudo = source[0].packed + destination[0].packed + struct.pack("!BBH", 0, UDP, length)
    checksum = _checksum(pseudo + datagram) or 0xFFFF  # zero would mean "none computed" (RFC 768)
    return header + datagram[:6] + checksum.to_bytes(2, "big") + datagram[8:]


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
