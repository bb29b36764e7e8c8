"""Who may take an address over (R1-5): a client's REQUEST, DECLINE or RELEASE names an address.

Whoever knows a neighbour's hardware address and client identifier can send what the neighbour would send. The
server cannot tell them apart, and would note the wrong circuit for good. The circuit is what the
concentrator can tell, so it decides before it passes the message on:

| the address                                | REQUEST                             | DECLINE, RELEASE |
|--------------------------------------------|-------------------------------------|------------------|
| is located on this circuit                 | passes                              | from its own host |
| is located on another circuit              | by `moves`, see below               | dropped          |
| is unknown here, after a reboot, say       | waits: the server is asked (R5-1)   | the same         |
| is in the negative cache: nobody has it    | passes                              | passes           |
| is out of range, or the mode does not ask  | passes                              | passes           |

`moves` "always" lets the REQUEST pass. "never" drops it until the lease at the old place has ended.
"when-gone", the default, asks the host at the old place by unicast ARP on its own circuit. If it answers, the
REQUEST is dropped; if it is silent `probe_attempts` times, the host has moved and the REQUEST passes.

A message waits for `claim_time` at most and is then dropped; the client sends it again. Where all servers
fail, or answer no leasequery, nothing can be learnt, and it passes. A host whose modem has not registered
counts as being there for `modem_patience` after the start.

At most `waiting_limit` messages wait, 8 about one address; an address has one probe at a time, and none for
`claim_time` after its host has answered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import (
    Abandon,
    ArpReply,
    Circuit,
    Drop,
    Effect,
    Location,
    Permit,
    Probe,
    Refuse,
    Withdraw,
)
from lq.concentrator.leasequery import LeaseQuery
from lq.concentrator.places import Places
from lq.concentrator.query import MAXIMUM_SOURCES
from lq.concentrator.reasons import DropReason
from lq.concentrator.timed_set import TimedSet
from lq.concentrator.timers import NEVER
from lq.wire import Message, MessageType

Verdict = Literal["passes", "waits"] | DropReason
"""What becomes of a message: it passes, it waits, or it is dropped for a reason."""

Pass = Callable[[Circuit, Message, float, list[Effect]], None]
"""Pass a client's message on."""


@dataclass(slots=True, eq=False)
class _Claim:
    """The messages about one address that wait; `probed` is the place whose host is asked meanwhile."""

    address: IPv4Address
    until: float
    messages: list[tuple[Circuit, Message]] = field(default_factory=list)
    probed: Location | None = None
    attempts: int = 0
    due: float = NEVER


class Claims:
    """The clients' messages that wait until it is known who has the address that they name.

    `waiting` has them by address; do not change it.
    """

    def __init__(
        self, config: ConcentratorConfig, places: Places, leasequery: LeaseQuery | None, pass_on: Pass
    ) -> None:
        self._config = config
        self._places = places
        self._leasequery = leasequery  # None in modes that do not ask
        self._pass_on = pass_on
        # Both in the order of their times: all wait equally long, and all probes are equally far apart.
        self.waiting: OrderedDict[int, _Claim] = OrderedDict()
        self._probing: OrderedDict[int, _Claim] = OrderedDict()
        self._count = 0
        self._present = TimedSet(config.refused_limit)  # addresses whose hosts have just answered
        self._began: float | None = None

    def __len__(self) -> int:
        """Return how many messages wait."""
        return self._count

    # -- events

    def take(
        self, circuit: Circuit, message: Message, address: IPv4Address, now: float, out: list[Effect]
    ) -> None:
        """A client's message names an address: pass it on, have it wait, or drop it."""
        if self._began is None:
            self._began = now
        self._take(circuit, message, address, now + self._config.claim_time, now, out)

    def reply(self, event: ArpReply, now: float, out: list[Effect]) -> bool:
        """Take an answer by ARP; return whether it answers a probe: it has to come from the probed place."""
        claim = self._probing.get(int(event.address))
        if claim is None or claim.probed is None or not claim.probed.admits(event.circuit, event.chaddr):
            return False
        self._present.add(int(event.address), now + self._config.claim_time, now)
        self._decide(claim, now, out)
        return True

    def settle(self, effects: Iterable[Effect], now: float, out: list[Effect]) -> None:
        """Decide the claims about whose addresses these effects tell something new."""
        for effect in effects:
            if isinstance(effect, Permit | Withdraw):
                claim = self.waiting.get(int(effect.location.address))
                if claim is not None and not self._still_there(claim, now):
                    self._decide(claim, now, out)
            elif isinstance(effect, Refuse):
                claim = self.waiting.get(int(effect.address))
                if claim is not None:
                    self._decide(claim, now, out)
            elif isinstance(effect, Abandon):
                claim = self.waiting.get(int(effect.address))
                if claim is not None:
                    # Without a negative cache this is what the servers' refusal looks like.
                    self._give_up(claim, not self._config.negative_cache, now, out)

    @property
    def deadline(self) -> float:
        """When to call `wake` next."""
        first = next(iter(self.waiting.values())).until if self.waiting else NEVER
        return min(first, next(iter(self._probing.values())).due) if self._probing else first

    def wake(self, now: float, out: list[Effect]) -> None:
        """Probe again what is due; drop what has waited too long."""
        while self._probing:
            claim = next(iter(self._probing.values()))
            if claim.due > now:
                break
            self._probe(claim, now, out)
        while self.waiting:
            claim = next(iter(self.waiting.values()))
            if claim.until > now:
                break
            self._give_up(claim, False, now, out)

    # -- deciding

    def _take(
        self,
        circuit: Circuit,
        message: Message,
        address: IPv4Address,
        until: float,
        now: float,
        out: list[Effect],
    ) -> None:
        verdict = self._verdict(circuit, message, address, now, out)
        if verdict == "passes":
            self._pass_on(circuit, message, now, out)
        elif verdict == "waits":
            self._wait(circuit, message, address, until, now, out)
        else:
            out.append(Drop(verdict, None, circuit, message.chaddr))

    def _verdict(
        self, circuit: Circuit, message: Message, address: IPv4Address, now: float, out: list[Effect]
    ) -> Verdict:
        key, places, moves = int(address), self._places, self._config.moves
        gives_up = message.message_type != MessageType.REQUEST
        location = places.locations.get(key, now)
        if location is not None and location.circuit == circuit:
            return DropReason.SPOOFED if gives_up and location.chaddr != message.chaddr else "passes"
        if location is not None and gives_up:
            return DropReason.SPOOFED
        if moves == "always":
            return "passes"
        if location is not None:
            if moves == "when-gone" and self._present.until(key, now) is None:
                return "waits"
            return DropReason.MOVED
        waiting = places.awaiting.get(key, now)
        if waiting is not None and waiting.modem != places.modems.modem_on(circuit):
            gone = moves == "when-gone" and now >= (self._began or 0.0) + self._config.modem_patience
            return "passes" if gone else DropReason.MOVED
        if key not in places.hosts or places.negative_cache.get(key, now) is not None:
            return "passes"
        asked = self._leasequery is not None and self._leasequery.claim(address, now, out)
        return "waits" if asked else "passes"

    def _wait(
        self,
        circuit: Circuit,
        message: Message,
        address: IPv4Address,
        until: float,
        now: float,
        out: list[Effect],
    ) -> None:
        key = int(address)
        claim = self.waiting.get(key)
        if claim is None:
            if self._count >= self._config.waiting_limit:
                self._drop(next(iter(self.waiting.values())), out)
            claim = self.waiting[key] = _Claim(address, until)
        for other in claim.messages:
            if other[0] == circuit and other[1].chaddr == message.chaddr:  # it is sent again
                claim.messages.remove(other)
                self._count -= 1
                break
        if len(claim.messages) >= MAXIMUM_SOURCES:
            out.append(Drop(DropReason.MOVED, None, circuit, message.chaddr))
            return
        claim.messages.append((circuit, message))
        self._count += 1
        if claim.probed is None:
            claim.probed = self._places.locations.get(key, now)
            if claim.probed is not None:
                self._probe(claim, now, out)

    def _still_there(self, claim: _Claim, now: float) -> bool:
        """Whether the place that is being probed is where the address still is."""
        location, probed = self._places.locations.get(int(claim.address), now), claim.probed
        return location is not None and probed is not None and location.admits(probed.circuit, probed.chaddr)

    def _probe(self, claim: _Claim, now: float, out: list[Effect]) -> None:
        """Ask the host at the old place once more, or find it gone."""
        key = int(claim.address)
        if claim.probed is None or not self._still_there(claim, now):
            self._decide(claim, now, out)
        elif claim.attempts < self._config.probe_attempts:
            claim.attempts += 1
            claim.due = now + self._config.probe_retry
            self._probing[key] = claim
            self._probing.move_to_end(key)
            out.append(Probe(claim.probed))
        else:
            self._pass_all(claim, now, out)

    def _decide(self, claim: _Claim, now: float, out: list[Effect]) -> None:
        """More is known by now: take each message as if it had just come."""
        self._end(claim)
        for circuit, message in claim.messages:
            self._take(circuit, message, claim.address, claim.until, now, out)

    def _give_up(self, claim: _Claim, nobody_has_it: bool, now: float, out: list[Effect]) -> None:
        """No answer came: the messages pass if none can be hoped for, or if nobody has the address."""
        leasequery, key = self._leasequery, int(claim.address)
        hopeful = leasequery is not None and leasequery.hopeful(key, now)
        if claim.probed is None and (nobody_has_it or not hopeful):
            self._pass_all(claim, now, out)
        else:
            self._drop(claim, out)

    def _pass_all(self, claim: _Claim, now: float, out: list[Effect]) -> None:
        self._end(claim)
        for circuit, message in claim.messages:
            self._pass_on(circuit, message, now, out)

    def _drop(self, claim: _Claim, out: list[Effect]) -> None:
        self._end(claim)
        out += [Drop(DropReason.MOVED, None, circuit, message.chaddr) for circuit, message in claim.messages]

    def _end(self, claim: _Claim) -> None:
        del self.waiting[int(claim.address)]
        self._probing.pop(int(claim.address), None)
        self._count -= len(claim.messages)
