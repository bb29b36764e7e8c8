"""The draft's bounds over random schedules of demand, loss, delay, duplication, death and return.

Two state machines in virtual time. In `Bounds` every rule of section 6.6 is checked against the
effects alone, as an observer on the wire would: the machine keeps its own account of what
is outstanding and of what the server has said. In `Determinism` two engines of one seed see the same.
"""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lq.concentrator.events import (
    Abandon,
    Answered,
    Circuit,
    Downstream,
    Permit,
    Refuse,
    ToServer,
    Upstream,
)
from lq.sim.world import Link, World
from tests.concentrator.helpers import HOST, MAC, SERVER, binding, engine, info, server_model

HOSTS = 12  # the first have leases, the others do not
LEASED = 8
WINDOW = 4
RETRY, TIMER, LAST = 1.0, 10.0, 60.0
ADDRESSES = [HOST + number for number in range(HOSTS)]
SETTINGS = {"window": WINDOW, "known_time": 40.0, "circuit_queries": 0}


def subscriber(number):
    return Circuit(2, (number + 1,)), MAC[:-1] + bytes((number,))


def populated_model():
    model = server_model()
    for number in range(LEASED):
        circuit, chaddr = subscriber(number)
        model.bind(binding(ADDRESSES[number], chaddr=chaddr, info=info(circuit)))
    return model


class Bounds(RuleBasedStateMachine):
    """An observer between the concentrator and its server."""

    @initialize(seed=st.integers(0, 2**16), jitter=st.sampled_from([0.0, 0.05, 2.0]), warm=st.booleans())
    def begin(self, seed, jitter, warm):
        self.model = populated_model()
        self.link = Link(delay=0.01, jitter=jitter)
        self.world = World(engine(**SETTINGS, seed=seed), {SERVER: self.model}, self.link, seed)
        self.world.on_effect = self.observe
        self.transmissions: list[float] = []
        self.silent = True  # as far as the concentrator can know: no answer yet, or none for long
        self.fast_until = float("-inf")
        self.outstanding: dict[object, list[float]] = {}
        self.refused: dict[object, float] = {}
        if warm:  # the server has just answered, and the first three hosts are located
            for address in ADDRESSES[:3]:
                self.world.give(Downstream(address))
            self.wait(5.0)

    # -- what happens

    @rule(number=st.integers(0, HOSTS - 1))
    def downstream(self, number):
        self.world.give(Downstream(ADDRESSES[number]))

    @rule(number=st.integers(0, HOSTS - 1), claimant=st.integers(0, HOSTS - 1))
    def upstream(self, number, claimant):
        circuit, chaddr = subscriber(claimant)
        effects = self.world.give(Upstream(circuit, chaddr, ADDRESSES[number]))
        for effect in effects:
            assert not isinstance(effect, Permit) or number == claimant

    @rule()
    def everybody(self):
        for address in ADDRESSES:
            self.world.give(Downstream(address))

    @rule(seconds=st.sampled_from([0.005, 0.1, 1.0, 5.0, 30.0, 150.0]))
    def wait(self, seconds):
        self.world.run(self.world.now + seconds)

    @rule(loss=st.sampled_from([0.0, 0.3, 1.0]), duplication=st.sampled_from([0.0, 0.5]))
    def weather(self, loss, duplication):
        self.link.loss, self.link.duplication = loss, duplication

    @rule(alive=st.booleans())
    def death_or_return(self, alive):
        self.model.alive = alive

    @precondition(lambda self: self.transmissions)
    @rule()
    def in_the_end_all_are_served_when_the_server_answers(self):
        """However bad it was: with the server back, within a poll and a little, all is as it should be."""
        self.model.alive, self.link.loss, self.link.duplication = True, 0.0, 0.0
        for _ in range(70):
            self.everybody()
            self.wait(1.0)
        for number, address in enumerate(ADDRESSES):
            location = self.world.concentrator.locations.get(int(address), self.world.now)
            if number < LEASED:
                assert location is not None
                assert location.admits(*subscriber(number))
            else:
                assert location is None

    # -- what the observer sees

    def observe(self, effect, now):
        if isinstance(effect, ToServer):
            self.sees_query(effect, now)
        elif isinstance(effect, Answered):
            assert effect.reply in ("active", "known")
            if now >= self.fast_until:  # an answer after all: what was off the wire begins anew
                self.outstanding = {address: [] for address in self.outstanding}
            self.silent, self.fast_until = False, now + TIMER
            self.outstanding.pop(effect.address, None)
        elif isinstance(effect, Refuse):
            assert ADDRESSES.index(effect.address) >= LEASED, "a leased address is never refused"
            self.refused[effect.address] = effect.until
        elif isinstance(effect, Permit):
            number = ADDRESSES.index(effect.location.address)
            assert effect.location.admits(*subscriber(number)), "whoever asked, the owner is located"
        elif isinstance(effect, Abandon):
            self.outstanding.pop(effect.address, None)

    def sees_query(self, effect, now):
        address, attempt = effect.query.address, effect.query.attempt
        assert now >= self.refused.get(address, now), "not while it is refused (R7-3)"
        assert self.world.concentrator.locations.get(int(address), now) is None, "not while located"
        self.sees_rate(now)
        times = self.outstanding.get(address)
        if attempt == 1:
            assert times is None, "one query for an address while one is out (R7-5)"
            self.outstanding[address] = [now]
        else:
            assert times is not None
            if times and not self.silent:  # the poll of a silent server keeps to that server's timer
                interval = min(RETRY * 2 ** (len(times) - 1), LAST)
                assert now - times[-1] >= interval - 1e-6, "doubling intervals (R6.6-5)"
            times.append(now)
        self.transmissions.append(now)

    def sees_rate(self, now):
        """To a server that does not answer at most one packet in 10 s (R6.6-2, R6.6-3, R6.6-6)."""
        if not self.silent:
            if not self.outstanding:
                self.fast_until = now + TIMER  # it rested: silence counts only while something is asked
            elif now > self.fast_until:
                self.silent = True  # asked in vain until its timer went off
        if self.silent and self.transmissions:
            assert now - self.transmissions[-1] >= TIMER - 1e-6

    @invariant()
    def window(self):
        """Never more in flight than the window allows (R6.6-4)."""
        if hasattr(self, "world"):
            server = self.world.concentrator.queries.servers[SERVER]
            assert len(server.outstanding) <= (WINDOW if server.state == "responsive" else 1)

    @invariant()
    def at_least_once_a_minute(self):
        """While there is something to ask, the server hears of it (R6.6-2)."""
        if hasattr(self, "world") and len(self.world.concentrator.queries):
            assert self.world.now - self.transmissions[-1] <= LAST + 1e-6

    @invariant()
    def bounded(self):
        """Nothing is kept for what is over, and nothing that is wanted waits for ever."""
        if hasattr(self, "world"):
            queries = self.world.concentrator.queries
            keys = {query.key for query in queries}
            server = queries.servers[SERVER]
            assert keys == set(server.outstanding) | set(server.waiting)
            assert not set(server.outstanding) & set(server.waiting)
            assert len(queries) <= HOSTS
            if server.state != "silent":
                assert all(leg.due < float("inf") for leg in server.outstanding.values()), "none is stuck"
            elif keys:
                assert server.timer < float("inf"), "somebody polls"


class Determinism(RuleBasedStateMachine):
    """Two worlds of one seed."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed):
        self.worlds = [
            World(
                engine(**SETTINGS, seed=seed),
                {SERVER: populated_model()},
                Link(0.01, jitter=0.5, loss=0.3, duplication=0.3),
                seed,
            )
            for _ in range(2)
        ]

    @rule(number=st.integers(0, HOSTS - 1))
    def downstream(self, number):
        for world in self.worlds:
            world.give(Downstream(ADDRESSES[number]))

    @rule(seconds=st.floats(0.001, 30.0))
    def wait(self, seconds):
        for world in self.worlds:
            world.run(world.now + seconds)

    @invariant()
    def same(self):
        if hasattr(self, "worlds"):
            first, second = self.worlds
            assert first.record == second.record


TestBounds = Bounds.TestCase
TestBounds.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestDeterminism = Determinism.TestCase
TestDeterminism.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
