"""The frames with which emulated modems tell the concentrator their circuits (R1-3).

They stand for what a cable modem does when it ranges and registers, and for what a DSLAM says
when a line has trained. A concentrator that comes up announces itself with a number drawn for this
life of it (SOLICIT, untagged, to all, again each second). A modem that hears a new number sends
REGISTER, tagged with its circuit, until REGISTERED with its own hardware address and that number
comes back on the circuit. A modem that hears nothing sends nothing.

A frame's payload has 18 octets: `magic` 4, `kind` 2, `life` 4, the modem's hardware address 6 (zero in
SOLICIT), 2 of zero.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

ETHERTYPE = 0x88B5  # IEEE 802, local experimental
_MAGIC = b"modm"
_LAYOUT = struct.Struct("!4sHI6s2x")


class Kind(enum.IntEnum):
    """What a frame says."""

    SOLICIT = 1
    REGISTER = 2
    REGISTERED = 3


@dataclass(frozen=True, slots=True)
class Registration:
    """One frame's payload; `life` tells one life of the concentrator from another."""

    kind: Kind
    life: int
    modem: bytes = bytes(6)

    def encode(self) -> bytes:
        """The payload. Raises ValueError for a `life` or `modem` that does not fit."""
        if not 0 <= self.life < 1 << 32 or len(self.modem) != 6:
            raise ValueError(f"life {self.life} has 4 octets, modem {self.modem.hex()} has 6")
        return _LAYOUT.pack(_MAGIC, self.kind, self.life, self.modem)


def decode(payload: bytes | memoryview) -> Registration | None:
    """Read a payload (padding may follow); None for any other octets."""
    if len(payload) < _LAYOUT.size:
        return None
    magic, kind, life, modem = _LAYOUT.unpack(payload[: _LAYOUT.size])
    if magic != _MAGIC or kind not in Kind.__members__.values():
        return None
    return Registration(Kind(kind), life, modem)
