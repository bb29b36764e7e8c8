"""Frames as hosts behind modems send and see them: Ethernet with the circuit's tags, ARP, IPv4, UDP, echo."""

from __future__ import annotations

import struct
from typing import NamedTuple

IPV4, ARP, VLAN, SERVICE_VLAN = 0x0800, 0x0806, 0x8100, 0x88A8
ICMP, UDP = 1, 17
BROADCAST = b"\xff" * 6
DO_NOT_FRAGMENT = 0x4000
_TTL = 64
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_REQUEST, _REPLY = 1, 2
_IP = struct.Struct("!BBHHHBBH4s4s")
_ECHO_REQUEST = 8


class Arp(NamedTuple):
    """An ARP message for IPv4 over Ethernet (RFC 826); addresses in octets."""

    request: bool
    sender_mac: bytes
    sender: bytes
    target: bytes


def tagged(tags: tuple[int, ...]) -> bytes:
    """Return the tags as they stand in a frame, outer first: two of them are a service and a customer tag."""
    types = (VLAN,) if len(tags) < 2 else (SERVICE_VLAN, VLAN)
    return b"".join(struct.pack("!HH", kind, tag) for kind, tag in zip(types, tags, strict=True))


def arp(request: bool, source: bytes, sender: bytes, to: bytes, target: bytes, tags: bytes) -> bytes:
    """Return the frame that asks who has `target`, or tells `to` who has `sender`."""
    kind = _REQUEST if request else _REPLY
    body = _ARP.pack(1, IPV4, 6, 4, kind, source, sender, bytes(6) if request else to, target)
    return b"".join((BROADCAST if request else to, source, tags, b"\x08\x06", body))


def parse_arp(packet: bytes) -> Arp | None:
    """Read what follows the link layer; None for anything but IPv4 over Ethernet."""
    if len(packet) < _ARP.size:
        return None
    hardware, protocol, hlen, plen, kind, mac, sender, _, target = _ARP.unpack_from(packet)
    if (hardware, protocol, hlen, plen) != (1, IPV4, 6, 4) or kind not in (_REQUEST, _REPLY):
        return None
    return Arp(kind == _REQUEST, mac, sender, target)


def udp(
    source: bytes, source_port: int, destination: bytes, port: int, payload: bytes, flags: int = 0
) -> bytes:
    """Return an IPv4 packet with a UDP datagram, checksums filled in; `flags` are those of IP."""
    length = 8 + len(payload)
    pseudo = source + destination + struct.pack("!HH", UDP, length)
    datagram = struct.pack("!HHHH", source_port, port, length, 0) + payload
    total = checksum(pseudo + datagram) or 0xFFFF  # zero would mean "none computed" (RFC 768)
    return _ip(UDP, source, destination, datagram[:6] + total.to_bytes(2, "big") + datagram[8:], flags)


def echo_reply(packet: bytes) -> bytes | None:
    """Return the answer to an ICMP echo request (RFC 792), None if the packet is none."""
    start = (packet[0] & 0xF) * 4
    end = int.from_bytes(packet[2:4], "big")
    if packet[9] != ICMP or start < 20 or not start + 8 <= end <= len(packet):
        return None
    if packet[start] != _ECHO_REQUEST:
        return None
    body = bytes(4) + packet[start + 4 : end]
    body = body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
    return _ip(ICMP, packet[16:20], packet[12:16], body)


def _ip(protocol: int, source: bytes, destination: bytes, body: bytes, flags: int = 0) -> bytes:
    header = _IP.pack(0x45, 0, 20 + len(body), 0, flags, _TTL, protocol, 0, source, destination)
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + body


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of octets that are not all zero."""
    number = int.from_bytes(data, "big") << (8 * (len(data) % 2))
    return 0xFFFF - (number % 0xFFFF or 0xFFFF)
