"""The rows of draft-ietf-dhc-leasequery-03, in our words.

Those that a server has to meet are the conformance suite's (`lq.conformance.rows`); the others are here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lq.conformance.rows import ROWS as SERVER

ROLES = {
    "S": "DHCP server",
    "C": "access concentrator",
    "N": "network",
    "X": "experiment",
}


@dataclass(frozen=True)
class Requirement:
    """One row: identifier, role (S, C, N, X), level as in the draft, text, and why it is not carried out.

    `level` is MUST, MUST NOT, SHOULD, MAY, or FACT for a definition. `rfc4388` says where RFC 4388 rules
    otherwise. `missing` is empty where the row is carried out.
    """

    id: str
    role: str
    level: str
    text: str
    rfc4388: str = ""
    missing: str = ""


_NO_FAILOVER = "Servers have no failover protocol here: the scenario `failover` copies bindings instead."
_NO_KEYS = "There are no keys in this testbed: neither RFC 3118 nor IPsec is played."
_MISSING = {"R3-2": _NO_FAILOVER, "R6.4.2-9": _NO_FAILOVER, "R7-1": _NO_KEYS, "R7-2": _NO_KEYS}

_OTHERS = (
    Requirement(
        "R1-1",
        "N",
        "FACT",
        "Figure 1: server, network, and a CMTS that is the relay agent; one cable shared by two modems, "
        "with one host and two hosts behind them.",
    ),
    Requirement(
        "R1-2",
        "N",
        "FACT",
        "Figure 2: server, network, and a concentrator that is the relay agent; a DSLAM with a circuit for "
        "each of two modems, with one host and two hosts behind them.",
    ),
    Requirement(
        "R1-3",
        "C",
        "FACT",
        "A location is the host's hardware address, its port or circuit, and the hardware address of its "
        "modem, as far as they are known.",
    ),
    Requirement(
        "R1-4",
        "C",
        "FACT",
        "What goes downstream leaves by the right port, circuit and modem, to the right hardware address.",
    ),
    Requirement(
        "R1-5",
        "C",
        "FACT",
        "What comes upstream has a source address that fits its hardware address, port, circuit and modem; "
        "all else is dropped.",
    ),
    Requirement(
        "R1-6",
        "C",
        "MAY",
        "Frames are encrypted so that the right modem alone can read them (BPI, BPI+).",
        missing="The emulated modems have no encryption: a frame on the cable can be read by all, as "
        "without BPI.",
    ),
    Requirement(
        "R1-7",
        "C",
        "FACT",
        "Locations come from the server's replies that the relay forwards (gleaning); leasequery fetches "
        "what gleaning has lost.",
    ),
    Requirement(
        "R4.1-1",
        "X",
        "FACT",
        "Broadcast ARP loads the concentrator and every host, and lets a malicious host pose as another. "
        "All three are to be measured.",
    ),
    Requirement(
        "R4.3-1",
        "C",
        "FACT",
        "Unicast renewals are not gleaned, and gleaned locations do not outlive a reboot or a replacement.",
    ),
    Requirement(
        "R4.4-1",
        "C",
        "FACT",
        "Under failover either server can be asked: no single point of failure.",
    ),
    Requirement(
        "R4.5-1",
        "C",
        "FACT",
        "Without configuration the servers asked are those that the relay forwards to.",
    ),
    Requirement(
        "R5-1",
        "C",
        "FACT",
        "A datagram for a next hop without a location causes a query, or several, with that address in "
        "ciaddr.",
    ),
    Requirement(
        "R5-7",
        "C",
        "SHOULD",
        "Queries are by IP address; the two other forms are exceptions.",
    ),
    Requirement(
        "R5-11",
        "C",
        "FACT",
        "The location is chaddr and option 82, and is kept until the lease ends.",
    ),
    Requirement(
        "R6.2-1",
        "C",
        "MUST",
        "giaddr is the requester's own address, whatever ciaddr is.",
    ),
    Requirement(
        "R6.2-2",
        "C",
        "SHOULD",
        "The Parameter Request List names the options of interest, 51 and 82 among them.",
    ),
    Requirement(
        "R6.2-3",
        "C",
        "FACT",
        "A query leaves the R bit clear.",
    ),
    Requirement(
        "R6.2-4",
        "C",
        "MUST",
        "By IP address: ciaddr is set; htype, hlen, chaddr are zero; no option 61.",
    ),
    Requirement(
        "R6.2-5",
        "C",
        "MUST",
        "By MAC address: htype, hlen, chaddr are set; ciaddr is zero; no option 61.",
    ),
    Requirement(
        "R6.2-6",
        "C",
        "MUST",
        "By client identifier: option 61 is there; ciaddr, htype, hlen, chaddr are zero.",
    ),
    Requirement(
        "R6.2-7",
        "C",
        "SHOULD",
        "ciaddr lies in a subnet of the access interface (ciaddr restriction).",
    ),
    Requirement(
        "R6.2-8",
        "C",
        "SHOULD",
        "The server asked is one that is known to manage the address; where none is known, all that the "
        "relay has are asked.",
    ),
    Requirement(
        "R6.5-1",
        "C",
        "SHOULD",
        "ACTIVE renews the location, until the end of the lease.",
    ),
    Requirement(
        "R6.5-2",
        "C",
        "SHOULD",
        "KNOWN is remembered in the negative cache, against malicious devices.",
    ),
    Requirement(
        "R6.5-3",
        "C",
        "MAY",
        "KNOWN with the R bit can be configured to let the client in without a lease.",
    ),
    Requirement(
        "R6.5-4",
        "C",
        "SHOULD",
        "ACTIVE and KNOWN tell that this server manages the address.",
    ),
    Requirement(
        "R6.5-5",
        "C",
        "SHOULD",
        "UNKNOWN is remembered; that server is rarely asked about the address again.",
    ),
    Requirement(
        "R6.5-6",
        "C",
        "FACT",
        "After UNIMPLEMENTED that server is not asked in that form again.",
    ),
    Requirement(
        "R6.6-1",
        "C",
        "SHOULD",
        "A query without an answer is repeated, with a nearly exponential back-off.",
    ),
    Requirement(
        "R6.6-2",
        "C",
        "SHOULD",
        "A server that may have no leasequery gets a packet in 10 s at most, and one a minute at least "
        "while there is something to ask.",
    ),
    Requirement(
        "R6.6-3",
        "C",
        "SHOULD",
        "A timer for each server backs off to a minute. It begins expired, and while it is expired one "
        "query alone is in flight.",
    ),
    Requirement(
        "R6.6-4",
        "C",
        "SHOULD",
        "ACTIVE, KNOWN and UNKNOWN start the server's timer again; while it runs, many queries may be "
        "open, up to 100 or 200.",
    ),
    Requirement(
        "R6.6-5",
        "C",
        "SHOULD",
        "A timer for each query backs off to a minute, too.",
    ),
    Requirement(
        "R6.6-6",
        "C",
        "SHOULD",
        "When the server's timer expires, all open queries but one are dropped; that one polls until the "
        "server answers.",
    ),
    Requirement(
        "R6.7-1",
        "C",
        "FACT",
        "Where two servers answer about an address, the more recent client-last-transaction-time counts.",
    ),
    Requirement(
        "R7-3",
        "C",
        "SHOULD",
        "KNOWN and UNKNOWN are cached (negative caching).",
    ),
    Requirement(
        "R7-4",
        "C",
        "SHOULD",
        "No query is about an address outside the attached access networks.",
    ),
    Requirement(
        "R7-5",
        "X",
        "FACT",
        "With both, a reboot costs one query, repeats aside, for each legitimate address. This is the "
        "headline that is to be measured.",
    ),
)


def _order(identifier: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", identifier)]


ROWS = tuple(
    sorted(
        (
            *_OTHERS,
            *(
                Requirement(row.id, "S", row.level, row.statement, row.rfc4388, _MISSING.get(row.id, ""))
                for row in SERVER
            ),
        ),
        key=lambda row: _order(row.id),
    )
)
"""All rows, in the order of the draft's sections."""
