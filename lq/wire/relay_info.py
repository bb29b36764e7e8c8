"""Relay agent information, option 82 (RFC 3046): which circuit and modem a message came from."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from lq.wire.options import MalformedMessage

CIRCUIT_ID = 1
REMOTE_ID = 2


@dataclass(frozen=True, slots=True)
class RelayInfo:
    """The sub-options of option 82.

    `circuit_id` is sub-option 1, `remote_id` sub-option 2, `others` the remaining (code, value)
    pairs as they came (a second sub-option 1 or 2 among them). `order` lists the codes as they came
    where that is not circuit, remote, others; so decoding and encoding gives the same octets.
    """

    circuit_id: bytes | None = None
    remote_id: bytes | None = None
    others: tuple[tuple[int, bytes], ...] = ()
    order: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """The value of option 82. Raises MalformedMessage if a sub-option does not fit its octet."""
        waiting: defaultdict[int, deque[bytes]] = defaultdict(deque)
        for code, value in self.pairs:
            if not 0 <= code <= 255 or len(value) > 255:
                raise MalformedMessage(f"sub-option {code} of {len(value)} octets does not fit option 82")
            waiting[code].append(value)
        ordered = [(code, waiting[code].popleft()) for code in self.order if waiting[code]]
        if any(waiting.values()):  # `order` is not that of these sub-options
            ordered = self.pairs
        return b"".join(bytes((code, len(value))) + value for code, value in ordered)

    @property
    def pairs(self) -> list[tuple[int, bytes]]:
        """All sub-options, as code and value: circuit-id, remote-id, and the rest as they came."""
        pairs = ((CIRCUIT_ID, self.circuit_id), (REMOTE_ID, self.remote_id))
        return [(code, value) for code, value in pairs if value is not None] + list(self.others)

    @classmethod
    def decode(cls, value: bytes) -> RelayInfo:
        """Read the value of option 82. Raises MalformedMessage if a sub-option is cut short."""
        # What most relays send, a circuit-id and then a remote-id, at once: a concentrator reads many.
        if len(value) > 3 and value[0] == CIRCUIT_ID:
            middle = value[1] + 2
            if len(value) > middle + 1 and value[middle] == REMOTE_ID:
                start = middle + 2
                if start + value[start - 1] == len(value):
                    return cls(value[2:middle], value[start:])
        found: list[tuple[int, bytes]] = []
        position = 0
        while position < len(value):
            start = position + 2
            if start > len(value) or start + value[position + 1] > len(value):
                raise MalformedMessage(f"sub-option {value[position]} runs past the end of option 82")
            end = start + value[position + 1]
            found.append((value[position], value[start:end]))
            position = end
        own: dict[int, bytes] = {}
        others = []
        for code, content in found:
            if code in (CIRCUIT_ID, REMOTE_ID) and code not in own:
                own[code] = content
            else:
                others.append((code, content))
        result = cls(own.get(CIRCUIT_ID), own.get(REMOTE_ID), tuple(others))
        if result.pairs == found:
            return result
        return cls(result.circuit_id, result.remote_id, result.others, order=tuple(code for code, _ in found))

    def __str__(self) -> str:
        named = [("circuit-id", self.circuit_id), ("remote-id", self.remote_id)]
        parts = [f"{name} {value.hex()}" for name, value in named if value is not None]
        parts += [f"sub-option {code} {value.hex()}" for code, value in self.others]
        return ", ".join(parts) or "empty"
