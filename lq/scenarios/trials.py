"""What the scenario `hijack` tries: each attack of each attacker at each moment, and on whom.

Three attackers:

subscriber   a host behind a modem of its own, from its own verified address or by broadcast on its circuit
off-path     a host of the Internet, which sees nothing of what passes between relay and server
on-path      on the router between them: it reads all, and answers first

Three moments: `before` the reboot, `during` it (from the kill until the table of the new controller is full
again), `after` it. Each trial has a victim of its own, so that what happens to a host has one cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Attacker = Literal["subscriber", "off-path", "on-path"]
Moment = Literal["before", "during", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
EVERY = 1.0  # seconds between two tries of the same attack

ATTACKS: dict[Attacker, dict[str, str]] = {
    "subscriber": {
        "request": "unicast REQUEST in the victim's name, with the relay's giaddr and its own option 82",
        "renewal": "unicast REQUEST in the victim's name for the victim's ciaddr, with its own option 82",
        "release": "unicast RELEASE of the victim's lease, without giaddr and with the relay's",
        "decline": "unicast DECLINE of the victim's address, with the relay's giaddr",
        "inform": "unicast INFORM in the victim's name with its own option 82, with and without giaddr",
        "leasequery": "LEASEQUERY about the victim's address, with giaddr of its own",
        "leasequery-mac": "LEASEQUERY about the victim's hardware address, with giaddr of its own",
        "clone": "broadcast DISCOVER and REQUESTs with the victim's hardware address and client identifier",
        "clone-inform": "broadcast INFORM in the victim's name",
        "clone-release": "broadcast RELEASE in the victim's name",
        "clone-decline": "broadcast DECLINE in the victim's name",
        "relayed": "broadcast REQUESTs in the victim's name with giaddr, with option 82, with both",
        "rogue-server": "ACK and NAK as if from the server, to the victim and to the relay",
        "arp": "ARP replies and announcements that claim the victim's address",
    },
    "off-path": {
        "ack": "ACKs as if from the server, each with another transaction identifier, guessed",
        "nak": "NAKs of that kind",
        "active": "answers ACTIVE to leasequeries, of that kind",
        "ack-own": "an ACK to the relay from its own address",
        "request": "REQUEST in the victim's name from its own address, with the relay's giaddr",
        "request-as-relay": "the same, as if from the relay",
        "release": "RELEASE of the victim's lease from its own address, with giaddr and without",
        "release-as-relay": "the same, as if from the relay",
        "release-as-victim": "RELEASE of the victim's lease, as if from the victim's address",
        "decline": "DECLINE of the victim's address from its own address, with the relay's giaddr",
        "decline-as-relay": "the same, as if from the relay",
        "inform-as-relay": "INFORM in the victim's name as if from the relay",
        "leasequery": "LEASEQUERY about the victim's address, with giaddr of its own",
        "leasequery-mac": "LEASEQUERY about the victim's hardware address, with giaddr of its own",
    },
    "on-path": {
        "ack": "the ACK to a REQUEST of its accomplice, a subscriber, naming the victim's address",
        "active": "ACTIVE to the concentrator's query about the victim, naming the accomplice's circuit",
        "known": "KNOWN, without a lease, to the concentrator's query about the victim",
    },
}
"""What each attacker sends, by the attack's name."""

_ONLY_DURING = {("on-path", "active"), ("on-path", "known")}  # the concentrator asks after a reboot alone
_GUESSED = ("ack", "nak", "active")
_RACES = 3  # victims of an attack that is a race with the server


class Trial(NamedTuple):
    """One attack at one moment on one victim."""

    attacker: Attacker
    attack: str
    moment: Moment

    @property
    def guessed(self) -> bool:
        """Whether it consists of many forged answers, each with a transaction identifier guessed."""
        return self.attacker == "off-path" and self.attack in _GUESSED


def trials(attackers: Sequence[Attacker], moments: Sequence[Moment]) -> list[Trial]:
    """Return all that these attackers try at these moments, in order; the nth is tried on the nth victim."""
    return [
        Trial(attacker, attack, moment)
        for moment in MOMENTS
        if moment in moments
        for attacker, attacks in ATTACKS.items()
        if attacker in attackers
        for attack in attacks
        if moment == "during" or (attacker, attack) not in _ONLY_DURING
        for _ in range(_RACES if attacker == "on-path" else 1)
    ]
