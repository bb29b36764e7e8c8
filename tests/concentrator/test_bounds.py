"""The draft's bounds over random schedules of demand, loss, delay, duplication, death and return.

Four state machines in virtual time. In `Bounds` every rule of section 6.6 is checked against the
effects alone, as an observer on the wire would: the machine keeps its own account of what
is outstanding and of what the server has said. `Pair` watches two servers, `Broadcasts` mode "arp".
In `Determinism` two engines of one seed see the same. Faults put in on purpose show that they
notice.
"""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lq.concentrator import queries as queries_module
from lq.concentrator.arp import ArpSearches
from lq.concentrator.authorities import Authorities
from lq.concentrator.events import (
    Abandon,
    Answered,
    ArpReply,
    BroadcastArp,
    Circuit,
    Downstream,
    Drop,
    Location,
    Permit,
    Refuse,
    ToServer,
    Upstream,
    Withdraw,
)
from lq.concentrator.leasequery import LeaseQuery
from lq.concentrator.queries import Queries
from lq.concentrator.refused import Refused
from lq.sim.world import Link, World
from tests.concentrator.helpers import HOST, MAC, SECOND, SERVER, binding, engine, info, server_model

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
            assert effect.until >= now + SETTINGS["known_time"] - 1e-6
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


class Pair(RuleBasedStateMachine):
    """Two servers, each with half of the leases; they die, return and are out of reach, each by itself."""

    @initialize(seed=st.integers(0, 2**16), jitter=st.sampled_from([0.0, 0.05, 2.0]))
    def begin(self, seed, jitter):
        self.models = {SERVER: server_model(), SECOND: server_model()}
        for model in self.models.values():
            model.manages = ()
        for number in range(LEASED):
            circuit, chaddr = subscriber(number)
            lease = binding(ADDRESSES[number], chaddr=chaddr, info=info(circuit))
            self.models[SECOND if number % 2 else SERVER].bind(lease)
        self.link = Link(delay=0.01, jitter=jitter)
        concentrator = engine(
            **{**SETTINGS, "servers": tuple(self.models), "seed": seed, "unknown_time": 40.0}
        )
        self.world = World(concentrator, self.models, self.link, seed)
        self.world.on_effect = self.observe
        self.last_sent = dict.fromkeys(self.models, float("-inf"))
        self.slow_from = dict.fromkeys(
            self.models, float("-inf")
        )  # unanswered for so long, it is to be polled
        self.owing = dict.fromkeys(self.models, True)

    downstream, wait, weather, everybody = Bounds.downstream, Bounds.wait, Bounds.weather, Bounds.everybody

    @rule(number=st.integers(0, HOSTS - 1), claimant=st.integers(0, HOSTS - 1))
    def upstream(self, number, claimant):
        effects = self.world.give(Upstream(*subscriber(claimant), ADDRESSES[number]))
        assert number == claimant or not any(isinstance(effect, Permit) for effect in effects)

    @rule(server=st.sampled_from([SERVER, SECOND]), alive=st.booleans())
    def death_or_return(self, server, alive):
        self.models[server].alive = alive

    @precondition(lambda self: max(self.last_sent.values()) > 0)
    @rule()
    def in_the_end_all_are_served_when_both_servers_answer(self):
        for model in self.models.values():
            model.alive = True
        self.link.loss = self.link.duplication = 0.0
        for _ in range(130):  # a poll, and a refusal on the word of one server
            self.everybody()
            self.wait(1.0)
        for number, address in enumerate(ADDRESSES):
            location = self.world.concentrator.locations.get(int(address), self.world.now)
            assert (location is not None) == (number < LEASED)

    def observe(self, effect, now):
        if isinstance(effect, ToServer):
            server = effect.server
            if not self.owing[server]:
                self.owing[server], self.slow_from[server] = True, now + TIMER
            elif now > self.slow_from[server]:
                assert now - self.last_sent[server] >= TIMER - 1e-6, "whoever else answers (R6.6-2, R6.6-6)"
            self.last_sent[server] = now
        elif isinstance(effect, Answered):
            self.owing[effect.server] = False
        elif isinstance(effect, Permit):
            number = ADDRESSES.index(effect.location.address)
            assert effect.location.admits(*subscriber(number))
        elif isinstance(effect, Refuse) and ADDRESSES.index(effect.address) < LEASED:
            assert effect.until <= now + LAST, "on the word of one server only for a while"

    @invariant()
    def bounded(self):
        if hasattr(self, "world"):
            queries = self.world.concentrator.queries
            assert len(queries) <= HOSTS
            for server in queries.servers.values():
                assert len(server.outstanding) <= (WINDOW if server.state == "responsive" else 1)


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


RETRY_ARP, ATTEMPTS, ARP_REFUSED, ARP_TIME, SEARCHES = 1.0, 3, 20.0, 100.0, 5
ARP_SETTINGS = {
    "mode": "arp",
    "arp_retry": RETRY_ARP,
    "arp_attempts": ATTEMPTS,
    "arp_refused_time": ARP_REFUSED,
    "arp_time": ARP_TIME,
    "waiting_limit": SEARCHES,
    "circuit_queries": 0,
}


class Broadcasts(RuleBasedStateMachine):
    """An observer of the access side in mode "arp"; some hosts are off, some answer for others."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed):
        self.world = World(engine(**ARP_SETTINGS, seed=seed), {}, seed=seed)
        self.world.on_effect, self.world.who_has = self.observe, self.who_has
        self.answers: dict[object, list[tuple[int, float]]] = {}  # who answers for an address, and how late
        self.searches: dict[object, list[float]] = {}
        self.located: dict[object, Location] = {}
        self.refused: dict[object, float] = {}

    def who_has(self, address):
        for number, delay in self.answers.get(address, ()):
            yield delay, ArpReply(*subscriber(number), address)

    @rule(
        number=st.integers(0, HOSTS - 1),
        answers=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.01, 0.02, 1.5, 9.0])), max_size=3),
    )
    def hosts_change(self, number, answers):
        self.answers[ADDRESSES[number]] = answers

    @rule(number=st.integers(0, HOSTS - 1))
    def downstream(self, number):
        self.world.give(Downstream(ADDRESSES[number]))

    @rule(number=st.integers(0, HOSTS - 1), claimant=st.integers(0, 3))
    def upstream(self, number, claimant):
        source = Upstream(*subscriber(claimant), ADDRESSES[number])
        for effect in self.world.give(source):
            if isinstance(effect, Permit):
                assert effect.location.admits(source.circuit, source.chaddr)

    @rule(number=st.integers(0, HOSTS - 1), claimant=st.integers(0, 3))
    def unasked(self, number, claimant):
        address = ADDRESSES[number]
        asked = address in self.searches
        effects = self.world.give(ArpReply(*subscriber(claimant), address))
        assert any(isinstance(effect, Permit) for effect in effects) == asked

    @rule(seconds=st.sampled_from([0.015, 0.5, 1.0, 8.0, 25.0, 120.0]))
    def wait(self, seconds):
        self.world.run(self.world.now + seconds)

    def observe(self, effect, now):
        if isinstance(effect, BroadcastArp):
            address = effect.address
            assert address not in self.located
            assert now >= self.refused.get(address, now), "not while it is refused"
            times = self.searches.setdefault(address, [])
            if times:
                assert now - times[-1] >= RETRY_ARP * 2 ** (len(times) - 1) - 1e-6
            times.append(now)
            assert len(times) <= ATTEMPTS
        elif isinstance(effect, Permit):
            address, location = effect.location.address, effect.location
            if self.located.get(address) != location:
                assert self.searches.pop(address), "nobody is believed unasked"
                assert address not in self.located, "who was first stays"
                assert location.expires == now + ARP_TIME
                self.located[address] = location
        elif isinstance(effect, Withdraw):
            location = self.located.pop(effect.location.address)
            assert now >= location.expires
        elif isinstance(effect, Refuse):
            assert len(self.searches.pop(effect.address)) == ATTEMPTS
            self.refused[effect.address] = effect.until
            assert effect.until >= now + ARP_REFUSED
        elif isinstance(effect, Abandon):
            del self.searches[effect.address]

    @invariant()
    def bounded(self):
        if hasattr(self, "world"):
            assert len(self.searches) <= SEARCHES
            longest = RETRY_ARP * (2**ATTEMPTS - 1)
            for times in self.searches.values():
                assert self.world.now <= times[0] + longest + 1e-6, "no search is for ever"


TestBroadcasts = Broadcasts.TestCase
TestBroadcasts.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBounds = Bounds.TestCase
TestBounds.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestPair = Pair.TestCase
TestPair.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDeterminism = Determinism.TestCase
TestDeterminism.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def unserved(answered):
    """An answer that does not count for the server's timer."""

    def answer(self, leg, supported, now, out):
        server = leg.server
        before = server.state, server.timer, server.interval
        answered(self, leg, supported, now, out)
        server.state, server.timer, server.interval = before

    return answer


def without_end(server_timer):
    """The server's timer goes off, and nothing is taken off the wire."""

    def go_off(self, server, now, out):
        server.timer = now + TIMER

    return go_off


def favouring(order):
    """Only one server is ever asked."""

    def first(self, address, now):
        return order(self, address, now)[0][:1], ()

    return first


def believing(reply):
    """Every answer is believed, asked or not."""

    def believe(self, event, now, out):
        reply(self, event, now, out)
        out[:] = [each for each in out if not isinstance(each, Drop)]
        self._places.locate(Location(event.address, 1, event.chaddr, event.circuit, None, now + 9), now, out)

    return believe


FAULTS = {
    "queries without a window": (Bounds, SETTINGS, "window", 99),
    "polls too often": (Bounds, SETTINGS, "server_timer", 2.0),
    "polls too rarely": (Bounds, SETTINGS, "server_timer_last", 300.0),
    "no back-off of a query": (Bounds, queries_module, "_doubling", lambda _: lambda first, _: [first]),
    "no end of a server's window": (Bounds, Queries, "_server_timer", without_end),
    "answers that do not count": (Bounds, Queries, "answered", unserved),
    "no negative cache": (Bounds, Refused, "get", lambda _: lambda *_: None),
    "a query for each packet": (Bounds, LeaseQuery, "join", lambda _: lambda *_: False),
    "sources not verified": (Bounds, Location, "admits", lambda _: lambda *_: True),
    "one server of two asked": (Pair, Authorities, "order", favouring),
    "broadcasts for ever": (Broadcasts, ARP_SETTINGS, "arp_attempts", 99),
    "broadcasts without back-off": (Broadcasts, ARP_SETTINGS, "arp_retry", 0.3),
    "searches without bound": (Broadcasts, ARP_SETTINGS, "waiting_limit", 99),
    "a broadcast for each packet": (Broadcasts, ArpSearches, "join", lambda _: lambda *_: False),
    "the last answer believed": (Broadcasts, ArpSearches, "reply", believing),
    "nobody refused": (Broadcasts, ARP_SETTINGS, "arp_refused_time", 1.0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_machines_notice(monkeypatch, fault):
    """Each fault, put in on purpose, is found; without shrinking, as it is known."""
    machine, where, name, broken = FAULTS[fault]
    if isinstance(where, dict):
        monkeypatch.setitem(where, name, broken)
    else:
        monkeypatch.setattr(where, name, broken(getattr(where, name)))
    search = settings(
        max_examples=300,
        stateful_step_count=40,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
    )
    with pytest.raises((AssertionError, KeyError)):
        run_state_machine_as_test(machine, settings=search)
