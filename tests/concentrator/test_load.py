"""Many addresses at once: servers that do not answer, and scans that never end."""

import itertools
import tracemalloc
from ipaddress import IPv4Network

import pytest

from lq.concentrator.events import BroadcastArp, Downstream, Refuse
from lq.concentrator.negative_cache import NegativeCache
from lq.simulation.world import World
from tests.concentrator.helpers import HOST, SECOND, SERVER, binding, engine, server_model, world

MINUTES = 600.0  # seconds
DEAD = {"alive": False}
ILLITERATE = {"literate": False}


@pytest.mark.requirement("R6.6-2")
@pytest.mark.parametrize("addresses", [1, 100, 10_000])
@pytest.mark.parametrize("state", [DEAD, ILLITERATE], ids=["dead", "without leasequery"])
def test_in_ten_minutes_a_server_that_never_answers_gets_a_dozen_packets(state, addresses):
    """Whatever the demand: at most one packet in 10 s, at least one in a minute."""
    model = server_model(**state)
    network = world(model, network_queries=0)
    interval = max(0.5, addresses / 400)
    while network.now < MINUTES:
        for number in range(addresses):
            network.give(Downstream(HOST + number))
        network.run(network.now + interval)
    arrivals = model.arrivals
    gaps = [b - a for a, b in itertools.pairwise([*arrivals, MINUTES])]
    assert len(arrivals) == 12  # after 0, 10, 30, 70 s, and then each minute
    assert min(gaps[:-1]) >= 9.99
    assert max(gaps) <= 60.01


@pytest.mark.requirement("R6.6-2")
@pytest.mark.requirement("R6.6-6")
@pytest.mark.parametrize("addresses", [1, 100, 10_000])
def test_a_server_that_dies_gets_one_window_with_its_back_off_and_then_polls(addresses):
    """It is known to support leasequery, so until its timer goes off the queries' own timers count."""
    model = server_model(binding(HOST - 1))
    network = world(model, network_queries=0, window=100)
    network.give(Downstream(HOST - 1))
    network.run(1.0)
    model.alive = False
    died, interval = network.now, max(0.5, addresses / 400)
    while network.now < died + MINUTES:
        for number in range(addresses):
            network.give(Downstream(HOST + number))
        network.run(network.now + interval)
    after = [when - died for when in model.arrivals if when > died]
    burst = [when for when in after if when <= 10.1]
    polls = [when for when in after if when > 10.1]
    assert len(burst) == 4 * min(addresses, 100)  # at 0, 1, 3 and 7 s
    assert len(polls) <= 1 + MINUTES / 60 + 2
    gaps = [b - a for a, b in itertools.pairwise([max(burst), *polls, MINUTES])]
    assert min(gaps[:-1]) >= 9.99
    assert max(gaps) <= 60.1


@pytest.mark.requirement("R4.4-1")
@pytest.mark.requirement("R6.6-2")
@pytest.mark.parametrize("pause", [0.3, 2.0, 7.0])
def test_silence_of_one_server_counts_though_the_other_has_every_answer(pause):
    """New addresses one after the other, each settled at once: the dead server is polled all the same."""
    hosts = [HOST + number for number in range(int(MINUTES / pause))]
    model, dead = server_model(*(binding(host) for host in hosts)), server_model()
    network = World(engine(servers=(SERVER, SECOND), network_queries=0), {SERVER: model, SECOND: dead})
    network.give(Downstream(HOST - 1))
    network.run(1.0)
    dead.alive = False
    for host in hosts:
        network.give(Downstream(host))
        network.run(network.now + pause)
    assert len(network.concentrator.locations) == len(hosts)
    late = [when for when in dead.arrivals if when > 1.0 + 10.1]
    assert min(b - a for a, b in itertools.pairwise(late)) >= 9.99
    assert max(b - a for a, b in itertools.pairwise(late)) <= 60.0 + pause + 0.1
    assert len(late) <= 15


@pytest.mark.requirement("R7-3")
@pytest.mark.requirement("R7-5")
def test_a_scan_of_65536_addresses_is_held_whole_and_costs_one_query_each():
    model = server_model()
    model.manages = (IPv4Network("198.18.0.0/17"),)  # KNOWN for about half of them, UNKNOWN for the others
    network = world(
        model,
        networks=("198.18.0.0/15",),
        network_queries=0,
        known_time=1e6,
        unknown_time=1e6,
        refused_limit=65536,
    )
    scanned = [HOST + number for number in range(65536)]
    concentrator = network.concentrator
    refusals = 0
    for start in range(0, len(scanned), 64):
        for address in scanned[start : start + 64]:
            network.give(Downstream(address))
        network.run(network.now + 0.01)
        refusals += sum(isinstance(effect, Refuse) for _, effect in network.record)
        network.record.clear()
    assert {each.reason.value for each in concentrator.negative_cache} == {"known", "unknown"}
    assert refusals == len(concentrator.negative_cache) == 65536
    assert set(model.received.values()) == {1}
    sent = concentrator.counters["queries_sent"]
    before = concentrator.counters["dropped_refused"]
    for address in scanned:
        network.give(Downstream(address))
        network.record.clear()
    assert concentrator.counters["dropped_refused"] == before + 65536
    assert concentrator.counters["queries_sent"] == sent


@pytest.mark.requirement("R7-3")
def test_a_refusal_takes_as_much_memory_as_the_module_says_and_a_full_cache_no_more():
    refused, octets = NegativeCache(20_000), []
    tracemalloc.start()
    try:
        for first in (0, 20_000, 40_000):
            for number in range(int(HOST) + first, int(HOST) + first + 20_000):
                refused.add(number, 100.0 + number, "known", 0.0)
            octets.append(tracemalloc.get_traced_memory()[0] / 20_000)
    finally:
        tracemalloc.stop()
    assert len(refused) == 20_000
    assert max(octets) < 200


def test_a_scan_in_mode_arp_is_bounded_by_what_may_be_searched_for_at_once():
    concentrator = engine(mode="arp", waiting_limit=1000, network_queries=0)
    broadcasts = 0
    for number in range(20_000):
        now = number / 2000
        effects = concentrator.wake(now) + concentrator.handle(Downstream(HOST + number), now)
        broadcasts += sum(isinstance(effect, BroadcastArp) for effect in effects)
    assert len(concentrator._arp) <= 1000
    assert broadcasts == 20_000, "each search makes room after half a second, before its second broadcast"
    while concentrator.deadline is not None:
        effects = concentrator.wake(concentrator.deadline)
        broadcasts += sum(isinstance(effect, BroadcastArp) for effect in effects)
    assert broadcasts == 20_000 + 2 * 1000, "the last ones alone have all three"
