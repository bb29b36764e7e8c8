"""DHCP options: codes, the option field as bytes, and values as Python objects.

An option field is a run of (code, length, value), with single zero octets as padding, ended by
255 (RFC 2132). A value longer than 255 octets is sent in pieces that bear the same code and
follow one another; pieces of one code are joined on receipt (RFC 3396).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Address


class MalformedMessage(ValueError):
    """The octets are no DHCP message, or the message cannot be put into octets."""


class OptionCode(IntEnum):
    """Option codes by the names of RFC 2132 and its successors."""

    PAD = 0
    SUBNET_MASK = 1
    TIME_OFFSET = 2
    ROUTERS = 3
    TIME_SERVERS = 4
    NAME_SERVERS = 5
    DOMAIN_NAME_SERVERS = 6
    LOG_SERVERS = 7
    HOST_NAME = 12
    BOOT_FILE_SIZE = 13
    DOMAIN_NAME = 15
    ROOT_PATH = 17
    INTERFACE_MTU = 26
    BROADCAST_ADDRESS = 28
    STATIC_ROUTES = 33
    NTP_SERVERS = 42
    VENDOR_SPECIFIC = 43
    NETBIOS_NAME_SERVERS = 44
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    SERVER_IDENTIFIER = 54
    PARAMETER_REQUEST_LIST = 55
    MESSAGE = 56
    MAXIMUM_MESSAGE_SIZE = 57
    RENEWAL_TIME = 58
    REBINDING_TIME = 59
    VENDOR_CLASS_IDENTIFIER = 60
    CLIENT_IDENTIFIER = 61
    TFTP_SERVER_NAME = 66
    BOOT_FILE_NAME = 67
    USER_CLASS = 77
    RAPID_COMMIT = 80
    CLIENT_FQDN = 81
    RELAY_AGENT_INFORMATION = 82
    AUTHENTICATION = 90
    CLIENT_LAST_TRANSACTION_TIME = 91
    ASSOCIATED_IP = 92
    SUBNET_SELECTION = 118
    DOMAIN_SEARCH = 119
    CLASSLESS_STATIC_ROUTES = 121
    VENDOR_IDENTIFYING_CLASS = 124
    VENDOR_IDENTIFYING_SPECIFIC = 125
    END = 255


FRAMING = frozenset({OptionCode.PAD, OptionCode.OVERLOAD, OptionCode.END})
"""Codes that shape the field and are never an option of a message."""

INFINITE = 0xFFFFFFFF
"""Seconds of a lease that has no end (RFC 2131, 3.3)."""

FOREVER = float(2**40)
"""When such a lease ends: far beyond any clock, and still a number that a database and JSON keep."""

_U32 = struct.Struct("!I")
_PAD, _END = int(OptionCode.PAD), int(OptionCode.END)  # plain numbers: they are compared for each octet


class MessageType(IntEnum):
    """Values of option 53; the leasequery ones by the draft's names and RFC 4388's numbers."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8
    FORCERENEW = 9
    LEASEQUERY = 10
    KNOWN = 11
    UNKNOWN = 12
    ACTIVE = 13


def pack_u32(value: float) -> bytes:
    """A number (seconds, say) as 4 octets; fractions are cut off, the range is kept to 0..2**32-1."""
    return _U32.pack(int(min(max(value, 0), 0xFFFFFFFF)))


@lru_cache(maxsize=8192)
def address_of(packed: bytes) -> IPv4Address:
    """The address in 4 octets. The latest are kept, some 2 MB: the same ones come again, giaddr above all."""
    return IPv4Address(packed)


def lease_end(seconds: int, now: float) -> float:
    """When a lease of so many seconds from now ends, in seconds as `now` is; FOREVER if it never does."""
    return FOREVER if seconds == INFINITE else now + seconds


def unpack_u32(value: bytes) -> int:
    """The number in exactly 4 octets. Raises MalformedMessage for any other length."""
    if len(value) != 4:
        raise MalformedMessage(f"expected 4 octets, found {len(value)}")
    return int.from_bytes(value, "big")


def pack_addresses(addresses: Iterable[IPv4Address]) -> bytes:
    """Addresses one after the other, 4 octets each."""
    return b"".join(address.packed for address in addresses)


def unpack_addresses(value: bytes) -> tuple[IPv4Address, ...]:
    """The addresses in a value whose length is a multiple of 4 (R6.1-2). Raises MalformedMessage."""
    if len(value) % 4:
        raise MalformedMessage(f"a list of addresses has a multiple of 4 octets, not {len(value)}")
    return tuple(IPv4Address(value[i : i + 4]) for i in range(0, len(value), 4))


def unpack_address(value: bytes) -> IPv4Address:
    """The address in exactly 4 octets. Raises MalformedMessage for any other length."""
    if len(value) != 4:
        raise MalformedMessage(f"an address has 4 octets, not {len(value)}")
    return IPv4Address(value)


def in_wire_order(options: Mapping[int, bytes]) -> list[tuple[int, bytes]]:
    """Message type first, relay agent information last (RFC 3046, 2.1), the rest as they stand."""
    first, last = OptionCode.MESSAGE_TYPE, OptionCode.RELAY_AGENT_INFORMATION
    items = [(code, value) for code, value in options.items() if code not in (first, last)]
    if first in options:
        items.insert(0, (first, options[first]))
    if last in options:
        items.append((last, options[last]))
    return items


def pieces(options: Mapping[int, bytes]) -> list[bytes]:
    """Each option as code, length and value, in wire order; long ones in several pieces (RFC 3396).

    Raises MalformedMessage for a code outside 1..254 or one that only shapes the field (52).
    """
    result = []
    for code, value in in_wire_order(options):
        if not 0 < code < 255 or code in FRAMING:
            raise MalformedMessage(f"{code} is not the code of an option of a message")
        if len(value) <= 255:
            result.append(bytes((code, len(value))) + value)
            continue
        for start in range(0, len(value), 255):
            piece = value[start : start + 255]
            result.append(bytes((code, len(piece))) + piece)
    return result


def parse(field: bytes, found: dict[int, list[bytes]], where: str = "options") -> None:
    """Append the options of one field to `found`, piece by piece, in the order of first appearance.

    A field may end without 255. Raises MalformedMessage if an option runs past the end of the field.
    """
    position, end = 0, len(field)
    while position < end:
        code = field[position]
        if code == _END:
            return
        if code == _PAD:
            position += 1
            continue
        if position + 1 >= end:
            raise MalformedMessage(f"option {code} in the {where} field has no length")
        start = position + 2
        position = start + field[position + 1]
        if position > end:
            raise MalformedMessage(f"option {code} runs past the end of the {where} field")
        if code in found:
            found[code].append(field[start:position])
        else:
            found[code] = [field[start:position]]


def parse_field(field: bytes) -> dict[int, bytes]:
    """The options of one field by itself. Raises MalformedMessage as `parse` does."""
    found: dict[int, list[bytes]] = {}
    parse(field, found)
    return {code: b"".join(value) for code, value in found.items()}
