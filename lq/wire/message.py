"""A DHCP message: decode from octets, encode into octets (RFC 2131, 2; RFC 2132; RFC 3396).

What may live here: the layout of the message and nothing of what servers and relays do with it.
`decode` takes time and memory in proportion to the message and raises MalformedMessage only.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from lq.wire.options import MalformedMessage, OptionCode, address_of, parse, pieces
from lq.wire.text import describe_option, hardware_address, type_name

BOOTREQUEST = 1
BOOTREPLY = 2
SERVER_PORT = 67
CLIENT_PORT = 68
BROADCAST_FLAG = 0x8000
MAGIC_COOKIE = b"\x63\x82\x53\x63"
ANY = IPv4Address(0)
_NONE = ANY.packed

_HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
HEADER_LENGTH = _HEADER.size  # with the magic cookie, so options start here
SNAME_LENGTH = 64
FILE_LENGTH = 128

_MESSAGE_TYPE = int(OptionCode.MESSAGE_TYPE)

# Option 52, overload: which of the two fields hold options.
_OVERLOAD = int(OptionCode.OVERLOAD)
_IN_FILE = 1
_IN_SNAME = 2


@dataclass(slots=True)
class Message:
    """One DHCP message; fields by the names of RFC 2131.

    `chaddr` holds just the hlen octets of the hardware address (at most 16); `sname` and `file` come
    without their trailing zeros. `options` maps a code to its whole value, in the order of the wire.
    """

    op: int = BOOTREQUEST
    htype: int = 0
    hops: int = 0
    xid: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: IPv4Address = ANY
    yiaddr: IPv4Address = ANY
    siaddr: IPv4Address = ANY
    giaddr: IPv4Address = ANY
    chaddr: bytes = b""
    sname: bytes = b""
    file: bytes = b""
    options: dict[int, bytes] = field(default_factory=dict)

    @property
    def hlen(self) -> int:
        """Octets of the hardware address."""
        return len(self.chaddr)

    @property
    def message_type(self) -> int | None:
        """The value of option 53, None where it is missing or not one octet."""
        value = self.options.get(_MESSAGE_TYPE, b"")
        return value[0] if len(value) == 1 else None

    @message_type.setter
    def message_type(self, number: int) -> None:
        self.options[OptionCode.MESSAGE_TYPE] = bytes((number,))

    @property
    def broadcast(self) -> bool:
        """The B flag: the client cannot yet receive unicast."""
        return bool(self.flags & BROADCAST_FLAG)

    @broadcast.setter
    def broadcast(self, value: bool) -> None:
        self.flags = self.flags | BROADCAST_FLAG if value else self.flags & ~BROADCAST_FLAG

    def encode(self, minimum: int = 300, maximum: int | None = None) -> bytes:
        """The message in octets, padded with zeros to `minimum` (BOOTP's 300).

        With `maximum` (octets of the whole message, at least 300), options that find no room go on in
        `file` and then `sname`, if these are free, announced by option 52. Raises MalformedMessage if
        a field is out of range or the options do not fit.
        """
        parts = pieces(self.options)
        body = b"".join(parts) + b"\xff"
        sname, file = self.sname, self.file
        if maximum is not None and HEADER_LENGTH + len(body) > maximum:
            body, file, sname = self._overloaded(parts, maximum - HEADER_LENGTH)
        if len(self.chaddr) > 16 or len(sname) > SNAME_LENGTH or len(file) > FILE_LENGTH:
            raise MalformedMessage("chaddr, sname and file hold at most 16, 64 and 128 octets")
        try:
            header = _HEADER.pack(
                self.op,
                self.htype,
                len(self.chaddr),
                self.hops,
                self.xid,
                self.secs,
                self.flags,
                self.ciaddr.packed,
                self.yiaddr.packed,
                self.siaddr.packed,
                self.giaddr.packed,
                self.chaddr,
                sname,
                file,
                MAGIC_COOKIE,
            )
        except struct.error as error:
            raise MalformedMessage(f"a field of the message is out of range: {error}") from None
        return (header + body).ljust(minimum, b"\0")

    def _overloaded(self, parts: list[bytes], room: int) -> tuple[bytes, bytes, bytes]:
        """Distribute the options over the fields options, file, sname: the order of RFC 3396, 5."""
        fields = [(0, room - 3)]  # 3 octets for option 52 itself
        fields += [(_IN_FILE, FILE_LENGTH)] if not self.file else []
        fields += [(_IN_SNAME, SNAME_LENGTH)] if not self.sname else []
        filled = {0: b"", _IN_FILE: self.file, _IN_SNAME: self.sname}
        used = 0
        waiting = list(reversed(parts))
        for which, size in fields:
            content = b""
            while waiting and len(content) + len(waiting[-1]) < size:  # one octet is left for 255
                content += waiting.pop()
            if which == 0:
                filled[0] = content
            elif content:
                filled[which] = content + b"\xff"
                used |= which
        if waiting:
            raise MalformedMessage(
                f"the options need more room than {room} octets and the free parts of file and sname"
            )
        overload = bytes((OptionCode.OVERLOAD, 1, used)) if used else b""
        # Option 53 stays first; a receiver finds option 52 wherever it stands in this field.
        head = len(parts[0]) if parts and filled[0].startswith(parts[0]) else 0
        options = filled[0][:head] + overload + filled[0][head:] + b"\xff"
        return options, filled[_IN_FILE], filled[_IN_SNAME]

    def __str__(self) -> str:
        """The whole message on a few lines: header fields that are not zero, then the options."""
        kind = {BOOTREQUEST: "request", BOOTREPLY: "reply"}.get(self.op, f"op {self.op}")
        addresses = {name: getattr(self, name) for name in ("ciaddr", "yiaddr", "siaddr", "giaddr")}
        fields = [f"{name} {value}" for name, value in addresses.items() if value != ANY]
        fields += [f"{name} {getattr(self, name)}" for name in ("hops", "secs") if getattr(self, name)]
        fields += [f"flags {self.flags:#06x}"] if self.flags else []
        fields += [f"chaddr {hardware_address(self.chaddr)} (htype {self.htype})"]
        fields += [f"{name} {getattr(self, name)!r}" for name in ("sname", "file") if getattr(self, name)]
        lines = [f"{type_name(self.message_type)} ({kind}) xid {self.xid:#010x}", "  " + ", ".join(fields)]
        lines += ["  " + describe_option(code, value) for code, value in self.options.items()]
        return "\n".join(lines)


class Template:
    """A message of which only xid and ciaddr change, in octets once and for all."""

    def __init__(self, message: Message, minimum: int = 300) -> None:
        octets = message.encode(minimum)
        self._to_xid, self._to_ciaddr, self._rest = octets[:4], octets[8:12], octets[16:]

    def fill(self, xid: int, ciaddr: IPv4Address) -> bytes:
        """The octets that `encode` would give with these two. Raises OverflowError if xid is out of range."""
        return self._to_xid + xid.to_bytes(4, "big") + self._to_ciaddr + ciaddr.packed + self._rest


def decode_options(data: bytes) -> tuple[dict[int, bytes], int]:
    """The options of one message, and the value of option 52 (0 where there is none).

    Options in `file` and `sname` (option 52) and in pieces (RFC 3396) are joined; option 52 itself is
    gone then. An option field may end without 255, as some old clients send it. Raises
    MalformedMessage if `data` is no message.
    """
    if len(data) < HEADER_LENGTH:
        raise MalformedMessage(f"{len(data)} octets are too short for a DHCP message ({HEADER_LENGTH})")
    if data[236:HEADER_LENGTH] != MAGIC_COOKIE:
        raise MalformedMessage("the magic cookie of DHCP is missing (plain BOOTP?)")
    if data[2] > 16:
        raise MalformedMessage(f"hlen is {data[2]}, but chaddr holds 16 octets")
    found: dict[int, list[bytes]] = {}
    parse(data[HEADER_LENGTH:], found)
    used = 0
    if _OVERLOAD in found:
        overload = b"".join(found.pop(_OVERLOAD))
        if len(overload) != 1 or not 1 <= overload[0] <= (_IN_FILE | _IN_SNAME):
            raise MalformedMessage("option 52 (overload) is not 1, 2 or 3")
        used = overload[0]
        if used & _IN_FILE:
            parse(data[108:236], found, "file")
        if used & _IN_SNAME:
            parse(data[44:108], found, "sname")
        if _OVERLOAD in found:
            raise MalformedMessage("option 52 (overload) stands outside the options field")
    return {code: b"".join(value) for code, value in found.items()}, used


def decode(data: bytes) -> Message:
    """Read one message. Raises MalformedMessage, and nothing else, if `data` is none.

    The options are those of `decode_options`; `sname` and `file` are empty where they held options.
    """
    data = bytes(data)
    options, overloaded = decode_options(data)
    (op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, _) = (
        _HEADER.unpack_from(data)
    )
    return Message(
        op,
        htype,
        hops,
        xid,
        secs,
        flags,
        ANY if ciaddr == _NONE else address_of(ciaddr),
        ANY if yiaddr == _NONE else address_of(yiaddr),
        ANY if siaddr == _NONE else address_of(siaddr),
        ANY if giaddr == _NONE else address_of(giaddr),
        chaddr[:hlen],
        b"" if overloaded & _IN_SNAME else sname.rstrip(b"\0"),
        b"" if overloaded & _IN_FILE else file.rstrip(b"\0"),
        options,
    )
