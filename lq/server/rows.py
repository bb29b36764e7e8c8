"""Rows of the database: a binding as columns, the columns' checksum, and back again.

The checksum is CRC-32 over all columns, so that no flipped byte passes unnoticed.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any
from zlib import crc32

from lq.server.bindings import NO_TIME, Binding, State
from lq.wire.options import parse_field

COLUMNS = (
    "address",
    "htype",
    "chaddr",
    "client_id",
    "state",
    "expires",
    "renews",
    "rebinds",
    "last_transaction",
    "relay_info",
    "sent",
    "returned",
    "checksum",
)

# Addresses, numbers and times of a row, then the length of each run of octets, -1 for none.
_pack = struct.Struct("<IBBdddd5i").pack
_STORED = {int(state): state for state in State if state != State.RESERVED}

# What version 1 kept in the columns; its rows had no checksum, and SQLite keeps any type in any column.
_TIME = (float, type(None))
_OCTETS = (bytes, type(None))
_TYPES = ((int,), (int,), (bytes,), _OCTETS, (int,), _TIME, _TIME, _TIME, _TIME, _OCTETS, (bytes,), (bytes,))

Row = tuple[Any, ...]


def named(address: object) -> str:
    """The address of a row as people write it, as far as it is one."""
    if isinstance(address, int) and 0 <= address < 2**32:
        return str(IPv4Address(address))
    return repr(address)


def checksum(
    address: int,
    htype: int,
    chaddr: bytes,
    client_id: bytes | None,
    state: int,
    expires: float,
    renews: float,
    rebinds: float,
    last: float,
    relay_info: bytes | None,
    sent: bytes,
    returned: bytes,
) -> int:
    """The checksum of a row. Raises struct.error or TypeError for values that no row of ours has."""
    head = _pack(
        address,
        htype,
        state,
        expires,
        renews,
        rebinds,
        last,
        len(chaddr),
        -1 if client_id is None else len(client_id),
        -1 if relay_info is None else len(relay_info),
        len(sent),
        len(returned),
    )
    return crc32(b"".join((head, chaddr, client_id or b"", relay_info or b"", sent, returned)))


def from_binding(binding: Binding) -> Row:
    """The columns of a binding. Raises struct.error or TypeError if it is none that can be kept."""
    columns = (
        int.from_bytes(binding.packed, "big"),
        binding.htype,
        binding.chaddr,
        binding.client_id,
        int(binding.state),
        binding.expires,
        binding.renews,
        binding.rebinds,
        binding.last_transaction,
        binding.relay_info,
        binding.sent,
        binding.returned,
    )
    return (*columns, checksum(*columns))


class Reader:
    """Rows to bindings; `total` is the sum of the checksums, `count` the number of rows read so far."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self._good_options = {b""}

    def binding(self, row: Row) -> Binding:
        """The binding of a row. Raises ValueError that names the address if the row is damaged."""
        kept = row[12]
        try:
            fits = checksum(*row[:12]) == kept
        except (struct.error, TypeError):
            fits = False
        if not fits:
            raise ValueError(f"the row of address {named(row[0])} does not match its checksum")
        self.count += 1
        self.total += kept
        return self._binding(row)

    def binding_of_version_1(self, row: Row) -> Binding:
        """The binding of a row of version 1, which has no checksum and NULL for no time."""
        if not all(type(value) in fitting for value, fitting in zip(row, _TYPES, strict=True)):
            raise ValueError(f"the row of address {named(row[0])} has a value of the wrong type")
        times = (NO_TIME if time is None else time for time in row[5:9])
        return self._binding((*row[:5], *times, *row[9:]))

    def _binding(self, row: Row) -> Binding:
        address, htype, chaddr, client_id, state, *rest = row[:12]
        sent, returned = rest[5], rest[6]
        if len(chaddr) > 16 or state not in _STORED or not 0 <= htype <= 255 or not 0 <= address < 2**32:
            raise ValueError(f"the row of address {named(address)} has a value that no binding has")
        good = self._good_options
        if sent not in good or returned not in good:
            self._check_options(address, sent)
            self._check_options(address, returned)
        return Binding(
            address.to_bytes(4, "big"),
            htype,
            chaddr,
            client_id,
            _STORED[state],
            *rest,
        )

    def _check_options(self, address: int, octets: bytes) -> None:
        # Each kind is read once: a million clients send much the same.
        try:
            parse_field(octets)
        except ValueError as error:
            raise ValueError(f"the row of address {named(address)}: {error}") from None
        if len(self._good_options) >= 65536:
            self._good_options.clear()
        self._good_options.add(octets)
