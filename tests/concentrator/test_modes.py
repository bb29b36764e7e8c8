"""Hosts found by broadcast ARP (section 4.1's warning), or not at all: the modes for comparison."""

import pytest

from lq.concentrator.events import (
    Abandon,
    ArpReply,
    BroadcastArp,
    Downstream,
    Drop,
    FromClient,
    ModemRegistered,
    Permit,
    Refuse,
    Upstream,
    Withdraw,
)
from lq.concentrator.reasons import DropReason, RefusalReason
from lq.wire import MessageType, OptionCode
from tests.concentrator.helpers import (
    CIRCUIT,
    HOST,
    MAC,
    MODEM,
    NETWORK,
    OTHER_CIRCUIT,
    OTHER_MAC,
    binding,
    client_message,
    drops,
    engine,
    of_type,
    queries,
    server_message,
    server_model,
    world,
)

KEY = int(HOST)
ANSWER = ArpReply(CIRCUIT, MAC, HOST)
LIE = ArpReply(OTHER_CIRCUIT, OTHER_MAC, HOST)


def arp(**settings):
    return engine(mode="arp", **settings)


def pass_time(concentrator, until):
    """Wake the engine whenever it wants; return its effects with their times."""
    record = []
    while concentrator.deadline is not None and concentrator.deadline <= until:
        now = concentrator.deadline
        record += [(now, effect) for effect in concentrator.wake(now)]
    return record


def lease(concentrator, now=0.0, seconds=3600, circuit=CIRCUIT, chaddr=MAC):
    """Let a client take HOST through the relay; return the effects of the ACK."""
    options = {OptionCode.REQUESTED_ADDRESS: HOST.packed}
    message = client_message(MessageType.REQUEST, chaddr=chaddr, options=options)
    [relayed] = concentrator.handle(FromClient(circuit, message), now)
    return concentrator.handle(server_message(relayed, MessageType.ACK, yiaddr=HOST, lease=seconds), now)


@pytest.mark.requirement("R4.1-1")
def test_an_unlocated_address_is_asked_for_on_all_circuits_and_who_answers_first_is_believed():
    concentrator = arp(arp_time=600.0)
    concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 0.0)
    assert concentrator.handle(Downstream(HOST), 1.0) == [BroadcastArp(HOST)]
    assert concentrator.handle(Downstream(HOST), 1.1) == [], "once while a search is on"
    [permit] = concentrator.handle(ANSWER, 1.2)
    location = permit.location
    assert (location.address, location.htype, location.chaddr) == (HOST, 1, MAC)
    assert (location.circuit, location.modem, location.expires) == (CIRCUIT, MODEM, 601.2)
    assert pass_time(concentrator, 600.0) == []
    assert pass_time(concentrator, 602.0) == [(601.2, Withdraw(location))]
    assert concentrator.handle(Downstream(HOST), 602.0) == [BroadcastArp(HOST)]


@pytest.mark.requirement("R4.1-1")
def test_a_host_that_answers_for_its_neighbour_first_gets_its_traffic():
    concentrator = arp()
    concentrator.handle(Downstream(HOST), 0.0)
    [permit] = concentrator.handle(LIE, 0.1)
    assert permit.location.admits(OTHER_CIRCUIT, OTHER_MAC)
    assert concentrator.handle(ANSWER, 0.2) == [Drop(DropReason.ARP_CONTRADICTION, HOST, CIRCUIT, MAC)]
    assert drops(concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 0.3)) == ["spoofed"]
    assert concentrator.counters["dropped_arp-contradiction"] == 1


def test_answers_that_nobody_asked_for_are_ignored_and_counted():
    for concentrator in (arp(), engine(), engine(mode="glean-only")):
        assert drops(concentrator.handle(ANSWER, 0.0)) == ["arp-unasked"]
        assert len(concentrator.locations) == 0
    concentrator = arp()
    concentrator.handle(Downstream(HOST), 0.0)
    concentrator.handle(ANSWER, 0.1)
    assert drops(concentrator.handle(ANSWER, 0.2)) == ["arp-unasked"], "a duplicate"
    assert concentrator.locations.get(KEY, 0.3).expires == 0.1 + concentrator.config.arp_time


def test_broadcasts_back_off_and_an_address_that_nobody_answers_for_is_refused_for_a_time():
    concentrator = arp(arp_retry=0.5, arp_attempts=4, arp_refused_time=30.0)
    concentrator.handle(Downstream(HOST), 10.0)
    record = pass_time(concentrator, 100.0)
    assert [(when, type(effect)) for when, effect in record] == [
        (10.5, BroadcastArp),
        (11.5, BroadcastArp),
        (13.5, BroadcastArp),
        (17.5, Refuse),
    ]
    assert record[-1][1] == Refuse(HOST, 47.5, RefusalReason.NO_ARP_REPLY)
    assert drops(concentrator.handle(ANSWER, 18.0)) == ["arp-unasked"], "too late"
    assert drops(concentrator.handle(Downstream(HOST), 47.4)) == ["refused"]
    assert concentrator.handle(Downstream(HOST), 47.5) == [BroadcastArp(HOST)]
    assert concentrator.counters["arp_requests"] == 5


@pytest.mark.requirement("R1-5")
def test_a_source_has_to_be_who_answers():
    concentrator = arp()
    assert concentrator.handle(Upstream(OTHER_CIRCUIT, OTHER_MAC, HOST), 0.0) == [BroadcastArp(HOST)]
    assert concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 0.0) == []
    effects = concentrator.handle(ANSWER, 0.1)
    assert [type(each) for each in effects] == [Permit, Drop]
    assert (effects[1].reason.value, effects[1].circuit) == ("spoofed", OTHER_CIRCUIT)


@pytest.mark.requirement("R7-4")
def test_broadcasts_keep_to_the_access_networks_and_to_the_share_of_each_circuit():
    concentrator = arp(circuit_queries=2, network_queries=1)
    assert drops(concentrator.handle(Downstream(NETWORK[-1] + 7), 0.0)) == ["out-of-range"]
    sources = [Upstream(CIRCUIT, MAC, HOST + number) for number in range(4)]
    assert len(of_type(BroadcastArp, [e for s in sources for e in concentrator.handle(s, 0.0)])) == 2
    assert concentrator.counters["dropped_query-limit"] == 2
    assert drops(concentrator.handle(Upstream(OTHER_CIRCUIT, MAC, HOST + 9), 0.0)) == []
    assert drops(concentrator.handle(Downstream(HOST + 10), 0.0)) == []
    assert drops(concentrator.handle(Downstream(HOST + 11), 0.0)) == ["query-limit"]


def test_searches_are_bounded_and_the_oldest_makes_room():
    concentrator = arp(waiting_limit=4)
    effects = [e for n in range(100) for e in concentrator.handle(Downstream(HOST + n), 0.0)]
    assert of_type(Abandon, effects) == [Abandon(HOST + n) for n in range(96)]
    assert len(concentrator._arp) == 4
    assert len(concentrator._arp._timers) == 4
    again = [effect.address for _, effect in pass_time(concentrator, 1.0)]
    assert again == [HOST + n for n in range(96, 100)], "nothing is forgotten that is still on"


def test_no_query_leaves_in_the_other_modes():
    for mode in ("arp", "glean-only"):
        model = server_model(binding())
        network = world(model, mode=mode)
        for _ in range(100):
            network.give(Downstream(HOST))
            network.give(Upstream(CIRCUIT, MAC, HOST + 1))
            network.run(network.now + 1.0)
        assert model.arrivals == []


@pytest.mark.requirement("R1-7")
@pytest.mark.parametrize("mode", ["leasequery", "glean-only", "arp"])
def test_the_relay_gleans_in_every_mode(mode):
    concentrator = engine(mode=mode)
    concentrator.handle(Downstream(HOST), 0.0)  # a query, a search by ARP, or nothing
    [_, permit] = lease(concentrator, 0.1)
    assert permit.location.admits(CIRCUIT, MAC)
    assert concentrator.handle(Downstream(HOST), 0.2) == [permit]
    assert drops(concentrator.handle(LIE, 0.3)) != [], "a lease counts more than who answers"
    assert [e for _, e in pass_time(concentrator, 100.0) if isinstance(e, BroadcastArp)] == []


def test_gleaning_takes_an_address_back_from_who_answered_for_it():
    concentrator = arp()
    concentrator.handle(Downstream(HOST), 0.0)
    [lie] = concentrator.handle(LIE, 0.1)
    _, withdraw, permit = lease(concentrator, 1.0)
    assert withdraw == Withdraw(lie.location)
    assert permit.location.admits(CIRCUIT, MAC)


def test_gleaning_only_nothing_is_asked_and_nobody_located_until_the_client_renews():
    concentrator = engine(mode="glean-only")
    for event in (Downstream(HOST), Upstream(CIRCUIT, MAC, HOST)):
        effects = concentrator.handle(event, 0.0)
        assert drops(effects) == ["unlocated"]
        assert queries(effects) == []
    assert concentrator.deadline is None
    lease(concentrator, 1.0, seconds=60)
    assert concentrator.deadline == 61.0
    assert [type(effect) for effect in concentrator.wake(61.0)] == [Withdraw]
    assert drops(concentrator.handle(Downstream(HOST), 62.0)) == ["unlocated"]
