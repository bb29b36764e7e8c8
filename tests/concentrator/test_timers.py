"""Timers, and what else the engine keeps for a while: each is filled, and must stay within its bound."""

from __future__ import annotations

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq.concentrator import backoff as backoff_module
from lq.concentrator import quota as quota_module
from lq.concentrator import timers as timers_module
from lq.concentrator.authorities import Authorities
from lq.concentrator.backoff import BackOff
from lq.concentrator.events import Circuit, Downstream, Location, Upstream
from lq.concentrator.location import Awaiting, Locations
from lq.concentrator.negative_cache import NegativeCache
from lq.concentrator.quota import Quota
from lq.concentrator.timed_set import TimedSet
from lq.concentrator.timers import NEVER, SLACK, Timers
from tests.concentrator.helpers import (
    CIRCUIT,
    HOST,
    MAC,
    OTHER_CIRCUIT,
    SECOND,
    SERVER,
    active,
    config,
    drops,
    engine,
    queries,
)

MANY = 300_000  # what a flood left in a heap before

steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 9), st.integers(0, 30)),
        st.tuples(st.just("cancel"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("time"), st.integers(0, 5), st.just(0)),
    ),
    max_size=200,
)


@given(steps)
def test_timers_are_a_mapping_that_tells_what_comes_first(script):
    """With so little slack that heaps are set aside all the time."""
    before, timers_module.SLACK = timers_module.SLACK, 2
    try:
        timers, model, now = Timers(), {}, 0
        for kind, key, value in script:
            if kind == "set":
                timers.set(key, now + value)
                model[key] = now + value
            elif kind == "cancel":
                assert timers.cancel(key) == (model.pop(key, None) is not None)
            else:
                now += key
                gone = []
                while timers.first <= now:
                    if (popped := timers.pop(now)) is not None:
                        gone.append((model.pop(popped), popped))
                assert [when for when, _ in gone] == sorted(when for when, _ in gone)
            due = min(model.values(), default=NEVER)
            assert timers.first <= due
            assert len(timers) == len(model)
            assert {key: timers.get(key) for key in model} == model
            assert all(when > now or kind != "time" for when in model.values())
            assert timers.entries <= 3 * len(timers) + 2 * 2
    finally:
        timers_module.SLACK = before


@pytest.mark.parametrize("living", [0, 10, 5_000])
@pytest.mark.parametrize("order", ["first", "last", "random"])
def test_what_was_cancelled_or_moved_does_not_stay(living, order):
    """300,000 timers of a flood, dead at once or at the end, before or behind those that live on."""
    timers, random_ = Timers(), random.Random(1)
    when = {"first": lambda n: n, "last": lambda n: 2 * MANY - n, "random": lambda n: random_.random()}[order]
    for number in range(living):
        timers.set(MANY + number, MANY)
    for number in range(MANY // 2):  # a window of ten
        timers.set(number, when(number))
        timers.cancel(number - 10)
        assert timers.entries <= 3 * len(timers) + 2 * SLACK
    for _ in range(MANY // 2):  # one that is moved on and on
        timers.set(1, random_.random())
        assert timers.entries <= 3 * len(timers) + 2 * SLACK
    for number in range(MANY // 4):  # all of them together
        timers.set(number, when(number))
    for number in range(MANY // 4):
        timers.cancel(number)
        assert timers.entries <= 3 * len(timers) + 2 * SLACK


def test_no_call_pays_for_all_that_are_dead(monkeypatch):
    """Steps of the heap, counted: no call makes more than a constant number of them, whatever there is."""
    made = [0]

    def counted(function):
        def step(*arguments):
            made[0] += 1
            return function(*arguments)

        return step

    monkeypatch.setattr(timers_module, "heappush", counted(heapq.heappush))
    monkeypatch.setattr(timers_module, "heappop", counted(heapq.heappop))
    timers, most = Timers(), 0

    def count(call, *arguments):
        nonlocal most
        made[0] = 0
        value = call(*arguments)
        most = max(most, made[0])
        return value

    for number in range(MANY // 3):
        count(timers.set, number, number)
    for number in range(MANY // 3 - 1):
        count(timers.cancel, number)
        if number % 1000 == 0:
            count(lambda: timers.first)
    while count(timers.pop, MANY) is None:
        assert timers.first <= MANY
    assert most <= 2 * 64
    assert timers.first == NEVER


def test_the_timers_of_queries_are_bounded_by_the_window():
    """A recovery of 20,000 hosts: each query is answered long before its timer goes off."""
    concentrator = engine()
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    pending = queries(concentrator.handle(active(query), 0.0))
    for number in range(1, 20_000):
        pending += queries(concentrator.handle(Downstream(HOST + number), 0.0))
        if len(pending) >= 10:
            query = pending.pop(0)
            pending += queries(concentrator.handle(active(query, chaddr=MAC), number / 20_000))
            assert concentrator.queries._timers.entries <= 3 * 100 + 2 * SLACK
    assert len(concentrator.locations) > 1000


def test_the_timers_of_locations_are_bounded_by_the_locations():
    table = Locations()
    for number in range(100_000):  # renewals, moves and ends of a hundred hosts
        location = Location(HOST + number % 100, 1, MAC, CIRCUIT, None, 3600.0 + number)
        table.put(location, location.expires - 10)
        if number % 7 == 0:
            table.remove(int(location.address))
        assert table._timers.entries <= 3 * 100 + 2 * SLACK
    assert len(table._timers) == len(table)
    while table.deadline < NEVER:
        table.expire(1e9)
    assert (len(table), len(table._timers), len(table._at), len(table.ending)) == (0, 0, 0, 0)


def test_the_timers_of_searches_are_bounded_by_the_searches():
    concentrator = engine(mode="arp", waiting_limit=50)
    for number in range(20_000):
        concentrator.handle(Downstream(HOST + number), number / 1e6)
    assert len(concentrator._arp) == len(concentrator._arp._timers) == 50
    assert concentrator._arp._timers.entries <= 3 * 50 + 2 * SLACK


def test_late_queries_are_remembered_within_bounds():
    """A server that answers one query in ten; nobody asks twice, so the others are given up."""
    asked = engine(demand_time=0.5, network_queries=0)
    for number in range(30_000):
        now = number / 1000
        if number % 10 == 0:
            while asked.deadline is not None and asked.deadline <= now:
                asked.wake(asked.deadline)
        out = queries(asked.handle(Downstream(HOST + number), now))
        if out and number % 10 == 0:
            asked.handle(active(out[0], chaddr=MAC), now)
        assert len(asked.queries._late) <= backoff_module._MOST_LATE
    assert len(asked.queries._late) == backoff_module._MOST_LATE
    assert len(asked.queries._timers) <= 100


def test_authorities_are_remembered_within_bounds():
    pending = BackOff(config(servers=(SERVER, SECOND), refused_limit=1000))
    known = Authorities(config(servers=(SERVER, SECOND), refused_limit=1000), pending.servers.values())
    for number in range(50_000):
        known.remember(number % 20_000, SERVER)
    assert len(known._learnt) == 1000
    assert known._of(19_999 - 10_000) == (SERVER,)


@pytest.mark.parametrize("kind", [TimedSet, NegativeCache])
def test_a_negative_cache_is_bounded_and_forgets_bit_by_bit(kind):
    cache = kind(limit=1000)
    add = cache.add if kind is TimedSet else lambda *entry: cache.add(entry[0], entry[1], "known", entry[2])
    for number in range(50_000):
        add(number, 300.0 + number / 1000, number / 1000)
        assert len(cache) <= 1000
    before = len(cache)
    add(-1, 1e6, 1e5)  # everything in it has ended
    assert before - 2 <= len(cache) <= before
    for number in range(1000):
        add(-2 - number, 1e6, 1e5)
    assert len(cache) == 1000


def test_who_waits_for_a_modem_is_bounded():
    waiting = Awaiting(limit=1000)
    for number in range(20_000):
        modem = number.to_bytes(6, "big")
        waiting.put(Location(HOST + number % 5000, 1, MAC, CIRCUIT, modem, 10.0))
        assert len(waiting) == len(waiting._by_address) <= 1000
    assert len(waiting._behind) <= 1000
    assert sum(map(len, waiting._behind.values())) == len(waiting)


def test_a_quota_holds_so_many_sources_and_the_others_share(monkeypatch):
    monkeypatch.setattr(quota_module, "MOST_SOURCES", 100)
    quota = Quota(2, 10.0)
    assert all(quota.take(number, 0.0) is None for number in range(100))
    left = [quota.take(100 + number, 1.0) for number in range(10_000)]
    assert left == [None, None] + [10.0] * 9_998
    assert len(quota._used) == 101
    assert quota.take(5, 1.0) is None, "who came before has its own"
    assert quota.take(777, 11.0) is None
    assert len(quota._used) == 1


@pytest.mark.requirement("R1-5")
def test_who_fails_verification_in_ever_other_ways_uses_up_its_circuit_s_share():
    """Each way would be a flow of its own: one host with random hardware addresses made 200,000 of them."""
    concentrator = engine(circuit_queries=20)
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(active(query), 0.0)
    reasons = []
    for number in range(1000):
        chaddr = number.to_bytes(6, "big")
        reasons += drops(concentrator.handle(Upstream(OTHER_CIRCUIT, chaddr, HOST), 1.0))
    assert reasons == ["spoofed"] * 20 + ["query-limit"] * 980
    assert drops(concentrator.handle(Upstream(Circuit(2, (9,)), MAC, HOST), 1.0)) == ["spoofed"]
