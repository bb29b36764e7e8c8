from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from lq.concentrator.events import Circuit, Location
from lq.concentrator.location import Awaiting, Locations
from lq.concentrator.negative_cache import NegativeCache, Refusal
from lq.concentrator.timed_set import TimedSet
from lq.concentrator.timers import NEVER
from tests.concentrator.helpers import CIRCUIT, HOST, MAC, MODEM, OTHER_CIRCUIT, OTHER_MAC

KEY = int(HOST)


def location(address=HOST, chaddr=MAC, circuit=CIRCUIT, modem=MODEM, expires=10.0):
    return Location(address, 1, chaddr, circuit, modem, expires)


def test_a_location_holds_until_its_lease_expires():
    table = Locations()
    table.put(location(expires=10.0))
    assert table.get(KEY, 9.999) == location(expires=10.0)
    assert table.get(KEY, 10.0) is None
    assert table.deadline == 10.0
    assert table.expire(9.9) == []
    assert table.expire(10.0) == [location(expires=10.0)]
    assert len(table) == 0
    assert table.deadline == NEVER


def test_a_renewal_moves_the_expiry_and_a_shorter_lease_moves_it_back():
    table = Locations()
    table.put(location(expires=10.0))
    assert table.put(location(expires=20.0)) is None
    assert table.expire(15.0) == []
    assert table.deadline == 20.0
    table.put(location(expires=16.0))
    assert table.deadline == 16.0
    assert table.expire(16.0) == [location(expires=16.0)]
    assert table.expire(30.0) == []


def test_another_host_or_circuit_takes_the_former_flows_away():
    table = Locations()
    table.put(location())
    moved = location(circuit=OTHER_CIRCUIT)
    assert table.put(moved) == location()
    assert table.at(CIRCUIT) == []
    assert table.at(OTHER_CIRCUIT) == table.at(MODEM) == [moved]
    reassigned = location(chaddr=OTHER_MAC, circuit=OTHER_CIRCUIT, modem=None)
    assert table.put(reassigned) == moved
    assert table.at(MODEM) == []


addresses = st.integers(1, 6).map(lambda number: IPv4Address("198.18.0.0") + number)
steps = st.one_of(
    st.tuples(
        st.just("put"),
        st.builds(
            location,
            addresses,
            st.sampled_from([MAC, OTHER_MAC]),
            st.sampled_from([CIRCUIT, OTHER_CIRCUIT, Circuit(1)]),
            st.sampled_from([None, MODEM]),
            st.floats(0, 20),
        ),
    ),
    st.tuples(st.just("remove"), addresses),
    st.tuples(st.just("time"), st.floats(0, 5)),
)


@given(st.lists(steps, max_size=40))
def test_the_table_is_a_mapping_with_indexes_and_expiry(script):
    table, model, now = Locations(), {}, 0.0
    for kind, value in script:
        if kind == "put":
            former = model.get(value.address)
            changed = former is not None and (former.chaddr, former.circuit) != (value.chaddr, value.circuit)
            assert table.put(value) == (former if changed else None)
            model[value.address] = value
        elif kind == "remove":
            assert table.remove(int(value)) == model.pop(value, None)
        else:
            now += value
            ended = {each.address for each in table.expire(now)}
            assert ended == {a for a, each in model.items() if each.expires <= now}
            model = {a: each for a, each in model.items() if a not in ended}
        assert {each.address: each for each in table} == model
        for place in (CIRCUIT, OTHER_CIRCUIT, Circuit(1), MODEM):
            expected = [model[a] for a in sorted(model) if place in (model[a].circuit, model[a].modem)]
            assert table.at(place) == expected
        first = min((each.expires for each in model.values()), default=NEVER)
        assert table.deadline <= first


def test_hosts_wait_for_their_modem_within_bounds():
    waiting = Awaiting(limit=2)
    hosts = [location(address=HOST + number, expires=10.0 + number) for number in range(3)]
    for each in hosts:
        waiting.put(each)
    assert len(waiting) == 2
    assert waiting.get(KEY, 0.0) is None
    assert waiting.get(KEY + 1, 11.0) is None
    assert waiting.take(MODEM, 11.5) == [hosts[2]]
    assert len(waiting) == 0
    assert waiting.take(MODEM, 0.0) == []


def test_the_negative_cache_is_bounded_and_forgets_in_time():
    cache = TimedSet(limit=3)
    for number in range(5):
        cache.add(number, 10.0 + number, 0.0)
    assert len(cache) == 3
    assert cache.until(1, 0.0) is None
    assert cache.until(2, 11.9) == 12.0
    assert cache.until(2, 12.0) is None
    cache.add(9, 30.0, 13.5)
    assert list(cache) == [(4, 14.0), (9, 30.0)], "entries whose time is over make room first"


def test_an_address_is_refused_for_one_reason_and_one_reason_cannot_crowd_out_another():
    refused = NegativeCache(limit=2)
    refused.add(1, 10.0, "known", 0.0)
    for address in range(2, 9):
        refused.add(address, 10.0, "unknown", 0.0)
    assert refused.get(1, 5.0) == Refusal(1, 10.0, "known")
    refused.add(1, 20.0, "unknown", 0.0)
    assert refused.get(1, 5.0) == Refusal(1, 20.0, "unknown")
    assert len(refused) == 2
    refused.discard(1)
    assert refused.get(1, 5.0) is None
    assert [each.address for each in refused] == [8]
