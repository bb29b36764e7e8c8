"""The rows of the requirements that a server has to meet, as a table (role S).

`statement` says the rule in a few words. `rfc4388` says where RFC 4388 rules otherwise, so that the
check judges otherwise in that dialect; it is empty where both agree.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One rule: identifier, level (MUST, MUST NOT, SHOULD, MAY, FACT), and what it asks for."""

    id: str
    level: str
    statement: str
    rfc4388: str = ""


_NO_R = "RFC 4388 has no R flag: the bit has to be clear."
_BY_CLIENT = (
    "RFC 4388, 6.4: UNASSIGNED answers queries by IP address only; a client without a lease is UNKNOWN."
)
_NO_RESERVATION = (
    "RFC 4388 has no R flag: the bit has to be clear. UNASSIGNED speaks of the address alone (6.4.2), and "
    "answers queries by IP address only (6.4)."
)
_NO_UNIMPLEMENTED = "RFC 4388 has no UNIMPLEMENTED: a form not supported may be left without answer."

ROWS = (
    Row("R3-1", "FACT", "A query only reads: bindings and addresses are afterwards what they were."),
    Row("R3-2", "MUST", "Under failover the primary sends option 82 and its like to the secondary."),
    Row("R5-2", "MUST", "Every query that has to be answered is answered.", _NO_UNIMPLEMENTED),
    Row(
        "R5-3",
        "SHOULD",
        "A server without leasequery keeps silent, or answers UNIMPLEMENTED.",
        "RFC 4388 has no UNIMPLEMENTED: silence alone is right.",
    ),
    Row("R5-4", "MUST", "Query by IP address is supported."),
    Row("R5-5", "SHOULD", "Query by MAC address is supported, else UNIMPLEMENTED.", _NO_UNIMPLEMENTED),
    Row("R5-6", "SHOULD", "Query by client identifier is supported, else UNIMPLEMENTED.", _NO_UNIMPLEMENTED),
    Row("R5-8", "MUST", "KNOWN and ACTIVE name the address in ciaddr, and should name its client."),
    Row("R5-9", "SHOULD", "The most recent option 82 of each address is kept."),
    Row("R5-10", "SHOULD", "The most recent vendor class identifier (option 60) of each address is kept."),
    Row("R6.1-1", "MUST", "client-last-transaction-time counts whole seconds back from the sending."),
    Row(
        "R6.1-2",
        "FACT",
        "Option 50 with the addresses of a client has a multiple of 4 octets.",
        "In RFC 4388 the addresses are in option 92.",
    ),
    Row("R6.3-1", "MUST", "A query with giaddr zero gets no answer."),
    Row("R6.3-2", "MUST", "A query with none or several of ciaddr, chaddr, client identifier gets no data."),
    Row("R6.3-3", "MUST", "The answer depends on the item asked about alone; giaddr is but its destination."),
    Row("R6.4-1", "MUST", "KNOWN where the server has the address but no lease is active.", _BY_CLIENT),
    Row(
        "R6.4-2",
        "MUST",
        "KNOWN with the R bit and the client for a reservation without a lease.",
        _NO_RESERVATION,
    ),
    Row(
        "R6.4-3",
        "MUST",
        "UNKNOWN where the server knows nothing; without the R bit, and it should have no options.",
        f"{_NO_R} Other options are forbidden rather than discouraged.",
    ),
    Row("R6.4-4", "MUST", "ACTIVE for an address leased now; with the R bit if reserved, too.", _NO_R),
    Row(
        "R6.4-5",
        "MAY",
        "If so configured, ACTIVE for a reservation without a lease: no option 51, R bit set.",
        _NO_R,
    ),
    Row(
        "R6.4-6",
        "FACT",
        "UNIMPLEMENTED says that this form of query is not supported; others may be.",
        "RFC 4388 has no UNIMPLEMENTED.",
    ),
    Row("R6.4.1-1", "MUST", "By IP: a managed address comes back in ciaddr, any other is UNKNOWN."),
    Row(
        "R6.4.1-2",
        "MUST",
        "By client: its lease; of several the most recent, or as configured; without one, its last address.",
        "RFC 4388, 6.4.1: of several leases the most recent, or as configured. " + _BY_CLIENT,
    ),
    Row("R6.4.1-3", "MUST", "By client, and no address of it is found: UNKNOWN."),
    Row("R6.4.2-1", "MUST", "ACTIVE if leased now by that client, else KNOWN.", _BY_CLIENT),
    Row(
        "R6.4.2-2",
        "MUST",
        "htype, hlen and chaddr are those of the client tied to the address.",
        "RFC 4388, 6.4.2: ACTIVE names the client; UNASSIGNED is about the address in ciaddr: it names no "
        "client and has no further options.",
    ),
    Row("R6.4.2-3", "SHOULD", "The client identifier (option 61) is returned when requested."),
    Row(
        "R6.4.2-4",
        "SHOULD",
        "All addresses of the client are returned in option 50 when requested, most recent first.",
        "RFC 4388, 6.4.2: all addresses leased to the client are returned in option 92, whether it was "
        "requested or not; the one in ciaddr may be left out of them.",
    ),
    Row("R6.4.2-5", "MUST", "Option 51, when requested, is the time left; absent without a valid lease."),
    Row(
        "R6.4.2-6",
        "SHOULD",
        "Options 58 and 59, when requested, are times left; absent without a lease.",
        "RFC 4388, 6.4.2: absent as well once these times are in the past.",
    ),
    Row("R6.4.2-7", "MUST", "Option 82, when requested and saved, is returned octet for octet."),
    Row(
        "R6.4.2-8",
        "SHOULD",
        "Other requested options come as returned to the client, else as sent by it.",
        "RFC 4388, 6.2: without a Parameter Request List those come that a DHCPREQUEST without one gets.",
    ),
    Row("R6.4.2-9", "MUST", "Under failover option 82 reaches the secondary by binding update."),
    Row("R6.4.3-1", "MUST", "The answer is unicast to giaddr, at the port of DHCP servers."),
    Row("R6.4.3-2", "MUST NOT", "No reply to any form of query with giaddr zero."),
    Row("R7-1", "SHOULD", "DHCP authentication (RFC 3118) protects the answers."),
    Row("R7-2", "MAY", "Delayed authentication, or IPsec between relay and server."),
)
