"""OpenFlow 1.3 messages as octets, for the hot paths: packet-ins read, flow-mods and packet-outs written.

The framework's own classes build an object for every field and serialize it in several steps; that costs
more than all else that the concentrator does for a packet. What is needed often is therefore put together
here, from the octets of the specification (sections in parentheses); `tests/controllers/test_openflow.py`
holds it against the framework's classes. Messages bear the transaction identifier 0.

A message is concatenated from its parts, innermost first:

    flow_add(table, priority, match(eth_type(0x0800) + ipv4_dst(address)), apply(output(2)))
"""

from __future__ import annotations

import re
import struct

NO_BUFFER = 0xFFFFFFFF
TABLE, CONTROLLER, ANY = 0xFFFFFFF9, 0xFFFFFFFD, 0xFFFFFFFF  # reserved ports (A.2.1)
_VERSION, _PACKET_OUT, _FLOW_MOD = 4, 13, 14
_ADD, _DELETE_STRICT = 0, 4
_PRESENT = 0x1000  # OFPVID_PRESENT
_PADDING = tuple(bytes(-length % 8) for length in range(8))


class Template:
    """Messages of which only some addresses change: those made with `OF_4` and `OF_6` in their places."""

    OF_4, OF_6 = b"\xf0\xf1\xf2\xf3", b"\xfb\xf4\xf5\xf6\xf7\xf8"  # that nobody has

    def __init__(self, octets: bytes) -> None:
        self._parts = re.split(b"(" + re.escape(self.OF_4) + b"|" + re.escape(self.OF_6) + b")", octets)
        self._sizes = [len(place) for place in self._parts[1::2]]

    def fill(self, *addresses: bytes) -> bytes:
        """Return the messages with these addresses, in the order of their places.

        Raises ValueError unless their sizes are those of the places.
        """
        if [*map(len, addresses)] != self._sizes:
            raise ValueError(f"addresses of {self._sizes} octets are wanted")
        parts = self._parts[:]
        parts[1::2] = addresses
        return b"".join(parts)


# -- packet-in (A.4.1)

_PACKET_IN_MATCH = 24  # octets before the match
_IN_PORT_FIRST = b"\x80\x00\x00\x04"


def table_of(octets: bytes | bytearray) -> int:
    """Return the table whose flow a packet-in is from."""
    return octets[15]


def packet_in(octets: bytes | bytearray) -> tuple[int, bytes]:
    """Return in_port and frame of a packet-in. Raises ValueError if it bears no in_port."""
    length = int.from_bytes(octets[26:28], "big")
    frame = bytes(octets[_PACKET_IN_MATCH + length + -length % 8 + 2 :])
    if octets[28:32] == _IN_PORT_FIRST:  # where Open vSwitch puts it
        return int.from_bytes(octets[32:36], "big"), frame
    at = 28
    while at < _PACKET_IN_MATCH + length:
        if octets[at : at + 4] == _IN_PORT_FIRST:
            return int.from_bytes(octets[at + 4 : at + 8], "big"), frame
        at += 4 + octets[at + 3]
    raise ValueError("a packet-in without in_port")


# -- match fields (A.2.3.7): header, value


def in_port(port: int) -> bytes:
    """OXM_OF_IN_PORT."""
    return b"\x80\x00\x00\x04" + port.to_bytes(4, "big")


def metadata(value: int) -> bytes:
    """OXM_OF_METADATA."""
    return b"\x80\x00\x04\x08" + value.to_bytes(8, "big")


def eth_dst(mac: bytes) -> bytes:
    """OXM_OF_ETH_DST."""
    return b"\x80\x00\x06\x06" + mac


def eth_src(mac: bytes) -> bytes:
    """OXM_OF_ETH_SRC."""
    return b"\x80\x00\x08\x06" + mac


def eth_type(ethertype: int) -> bytes:
    """OXM_OF_ETH_TYPE."""
    return b"\x80\x00\x0a\x02" + ethertype.to_bytes(2, "big")


def vlan(tag: int) -> bytes:
    """OXM_OF_VLAN_VID: this tag, which is there."""
    return b"\x80\x00\x0c\x02" + (tag | _PRESENT).to_bytes(2, "big")


def ipv4_src(packed: bytes) -> bytes:
    """OXM_OF_IPV4_SRC."""
    return b"\x80\x00\x16\x04" + packed


def ipv4_dst(packed: bytes) -> bytes:
    """OXM_OF_IPV4_DST."""
    return b"\x80\x00\x18\x04" + packed


def udp_to(port: int) -> bytes:
    """OXM_OF_IP_PROTO and OXM_OF_UDP_DST: UDP to this port."""
    return b"\x80\x00\x14\x01\x11\x80\x00\x20\x02" + port.to_bytes(2, "big")


def match(fields: bytes = b"") -> bytes:
    """Return the match of these fields. Fields that others require stand behind those."""
    length = 4 + len(fields)
    return b"\0\1" + length.to_bytes(2, "big") + fields + _PADDING[length % 8]


# -- actions (A.2.5) and instructions (A.2.4)

POP_VLAN = b"\x00\x12\x00\x08\x00\x00\x00\x00"
DECREMENT_TTL = b"\x00\x18\x00\x08\x00\x00\x00\x00"


def output(port: int) -> bytes:
    """Send it out of a port."""
    return b"\x00\x00\x00\x10" + port.to_bytes(4, "big") + b"\xff\xe5" + bytes(6)


def push_vlan(ethertype: int) -> bytes:
    """Put a tag of this kind on."""
    return b"\x00\x11\x00\x08" + ethertype.to_bytes(2, "big") + b"\0\0"


def set_field(field: bytes) -> bytes:
    """Give a field of the packet this value."""
    length = 4 + len(field)
    return b"\x00\x19" + (length + -length % 8).to_bytes(2, "big") + field + _PADDING[length % 8]


def apply(actions: bytes) -> bytes:
    """Do these actions at once."""
    return b"\x00\x04" + (8 + len(actions)).to_bytes(2, "big") + bytes(4) + actions


def goto(table: int) -> bytes:
    """Go on in another table."""
    return b"\x00\x01\x00\x08" + bytes((table, 0, 0, 0))


# -- messages

_HEADER = struct.Struct("!BBHI")
_FLOW = struct.Struct("!BBHI16xBBHHHIIIH2x")  # header, cookies, A.3.4.1
_PACKET = struct.Struct("!BBHIIIH6x")  # header, A.3.7


def flow_add(table: int, priority: int, matched: bytes, instructions: bytes = b"") -> bytes:
    """Return a flow-mod that adds a flow without a timeout."""
    length = _FLOW.size + len(matched) + len(instructions)
    flow = _FLOW.pack(_VERSION, _FLOW_MOD, length, 0, table, _ADD, 0, 0, priority, NO_BUFFER, 0, 0, 0)
    return flow + matched + instructions


def flow_delete(table: int, priority: int, matched: bytes) -> bytes:
    """Return a flow-mod that deletes this very flow."""
    length = _FLOW.size + len(matched)
    return (
        _FLOW.pack(
            _VERSION, _FLOW_MOD, length, 0, table, _DELETE_STRICT, 0, 0, priority, NO_BUFFER, ANY, ANY, 0
        )
        + matched
    )


def packet_out(frame: bytes, port: int, in_port: int = CONTROLLER) -> bytes:
    """Return a packet-out that sends a frame out of a port, as if it had come in by `in_port`."""
    return packet_out_with(frame, output(port), in_port)


def packet_out_with(frame: bytes, actions: bytes, in_port: int = CONTROLLER) -> bytes:
    """Return a packet-out that has these actions done to a frame."""
    length = _PACKET.size + len(actions) + len(frame)
    return _PACKET.pack(_VERSION, _PACKET_OUT, length, 0, NO_BUFFER, in_port, len(actions)) + actions + frame
