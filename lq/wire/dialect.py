"""The two forms of leasequery, as data: draft-ietf-dhc-leasequery-03 and RFC 4388.

RFC 4388 has other numbers than the draft, and other rules. The draft left its numbers open; it gets
those that RFC 4388 was assigned. DHCPUNIMPLEMENTED and the R flag exist in the draft alone and got no
number: the values here are defaults (a message type that is unassigned, the flag bit next to B) that
`dataclasses.replace` changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from lq.wire.options import OptionCode


@dataclass(frozen=True, slots=True)
class Dialect:
    """One form of leasequery: its numbers (requirements: wire values), then its rules.

    `unimplemented` is None where the server keeps silent instead; `r_flag` is the bit in `flags`
    that says "reserved" (R6.4-2), 0 where there is none; `client_addresses_option` carries all
    addresses of a client (R6.4.2-4).

    `tells_history`: KNOWN tells of leases that have ended, too. A client without a lease is KNOWN by the
    address that it had (R6.4-1, R6.4.1-2), an address without a lease by the client that had it
    (R6.4.2-2), and the addresses of a client are all that it had (R6.4.2-4). In RFC 4388 only leases
    count: such a client is UNKNOWN, such an address UNASSIGNED, which names the address and no more.

    `lists_unasked`: the addresses of a client come with the answer to a query about that client whether
    they were asked for or not (R6.4.2-4).

    `as_request`: a query without Parameter Request List is answered with the options that a
    DHCPREQUEST without one gets; in the draft such a query asks for no options.
    """

    name: str
    leasequery: int = 10
    known: int = 11
    unknown: int = 12
    active: int = 13
    unimplemented: int | None = None
    r_flag: int = 0
    client_addresses_option: int = OptionCode.ASSOCIATED_IP
    tells_history: bool = False
    lists_unasked: bool = True
    as_request: bool = True

    def type_name(self, number: int) -> str:
        """The draft's name of a leasequery message type, or `type N`."""
        for name in ("leasequery", "known", "unknown", "active", "unimplemented"):
            if getattr(self, name) == number:
                return name.upper()
        return f"type {number}"


RFC4388 = Dialect("rfc4388")
DRAFT_03 = Dialect(
    "draft-03",
    unimplemented=254,
    r_flag=0x4000,
    client_addresses_option=OptionCode.REQUESTED_ADDRESS,
    tells_history=True,
    lists_unasked=False,
    as_request=False,
)

_BY_NAME = {each.name: each for each in (DRAFT_03, RFC4388)}


def dialect(name: str) -> Dialect:
    """The dialect called `draft-03` or `rfc4388`. Raises ValueError that lists the names."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise ValueError(f"unknown dialect {name!r}: use one of {', '.join(sorted(_BY_NAME))}") from None
