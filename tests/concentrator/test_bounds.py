"""The draft's bounds over random schedules of demand, loss, delay, duplication, death and return.

Four state machines in virtual time. In `Bounds` every rule of section 6.6 is checked as an observer on the
wire would: from queries, replies and the effects on the switch the machine keeps its own account of what
is outstanding and of what the server has said. Only `nothing_is_left_behind` looks into the engine. `Pair`
watches two servers in the same way, `Broadcasts` mode "arp". In `Determinism` two engines of one seed see the
same. Faults put in on purpose show that they notice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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

from lq.concentrator import backoff as backoff_module
from lq.concentrator.arp import ArpSearches
from lq.concentrator.authorities import Authorities
from lq.concentrator.backoff import BackOff
from lq.concentrator.events import (
    Abandon,
    Answered,
    ArpReply,
    BroadcastArp,
    Circuit,
    Downstream,
    Drop,
    FromClient,
    Location,
    Permit,
    Refuse,
    ToServer,
    Upstream,
    Withdraw,
)
from lq.concentrator.leasequery import LeaseQuery
from lq.concentrator.negative_cache import NegativeCache
from lq.concentrator.server_state import ServerState
from lq.simulation.world import Link, World
from lq.wire import DRAFT_03, MessageType, OptionCode
from tests.concentrator.helpers import (
    HOST,
    MAC,
    NETWORK,
    SECOND,
    SERVER,
    binding,
    client_message,
    engine,
    info,
    of_type,
    queries,
    server_message,
    server_model,
)

HOSTS = 12  # the first have leases, the others do not
LEASED = 8
WINDOW = 4
RETRY, TIMER, LAST = 1.0, 10.0, 60.0
ADDRESSES = [HOST + number for number in range(HOSTS)]
SETTINGS = {"window": WINDOW, "known_time": 40.0, "unknown_time": 40.0, "circuit_queries": 0}


def subscriber(number):
    return Circuit(2, (number + 1,)), MAC[:-1] + bytes((number,))


def populated_model():
    model = server_model()
    for number in range(LEASED):
        circuit, chaddr = subscriber(number)
        model.bind(binding(ADDRESSES[number], chaddr=chaddr, info=info(circuit)))
    return model


@dataclass
class Flight:
    """A query as observed; `times` on the wire since its back-off began anew; `over` unanswered."""

    about: object  # address, or MAC address
    sent: float
    times: list[float] = field(default_factory=list)
    over: bool = False

    @property
    def due(self):
        return self.times[-1] + min(RETRY * 2 ** (len(self.times) - 1), LAST)


class Bounds(RuleBasedStateMachine):
    """An observer between the concentrator and its server."""

    @initialize(seed=st.integers(0, 2**16), jitter=st.sampled_from([0.0, 0.05, 2.0]), warm=st.booleans())
    def begin(self, seed, jitter, warm):
        self.model = populated_model()
        self.leased = set(range(LEASED))
        self.link = Link(delay=0.01, jitter=jitter)
        self.world = World(engine(**SETTINGS, seed=seed), {SERVER: self.model}, self.link, seed)
        self.world.on_effect, self.world.on_reply = self.observe, self.sees_reply
        self.flights: dict[int, Flight] = {}  # by xid, until an answer comes
        self.last_sent = self.heard = self.fast_until = float("-inf")
        self.silent = True  # as far as the concentrator can know: no answer yet, or none for long
        self.owing = False
        self.wanted: set[object] = set()
        self.located: dict[object, Location] = {}
        self.learnt: dict[object, float] = {}  # when that was
        self.refreshed: dict[object, float] = {}  # the end that was asked about
        self.refreshed_in_vain = 0
        self.refused: dict[object, float] = {}
        if warm:  # the server has just answered, and the first three hosts are located
            for address in ADDRESSES[:3]:
                self.world.give(Downstream(address))
            self.wait(5.0)

    # -- what happens

    @rule(number=st.integers(0, HOSTS - 1))
    def downstream(self, number):
        address, now = ADDRESSES[number], self.world.now
        known = self.is_located(address) or now < self.refused.get(address, now)
        asked = address in self.wanted or self.asked_about(address)
        effects = self.world.give(Downstream(address))
        if known or asked:
            return
        if address not in self.located and now >= self.refused.get(address, now):
            self.wanted.add(address)
        lately = [flight for flight in self.flights.values() if flight.sent > now - LAST]
        if now < self.heard + TIMER and len(lately) < WINDOW:
            assert queries(effects), "the server answers and the window is open: at once (R6.6-4)"

    @rule(number=st.integers(0, HOSTS - 1), claimant=st.integers(0, HOSTS - 1))
    def upstream(self, number, claimant):
        circuit, chaddr = subscriber(claimant)
        effects = self.world.give(Upstream(circuit, chaddr, ADDRESSES[number]))
        for effect in effects:
            assert not isinstance(effect, Permit) or number == claimant

    @rule()
    def everybody(self):
        for number in range(HOSTS):
            self.downstream(number)

    @rule(number=st.integers(0, HOSTS - 1))
    def all_along(self, number):
        """For as long as the back-off of a dead server goes on doubling."""
        for _ in range(15):
            self.downstream(number)
            self.wait(10.0)

    @rule(number=st.integers(0, HOSTS - 1), seconds=st.sampled_from([3, 20, 3600]))
    def acknowledged(self, number, seconds):
        """A lease passes the relay, and is renewed at the server directly: known there for much longer."""
        (circuit, chaddr), address = subscriber(number), ADDRESSES[number]
        options = {OptionCode.REQUESTED_ADDRESS: address.packed}
        message = client_message(MessageType.REQUEST, chaddr=chaddr, options=options)
        [relayed] = self.world.give(FromClient(circuit, message))
        self.model.bind(binding(address, chaddr=chaddr, info=info(circuit)))
        self.leased.add(number)
        ack = server_message(relayed, MessageType.ACK, yiaddr=address, lease=seconds)
        [permit] = of_type(Permit, self.world.give(ack))
        assert permit.location.expires == self.world.now + seconds

    @rule(number=st.integers(0, HOSTS - 1))
    def released(self, number):
        circuit, chaddr = subscriber(number)
        self.model.bindings.pop(ADDRESSES[number], None)
        self.leased.discard(number)
        message = client_message(MessageType.RELEASE, chaddr=chaddr, ciaddr=ADDRESSES[number])
        self.world.give(FromClient(circuit, message))
        assert not self.is_located(ADDRESSES[number])

    @rule(seconds=st.sampled_from([0.005, 0.1, 1.0, 5.0, 30.0, 150.0]))
    def wait(self, seconds):
        self.world.run(self.world.now + seconds)

    @rule(loss=st.sampled_from([0.0, 0.3, 1.0]), duplication=st.sampled_from([0.0, 0.5]))
    def weather(self, loss, duplication):
        self.link.loss, self.link.duplication = loss, duplication

    @rule(alive=st.booleans())
    def death_or_return(self, alive):
        self.model.alive = alive

    @rule(manages=st.booleans(), by_mac=st.booleans())
    def reconfigured(self, manages, by_mac):
        """What is leased to nobody is KNOWN or UNKNOWN; a query by MAC address may be UNIMPLEMENTED."""
        self.model.manages = (NETWORK,) if manages else ()
        self.model.forms = ("ip", "mac") if by_mac else ("ip",)

    @precondition(lambda self: self.last_sent >= 0)
    @rule()
    def in_the_end_all_are_served_when_the_server_answers(self):
        """However bad it was: with the server back, within a poll and a little, all is as it should be."""
        self.model.alive, self.link.loss, self.link.duplication = True, 0.0, 0.0
        for _ in range(70):
            self.everybody()
            self.wait(1.0)
        for number, address in enumerate(ADDRESSES):
            assert self.is_located(address) == (number in self.leased)

    # -- what the observer sees

    def is_located(self, address):
        location = self.located.get(address)
        return location is not None and location.expires > self.world.now

    def asked_about(self, about):
        return any(flight.about == about and not flight.over for flight in self.flights.values())

    def on_the_wire(self, now):
        """What is out for certain: not what was taken off, or began anew meanwhile."""
        flights = self.flights.values()
        return [flight for flight in flights if flight.times and not (flight.over and now >= flight.due)]

    def observe(self, effect, now):
        if isinstance(effect, ToServer):
            if effect.query is not None:
                self.sees_query(effect, now)
        elif isinstance(effect, Refuse):
            assert ADDRESSES.index(effect.address) not in self.leased, "a leased address is never refused"
            assert effect.until >= now + SETTINGS["known_time"] - 1e-6
            self.refused[effect.address] = effect.until
            self.wanted.discard(effect.address)
        elif isinstance(effect, Permit):
            location = effect.location
            number = ADDRESSES.index(location.address)
            assert location.admits(*subscriber(number)), "whoever asked, the owner is located"
            assert number in self.leased, "whatever was on its way when it was given up"
            if self.located.get(location.address) != location:  # else the switch is told once more
                self.learnt[location.address] = now
                self.ends(location.address)  # by an answer, or by gleaning
            self.located[location.address] = location
            self.refused.pop(location.address, None)
        elif isinstance(effect, Withdraw):
            assert self.located.pop(effect.location.address, None) is not None
            self.ends(effect.location.address)
        elif isinstance(effect, Abandon):
            self.ends(effect.address)

    def ends(self, address):
        self.wanted.discard(address)
        for flight in self.flights.values():
            flight.over = flight.over or flight.about == address

    def sees_query(self, effect, now):
        about = effect.query.address or effect.query.client
        assert now >= self.refused.get(about, now), "not while it is refused (R7-3)"
        if effect.query.refresh:
            self.sees_refresh(about, effect.query.attempt, now)
        else:
            assert not self.is_located(about), "not while located"
        self.sees_rate(now)
        xid = effect.message.xid
        if effect.query.attempt == 1:
            asked = not effect.query.client and self.asked_about(about)
            assert not asked, "one query for an address while one is out (R7-5)"
            flight = self.flights[xid] = Flight(about, now)
        else:
            flight = self.flights.get(xid)
            assert flight is not None, "no more of what was answered"
            assert not flight.over, "or given up, or gleaned"
            if flight.times and not self.silent:  # the poll of a silent server keeps to that server's timer
                assert now >= flight.due - 1e-6, "doubling intervals (R6.6-5)"
        flight.times.append(now)
        flight.sent = self.last_sent = now
        if not self.silent:
            assert len(self.on_the_wire(now)) <= WINDOW, "the window (R6.6-4)"

    def sees_refresh(self, about, attempt, now):
        """Only about a location that is about to end, once for each end; not to a server that is silent."""
        location = self.located[about]
        left = location.expires - self.learnt[about]
        lead = min(max(min(left / 10, 10.0), 3 * RETRY), left / 2)
        assert location.expires - lead - 1e-6 <= now < location.expires
        if attempt == 1:
            assert abs(self.refreshed.get(about, 0.0) - location.expires) >= 1.0
            self.refreshed[about] = location.expires
        if self.silent:
            self.refreshed_in_vain += 1
            assert self.refreshed_in_vain <= 1

    def sees_rate(self, now):
        """To a server that does not answer at most one packet in 10 s (R6.6-2, R6.6-3, R6.6-6)."""
        if not self.silent:
            if not self.owing:
                if now >= self.fast_until:
                    assert not self.on_the_wire(now), "one query to a server that rested (R6.6-3)"
                self.fast_until = now + TIMER  # silence counts only while something is asked
            elif now > self.fast_until:
                self.silent = True  # asked in vain until its timer went off
        self.owing = True
        if self.silent:
            assert now - self.last_sent >= TIMER - 1e-6

    def sees_reply(self, _server, message, now):
        flight = self.flights.pop(message.xid, None)
        if flight is None:
            return
        self.refreshed_in_vain = 0
        if message.message_type != DRAFT_03.unimplemented:
            if self.silent or now >= self.fast_until:  # what was off the wire begins anew
                for each in self.flights.values():
                    each.times = []
            self.silent, self.heard, self.fast_until = False, now, now + TIMER
        self.owing = bool(self.on_the_wire(now))

    @invariant()
    def at_least_once_a_minute(self):
        """While there is something to ask, the server hears of it (R6.6-2)."""
        if hasattr(self, "world") and self.wanted:
            assert self.world.now - self.last_sent <= LAST + 1e-6

    @invariant()
    def nothing_is_left_behind(self):
        """Nothing is kept for what is over, and nothing that is wanted waits for ever."""
        if hasattr(self, "world"):
            pending = self.world.concentrator.queries
            server = pending.servers[SERVER]
            transactions = [*server.outstanding.values(), *server.waiting.values()]
            open_ = {query.key for query in pending}
            assert open_ <= {transaction.query.key for transaction in transactions}
            assert all(
                transaction.query.settled or transaction.query.key in open_ for transaction in transactions
            )
            assert not set(server.outstanding) & set(server.waiting)
            assert len(pending) <= 2 * HOSTS
            if server.state is not ServerState.SILENT:
                assert all(xid in pending._timers for xid in server.outstanding), "none is stuck"
            elif transactions:
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
        concentrator = engine(**SETTINGS, servers=tuple(self.models), seed=seed)
        self.world = World(concentrator, self.models, self.link, seed)
        self.world.on_effect = self.observe
        self.last_sent = dict.fromkeys(self.models, float("-inf"))
        # From when on it is to be polled, since it has not answered for so long.
        self.slow_from = dict.fromkeys(self.models, float("-inf"))
        self.owing = dict.fromkeys(self.models, True)

    wait, weather, everybody = Bounds.wait, Bounds.weather, Bounds.everybody

    @rule(number=st.integers(0, HOSTS - 1))
    def downstream(self, number):
        self.world.give(Downstream(ADDRESSES[number]))

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
                assert len(server.outstanding) <= (WINDOW if server.state is ServerState.RESPONSIVE else 1)


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
                assert self.searches.pop(address, None), "nobody is believed unasked"
                assert address not in self.located, "who was first stays"
                assert location.expires == now + ARP_TIME
                self.located[address] = location
        elif isinstance(effect, Withdraw):
            location = self.located.pop(effect.location.address, None)
            assert location is not None
            assert now >= location.expires
        elif isinstance(effect, Refuse):
            assert len(self.searches.pop(effect.address, ())) == ATTEMPTS
            self.refused[effect.address] = effect.until
            assert effect.until >= now + ARP_REFUSED
        elif isinstance(effect, Abandon):
            assert self.searches.pop(effect.address, None), "what was searched for"

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

    def answer(self, transaction, supported, now, out):
        server = transaction.server
        before = server.state, server.timer, server.interval
        wanted = answered(self, transaction, supported, now, out)
        server.state, server.timer, server.interval = before
        return wanted

    return answer


def forgetful(finish):
    """What is out about a query that is ended is known no more, as it once was."""

    def end(self, query):
        for transaction in list(query.transactions.values()):
            self._remove(transaction)
        finish(self, query)

    return end


def at_once(finish):
    """What is out about a query that is ended counts no more for the window."""

    def end(self, query):
        for transaction in list(query.transactions.values()):
            self._end(transaction)
        finish(self, query)

    return end


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
    "no back-off of a query": (Bounds, backoff_module, "_doubling", lambda _: lambda first, _: [first]),
    "no end of a server's window": (Bounds, BackOff, "_server_timer", without_end),
    "answers that do not count": (Bounds, BackOff, "answered", unserved),
    "gleaning that loses an answer": (Bounds, BackOff, "finish", forgetful),
    "gleaning that makes room on the wire": (Bounds, BackOff, "finish", at_once),
    "no negative cache": (Bounds, NegativeCache, "get", lambda _: lambda *_: None),
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
        max_examples=2500,
        stateful_step_count=40,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=search)
