"""Sections 5, 6.2, 6.5, 6.7 and 7: what is asked, and what is made of the answers."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from lq.concentrator.events import (
    Abandon,
    Answered,
    Downstream,
    Drop,
    ModemRegistered,
    Permit,
    Refuse,
    RefusedAddress,
    SpoofedSource,
    Upstream,
    Withdraw,
)
from lq.concentrator.reasons import DropReason, RefusalReason
from lq.wire import DRAFT_03, RFC4388, Message, OptionCode, decode
from lq.wire.options import FOREVER
from tests.concentrator.helpers import (
    CIRCUIT,
    GIADDR,
    HOST,
    LEASE,
    MAC,
    MODEM,
    OTHER_CIRCUIT,
    OTHER_MAC,
    OTHER_MODEM,
    SECOND,
    SERVER,
    active,
    answer,
    drops,
    engine,
    info,
    of_type,
    queries,
)

KEY = int(HOST)
BOTH = {"servers": (SERVER, SECOND)}


def ask(concentrator, address=HOST, now=0.0):
    """Let a packet come downstream; return its only query."""
    [query] = queries(concentrator.handle(Downstream(address), now))
    return query


def responsive(**settings):
    """An engine whose servers have just answered."""
    concentrator = engine(**settings)
    for query in queries(concentrator.handle(Downstream(HOST + 1), 0.0)):
        concentrator.handle(answer(query, "known"), 0.0)
    return concentrator


# -- the query


@pytest.mark.requirement("R5-1")
@pytest.mark.requirement("R6.2-1")
@pytest.mark.requirement("R6.2-2")
@pytest.mark.requirement("R6.2-3")
@pytest.mark.requirement("R6.2-4")
@pytest.mark.requirement("R5-7")
def test_a_packet_downstream_for_an_unknown_location_is_asked_about_by_ip_address():
    query = ask(engine())
    assert query.server == SERVER
    assert (query.query.address, query.query.form, query.query.attempt) == (HOST, "ip", 1)
    message = decode(query.message.encode())
    assert message.message_type == 10
    assert message.giaddr == GIADDR
    assert message.ciaddr == HOST
    assert (message.op, message.htype, message.hlen, message.chaddr, message.flags) == (1, 0, 0, b"", 0)
    assert OptionCode.CLIENT_IDENTIFIER not in message.options
    assert {51, 82} <= set(message.options[OptionCode.PARAMETER_REQUEST_LIST])


@pytest.mark.requirement("R6.2-7")
@pytest.mark.requirement("R7-4")
@pytest.mark.parametrize(
    "address",
    ["198.19.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.0", "198.18.255.255", str(GIADDR)],
)
def test_no_query_about_an_address_that_no_host_on_the_access_networks_can_have(address):
    concentrator = engine()
    for event in (Downstream(IPv4Address(address)), Upstream(CIRCUIT, MAC, IPv4Address(address))):
        assert drops(concentrator.handle(event, 0.0)) == ["out-of-range"]
    assert concentrator.counters["queries_sent"] == 0
    assert concentrator.deadline is None


def test_without_leasequery_nothing_is_asked():
    concentrator = engine(mode="glean-only")
    assert drops(concentrator.handle(Downstream(HOST), 0.0)) == ["unlocated"]
    assert drops(concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 0.0)) == ["unlocated"]
    assert concentrator.deadline is None


@pytest.mark.requirement("R7-5")
def test_an_address_is_asked_about_once_whoever_wants_it():
    concentrator = responsive()
    ask(concentrator)
    for _ in range(5):
        assert concentrator.handle(Downstream(HOST), 0.1) == []
        assert concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 0.1) == []


# -- ACTIVE


@pytest.mark.requirement("R6.5-1")
@pytest.mark.requirement("R1-4")
@pytest.mark.requirement("R5-11")
@pytest.mark.requirement("R1-3")
def test_active_locates_until_the_lease_expires():
    concentrator = engine()
    concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 0.0)
    query = ask(concentrator, now=1.0)
    answered, permit = concentrator.handle(active(query, option82=info(CIRCUIT, MODEM)), 1.25)
    assert answered == Answered(HOST, SERVER, "ip", "active", 0.25, 1)
    location = permit.location
    assert (location.address, location.htype, location.chaddr) == (HOST, 1, MAC)
    assert (location.circuit, location.modem, location.expires) == (CIRCUIT, MODEM, 1.25 + LEASE)
    assert concentrator.counters["replies_active"] == 1
    # The server's own timer lets it rest; the lease is what ends later.
    while concentrator.deadline < location.expires:
        concentrator.wake(concentrator.deadline)
    assert concentrator.deadline == location.expires
    assert concentrator.wake(location.expires) == [Withdraw(location)]


def test_an_answer_has_to_be_about_what_was_asked_of_whom():
    concentrator = engine(**BOTH)
    first, second = queries(concentrator.handle(Downstream(HOST), 0.0))
    strangers = [
        active(first, ciaddr=HOST + 1),
        active(first, server=SECOND),
        active(second, server=SERVER),
    ]
    for wrong in strangers:
        assert drops(concentrator.handle(wrong, 0.1)) == ["unmatched"]
    assert drops(concentrator.handle(active(first, server=HOST), 0.1)) == ["unmatched"]
    assert of_type(Permit, concentrator.handle(active(first), 0.1))
    assert drops(concentrator.handle(active(first), 0.1)) == ["unmatched"], "a duplicate"


@pytest.mark.parametrize(
    "options", [{82: b"\x01\x09x"}, {51: b"\x00"}, {91: b"\x00\x00"}, {50: b"\x00\x00\x00"}]
)
def test_an_unreadable_answer_is_no_answer(options):
    concentrator = engine()
    query = ask(concentrator)
    assert drops(concentrator.handle(active(query, options=options), 0.1)) == ["malformed"]
    assert of_type(Permit, concentrator.handle(active(query), 0.2)), "a better copy still counts"


@pytest.mark.parametrize("chaddr", [b"", MAC])
def test_a_lease_that_cannot_be_located_is_refused_for_a_while(chaddr):
    concentrator = engine(known_time=30.0)
    effects = concentrator.handle(active(ask(concentrator), option82=None, chaddr=chaddr), 1.0)
    [refuse] = of_type(Refuse, effects)
    assert refuse == Refuse(HOST, 31.0, RefusalReason.NO_LOCATION if chaddr else RefusalReason.KNOWN)
    assert queries(concentrator.handle(Downstream(HOST), 30.9)) == []
    ask(concentrator, now=31.0)


def test_a_lease_without_option_82_may_be_located_by_its_packets_where_that_is_allowed():
    concentrator = engine(locate_by_source=True)
    [query] = queries(concentrator.handle(Upstream(OTHER_CIRCUIT, OTHER_MAC, HOST), 0.0))
    concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 0.0)
    effects = concentrator.handle(active(query, option82=None), 0.1)
    [permit] = of_type(Permit, effects)
    assert permit.location.circuit == CIRCUIT
    assert drops(effects) == ["spoofed"]


def test_a_host_whose_modem_is_not_registered_is_located_when_it_is_and_not_asked_about_again():
    concentrator = engine(modem_wait=5.0)
    concentrator.handle(ModemRegistered(OTHER_MODEM, CIRCUIT), 0.0)  # has the circuit now
    effects = concentrator.handle(active(ask(concentrator), option82=info(CIRCUIT, MODEM)), 0.1)
    assert of_type(Refuse, effects) == [Refuse(HOST, 5.1, RefusalReason.MODEM_ABSENT)]
    assert drops(concentrator.handle(Downstream(HOST), 5.0)) == ["refused"]
    again = concentrator.handle(Downstream(HOST), 5.1)
    assert again == [Refuse(HOST, 10.1, RefusalReason.MODEM_ABSENT)]
    [permit] = concentrator.handle(ModemRegistered(MODEM, OTHER_CIRCUIT), 7.0)
    assert (permit.location.circuit, permit.location.expires) == (OTHER_CIRCUIT, 0.1 + LEASE)
    assert concentrator.handle(Downstream(HOST), 7.1) == [permit]


@pytest.mark.requirement("R1-3")
def test_where_only_registered_modems_count_a_circuit_id_alone_locates_nobody():
    concentrator = engine(registered_only=True)
    effects = concentrator.handle(active(ask(concentrator), option82=info(CIRCUIT, MODEM)), 0.1)
    assert [refusal.reason.value for refusal in of_type(Refuse, effects)] == ["modem-absent"]
    [permit] = concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 1.0)
    assert (permit.location.circuit, permit.location.modem) == (CIRCUIT, MODEM)
    assert concentrator.counters["queries_sent"] == 1


@pytest.mark.requirement("R1-3")
def test_hosts_move_with_their_modem_and_leave_the_circuit_to_another():
    concentrator = engine()
    concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 0.0)
    effects = concentrator.handle(active(ask(concentrator), option82=info(CIRCUIT, MODEM)), 0.1)
    [permit] = of_type(Permit, effects)
    withdraw, moved = concentrator.handle(ModemRegistered(MODEM, OTHER_CIRCUIT), 1.0)
    assert withdraw == Withdraw(permit.location)
    assert moved.location.circuit == OTHER_CIRCUIT
    effects = concentrator.handle(ModemRegistered(OTHER_MODEM, OTHER_CIRCUIT), 2.0)
    assert [type(each) for each in effects] == [Withdraw, Refuse]
    [back] = concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 3.0)
    assert back == permit


def test_the_dialect_decides_the_numbers():
    concentrator = engine(dialect=RFC4388)
    query = ask(concentrator)
    message = answer(query, "unimplemented").message  # the draft's number, which RFC 4388 has not
    assert message.message_type not in (10, 11, 12, 13)
    effects = concentrator.handle(answer(query, "unimplemented"), 0.1)
    assert of_type(Answered, effects) == []
    [permit] = of_type(Permit, concentrator.handle(active(query), 0.2))
    assert permit.location.address == HOST


# -- upstream


@pytest.mark.requirement("R1-5")
def test_a_located_source_must_match_hardware_address_port_and_circuit():
    concentrator = engine()
    [_, permit] = concentrator.handle(active(ask(concentrator)), 0.0)
    assert concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 1.0) == [permit]
    for circuit, chaddr in ((OTHER_CIRCUIT, MAC), (CIRCUIT, OTHER_MAC)):
        [drop] = concentrator.handle(Upstream(circuit, chaddr, HOST), 1.0)
        until = 1.0 + concentrator.config.drop_time
        unseen = SpoofedSource(circuit, chaddr, HOST)
        assert drop == Drop(DropReason.SPOOFED, HOST, circuit, chaddr, until, unseen)


@pytest.mark.requirement("R1-5")
def test_an_unlocated_source_is_verified_by_the_answer():
    concentrator = engine()
    [query] = queries(concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 0.0))
    effects = concentrator.handle(active(query), 0.1)
    assert [type(each) for each in effects] == [Answered, Permit]


@pytest.mark.requirement("R1-5")
def test_who_spoofs_an_address_locates_its_owner_and_gets_nothing():
    concentrator = engine()
    [query] = queries(concentrator.handle(Upstream(OTHER_CIRCUIT, OTHER_MAC, HOST), 0.0))
    effects = concentrator.handle(active(query), 0.1)
    assert of_type(Permit, effects)[0].location.admits(CIRCUIT, MAC)
    assert drops(effects) == ["spoofed"]
    assert of_type(Drop, effects)[0].circuit == OTHER_CIRCUIT
    assert of_type(Refuse, effects) == []


def test_a_circuit_cannot_use_up_the_queries_of_others():
    concentrator = responsive(circuit_queries=3, quota_interval=10.0)
    sources = [HOST + 10 + number for number in range(5)]
    effects = [e for a in sources for e in concentrator.handle(Upstream(CIRCUIT, MAC, a), 1.0)]
    assert len(queries(effects)) == 3
    assert drops(effects) == ["query-limit", "query-limit"]
    assert [each.until for each in of_type(Drop, effects)] == [11.0, 11.0]
    assert len(queries(concentrator.handle(Upstream(OTHER_CIRCUIT, MAC, sources[3]), 1.0))) == 1
    assert len(queries(concentrator.handle(Upstream(CIRCUIT, MAC, sources[4]), 11.0))) == 1


def test_the_network_side_can_be_limited_too():
    concentrator = responsive(network_queries=2)  # one of them is spent
    effects = [e for n in range(3) for e in concentrator.handle(Downstream(HOST + 10 + n), 1.0)]
    assert len(queries(effects)) == 1
    assert drops(effects) == ["query-limit", "query-limit"]


# -- KNOWN, UNKNOWN, UNIMPLEMENTED


@pytest.mark.requirement("R6.5-2")
@pytest.mark.requirement("R7-3")
def test_known_is_cached():
    concentrator = engine(known_time=30.0)
    effects = concentrator.handle(answer(ask(concentrator), "known"), 1.0)
    assert of_type(Refuse, effects) == [Refuse(HOST, 31.0, RefusalReason.KNOWN)]
    assert concentrator.handle(Downstream(HOST), 30.9) == [
        Drop(DropReason.REFUSED, HOST, until=31.0, unseen=RefusedAddress(HOST, upstream=False))
    ]
    assert drops(concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 30.9)) == ["refused"]
    ask(concentrator, now=31.0)


@pytest.mark.requirement("R6.5-5")
@pytest.mark.requirement("R7-3")
def test_unknown_is_cached_for_its_own_time():
    concentrator = engine(known_time=30.0, unknown_time=90.0)
    effects = concentrator.handle(answer(ask(concentrator), "unknown"), 1.0)
    assert of_type(Refuse, effects) == [Refuse(HOST, 91.0, RefusalReason.UNKNOWN)]
    assert queries(concentrator.handle(Downstream(HOST), 90.9)) == []
    ask(concentrator, now=91.0)


@pytest.mark.requirement("R6.5-2")
@pytest.mark.parametrize("kind", ["known", "unknown"])
def test_without_a_negative_cache_each_packet_asks_again_but_none_while_a_query_is_out(kind):
    concentrator = responsive(negative_cache=False)
    for moment in (1.0, 2.0, 3.0):
        query = ask(concentrator, now=moment)
        assert not queries(concentrator.handle(Downstream(HOST), moment))
        effects = concentrator.handle(answer(query, kind), moment)
        assert of_type(Abandon, effects) == [Abandon(HOST)]
        assert not of_type(Refuse, effects)
    assert len(concentrator.negative_cache) == 0


@pytest.mark.requirement("R7-3")
def test_the_negative_cache_is_bounded():
    concentrator = engine(refused_limit=10, network_queries=0)
    for number in range(50):
        concentrator.handle(answer(ask(concentrator, HOST + number), "known"), 0.0)
    assert len(concentrator.negative_cache) == 10


@pytest.mark.requirement("R6.5-3")
def test_a_reservation_is_admitted_only_where_that_is_configured():
    fields = {"chaddr": MAC, "option82": info(), "reserved": True}
    refusing = engine()
    assert of_type(Refuse, refusing.handle(answer(ask(refusing), "known", **fields), 0.0))
    admitting = engine(admit_reserved=True, reservation_time=50.0)
    [permit] = of_type(Permit, admitting.handle(answer(ask(admitting), "known", **fields), 1.0))
    assert permit.location.expires == 51.0
    without = {**fields, "reserved": False}
    other = engine(admit_reserved=True)
    assert of_type(Refuse, other.handle(answer(ask(other), "known", **without), 0.0))


@pytest.mark.requirement("R6.4.2-5")
@pytest.mark.requirement("R6.5-1")
def test_a_lease_without_end_locates_for_ever():
    for lease, end in ((0xFFFFFFFE, 1.0 + 0xFFFFFFFE), (0xFFFFFFFF, FOREVER)):
        concentrator = engine()
        [permit] = of_type(Permit, concentrator.handle(active(ask(concentrator), lease=lease), 1.0))
        assert permit.location.expires == end
        assert concentrator.wake(1e10) == ([] if end == FOREVER else [Withdraw(permit.location)])


@pytest.mark.requirement("R6.5-2")
@pytest.mark.requirement("R6.5-4")
@pytest.mark.parametrize("dialect", [DRAFT_03, RFC4388], ids=lambda each: each.name)
def test_an_unassigned_address_is_refused_though_no_client_is_named(dialect):
    concentrator = engine(dialect=dialect, known_time=50.0)
    effects = concentrator.handle(answer(ask(concentrator), "known"), 1.0)
    [refuse] = of_type(Refuse, effects)
    assert (refuse.address, refuse.reason.value, refuse.until) == (HOST, "known", 51.0)


@pytest.mark.requirement("R6.4-5")
def test_active_without_a_lease_time_is_a_reservation_that_the_server_admits():
    concentrator = engine(reservation_time=50.0)
    reply = answer(ask(concentrator), "active", chaddr=MAC, option82=info(), reserved=True)
    [permit] = of_type(Permit, concentrator.handle(reply, 1.0))
    assert permit.location.expires == 51.0


@pytest.mark.requirement("R6.5-6")
def test_unimplemented_by_ip_address_gives_up_what_waits_for_that_server():
    concentrator = engine()
    query = ask(concentrator)
    assert concentrator.handle(Downstream(HOST + 1), 0.0) == []
    effects = concentrator.handle(answer(query, "unimplemented"), 0.1)
    assert {each.address for each in of_type(Abandon, effects)} == {HOST, HOST + 1}
    assert drops(concentrator.handle(Downstream(HOST), 0.2)) == ["unanswerable"]
    assert len(concentrator.queries) == 0


# -- several servers


@pytest.mark.requirement("R6.2-8")
@pytest.mark.requirement("R4.4-1")
def test_all_servers_are_asked_where_none_is_known_to_be_authoritative():
    concentrator = engine(**BOTH)
    sent = queries(concentrator.handle(Downstream(HOST), 0.0))
    assert [each.server for each in sent] == [SERVER, SECOND]
    assert len({each.message.xid for each in sent}) == 2


@pytest.mark.requirement("R6.5-4")
@pytest.mark.requirement("R6.2-8")
@pytest.mark.parametrize("kind", ["active", "known"])
def test_the_server_that_manages_an_address_is_asked_alone_next_time(kind):
    concentrator = engine(**BOTH, known_time=30.0)
    first, second = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(answer(first, "unknown"), 0.1)
    concentrator.handle(answer(second, kind, chaddr=MAC, option82=info(), lease=30), 0.1)
    concentrator.wake(50.0)
    assert [each.server for each in queries(concentrator.handle(Downstream(HOST), 50.0))] == [SECOND]


@pytest.mark.requirement("R6.2-8")
def test_a_configured_authority_is_asked_first_and_the_others_when_it_does_not_answer():
    settings = {**BOTH, "authorities": ((IPv4Network("198.18.0.0/17"), (SECOND,)),)}
    concentrator = engine(**settings)
    sent = queries(concentrator.handle(Downstream(HOST), 0.0))
    assert [each.server for each in sent] == [SECOND]
    later = queries(concentrator.handle(Downstream(IPv4Address("198.18.200.1")), 0.0))
    assert [each.server for each in later] == [SERVER], "the second server may have one query out"
    concentrator = engine(**settings)
    concentrator.handle(Downstream(HOST), 0.0)
    polls = queries(concentrator.wake(10.0))
    assert [each.server for each in polls] == [SECOND, SERVER]


@pytest.mark.requirement("R6.5-5")
def test_unknown_from_the_authority_sends_one_to_the_others_and_it_is_left_alone_for_a_time():
    settings = {**BOTH, "authorities": ((IPv4Network("198.18.0.0/17"), (SECOND,)),)}
    concentrator = engine(**settings, unknown_time=100.0, known_time=5.0)
    query = ask(concentrator)
    effects = concentrator.handle(answer(query, "unknown"), 0.1)
    [other] = queries(effects)
    assert other.server == SERVER
    assert of_type(Refuse, effects) == []
    concentrator.handle(answer(other, "known"), 0.2)
    again = queries(concentrator.handle(Downstream(HOST), 20.0))
    assert [each.server for each in again] == [SERVER]


@pytest.mark.requirement("R6.5-5")
def test_unknown_counts_when_all_have_said_so():
    concentrator = engine(**BOTH)
    first, second = queries(concentrator.handle(Downstream(HOST), 0.0))
    assert of_type(Refuse, concentrator.handle(answer(first, "unknown"), 0.1)) == []
    assert of_type(Refuse, concentrator.handle(answer(second, "unknown"), 0.2))
    assert len(concentrator.queries) == 0


def test_unknown_counts_for_a_short_time_while_a_server_that_may_know_better_fails():
    concentrator = engine(**BOTH)
    first, second = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.wake(10.0)
    effects = concentrator.handle(answer(first, "unknown"), 10.0)
    effects += concentrator.handle(Downstream(HOST), 20.0)
    [refuse] = of_type(Refuse, effects)
    assert refuse.until <= 80.0
    [permit] = of_type(Permit, concentrator.handle(active(second), 31.0))
    assert permit.location.admits(CIRCUIT, MAC)
    assert concentrator.handle(Downstream(HOST), 32.0) == [permit]


def two_answers(first_fields, second_fields):
    concentrator = engine(**BOTH)
    first, second = queries(concentrator.handle(Downstream(HOST), 0.0))
    effects = concentrator.handle(answer(first, **first_fields), 0.1)
    effects += concentrator.handle(answer(second, **second_fields), 0.2)
    return concentrator, effects


def lease_of(chaddr, ago=None, kind="active", circuit=CIRCUIT):
    fields = {"kind": kind, "chaddr": chaddr, "option82": info(circuit)}
    if kind == "active":
        fields["lease"] = LEASE
    return fields if ago is None else {**fields, "ago": ago}


@pytest.mark.requirement("R6.7-1")
@pytest.mark.parametrize(("first", "second", "owner"), [(500, 5, OTHER_MAC), (5, 500, MAC)])
def test_of_two_contradicting_answers_the_more_recent_transaction_counts(first, second, owner):
    concentrator, effects = two_answers(lease_of(MAC, first), lease_of(OTHER_MAC, second))
    assert concentrator.locations.get(KEY, 1.0).chaddr == owner
    assert of_type(Permit, effects)[-1].location.chaddr == owner
    assert len(of_type(Withdraw, effects)) == (owner == OTHER_MAC)


@pytest.mark.requirement("R6.7-1")
def test_a_more_recent_release_ends_a_location_and_an_older_one_does_not():
    concentrator, effects = two_answers(lease_of(MAC, 500), lease_of(MAC, 5, "known"))
    assert concentrator.locations.get(KEY, 1.0) is None
    assert [type(each) for each in effects[-2:]] == [Withdraw, Refuse]
    concentrator, effects = two_answers(lease_of(MAC, 5), lease_of(MAC, 500, "known"))
    assert concentrator.locations.get(KEY, 1.0) is not None
    concentrator, effects = two_answers(lease_of(MAC, 500, "known"), lease_of(MAC, 5))
    assert concentrator.locations.get(KEY, 1.0) is not None
    assert concentrator.negative_cache.get(KEY, 1.0) is None


@pytest.mark.requirement("R6.7-1")
def test_without_times_active_counts_more_than_known_and_the_first_of_two_active_stands():
    concentrator, _ = two_answers(lease_of(MAC, kind="known"), lease_of(OTHER_MAC, 5))
    assert concentrator.locations.get(KEY, 1.0).chaddr == OTHER_MAC
    concentrator, _ = two_answers(lease_of(MAC), lease_of(OTHER_MAC, 5))
    assert concentrator.locations.get(KEY, 1.0).chaddr == MAC
    concentrator, _ = two_answers(lease_of(MAC), {"kind": "unknown"})
    assert concentrator.locations.get(KEY, 1.0).chaddr == MAC


@pytest.mark.requirement("R4.4-1")
def test_one_server_of_two_is_enough_and_the_other_is_not_asked_again_about_what_is_settled():
    concentrator = engine(**BOTH)
    first, _ = queries(concentrator.handle(Downstream(HOST), 0.0))
    assert of_type(Permit, concentrator.handle(active(first), 0.1))
    now, effects = 0.1, []
    while concentrator.deadline is not None and concentrator.deadline < 200.0:
        now = concentrator.deadline
        effects += concentrator.wake(now)
    assert queries(effects) == []
    assert len(concentrator.queries) == 0


@pytest.mark.requirement("R6.6-4")
def test_an_answer_to_a_settled_query_that_another_has_taken_the_place_of_counts_for_its_server():
    """One server has settled it, the lease ends, the address is asked about anew; then the other speaks."""
    concentrator = engine(**BOTH)
    first, second = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(active(first, lease=2), 0.1)
    concentrator.wake(2.2)
    [again] = queries(concentrator.handle(Downstream(HOST), 3.0))
    assert again.server == SERVER, "who manages it"
    assert queries(concentrator.handle(answer(again, "unknown"), 3.1)) == [], "the other one is silent yet"
    effects = concentrator.handle(active(second, chaddr=OTHER_MAC, ago=5), 3.2)
    assert of_type(Permit, effects) == []
    [now] = queries(effects)
    assert (now.server, now.query.address) == (SECOND, HOST)


def test_an_event_s_message_is_never_changed():
    concentrator = engine()
    event = active(ask(concentrator))
    before = event.message.encode()
    concentrator.handle(event, 0.0)
    assert event.message.encode() == before
    assert isinstance(event.message, Message)
