"""Captures read frame by frame, whoever wrote them: what is damaged or cut short ends the reading."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lq.errors import BadInput
from lq.files import open_regular
from lq.wire import MalformedMessage, Message, decode, frames

MOST_OCTETS = 1 << 36  # of a file
MOST_FRAME = 1 << 18  # octets; longer ones are no frames, and the file is damaged
_SERVER_PORT = 67
_ETHERNET = 1
_MAGIC = {  # the first four octets: the order of octets, and what part of a second the clock counts in
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}


class Seen(NamedTuple):
    """A DHCP message as it passed: when (seconds since 1970), from and to whom, and the IP packet itself."""

    at: float
    source: str  # IP address and port
    destination: str
    message: Message
    packet: bytes


def read_frames(path: Path) -> Iterator[tuple[float, bytes]]:
    """Go through the whole frames in a capture of Ethernet: when (seconds since 1970), and the octets.

    Raises BadInput for what is no such file; a file that is being written ends with its last whole frame.
    """
    with open_regular(path, MOST_OCTETS) as file:
        header = file.read(24)
        if not header:  # it has just been made
            return
        if len(header) < 24 or header[:4] not in _MAGIC:
            raise BadInput(f"{path} is no capture (pcap)")
        order, unit = _MAGIC[header[:4]]
        if struct.unpack(f"{order}I", header[20:24])[0] & 0xFFFF != _ETHERNET:
            raise BadInput(f"{path} is no capture of Ethernet")
        yield from _frames(file, struct.Struct(f"{order}IIII"), unit)


def _frames(file: BinaryIO, record: struct.Struct, unit: float) -> Iterator[tuple[float, bytes]]:
    while len(head := file.read(record.size)) == record.size:
        seconds, part, length, _ = record.unpack(head)
        if length > MOST_FRAME or len(frame := file.read(length)) < length:
            return
        yield seconds + part * unit, frame


def read_dhcp(path: Path) -> Iterator[Seen]:
    """Go through the DHCP messages in a capture, with or without VLAN tags. Raises BadInput, too."""
    for at, octets in read_frames(path):
        frame = frames.parse(octets)
        if frame is None or frame.ethertype != frames.ETHERTYPE_IPV4:
            continue
        addresses, payload = frames.ipv4_addresses(frame.payload), frames.udp_payload(frame.payload)
        if addresses is None or payload is None:
            continue
        header = (frame.payload[0] & 0xF) * 4
        ports = struct.unpack("!HH", frame.payload[header : header + 4])
        if _SERVER_PORT not in ports:
            continue
        try:
            message = decode(payload)
        except MalformedMessage:
            continue
        source, destination = (f"{ip}:{port}" for ip, port in zip(addresses, ports, strict=True))
        yield Seen(at, source, destination, message, bytes(frame.payload))
