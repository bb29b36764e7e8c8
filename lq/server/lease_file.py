"""The text of a dhcpd's lease file: its declarations, and what its values stand for (dhcpd.leases(5))."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import NamedTuple

from lq.wire.options import FOREVER

_TOKEN = re.compile(
    r"""
    (?P<space> \s+ | \#[^\n]* )
    | (?P<token> "[^"\\]*(?:\\.[^"\\]*)*" | [{};=,] | [^\s{};=,"]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_BYTE_ORDER_MARK = "\xef\xbb\xbf"  # as latin-1 has it
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2})*")
_LETTERS = {"n": 10, "r": 13, "t": 9, "b": 8}

_HTYPES = {"ethernet": 1, "token-ring": 6, "fddi": 8, "ipsec-tunnel": 31, "infiniband": 32}
_SUB_OPTIONS = {  # of option 82, as dhcpd names and writes them
    "circuit-id": (1, "octets"),
    "remote-id": (2, "octets"),
    "agent-id": (3, "address"),
    "DOCSIS-device-class": (4, "number"),
    "link-selection": (5, "address"),
    "subscriber-id": (6, "octets"),
    "server-id-override": (11, "address"),
    "relay-port": (19, "octets"),
}


class Statement(NamedTuple):
    """The words of a statement, strings with their opening quotation mark, and the line where it begins."""

    line: int
    words: list[str]


class Declaration(NamedTuple):
    """A declaration: its own words, and the statements in its braces, but not in inner ones; None without."""

    line: int
    words: list[str]
    body: list[Statement] | None


class CutShort(Exception):
    """The text ends within a declaration or a string; `line` is where that begins."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(f"the end of {what} is missing: is the file cut short?")
        self.line = line


def declarations(text: str) -> Iterator[Declaration]:
    """All declarations, from the top. `text` is decoded as latin-1. Raises CutShort."""
    found = _tokens(text.removeprefix(_BYTE_ORDER_MARK))
    words: list[str] = []
    begin = 1
    for token, line in found:
        if token in ("{", ";"):
            yield Declaration(begin, words, _body(found, begin) if token == "{" else None)
            words = []
        elif token == "}":
            words = []
        else:
            begin = begin if words else line
            words.append(token)


def _body(found: Iterator[tuple[str, int]], opened: int) -> list[Statement]:
    statements: list[Statement] = []
    words: list[str] = []
    begin, depth = opened, 0
    for token, line in found:
        if token in ("{", "}", ";"):
            if depth == 0 and words and token != "{":
                statements.append(Statement(begin, words))
            words = []
            depth += {"{": 1, "}": -1, ";": 0}[token]
            if depth < 0:
                return statements
        else:
            begin = begin if words else line
            words.append(token)
    raise CutShort("a declaration", opened)


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Words, strings (with their opening quotation mark) and the signs `{ } ; = ,`, each with its line."""
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise CutShort("a string", line)
        found = match.group("token")
        if found is not None:
            yield found[:-1] if found[0] == '"' else found, line
        line += match.group().count("\n")
        position = match.end()


# -- values; each raises ValueError that shows what does not fit -----------------------------------------


def octets(token: str, most: int = 255) -> bytes:
    """A string with escapes, or colon-separated hexadecimal: 1 to `most` octets."""
    if token.startswith('"'):
        value = _unescaped(token[1:])
    elif _HEXADECIMAL.fullmatch(token):
        value = bytes(int(part, 16) for part in token.split(":"))
    else:
        raise ValueError(f"{token!r} is neither a string nor hexadecimal octets")
    if not 0 < len(value) <= most:
        raise ValueError(f"{len(value)} octets where there is room for 1 to {most}")
    return value


def _unescaped(text: str) -> bytes:
    pieces = []
    position = 0
    while (found := text.find("\\", position)) >= 0:
        pieces.append(text[position:found].encode("latin-1"))
        sign = text[found + 1 : found + 2]
        position = found + 2
        if sign == "x":
            digits = text[position : position + 2]
            if not re.fullmatch(r"[0-9a-fA-F]{2}", digits):
                raise ValueError(f"'\\x{digits}' is not a hexadecimal octet")
            pieces.append(bytes.fromhex(digits))
            position += 2
        elif sign.isdigit():
            digits = text[found + 1 : found + 4]
            if not re.fullmatch(r"[0-3][0-7]{2}", digits):
                raise ValueError(f"'\\{digits}' is not an octal octet")
            pieces.append(bytes((int(digits, 8),)))
            position = found + 4
        else:
            pieces.append(bytes((_LETTERS[sign],)) if sign in _LETTERS else sign.encode("latin-1"))
    pieces.append(text[position:].encode("latin-1"))
    return b"".join(pieces)


def moment(words: list[str]) -> float:
    """`W YYYY/MM/DD HH:MM:SS` in UTC, `epoch N`, or `never`; in seconds since the epoch."""
    match words:
        case ["never"]:
            return FOREVER
        case ["epoch", number] if number.isdecimal():
            return min(float(int(number[:20])), FOREVER)
        case [_, date, day_time] | [_, date, day_time, "UTC"]:
            return float(calendar.timegm(time.strptime(f"{date} {day_time}", "%Y/%m/%d %H:%M:%S")))
    raise ValueError(f"{' '.join(words)!r} is not a time")


def htype(kind: str) -> int:
    """A hardware type by the name that dhcpd writes."""
    if kind in _HTYPES:
        return _HTYPES[kind]
    number = kind.removeprefix("unknown-")
    if number == kind or not number.isdecimal() or len(number) > 4 or int(number) > 255:
        raise ValueError(f"{kind!r} is not a hardware type: these have 8 bits")
    return int(number)


def sub_option(name: str, token: str) -> bytes:
    """A sub-option of option 82 on the wire, from its name (without `agent.`) and value."""
    code, kind = _SUB_OPTIONS.get(name, (0, "octets"))
    number = name.removeprefix("unknown-")
    if not code and number != name and number.isdecimal() and len(number) <= 3:
        code = int(number)
    if not 0 < code < 256:
        raise ValueError(f"agent.{name} is not a sub-option of option 82")
    if kind == "address":
        value = IPv4Address(token).packed
    elif kind == "number":
        if not token.isdecimal() or len(token) > 10 or int(token) >= 2**32:
            raise ValueError(f"{token!r} is not a number of 32 bits")
        value = int(token).to_bytes(4, "big")
    else:
        value = octets(token)
    return bytes((code, len(value))) + value
