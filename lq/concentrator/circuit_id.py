"""The circuit-id of option 82: a circuit as octets that only this concentrator has to understand.

binary (cable): the port in 4 octets, then each tag in 2, outer first; big-endian. 4, 6 or 8 octets.
text (DSL): `access-node eth slot/port:circuit`; the port number is slot * 256 + port, two stacked
tags are written `outer.inner`, and without tags `:circuit` is missing.
"""

from __future__ import annotations

import re
import struct
from typing import Protocol

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Circuit


class CircuitIdFormat(Protocol):
    """Both ways between a circuit and its octets."""

    def encode(self, circuit: Circuit) -> bytes:
        """Return the circuit-id."""

    def decode(self, value: bytes) -> Circuit | None:
        """Return the circuit, None if the octets are not of this format (or another access node's)."""


class BinaryCircuitId:
    """The compact form: see the module's text."""

    _LAYOUTS = {4 + 2 * tags: struct.Struct(f"!I{tags}H") for tags in range(3)}

    def encode(self, circuit: Circuit) -> bytes:
        """Return 4 octets of port and 2 of each tag."""
        return struct.pack(f"!I{len(circuit.tags)}H", circuit.port, *circuit.tags)

    def decode(self, value: bytes) -> Circuit | None:
        """Return the circuit, None unless there are 4, 6 or 8 octets with tags of 1 to 4094."""
        layout = self._LAYOUTS.get(len(value))
        if layout is None:
            return None
        port, *tags = layout.unpack(value)
        for tag in tags:
            if not _is_tag(tag):
                return None
        return Circuit(port, tuple(tags))


class TextCircuitId:
    """The form that DSL networks use: see the module's text."""

    _PORTS = 256
    _PATTERN = re.compile(rb"([!-~]+) eth (\d{1,8})/(\d{1,3})(?::(\d{1,5})(?:\.(\d{1,5}))?)?")

    def __init__(self, access_node: str) -> None:
        self._access_node = access_node.encode("ascii")

    def encode(self, circuit: Circuit) -> bytes:
        """Return the text in ASCII."""
        slot, port = divmod(circuit.port, self._PORTS)
        tags = ".".join(map(str, circuit.tags))
        return self._access_node + f" eth {slot}/{port}{':' if tags else ''}{tags}".encode("ascii")

    def decode(self, value: bytes) -> Circuit | None:
        """Return the circuit, None if the text is not of this form or names another access node."""
        match = self._PATTERN.fullmatch(value)
        if match is None or match[1] != self._access_node:
            return None
        slot, port = int(match[2]), int(match[3])
        tags = tuple(int(tag) for tag in match.groups()[3:] if tag)
        if port >= self._PORTS or not all(map(_is_tag, tags)):
            return None
        return Circuit(slot * self._PORTS + port, tags)


def _is_tag(number: int) -> bool:
    return 0 < number < 4095


def circuit_id_format(config: ConcentratorConfig) -> CircuitIdFormat:
    """Return the format that the configuration names."""
    return BinaryCircuitId() if config.circuit_id == "binary" else TextCircuitId(config.access_node)
