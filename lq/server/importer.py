"""Leases of ISC dhcpd, read from its lease file: `lq serve CONFIG --import-leases FILE`.

The file is a journal: of several entries of one address the last one counts (dhcpd.leases(5)). Read
are the times, the state, hardware address, client identifier, vendor class and the agent's circuit-id
and remote-id; other statements are passed over.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from lq import files
from lq.errors import BadInput
from lq.server.bindings import NEVER, Binding, State
from lq.server.config import load
from lq.server.synthetic import store
from lq.wire.relay_info import RelayInfo

MOST_OCTETS = 256 << 20  # of a lease file
_FOREVER = float(2**40)  # seconds; far beyond any clock, and still a number that a database keeps
_STATES = {
    "active": State.LEASED,
    "released": State.RELEASED,
    "expired": State.RELEASED,
    "free": State.RELEASED,
    "backup": State.RELEASED,
    "abandoned": State.DECLINED,
}
_HTYPES = {"ethernet": 1, "token-ring": 6, "infiniband": 32}
_OCTAL = frozenset("01234567")
_ESCAPES = {"n": 10, "r": 13, "t": 9, "b": 8}


class LeaseFileError(BadInput):
    """The lease file cannot be read; the message names its line."""


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Words, strings (with their opening quotation mark) and the signs `{ } ; =`, each with its line."""
    position, line, end = 0, 1, len(text)
    while position < end:
        sign = text[position]
        if sign == "\n":
            line += 1
            position += 1
        elif sign.isspace():
            position += 1
        elif sign == "#":
            position = text.find("\n", position)
            if position < 0:
                return
        elif sign in "{};=,":
            yield sign, line
            position += 1
        elif sign == '"':
            start = position
            position += 1
            while position < end and text[position] != '"':
                position += 2 if text[position] == "\\" else 1
            if position >= end:
                raise LeaseFileError(f"line {line}: a string without its end: is the file cut short?")
            position += 1
            yield text[start : position - 1], line
        else:
            start = position
            while position < end and not text[position].isspace() and text[position] not in '{};=,"':
                position += 1
            yield text[start:position], line


def _octets(token: str) -> bytes:
    """A value as dhcpd writes it: a string with octal escapes, or colon-separated hexadecimal."""
    if not token.startswith('"'):
        return bytes(int(part, 16) for part in token.split(":"))
    result = bytearray()
    position = 1
    while position < len(token):
        sign = token[position]
        position += 1
        if sign != "\\" or position >= len(token):
            result += sign.encode("latin-1", "replace")
        elif token[position] in _OCTAL:
            digits = token[position : position + 3]
            result.append(int(digits, 8) & 255)
            position += len(digits)
        else:
            result.append(_ESCAPES.get(token[position], ord(token[position]) & 255))
            position += 1
    return bytes(result)


def _time(words: list[str]) -> float:
    """`W YYYY/MM/DD HH:MM:SS` in UTC, `epoch N`, or `never`."""
    if words[0] == "never":
        return _FOREVER
    if words[0] == "epoch":
        return float(words[1])
    return float(calendar.timegm(time.strptime(f"{words[1]} {words[2]}", "%Y/%m/%d %H:%M:%S")))


def read(text: str) -> Iterator[Binding]:
    """The bindings of a lease file, one for each address. Raises LeaseFileError naming the line."""
    found: dict[str, Binding] = {}
    tokens = _tokens(text)
    words: list[str] = []
    depth = 0
    for token, line in tokens:
        if token == "{":
            if depth == 0 and len(words) == 2 and words[0] == "lease":
                try:
                    found[words[1]] = _lease(words[1], tokens)
                except (ValueError, IndexError, OverflowError) as error:
                    raise LeaseFileError(f"line {line}: lease {words[1]}: {error}") from None
            else:
                depth += 1
            words = []
        elif token == "}":
            depth = max(depth - 1, 0)
            words = []
        elif token == ";":
            words = []
        else:
            words.append(token)
    yield from found.values()


def _lease(address: str, tokens: Iterator[tuple[str, int]]) -> Binding:
    """The statements of one lease, up to its closing brace."""
    binding = Binding(IPv4Address(address).packed, state=State.RELEASED)
    circuit: bytes | None = None
    remote: bytes | None = None
    starts = NEVER
    words: list[str] = []
    for token, _ in tokens:
        if token == "}":
            break
        if token not in (";", "{"):
            words.append(token)
            continue
        match words:
            case ["starts", *when]:
                starts = _time(when)
            case ["ends", *when]:
                binding.expires = _time(when)
            case ["cltt", *when]:
                binding.last_transaction = _time(when)
            case ["binding", "state", state]:
                binding.state = _STATES.get(state, State.RELEASED)
            case ["hardware", kind, chaddr]:
                binding.htype, binding.chaddr = _htype(kind), _octets(chaddr)
            case ["uid", value]:
                binding.client_id = _octets(value)
            case ["option", "agent.circuit-id", value]:
                circuit = _octets(value)
            case ["option", "agent.remote-id", value]:
                remote = _octets(value)
            case ["set", "vendor-class-identifier", "=", value]:
                vendor = _octets(value)[:255]
                binding.sent = bytes((60, len(vendor))) + vendor
            case _:
                pass
        words = []
    else:
        raise ValueError("the lease has no end: is the file cut short?")
    if circuit is not None or remote is not None:
        binding.relay_info = RelayInfo(circuit, remote).encode()
    if binding.last_transaction == NEVER:
        binding.last_transaction = starts
    if binding.state == State.LEASED:
        begin = max(starts, 0.0)
        binding.renews = begin + (binding.expires - begin) / 2
        binding.rebinds = begin + (binding.expires - begin) * 7 / 8
    return binding


def _htype(kind: str) -> int:
    if kind.startswith("unknown-"):
        return int(kind.removeprefix("unknown-"))
    return _HTYPES.get(kind, 0)


def fill(config_path: Path | str, leases: Path | str) -> int:
    """Store dhcpd's leases for the server of this configuration; how many.

    Raises BadInput if the configuration, the lease file or the database cannot be used.
    """
    config = load(config_path)
    try:
        text = files.read(leases, MOST_OCTETS).decode("latin-1")
    except BadInput as error:
        raise LeaseFileError(str(error)) from None
    return store(config, read(text))
