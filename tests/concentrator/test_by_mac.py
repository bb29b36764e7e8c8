"""Policy "mac-upstream": a packet from an unknown host is asked about by its MAC address (R5-7)."""

import pytest

from lq.concentrator.events import Downstream, Drop, Permit, Upstream
from lq.wire import DRAFT_03, RFC4388, OptionCode
from lq.wire.options import pack_addresses
from tests.concentrator.helpers import (
    CIRCUIT,
    GIADDR,
    HOST,
    MAC,
    OTHER_CIRCUIT,
    OTHER_MAC,
    SECOND,
    SERVER,
    active,
    answer,
    binding,
    drops,
    engine,
    info,
    of_type,
    queries,
    server_model,
    world,
)

ELSEWHERE = HOST + 60000


def responsive(**settings):
    """An engine of this policy whose servers have just answered."""
    concentrator = engine(ask_by="mac-upstream", **settings)
    for query in queries(concentrator.handle(Downstream(ELSEWHERE), 0.0)):
        concentrator.handle(answer(query, "known"), 0.0)
    return concentrator


def upstream(concentrator, address=HOST, now=0.0, circuit=CIRCUIT, chaddr=MAC):
    return concentrator.handle(Upstream(circuit, chaddr, address), now)


@pytest.mark.requirement("R5-7")
def test_by_default_and_downstream_a_query_is_by_ip_address():
    for concentrator, event in (
        (engine(), Upstream(CIRCUIT, MAC, HOST)),
        (responsive(), Downstream(HOST)),
    ):
        [query] = queries(concentrator.handle(event, 0.0))
        assert query.query.form == "ip"


@pytest.mark.requirement("R1-5")
@pytest.mark.requirement("R6.2-5")
def test_an_unknown_host_is_asked_about_by_its_mac_address_and_has_to_have_the_address():
    concentrator = responsive()
    [query] = queries(upstream(concentrator))
    message = query.message
    assert (query.query.form, message.htype, message.chaddr, int(message.ciaddr)) == ("mac", 1, MAC, 0)
    assert (message.giaddr, message.flags) == (GIADDR, 0)
    assert OptionCode.CLIENT_IDENTIFIER not in message.options
    assert {51, 82} <= set(message.options[OptionCode.PARAMETER_REQUEST_LIST])
    assert upstream(concentrator, HOST + 1) == [], "one query, whatever addresses the host bears"
    effects = concentrator.handle(active(query, ciaddr=HOST), 0.1)
    assert [each.location.address for each in of_type(Permit, effects)] == [HOST]
    [drop] = of_type(Drop, effects)
    assert (drop.reason.value, drop.address, drop.circuit) == ("spoofed", HOST + 1, CIRCUIT)


@pytest.mark.requirement("R5-7")
@pytest.mark.requirement("R6.1-2")
def test_the_client_s_other_addresses_are_asked_about_by_ip_address():
    concentrator = responsive()
    [query] = queries(upstream(concentrator))
    others = {OptionCode.REQUESTED_ADDRESS: pack_addresses([HOST, HOST + 5])}
    effects = concentrator.handle(active(query, ciaddr=HOST, options=others), 0.1)
    assert of_type(Permit, effects)[0].location.address == HOST
    assert [each.query.address for each in queries(effects)] == [HOST + 5]


def test_an_answer_by_mac_address_does_not_disturb_a_location():
    concentrator = responsive()
    [query] = queries(upstream(concentrator, HOST + 1))
    [by_address] = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(active(by_address, chaddr=OTHER_MAC), 0.1)
    effects = concentrator.handle(active(query, ciaddr=HOST), 0.2)
    assert of_type(Permit, effects) == []
    assert concentrator.locations.get(int(HOST), 0.2).chaddr == OTHER_MAC


def test_a_host_elsewhere_with_that_mac_address_gets_nothing():
    concentrator = responsive()
    [query] = queries(upstream(concentrator, circuit=OTHER_CIRCUIT))
    effects = concentrator.handle(active(query, ciaddr=HOST), 0.1)
    assert of_type(Permit, effects)[0].location.admits(CIRCUIT, MAC)
    assert drops(effects) == ["spoofed"]


def test_a_source_that_is_another_of_the_client_s_addresses_is_asked_about_by_ip_address():
    concentrator = responsive()
    [query] = queries(upstream(concentrator, HOST + 5))
    others = {OptionCode.REQUESTED_ADDRESS: pack_addresses([HOST, HOST + 5])}
    effects = concentrator.handle(active(query, ciaddr=HOST, options=others), 0.1)
    [second] = queries(effects)
    assert (second.query.form, second.query.address) == ("ip", HOST + 5)
    assert drops(effects) == []
    effects = concentrator.handle(active(second, chaddr=OTHER_MAC), 0.2)
    assert drops(effects) == ["spoofed"], "and the source is verified by that answer"


@pytest.mark.requirement("R7-3")
@pytest.mark.parametrize("kind", ["known", "unknown"])
def test_a_host_without_a_lease_is_not_asked_about_again_for_a_time(kind):
    concentrator = responsive(known_time=50.0, unknown_time=50.0, quota_interval=1.0)
    [query] = queries(upstream(concentrator))
    effects = concentrator.handle(answer(query, kind, ciaddr=HOST, chaddr=MAC), 0.1)
    assert drops(effects) == ["spoofed"]
    for number in range(200):
        assert drops(upstream(concentrator, HOST + number, 1.0 + number / 10)) == ["spoofed"]
    assert concentrator.counters["queries_sent"] == 2
    for poll in queries(concentrator.handle(Downstream(HOST), 51.0)):
        concentrator.handle(answer(poll, "known"), 51.0)  # the server was not asked for long
    [again] = queries(upstream(concentrator, HOST + 1, 51.0))
    assert again.query.form == "mac"


@pytest.mark.requirement("R5-7")
@pytest.mark.parametrize("dialect", [DRAFT_03, RFC4388], ids=lambda each: each.name)
def test_a_client_without_a_lease_shuts_no_address_out(dialect):
    """By MAC address UNKNOWN speaks of that client: the address that it bore is asked about as ever."""
    model = server_model(binding(chaddr=OTHER_MAC, info=info(OTHER_CIRCUIT)), dialect=dialect)
    network = world(model, ask_by="mac-upstream", dialect=dialect)
    network.give(Downstream(ELSEWHERE))
    network.run(1.0)
    network.give(Upstream(CIRCUIT, MAC, HOST))
    network.run(2.0)
    assert network.concentrator.negative_cache.get(int(HOST), 2.0) is None
    assert [each.reason.value for _, each in network.record if isinstance(each, Drop)] == ["spoofed"]
    network.give(Downstream(HOST))
    network.run(3.0)
    assert [each.query.form for each in queries([effect for _, effect in network.record])] == [
        "ip",
        "mac",
        "ip",
    ]
    assert network.concentrator.locations.get(int(HOST), 3.0).admits(OTHER_CIRCUIT, OTHER_MAC)


def test_a_host_that_spoofs_ever_other_addresses_costs_one_query():
    model = server_model()
    network = world(model, ask_by="mac-upstream", circuit_queries=0)
    network.give(Downstream(ELSEWHERE))
    network.run(1.0)
    for number in range(500):
        network.give(Upstream(CIRCUIT, MAC, HOST + number))
        network.run(network.now + 0.05)
    assert len(model.arrivals) == 2


def test_a_lease_that_was_renewed_unseen_is_asked_about_again_when_it_is_over():
    """Who once bore a wrong address is not shut out for longer than that answer held."""
    concentrator = responsive(known_time=300.0)
    [query] = queries(upstream(concentrator))
    upstream(concentrator, HOST + 1)
    concentrator.handle(active(query, ciaddr=HOST, lease=5), 0.1)
    concentrator.wake(5.2)
    [again] = queries(upstream(concentrator, now=5.2))
    assert of_type(Permit, concentrator.handle(active(again, ciaddr=HOST), 5.3))


@pytest.mark.requirement("R6.5-6")
def test_where_the_form_is_not_implemented_it_is_asked_by_ip_address_and_remembered_for_each_server():
    concentrator = responsive(servers=(SERVER, SECOND))
    first, second = queries(upstream(concentrator))
    assert {first.query.form, second.query.form} == {"mac"}
    assert queries(concentrator.handle(answer(first, "unimplemented"), 0.1)) == []
    effects = concentrator.handle(answer(second, "unimplemented"), 0.1)
    assert {each.query.form for each in queries(effects)} == {"ip"}
    assert {each.query.form for each in queries(upstream(concentrator, HOST + 1, 0.2))} == {"ip"}
    one = responsive(servers=(SERVER, SECOND))
    concentrator = one
    first, second = queries(upstream(one))
    one.handle(answer(first, "unimplemented"), 0.1)
    one.handle(active(second, ciaddr=HOST), 0.1)
    [later] = queries(upstream(one, HOST + 1, 0.2, chaddr=OTHER_MAC))
    assert (later.query.form, later.server) == ("mac", second.server)


@pytest.mark.parametrize("state", [{"forms": ("ip",)}, {"forms": ("ip",), "dialect": "rfc4388"}])
def test_a_server_that_is_silent_about_mac_addresses_holds_nobody_up(state):
    from lq.wire import DRAFT_03, RFC4388

    dialect = RFC4388 if state.get("dialect") else DRAFT_03
    model = server_model(binding(), forms=("ip",), dialect=dialect)
    network = world(model, ask_by="mac-upstream", dialect=dialect)
    network.give(Downstream(ELSEWHERE))
    network.run(1.0)
    network.give(Upstream(CIRCUIT, MAC, HOST))
    network.run(3.0)
    assert network.concentrator.locations.get(int(HOST), 3.0) is not None
    assert len(model.arrivals) == 3


def test_a_server_that_is_not_known_to_answer_is_asked_by_ip_address():
    """It has to answer that (R5-4); so a poll never waits for a form that it need not know."""
    concentrator = engine(ask_by="mac-upstream")
    [probe] = queries(upstream(concentrator))
    assert probe.query.form == "ip"
    concentrator = responsive()
    upstream(concentrator)
    concentrator.handle(Downstream(HOST + 7), 0.5)
    concentrator.wake(1.0)  # the first try by MAC address is over
    polls = [e for now in (2.0, 4.0, 8.0, 16.0, 40.0) for e in queries(concentrator.wake(now))]
    assert {each.query.form for each in polls} == {"ip"}
    assert [each.query.address for each in polls if each.query.address == HOST]


def test_claims_that_are_refused_by_now_or_located_are_judged_by_that_when_nobody_answers():
    concentrator = responsive()
    sent = queries(upstream(concentrator, HOST)) + queries(upstream(concentrator, HOST + 1))
    upstream(concentrator, HOST + 2)
    assert len(sent) == 1
    [refused] = queries(concentrator.handle(Downstream(HOST), 0.1))
    [located] = queries(concentrator.handle(Downstream(HOST + 1), 0.1))
    concentrator.handle(answer(refused, "known"), 0.2)
    concentrator.handle(active(located, chaddr=OTHER_MAC, option82=info(OTHER_CIRCUIT)), 0.2)
    effects = concentrator.wake(1.0)
    assert sorted(drops(effects)) == ["refused", "spoofed"]
    assert [each.query.address for each in queries(effects)] == [HOST + 2]
