"""Frames that DHCP travels in: Ethernet with VLAN tags, ARP, IPv4, UDP, and echo. No input or output."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import NamedTuple

ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_VLAN, ETHERTYPE_SERVICE_VLAN = 0x0800, 0x0806, 0x8100, 0x88A8
ICMP, UDP = 1, 17
DO_NOT_FRAGMENT = 0x4000  # of the flags of IPv4
BROADCAST_MAC = b"\xff" * 6
BROADCAST = IPv4Address("255.255.255.255")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ARP_REQUEST, _ARP_REPLY = 1, 2
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_TTL = 64
_ECHO_REQUEST = 8

Endpoint = tuple[IPv4Address, int]
"""An address and a UDP port."""


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


def is_fragment(packet: memoryview) -> bool:
    """Whether an IPv4 packet is one of several pieces (RFC 791)."""
    return len(packet) >= 8 and bool(int.from_bytes(packet[6:8], "big") & 0x3FFF)


def udp_intact(packet: memoryview) -> bool:
    """Whether a datagram for `udp_payload` is a whole packet, and its checksum, if it has one, is right."""
    header, total = (packet[0] & 0xF) * 4, int.from_bytes(packet[2:4], "big")
    length, told = (int.from_bytes(packet[header + at : header + at + 2], "big") for at in (4, 6))
    if is_fragment(packet) or not header + length <= total <= len(packet):
        return False
    datagram = bytes(packet[header : header + length])
    return not told or _checksum(_pseudo_header(packet, length) + datagram) == 0


def with_udp_payload(packet: memoryview, payload: bytes) -> bytes:
    """Return a packet for `udp_payload` with another payload; lengths and checksums follow."""
    header = (packet[0] & 0xF) * 4
    length = 8 + len(payload)
    ports = bytes(packet[header : header + 4]) + length.to_bytes(2, "big")
    total = _checksum(_pseudo_header(packet, length) + ports + bytes(2) + payload) or 0xFFFF
    ip = bytes(packet[:2]) + (header + length).to_bytes(2, "big") + bytes(packet[4:10]) + bytes(2)
    ip += bytes(packet[12:header])
    ip = ip[:10] + _checksum(ip).to_bytes(2, "big") + ip[12:]
    return ip + ports + total.to_bytes(2, "big") + payload


def _pseudo_header(packet: memoryview, length: int) -> bytes:
    """Return what UDP's checksum covers beside the datagram (RFC 768)."""
    return bytes(packet[12:20]) + struct.pack("!HH", UDP, length)


def parse_arp(packet: memoryview) -> Arp | None:
    """Return the ARP message; None for anything but a request or reply for IPv4 over Ethernet."""
    if len(packet) < _ARP.size:
        return None
    hardware, protocol, hlen, plen, operation, sender_mac, sender, _, target = _ARP.unpack_from(packet)
    if (hardware, protocol, hlen, plen) != (1, ETHERTYPE_IPV4, 6, 4):
        return None
    if operation not in (_ARP_REQUEST, _ARP_REPLY):
        return None
    return Arp(operation == _ARP_REQUEST, sender_mac, IPv4Address(sender), IPv4Address(target))


def tagged(tags: tuple[int, ...]) -> bytes:
    """Return the tags as they stand in a frame; of two the outer one is a service tag (IEEE 802.1ad)."""
    return b"".join(
        struct.pack("!HH", ETHERTYPE_SERVICE_VLAN if inside else ETHERTYPE_VLAN, tag)
        for inside, tag in zip(range(len(tags) - 1, -1, -1), tags, strict=True)
    )


def ethernet(
    destination: bytes, source: bytes, tags: tuple[int, ...], ethertype: int, payload: bytes
) -> bytes:
    """Put a frame together."""
    return b"".join((destination, source, tagged(tags), ethertype.to_bytes(2, "big"), payload))


def arp_request(
    sender_mac: bytes,
    sender: IPv4Address,
    target: IPv4Address,
    tags: tuple[int, ...],
    to: bytes = BROADCAST_MAC,
) -> bytes:
    """Return the frame that asks who has `target`: everybody, or the station `to` alone.

    With `sender` as target it announces that.
    """
    body = _ARP.pack(
        1, ETHERTYPE_IPV4, 6, 4, _ARP_REQUEST, sender_mac, sender.packed, bytes(6), target.packed
    )
    return ethernet(to, sender_mac, tags, ETHERTYPE_ARP, body)


def arp_reply(request: Arp, own_mac: bytes, tags: tuple[int, ...]) -> bytes:
    """Return the frame that answers `request` with `own_mac`."""
    body = _ARP.pack(
        1, ETHERTYPE_IPV4, 6, 4, _ARP_REPLY,
        own_mac, request.target.packed, request.sender_mac, request.sender.packed,
    )  # fmt: skip
    return ethernet(request.sender_mac, own_mac, tags, ETHERTYPE_ARP, body)


def udp_packet(source: Endpoint, destination: Endpoint, payload: bytes, flags: int = 0) -> bytes:
    """Return an IPv4 packet with a UDP datagram, checksums filled in; `flags` are those of IPv4."""
    length = 8 + len(payload)
    addresses = source[0].packed + destination[0].packed
    datagram = struct.pack("!HHHH", source[1], destination[1], length, 0) + payload
    total = _checksum(addresses + struct.pack("!HH", UDP, length) + datagram)
    total = total or 0xFFFF  # zero would mean "none computed" (RFC 768)
    return _ipv4(UDP, addresses, datagram[:6] + total.to_bytes(2, "big") + payload, flags)


def echo_reply(packet: bytes) -> bytes | None:
    """Return the answer to an ICMP echo request (RFC 792); None for anything else."""
    start = (packet[0] & 0xF) * 4 if packet else 0
    if start < 20 or len(packet) < start + 8 or packet[9] != ICMP or packet[start] != _ECHO_REQUEST:
        return None
    end = int.from_bytes(packet[2:4], "big")
    if not start + 8 <= end <= len(packet):
        return None
    body = bytes(4) + packet[start + 4 : end]
    body = body[:2] + _checksum(body).to_bytes(2, "big") + body[4:]
    return _ipv4(ICMP, packet[16:20] + packet[12:16], body)


def _ipv4(protocol: int, addresses: bytes, body: bytes, flags: int = 0) -> bytes:
    header = _IPV4.pack(0x45, 0, 20 + len(body), 0, flags, _TTL, protocol, 0, addresses[:4], addresses[4:])
    return header[:10] + _checksum(header).to_bytes(2, "big") + header[12:] + body


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of octets that are not all zero."""
    number = int.from_bytes(data, "big") << (8 * (len(data) % 2))
    return 0xFFFF - (number % 0xFFFF or 0xFFFF)
