"""A concentrator and its servers in virtual time, joined by links that delay, lose and duplicate.

Messages cross the links as octets, by the same codec as on a real wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from random import Random
from typing import Protocol

from lq.concentrator.engine import Concentrator
from lq.concentrator.events import ArpReply, BroadcastArp, Effect, Event, FromServer, Probe, ToServer
from lq.simulation.clock import Clock
from lq.wire import Message, decode


class Respondent(Protocol):
    """Whatever answers at a server's address."""

    def respond(self, message: Message, now: float) -> Message | None:
        """Return the reply, None for silence."""


@dataclass
class Link:
    """One direction of the way to a server: seconds of `delay` plus up to `jitter`; probabilities."""

    delay: float = 0.001
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0

    def arrivals(self, random: Random) -> list[float]:
        """Return after how many seconds a packet arrives: once, twice, or never."""
        copies = 0 if random.random() < self.loss else 2 if random.random() < self.duplication else 1
        return [self.delay + self.jitter * random.random() for _ in range(copies)]


class World:
    """Gives events to the concentrator, wakes it, and carries its messages to the servers and back.

    `record` holds every effect with its time; `on_effect` is told of each as it happens, `on_reply` of each
    message that reaches the concentrator from a server, before its effects. `who_has` says who
    answers ARP about an address, and after how many seconds each; a probe reaches its own circuit alone. All
    that is random follows from `seed` (and the concentrator's own seed).
    """

    def __init__(
        self,
        concentrator: Concentrator,
        servers: Mapping[IPv4Address, Respondent],
        link: Link | None = None,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.concentrator = concentrator
        self.servers = dict(servers)
        self.link = link or Link()
        self.clock = clock or Clock()
        self.record: list[tuple[float, Effect]] = []
        self.on_effect: Callable[[Effect, float], None] | None = None
        self.on_reply: Callable[[IPv4Address, Message, float], None] | None = None
        self.who_has: Callable[[IPv4Address], Iterable[tuple[float, ArpReply]]] | None = None
        self._random = Random(seed)
        self._alarm: float | None = None

    @property
    def now(self) -> float:
        """The virtual time in seconds."""
        return self.clock.now

    def give(self, event: Event) -> list[Effect]:
        """Let an event happen now; return its effects, which are carried out."""
        effects = self.concentrator.handle(event, self.now)
        self._carry_out(effects)
        return effects

    def run(self, until: float) -> None:
        """Let time pass."""
        self.clock.run(until)

    def reboot(self, concentrator: Concentrator) -> None:
        """Put a fresh concentrator in the old one's place; what is on its way still arrives."""
        self.concentrator = concentrator
        self._alarm = None
        self._set_alarm()

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.record.append((self.now, effect))
            if self.on_effect is not None:
                self.on_effect(effect, self.now)
            if isinstance(effect, ToServer):
                self._send(effect.server, effect.octets)
            elif isinstance(effect, BroadcastArp) and self.who_has is not None:
                for delay, reply in self.who_has(effect.address):
                    self.clock.after(delay, partial(self.give, reply))
            elif isinstance(effect, Probe) and self.who_has is not None:
                for delay, reply in self.who_has(effect.location.address):
                    if reply.circuit == effect.location.circuit:
                        self.clock.after(delay, partial(self.give, reply))
        self._set_alarm()

    def _send(self, server: IPv4Address, octets: bytes) -> None:
        def arrive() -> None:
            respondent = self.servers.get(server)
            reply = None if respondent is None else respondent.respond(decode(octets), self.now)
            if reply is not None:
                self._return(server, reply.encode())

        for delay in self.link.arrivals(self._random):
            self.clock.after(delay, arrive)

    def _return(self, server: IPv4Address, octets: bytes) -> None:
        for delay in self.link.arrivals(self._random):
            self.clock.after(delay, lambda: self._carry_out(self._take(server, octets)))

    def _take(self, server: IPv4Address, octets: bytes) -> list[Effect]:
        message = decode(octets)
        if self.on_reply is not None:
            self.on_reply(server, message, self.now)
        return self.concentrator.handle(FromServer(server, message), self.now)

    def _set_alarm(self) -> None:
        """Have the concentrator woken at its deadline; an alarm that came too late is ignored."""
        deadline = self.concentrator.deadline
        if deadline is not None and (self._alarm is None or deadline < self._alarm):
            self._alarm = deadline
            self.clock.at(deadline, lambda: self._ring(deadline))

    def _ring(self, alarm: float) -> None:
        if self._alarm == alarm:
            self._alarm = None
            self._carry_out(self.concentrator.wake(self.now))
