from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from random import Random

import pytest

from lq.concentrator.events import (
    ArpReply,
    BroadcastArp,
    Downstream,
    Permit,
    Refuse,
    ToServer,
    Upstream,
    Withdraw,
)
from lq.server import bindings as server_bindings
from lq.server.config import parse
from lq.server.query import build
from lq.server.service import Service
from lq.simulation.server import Binding, ServerModel
from lq.simulation.world import Link, World
from lq.wire import RFC4388, RelayInfo, decode
from lq.wire import dialect as of_name
from tests.concentrator.helpers import (
    CIRCUIT,
    HOST,
    MAC,
    NETWORK,
    OTHER_CIRCUIT,
    OTHER_MAC,
    SERVER,
    binding,
    engine,
    of_type,
    server_model,
    world,
)


def effects(network, kind):
    return of_type(kind, [effect for _, effect in network.record])


@pytest.mark.requirement("R3-1")
def test_a_query_changes_nothing_at_the_server():
    model = server_model(binding())
    before = {address: replace(each) for address, each in model.bindings.items()}
    network = world(model)
    network.give(Downstream(HOST))
    network.run(1.0)
    assert effects(network, Permit)
    assert model.bindings == before
    assert {effect.message.message_type for effect in effects(network, ToServer)} == {RFC4388.leasequery}


def test_a_packet_downstream_becomes_a_query_and_its_answer_a_location():
    network = world(server_model(binding()))
    network.link.delay = 0.02
    network.give(Downstream(HOST))
    network.run(0.039)
    assert effects(network, Permit) == []
    network.run(0.041)
    [permit] = effects(network, Permit)
    assert permit.location.admits(CIRCUIT, MAC)


def test_the_concentrator_is_woken_at_its_deadlines():
    network = world(server_model(binding(expires=50.0)))
    network.give(Downstream(HOST))
    network.run(60.0)
    [(when, _)] = [(when, effect) for when, effect in network.record if isinstance(effect, Withdraw)]
    assert 49.0 <= when <= 50.01


def test_a_reboot_forgets_and_leasequery_brings_it_back():
    network = world(server_model(binding()))
    network.give(Downstream(HOST))
    network.run(1.0)
    network.reboot(engine())
    assert len(network.concentrator.locations) == 0
    network.give(Upstream(CIRCUIT, MAC, HOST))
    network.run(2.0)
    assert len(network.concentrator.locations) == 1


def test_hosts_answer_a_broadcast_each_in_its_own_time():
    network = world(server_model(), mode="arp")
    owner, liar = ArpReply(CIRCUIT, MAC, HOST), ArpReply(OTHER_CIRCUIT, OTHER_MAC, HOST)
    network.who_has = lambda address: [(0.2, owner), (0.1, liar)] if address == HOST else []
    network.give(Downstream(HOST))
    network.give(Downstream(HOST + 1))
    network.run(60.0)
    [permit] = effects(network, Permit)
    assert permit.location.admits(OTHER_CIRCUIT, OTHER_MAC)
    assert [each.address for each in effects(network, Refuse)] == [HOST + 1]
    assert len(effects(network, BroadcastArp)) == 1 + 3
    assert network.concentrator.counters["dropped_arp-contradiction"] == 1


def test_links_lose_duplicate_and_delay_as_they_should():
    random = Random(1)
    arrivals = [Link(delay=1.0, jitter=0.5, loss=0.2, duplication=0.1).arrivals(random) for _ in range(20000)]
    assert sum(not each for each in arrivals) / 20000 == pytest.approx(0.2, abs=0.01)
    assert sum(len(each) == 2 for each in arrivals) / 20000 == pytest.approx(0.08, abs=0.01)
    delays = [delay for each in arrivals for delay in each]
    assert 1.0 <= min(delays) < 1.01
    assert 1.49 < max(delays) <= 1.5


@pytest.mark.parametrize(("state", "expected"), [("managed", "known"), ("foreign", "unknown")])
def test_the_server_model_knows_what_it_manages(state, expected):
    model = ServerModel(manages=(NETWORK,) if state == "managed" else (), dialect=RFC4388)
    network = World(engine(dialect=RFC4388), {SERVER: model})
    network.give(Downstream(HOST))
    network.run(1.0)
    assert [each.reason.value for each in effects(network, Refuse)] == [expected]


@pytest.mark.parametrize("dialect", ["draft-03", "rfc4388"])
def test_the_server_model_answers_as_the_built_in_server(dialect):
    """Addresses leased, ended and free, clients with a lease, with one beside one that ended, without."""
    config = f"listen: 198.18.0.2\ndatabase: x\ndialect: {dialect}\n"
    config += "leasequery: {requesters: [198.18.0.1]}\n"
    config += "subnets: [{network: 198.18.0.0/16, pools: [198.18.1.0-198.18.1.9]}]\n"
    kept = [  # address, client, until when, since when
        (1, 1, 500.0, 10.0), (2, 1, 100.0, 50.0), (3, 2, 90.0, 20.0),
        (4, 3, 500.0, 30.0), (5, 3, 400.0, 40.0),
    ]  # fmt: skip
    first = IPv4Address("198.18.1.0")
    model = ServerModel((IPv4Network("198.18.1.0/28"),), dialect=of_name(dialect))
    bindings = []
    for number, client, until, since in kept:
        chaddr = bytes((2, 0, 0, 0, 0, client))
        relay_info = RelayInfo(b"circuit", b"modem")
        model.bind(Binding(first + number, chaddr, relay_info, until, since))
        packed = (first + number).packed
        stored = server_bindings.Binding(packed, 1, chaddr, expires=until, last_transaction=since)
        bindings.append(replace(stored, relay_info=relay_info.encode()))
    service = Service(parse(config), bindings)
    queries = [{"address": first + number} for number in range(10)] + [{"address": "198.19.7.7"}]
    queries += [{"hardware": bytes((2, 0, 0, 0, 0, client))} for client in range(5)]
    asked = {"giaddr": "198.18.0.1", "requested": (51, 82, 91, 50, 92), "dialect": of_name(dialect)}
    for query in queries:
        message = build(**asked, **query)
        theirs = decode(service.handle(message.encode(), 200.0, ("198.18.0.1", 67))[0])
        ours = model.respond(message, 200.0)
        for name in ("message_type", "ciaddr", "xid", "giaddr", "flags"):
            assert getattr(ours, name) == getattr(theirs, name), (query, name)
        if ours.message_type != RFC4388.unknown:
            assert (ours.htype, ours.chaddr) == (theirs.htype, theirs.chaddr), query
        by_ip = "address" in query  # the model lists addresses only where a client is named
        for code in (51, 82, 91) if by_ip else (51, 82, 91, 50):
            assert ours.options.get(code) == theirs.options.get(code), (query, code)
        others = theirs.options.get(92, b"").replace(theirs.ciaddr.packed, b"")  # ciaddr may be left out
        assert by_ip or ours.options.get(92, b"") == others, query


def test_reports_that_reach_nobody_do_no_harm():
    network = World(engine(), {})
    network.give(Downstream(HOST))
    network.run(100.0)
    assert network.concentrator.counters["queries_resent"] == 3
