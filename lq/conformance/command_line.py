"""The target of the suite from what a person writes on a command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from lq.conformance.trial import Target
from lq.errors import BadInput
from lq.wire import Dialect, dialect
from lq.wire.text import parse_hardware_address

ADDRESSES = ("giaddr", "other_giaddr", "free", "outside", "foreign", "reserved")


def read_dialect(name: str, unimplemented_type: int | None = None, r_flag: int | None = None) -> Dialect:
    """The dialect of this name, with other numbers for what the draft left open. Raises BadInput."""
    try:
        found = dialect(name)
    except ValueError as error:
        raise BadInput(str(error)) from None
    numbers = {"unimplemented": unimplemented_type, "r_flag": r_flag}
    given: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    if given and not found.r_flag:
        raise BadInput("the R flag and the number of UNIMPLEMENTED belong to the dialect draft-03")
    return replace(found, **given)


def read_target(
    server: str, spoken: Dialect, addresses: Mapping[str, str | None], reserved_mac: str | None, **others: Any
) -> Target:
    """What to judge: `addresses` by the names of ADDRESSES, None for those not given; `others` as Target's.

    Raises BadInput that names what is wrong and the fix.
    """
    found: dict[str, Any] = {
        name: _address(name, text) for name, text in addresses.items() if text is not None
    }
    if (reserved_mac is None) != ("reserved" not in found):
        raise BadInput("a reservation is an address and its client: give both --reserved and --reserved-mac")
    if reserved_mac is not None:
        try:
            others["reserved_mac"] = parse_hardware_address(reserved_mac)
        except ValueError as error:
            raise BadInput(str(error)) from None
    return Target(_address("server", server), dialect=spoken, **found, **others)


def _address(name: str, text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        option = name.replace("_", "-")
        raise BadInput(f"--{option} {text}: write an IPv4 address, as in 198.18.0.1") from None
