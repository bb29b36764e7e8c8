"""Section 6.6: when a query is sent, and when again."""

import itertools
from collections import Counter

import pytest

from lq.concentrator.events import Abandon, Answered, Downstream, Permit, Refuse, Upstream
from lq.concentrator.server_state import ServerState
from tests.concentrator.helpers import (
    CIRCUIT,
    HOST,
    MAC,
    OTHER_MAC,
    SERVER,
    active,
    answer,
    binding,
    drops,
    engine,
    of_type,
    queries,
    server_model,
    world,
)


def responsive(**settings):
    concentrator = engine(**settings)
    [query] = queries(concentrator.handle(Downstream(HOST + 60000), 0.0))
    concentrator.handle(answer(query, "known"), 0.0)
    return concentrator


def pass_time(concentrator, until):
    """Wake the engine whenever it wants; return the times of its queries and all effects."""
    times, effects = [], []
    while concentrator.deadline is not None and concentrator.deadline <= until:
        now = concentrator.deadline
        woken = concentrator.wake(now)
        times += [now] * len(queries(woken))
        effects += woken
    return times, effects


@pytest.mark.requirement("R6.6-3")
def test_a_fresh_engine_probes_at_once_with_one_query():
    concentrator = engine()
    effects = [e for n in range(50) for e in concentrator.handle(Downstream(HOST + n), 0.0)]
    assert [each.query.address for each in queries(effects)] == [HOST]


@pytest.mark.requirement("R6.6-4")
@pytest.mark.parametrize("kind", ["active", "known", "unknown"])
def test_the_first_answer_opens_the_window(kind):
    concentrator = engine(window=20)
    [probe] = queries([e for n in range(50) for e in concentrator.handle(Downstream(HOST + n), 0.0)])
    opened = queries(concentrator.handle(answer(probe, kind), 0.1))
    assert [each.query.address for each in opened] == [HOST + n for n in range(1, 21)]
    [after] = queries(concentrator.handle(active(opened[7]), 0.2))
    assert after.query.address == HOST + 21, "an answer makes room for one more"


@pytest.mark.requirement("R6.6-4")
def test_unimplemented_does_not_open_the_window():
    concentrator = engine()
    [probe] = queries([e for n in range(5) for e in concentrator.handle(Downstream(HOST + n), 0.0)])
    assert queries(concentrator.handle(answer(probe, "unimplemented"), 0.1)) == []


@pytest.mark.requirement("R6.6-1")
@pytest.mark.requirement("R6.6-2")
@pytest.mark.requirement("R6.6-3")
def test_a_server_that_never_answered_is_polled_ever_more_rarely_down_to_once_a_minute():
    concentrator = engine(demand_time=1000.0)
    concentrator.handle(Downstream(HOST), 0.0)
    times, _ = pass_time(concentrator, 400.0)
    assert times == [10.0, 30.0, 70.0, 130.0, 190.0, 250.0, 310.0, 370.0]


@pytest.mark.requirement("R6.6-2")
def test_renewed_demand_does_not_make_polls_more_frequent():
    concentrator = engine(demand_time=1.0)
    sent = []
    for tick in range(4000):
        now = tick / 10
        effects = concentrator.wake(now) + concentrator.handle(Downstream(HOST + tick % 500), now)
        sent += [now] * len(queries(effects))
    gaps = [b - a for a, b in itertools.pairwise(sent)]
    assert sent[0] == 0.0
    assert min(gaps) >= 10.0
    assert max(gaps) <= 60.2
    assert len(sent) >= 8


@pytest.mark.requirement("R6.6-1")
@pytest.mark.requirement("R6.6-5")
def test_a_lost_query_to_a_responsive_server_is_sent_again_with_its_own_back_off():
    concentrator = responsive(server_timer=1000.0, server_timer_last=1000.0, demand_time=1000.0)
    [lost] = queries(concentrator.handle(Downstream(HOST), 1.0))
    times, effects = pass_time(concentrator, 300.0)
    assert times == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 124.0, 184.0, 244.0]
    resent = queries(effects)
    assert [each.query.attempt for each in resent] == list(range(2, 11))
    assert {each.message.xid for each in resent} == {lost.message.xid}
    assert concentrator.counters["queries_resent"] == 9


@pytest.mark.requirement("R6.6-6")
def test_when_the_server_s_timer_goes_off_one_query_is_left_that_polls():
    concentrator = responsive(demand_time=1000.0)
    for number in range(30):
        concentrator.handle(Downstream(HOST + number), 1.0)
    times, effects = pass_time(concentrator, 100.0)
    before = [time for time in times if time <= 11.0]
    assert Counter(before) == {2.0: 30, 4.0: 30, 8.0: 30}
    after = [time for time in times if time > 11.0]
    assert after == [18.0, 38.0, 78.0]
    assert of_type(Abandon, effects) == []
    [poll] = queries(effects)[-1:]
    revived = concentrator.handle(active(poll), 100.0)
    assert len(queries(revived)) == 29, "those taken off the wire waited"


@pytest.mark.requirement("R6.6-6")
def test_a_late_answer_to_a_query_that_was_taken_off_the_wire_still_counts():
    concentrator = responsive()
    sent = [q for n in range(3) for q in queries(concentrator.handle(Downstream(HOST + n), 1.0))]
    pass_time(concentrator, 12.0)
    for query in sent:
        assert of_type(Permit, concentrator.handle(active(query), 12.5))
    assert len(concentrator.queries) == 0


@pytest.mark.requirement("R6.6-4")
def test_a_late_answer_to_a_query_that_nobody_wants_any_more_shows_that_the_server_lives():
    """The poll is given up after `demand_time`; its answer comes when the next poll is not due for long."""
    concentrator = engine(demand_time=5.0)
    [poll] = queries(concentrator.handle(Downstream(HOST), 0.0))
    assert of_type(Abandon, concentrator.wake(10.0)) == [Abandon(HOST)]
    [second] = queries(concentrator.handle(Downstream(HOST + 1), 10.0))
    effects = concentrator.handle(active(poll), 10.1)
    assert of_type(Permit, effects) == [], "what was held for it is gone, and so is the wish"
    assert len(queries(concentrator.handle(Downstream(HOST + 2), 10.2))) == 1
    assert of_type(Permit, concentrator.handle(active(second), 10.3))


@pytest.mark.requirement("R6.6-4")
def test_a_late_answer_to_a_query_that_was_displaced_from_the_queue_shows_that_the_server_lives():
    concentrator = responsive(waiting_limit=2, window=2)
    [first, second] = [q for n in (1, 2) for q in queries(concentrator.handle(Downstream(HOST + n), 1.0))]
    pass_time(concentrator, 12.0)  # the server is silent: one polls, the other waits
    effects = [e for n in (3, 4) for e in concentrator.handle(Downstream(HOST + n), 12.0)]
    [gone] = of_type(Abandon, effects)
    [late] = [query for query in (first, second) if query.query.address == gone.address]
    effects = concentrator.handle(active(late), 12.1)
    assert len(queries(effects)) == 1, "one beside the poll: that is the window"
    assert of_type(Permit, effects) == []


@pytest.mark.requirement("R6.6-4")
@pytest.mark.parametrize("kind", ["known", "unimplemented"])
def test_a_late_answer_to_a_query_that_is_sent_only_once_counts_for_the_server(kind):
    concentrator = responsive(ask_by="mac-upstream")
    [by_mac] = queries(concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 9.0))
    _, effects = pass_time(concentrator, 10.5)
    assert {each.query.form for each in queries(effects)} == {"ip"}
    effects = concentrator.handle(answer(by_mac, kind, chaddr=MAC), 10.6)
    assert [each.reply for each in of_type(Answered, effects)] == [kind]
    again = concentrator.handle(Upstream(CIRCUIT, OTHER_MAC, HOST + 1), 10.7)
    assert [each.query.form for each in queries(again)] == ["mac" if kind == "known" else "ip"]


@pytest.mark.requirement("R6.6-4")
def test_a_server_that_does_not_implement_a_form_is_not_silent():
    """UNIMPLEMENTED starts no timer anew, but after it the server owes nothing."""
    concentrator = responsive(ask_by="mac-upstream")
    [by_mac] = queries(concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 5.0))
    [by_address] = queries(concentrator.handle(answer(by_mac, "unimplemented", chaddr=MAC), 5.1))
    server = concentrator.queries.servers[SERVER]
    assert server.owes
    concentrator.handle(answer(by_address, "unimplemented"), 5.2)
    assert server.timer == 15.1, "from the query by IP address, the first after that"
    pass_time(concentrator, 15.5)
    assert server.state is ServerState.RESTING


def test_the_memory_of_queries_that_are_over_is_bounded(monkeypatch):
    monkeypatch.setattr("lq.concentrator.backoff._MOST_LATE", 3)
    concentrator = responsive(demand_time=0.5)
    sent = [q for n in range(5) for q in queries(concentrator.handle(Downstream(HOST + n), 1.0))]
    assert len(of_type(Abandon, concentrator.wake(2.0))) == 5
    late = [drops(concentrator.handle(active(query), 2.1)) for query in sent]
    assert sorted(late) == [[], [], [], ["unmatched"], ["unmatched"]]


@pytest.mark.requirement("R6.6-4")
def test_an_answer_starts_the_server_s_timer_anew():
    concentrator = responsive(demand_time=1000.0)
    for number in range(4):
        [query] = queries(concentrator.handle(Downstream(HOST + 100 + number), 9.0 * (number + 1)))
        concentrator.handle(active(query), 9.0 * (number + 1))
    for number in range(5):
        assert len(queries(concentrator.handle(Downstream(HOST + number), 40.0))) == 1


@pytest.mark.requirement("R6.6-3")
def test_a_server_that_rested_is_probed_with_one_query_that_is_sent_again_quickly():
    concentrator = responsive()
    assert pass_time(concentrator, 100.0) == ([], [])
    assert concentrator.deadline is None
    sent = [q for n in range(9) for q in queries(concentrator.handle(Downstream(HOST + n), 100.0))]
    assert len(sent) == 1
    times, _effects = pass_time(concentrator, 102.0)
    assert times == [101.0]
    assert len(queries(concentrator.handle(active(sent[0]), 102.0))) == 8


def test_silence_counts_only_while_something_is_asked():
    concentrator = responsive(server_timer=10.0)
    concentrator.handle(Downstream(HOST), 9.9)
    concentrator.handle(Downstream(HOST + 1), 9.9)
    times, _ = pass_time(concentrator, 12.0)
    assert times == [10.9, 10.9]


def test_a_query_that_nobody_asks_for_any_more_is_given_up():
    concentrator = responsive(demand_time=20.0, server_timer=100.0, server_timer_last=100.0)
    concentrator.handle(Downstream(HOST), 1.0)
    concentrator.handle(Downstream(HOST), 14.0)
    times, effects = pass_time(concentrator, 300.0)
    assert times == [2.0, 4.0, 8.0, 16.0, 32.0]
    assert of_type(Abandon, effects) == [Abandon(HOST)]
    assert len(concentrator.queries) == 0


def test_the_queue_is_bounded_and_gives_up_who_waited_longest():
    concentrator = engine(waiting_limit=5)
    effects = [e for n in range(10) for e in concentrator.handle(Downstream(HOST + n), 0.0)]
    assert of_type(Abandon, effects) == [Abandon(HOST + n) for n in range(1, 5)]
    assert len(concentrator.queries) == 6
    [query] = queries(effects)
    sent = queries(concentrator.handle(active(query), 0.1))
    assert [each.query.address for each in sent] == [HOST + n for n in range(5, 10)]


def test_a_seed_makes_identifiers_repeatable_and_none_does_not():
    def identifiers(seed):
        return [queries(engine(seed=seed).handle(Downstream(HOST), 0.0))[0].message.xid for _ in range(2)]

    assert identifiers(4)[0] == identifiers(4)[1]
    assert identifiers(4)[0] != identifiers(5)[0]
    assert identifiers(None)[0] != identifiers(None)[1]


# -- the whole of it, with a server in virtual time


@pytest.mark.requirement("R7-5")
def test_after_a_reboot_each_address_costs_one_query():
    hosts = [HOST + number for number in range(500)]
    model = server_model(*(binding(address) for address in hosts))
    network = world(model)
    for _ in range(20):
        for address in hosts:
            if network.concentrator.locations.get(int(address), network.now) is None:
                network.give(Downstream(address))
        network.run(network.now + 0.01)
    assert len(network.concentrator.locations) == 500
    assert set(model.received.values()) == {1}
    assert network.concentrator.counters["queries_resent"] == 0


@pytest.mark.requirement("R7-5")
@pytest.mark.requirement("R7-3")
def test_a_scan_costs_one_query_for_each_address_and_negative_time():
    model = server_model()
    network = world(model, known_time=100.0)
    scanned = [HOST + number for number in range(300)]
    for _ in range(50):
        for address in scanned:
            network.give(Downstream(address))
        network.run(network.now + 1.0)
    assert set(model.received.values()) == {1}
    network.run(105.0)
    for address in scanned:
        network.give(Downstream(address))
    network.run(106.0)
    assert set(model.received.values()) == {2}


def test_a_server_that_comes_back_gets_all_that_is_still_wanted():
    hosts = [HOST + number for number in range(150)]
    model = server_model(*(binding(address) for address in hosts))
    model.alive = False
    network = world(model, seed=3)
    for second in range(400):
        model.alive = second > 200
        for address in hosts:
            if network.concentrator.locations.get(int(address), network.now) is None:
                network.give(Downstream(address))
        network.run(network.now + 1.0)
    assert len(network.concentrator.locations) == 150
    located = [when for when, effect in network.record if isinstance(effect, Permit)]
    assert max(located) - 200 <= 61.5


def test_refused_addresses_are_dropped_without_a_query():
    model = server_model()
    network = world(model)
    network.give(Downstream(HOST))
    network.run(1.0)
    assert [type(effect) for _, effect in network.record][-1] is Refuse
    assert drops(network.give(Downstream(HOST))) == ["refused"]
    assert model.received == {HOST: 1}
    assert SERVER in network.servers


def test_when_a_late_answer_revives_the_server_the_poll_and_the_others_back_off_from_the_start():
    concentrator = responsive()
    sent = [q for n in range(3) for q in queries(concentrator.handle(Downstream(HOST + n), 1.0))]
    pass_time(concentrator, 40.0)
    again = queries(concentrator.handle(active(sent[1]), 40.0))
    assert len(again) == 1
    for number in (0, 2):
        assert concentrator.handle(Downstream(HOST + number), 40.0) == []
    times, _ = pass_time(concentrator, 44.0)
    assert times == [41.0, 41.0, 43.0, 43.0]
