"""Options as people write them in a configuration, turned into octets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network

from lq.wire.options import FRAMING, OptionCode, pack_addresses, pack_u32

# What the server computes itself; a configured value would contradict it.
_COMPUTED = frozenset({50, 51, 53, 54, 55, 57, 58, 59, 61, 82, 90, 91, 92})

_ALIASES = {"router": OptionCode.ROUTERS, "dns-servers": OptionCode.DOMAIN_NAME_SERVERS}


def option_code(name: str | int) -> int:
    """The code of an option by number or name (`domain-name-servers`). Raises ValueError with the fix."""
    text = str(name).lower().replace("_", "-")
    if text.isdecimal():
        code = int(text)
    elif text in _ALIASES:
        code = _ALIASES[text]
    else:
        try:
            code = OptionCode[text.upper().replace("-", "_")]
        except KeyError:
            raise ValueError(
                f"unknown option {name!r}: use its number, or a name such as routers or domain-name-servers"
            ) from None
    if not 0 < code < 255 or code in FRAMING:
        raise ValueError(f"{name!r} is not the code of an option: use 1 to 254")
    return code


def octets(value: object) -> bytes:
    """Octets from `0x...` or colon-separated hexadecimal, else from the text itself. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("expected text, or octets such as 0x0102 or '01:02'")
    text = str(value)
    parts = text.split(":")
    try:
        if text.lower().startswith("0x"):
            return bytes.fromhex(text[2:])
        if len(parts) > 1 and all(len(part) == 2 for part in parts):
            return bytes.fromhex("".join(parts))
    except ValueError:
        pass
    return text.encode(errors="surrogateescape")  # as they came from a command line


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else [value]


def _addresses(value: object) -> bytes:
    return pack_addresses(IPv4Address(item) for item in _listed(value))


def _u32(value: object) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32:
        raise ValueError("expected a whole number of 32 bits")
    return pack_u32(value)


def _u16(value: object) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**16:
        raise ValueError("expected a whole number of 16 bits")
    return value.to_bytes(2, "big")


def _domains(value: object) -> bytes:
    """A search list (RFC 3397), uncompressed."""
    result = b""
    for name in _listed(value):
        for label in str(name).rstrip(".").split("."):
            encoded = label.encode("idna") if label else b""
            if not 0 < len(encoded) < 64:
                raise ValueError(f"{name!r} is not a domain name")
            result += bytes((len(encoded),)) + encoded
        result += b"\0"
    return result


def _classless_routes(value: object) -> bytes:
    """Routes as `198.18.0.0/16 via 198.18.0.1` (RFC 3442)."""
    result = b""
    for item in _listed(value):
        network_text, _, gateway = str(item).partition(" via ")
        network = IPv4Network(network_text.strip())
        significant = (network.prefixlen + 7) // 8
        result += bytes((network.prefixlen,)) + network.network_address.packed[:significant]
        result += IPv4Address(gateway.strip()).packed
    return result


_WRITERS: dict[int, Callable[[object], bytes]] = {
    **dict.fromkeys((1, 3, 4, 5, 6, 7, 28, 33, 42, 44, 118), _addresses),
    2: _u32,
    13: _u16,
    26: _u16,
    119: _domains,
    121: _classless_routes,
}


def encode_option(name: str | int, value: object) -> tuple[int, bytes]:
    """Code and octets of one configured option.

    Addresses, numbers, domains (119) and routes (121) are read as such; anything else is `0x...`,
    colon-separated hexadecimal, or text. Raises ValueError that names the option and the fix.
    """
    code = option_code(name)
    if code in _COMPUTED:
        raise ValueError(f"option {name} is set by the server itself: leave it out")
    try:
        return code, _WRITERS.get(code, octets)(value)
    except ValueError as error:
        raise ValueError(f"option {name}: {error}") from None
