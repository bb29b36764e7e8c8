"""Values of messages for people to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lq.wire.dialect import DRAFT_03
from lq.wire.options import MalformedMessage, MessageType, OptionCode, unpack_addresses, unpack_u32
from lq.wire.relay_info import RelayInfo


def hardware_address(chaddr: bytes) -> str:
    """Octets as colon-separated hexadecimal, `none` for no octets."""
    return chaddr.hex(":") if chaddr else "none"


def parse_hardware_address(text: str) -> bytes:
    """Octets from hexadecimal with or without `:`, `-`, `.`. Raises ValueError naming the form."""
    try:
        value = bytes.fromhex(text.replace(":", "").replace("-", "").replace(".", ""))
    except ValueError:
        raise ValueError(f"{text!r} is not a hardware address: write it as in 02:00:00:00:00:01") from None
    if not 0 < len(value) <= 16:
        raise ValueError(f"{text!r} is not a hardware address: it has 1 to 16 octets")
    return value


def type_name(number: int | None) -> str:
    """The name of a message type (DRAFT_03's where both dialects agree on the number)."""
    if number is None:
        return "BOOTP"
    if number in MessageType.__members__.values():
        return MessageType(number).name
    return DRAFT_03.type_name(number)


def _seconds(value: bytes) -> str:
    return f"{unpack_u32(value)} s"


def _addresses(value: bytes) -> str:
    return " ".join(map(str, unpack_addresses(value)))


def _text(value: bytes) -> str:
    decoded = value.decode("ascii")
    if not decoded.isprintable():
        raise MalformedMessage("not printable")
    return f'"{decoded}"'


def _codes(value: bytes) -> str:
    return " ".join(map(str, value))


def _relay(value: bytes) -> str:
    return str(RelayInfo.decode(value))


def _all(codes: Iterable[int], reader: Callable[[bytes], str]) -> dict[int, Callable[[bytes], str]]:
    return dict.fromkeys(codes, reader)


_READERS: dict[int, Callable[[bytes], str]] = {
    **_all((1, 3, 4, 5, 6, 7, 28, 33, 42, 44, 50, 54, 92, 118), _addresses),
    **_all((51, 58, 59, 91), _seconds),
    **_all((12, 15, 17, 56, 60, 66, 67), _text),
    OptionCode.MESSAGE_TYPE: lambda value: type_name(value[0]),
    OptionCode.PARAMETER_REQUEST_LIST: _codes,
    OptionCode.RELAY_AGENT_INFORMATION: _relay,
}


def option_name(code: int) -> str:
    """The option's name in words, or `option`."""
    if code in OptionCode.__members__.values():
        return OptionCode(code).name.lower().replace("_", " ")
    return "option"


def describe_option(code: int, value: bytes) -> str:
    """One option on one line; a value that does not read as it should is shown in hexadecimal."""
    try:
        shown = _READERS[code](value)
    except (KeyError, IndexError, MalformedMessage, UnicodeDecodeError):
        shown = value.hex() if value else "empty"
    return f"{code} {option_name(code)}: {shown}"
