"""Whom the concentrator believes: forged replies, foreign locations, what hosts tell a server directly."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lq.concentrator.events import (
    Circuit,
    Downstream,
    FromClient,
    FromLocated,
    FromServer,
    ModemRegistered,
    PassOn,
    Permit,
    Refuse,
    ToClient,
    ToServer,
    Upstream,
    Withdraw,
)
from lq.concentrator.exchanges import Exchanges
from lq.wire import BOOTREPLY, DRAFT_03, Message, MessageType, OptionCode, RelayInfo
from lq.wire.options import FOREVER, pack_u32
from tests.concentrator.helpers import (
    CIRCUIT,
    GIADDR,
    HOST,
    MAC,
    MODEM,
    OTHER_CIRCUIT,
    OTHER_MAC,
    SECOND,
    SERVER,
    active,
    answer,
    client_message,
    drops,
    engine,
    info,
    of_type,
    queries,
    server_message,
)

RELAY_INFO = OptionCode.RELAY_AGENT_INFORMATION
WANTED = {OptionCode.REQUESTED_ADDRESS: HOST.packed}


def asked(concentrator, kind=MessageType.REQUEST, circuit=CIRCUIT, now=0.0, xid=5):
    """Have a client ask through the relay; return what went to the servers."""
    message = client_message(kind, xid, options=WANTED)
    return of_type(ToServer, concentrator.handle(FromClient(circuit, message), now))


def forged_ack(**fields):
    """An ACK that nobody asked for: all that an attacker off the path can know is in it."""
    options = {
        OptionCode.MESSAGE_TYPE: bytes((MessageType.ACK,)),
        OptionCode.LEASE_TIME: pack_u32(0xFFFFFFFF),
        RELAY_INFO: info(OTHER_CIRCUIT).encode(),
    }
    defaults = {"op": BOOTREPLY, "htype": 1, "chaddr": MAC, "giaddr": GIADDR, "yiaddr": HOST, "xid": 77}
    return Message(options=options, **{**defaults, **fields})


@pytest.mark.requirement("R1-7")
def test_one_forged_ack_poisons_nothing():
    concentrator = engine()
    assert drops(concentrator.handle(FromServer(SERVER, forged_ack()), 0.0)) == ["unasked-reply"]
    asked(concentrator)
    for xid in range(10_000):
        if xid != 5:
            effects = concentrator.handle(FromServer(SERVER, forged_ack(xid=xid)), 0.1)
            assert drops(effects) == ["unasked-reply"]
    assert len(concentrator.locations) == 0
    believing = engine(verify_replies=False)
    assert of_type(Permit, believing.handle(FromServer(SERVER, forged_ack()), 0.0)), "what it would do"


@pytest.mark.parametrize(
    "changed",
    [
        {"xid": 6},
        {"chaddr": OTHER_MAC},
        {"options": {RELAY_INFO: info(OTHER_CIRCUIT).encode()}},
        {"yiaddr": HOST + 1},
        {"options": {OptionCode.MESSAGE_TYPE: bytes((MessageType.OFFER,))}},
    ],
)
def test_a_reply_must_answer_an_open_request_in_all_respects(changed):
    concentrator = engine()
    [relayed] = asked(concentrator)
    good = server_message(relayed, MessageType.ACK, yiaddr=HOST, lease=60)
    changed = dict(changed)
    options = {**good.message.options, **changed.pop("options", {})}
    forged = FromServer(SERVER, replace(good.message, options=options, **changed))
    assert drops(concentrator.handle(forged, 0.1)) == ["unasked-reply"]
    assert of_type(Permit, concentrator.handle(good, 0.2)), "the true one still counts"


def test_a_reply_counts_once_from_each_server_in_time_and_from_its_port():
    concentrator = engine(servers=(SERVER, SECOND))
    first, second = asked(concentrator)
    ack = server_message(first, MessageType.ACK, yiaddr=HOST, lease=60)
    assert drops(concentrator.handle(replace(ack, port=6767), 0.1)) == ["server-port"]
    assert of_type(Permit, concentrator.handle(ack, 0.1))
    assert drops(concentrator.handle(ack, 0.2)) == ["unasked-reply"]
    other = server_message(second, MessageType.ACK, yiaddr=HOST, lease=60)
    assert of_type(ToClient, concentrator.handle(other, 0.2))
    [late, _] = asked(concentrator, now=1.0)
    ack = server_message(late, MessageType.ACK, yiaddr=HOST, lease=60)
    assert drops(concentrator.handle(ack, 61.0)) == ["unasked-reply"]


def test_a_discover_is_not_answered_by_an_ack():
    concentrator = engine()
    [relayed] = asked(concentrator, MessageType.DISCOVER)
    ack = server_message(relayed, MessageType.ACK, yiaddr=HOST, lease=60)
    assert drops(concentrator.handle(ack, 0.1)) == ["unasked-reply"]
    assert of_type(
        ToClient, concentrator.handle(server_message(relayed, MessageType.OFFER, yiaddr=HOST), 0.2)
    )


def test_the_same_request_from_two_circuits_is_told_apart_by_option_82_alone():
    concentrator = engine()
    [mine], [theirs] = asked(concentrator), asked(concentrator, circuit=OTHER_CIRCUIT)
    without = server_message(mine, MessageType.ACK, yiaddr=HOST, lease=60, echo=False)
    assert drops(concentrator.handle(without, 0.1)) == ["unasked-reply"]
    [to_client, _] = concentrator.handle(server_message(mine, MessageType.ACK, yiaddr=HOST, lease=60), 0.1)
    assert to_client.circuit == CIRCUIT
    [to_client, *_] = concentrator.handle(server_message(theirs, MessageType.ACK, yiaddr=HOST, lease=60), 0.1)
    assert to_client.circuit == OTHER_CIRCUIT


def test_sorted_sub_options_are_the_same_option_82():
    """Kea returns the sub-options in the order of their numbers."""
    concentrator = engine(trusted_circuits=("7",))
    inserted = RelayInfo(info().circuit_id, None, ((9, b"x"), (6, b"y")))
    message = client_message(MessageType.REQUEST, options={**WANTED, RELAY_INFO: inserted.encode()})
    [relayed] = of_type(ToServer, concentrator.handle(FromClient(CIRCUIT, message), 0.0))
    ack = server_message(relayed, MessageType.ACK, yiaddr=HOST, lease=60)
    ack.message.options[RELAY_INFO] = RelayInfo(info().circuit_id, None, ((6, b"y"), (9, b"x"))).encode()
    assert of_type(Permit, concentrator.handle(ack, 0.1))


# -- locations that this concentrator cannot have written


@pytest.mark.parametrize(
    "circuit_id",
    [
        bytes.fromhex("00000002"),  # no tag
        bytes.fromhex("0000000200070008"),  # two tags on a network of one
        bytes.fromhex("fffffffb0007"),  # OFPP_FLOOD
        bytes.fromhex("000000010007"),  # the uplink
        bytes.fromhex("c6120001"),  # another relay's
        b"dslam1 eth 0/2:7",
    ],
)
@pytest.mark.parametrize("registered", [False, True])
def test_an_answer_with_a_foreign_circuit_locates_nobody(circuit_id, registered):
    concentrator = engine(access_ports=(2,), circuit_tags=1)
    if registered:  # another relay's circuit-id beside a modem of ours is none of ours either
        concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 0.0)
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    foreign = RelayInfo(circuit_id, MODEM if registered else None)
    effects = concentrator.handle(active(query, option82=foreign), 0.1)
    [refusal] = of_type(Refuse, effects)
    assert refusal.reason.value == "foreign-circuit"
    assert drops(effects) == ["foreign-circuit"]
    assert len(concentrator.locations) == 0
    assert concentrator.counters["dropped_foreign-circuit"] == 1
    concentrator.wake(0.1 + concentrator.config.known_time)
    [query] = queries(concentrator.handle(Downstream(HOST), 400.0))
    assert of_type(Permit, concentrator.handle(active(query), 400.1)), "and is not lost for ever"


# -- an access node that inserts option 82


def test_option_82_of_a_trusted_access_node_goes_on_as_it_is():
    inserted = RelayInfo(info().circuit_id, b"line 7", ((9, b"more"),))
    message = client_message(MessageType.REQUEST, options={**WANTED, RELAY_INFO: inserted.encode()})
    assert drops(engine().handle(FromClient(CIRCUIT, message), 0.0)) == ["spoofed-option-82"]
    for trusted in (("7",), ("all",), ("8", "7")):
        concentrator = engine(trusted_circuits=trusted)
        [relayed] = of_type(ToServer, concentrator.handle(FromClient(CIRCUIT, message), 0.0))
        assert relayed.message.options[RELAY_INFO] == inserted.encode()
        assert relayed.message.giaddr == GIADDR
        ack = server_message(relayed, MessageType.ACK, yiaddr=HOST, lease=60)
        [to_client, permit] = concentrator.handle(ack, 0.1)
        assert RELAY_INFO not in to_client.message.options
        assert permit.location.circuit == CIRCUIT


def test_a_trusted_access_node_speaks_for_the_circuit_that_it_is_on_alone():
    concentrator = engine(trusted_circuits=("all",))
    message = client_message(MessageType.REQUEST, options={**WANTED, RELAY_INFO: info().encode()})
    assert drops(concentrator.handle(FromClient(OTHER_CIRCUIT, message), 0.0)) == ["spoofed-option-82"]
    message.options[RELAY_INFO] = b"\x01\xff"
    assert drops(concentrator.handle(FromClient(CIRCUIT, message), 0.0)) == ["malformed"]
    with pytest.raises(ValueError, match="trusted_circuits"):
        engine(trusted_circuits=("seven",))


# -- what a host says to a server itself


def located(**settings):
    concentrator = engine(**settings)
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(active(query), 0.0)
    return concentrator


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (MessageType.REQUEST, {"giaddr": GIADDR}),
        (MessageType.REQUEST, {"ciaddr": HOST + 1}),
        (MessageType.REQUEST, {"chaddr": OTHER_MAC}),
        (MessageType.REQUEST, {"options": {RELAY_INFO: info(OTHER_CIRCUIT).encode()}}),
        (MessageType.REQUEST, {"options": {OptionCode.REQUESTED_ADDRESS: (HOST + 1).packed}}),
        (MessageType.RELEASE, {"ciaddr": HOST + 1}),
        (MessageType.DECLINE, {"giaddr": GIADDR}),
        (MessageType.DECLINE, {}),
        (MessageType.DISCOVER, {}),
        (MessageType.LEASEQUERY, {"giaddr": HOST}),
        (MessageType.LEASEQUERY, {}),
        (MessageType.ACK, {"op": BOOTREPLY}),
        (MessageType.REQUEST, {"op": BOOTREPLY}),
    ],
)
def test_a_host_tells_a_server_nothing_but_what_is_its_own(kind, fields):
    concentrator = located()
    message = client_message(kind, **{"ciaddr": HOST, **fields})
    effects = concentrator.handle(FromLocated(HOST, message), 1.0)
    assert drops(effects) in (["spoofed-unicast"], ["two-addresses"])
    assert of_type(PassOn, effects) == []
    assert concentrator.locations.get(int(HOST), 1.0) is not None
    assert of_type(PassOn, located(verify_unicast=False).handle(FromLocated(HOST, message), 1.0)), "off"


@pytest.mark.parametrize("kind", [MessageType.REQUEST, MessageType.INFORM, MessageType.RELEASE])
def test_renewals_releases_and_informs_go_on(kind):
    concentrator = located()
    effects = concentrator.handle(FromLocated(HOST, client_message(kind, ciaddr=HOST)), 1.0)
    assert effects[0] == PassOn(HOST)
    assert bool(of_type(Withdraw, effects)) is (kind == MessageType.RELEASE)


def test_unicast_counts_for_the_circuit_s_share():
    concentrator = located(circuit_messages=3)
    renewal = FromLocated(HOST, client_message(MessageType.REQUEST, ciaddr=HOST))
    passed = [of_type(PassOn, concentrator.handle(renewal, 1.0)) for _ in range(5)]
    assert [len(each) for each in passed] == [1, 1, 1, 0, 0]


# -- asking by hardware address


def test_by_mac_the_range_and_the_share_come_before_an_open_query():
    concentrator = engine(ask_by="mac-upstream", circuit_queries=5)
    [warm] = queries(concentrator.handle(Downstream(HOST + 100), 0.0))
    concentrator.handle(answer(warm, "known"), 0.0)
    [query] = queries(concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 0.1))
    assert query.query.form == "mac"
    outside = IPv4Address("10.1.2.3")
    effects = concentrator.handle(Upstream(CIRCUIT, MAC, outside), 0.1)
    assert drops(effects) == ["out-of-range"]
    found = [concentrator.handle(Upstream(CIRCUIT, MAC, HOST + number), 0.1) for number in range(1, 8)]
    assert [drops(each) for each in found] == [[]] * 4 + [["query-limit"]] * 3
    options = {DRAFT_03.client_addresses_option: (HOST.packed + outside.packed)}
    effects = concentrator.handle(active(query, ciaddr=HOST, options=options), 0.2)
    assert {each.location.address for each in of_type(Permit, effects)} == {HOST}
    assert all(each.query.address != outside for each in queries(effects))


def test_a_flood_of_requests_fills_the_open_ones_to_their_bound():
    exchanges = Exchanges(60.0)
    message = client_message(MessageType.DISCOVER)
    for number in range(70_000):
        message.xid, message.chaddr = number % 7, number.to_bytes(6, "big")
        exchanges.begin(message, Circuit(2, (number % 4000 + 1,)), HOST, info(), (SERVER,), 0.0)
    assert len(exchanges) == len(exchanges._circuits) == 65_536
    exchanges.begin(message, CIRCUIT, HOST, info(), (SERVER,), 60.0)
    assert len(exchanges) == len(exchanges._circuits) == 1, "a minute later they are over"


def test_one_client_on_ever_other_circuits_fills_nothing():
    exchanges = Exchanges(60.0)
    for number in range(1000):
        message = client_message(MessageType.DISCOVER)
        exchanges.begin(message, Circuit(2, (number + 1,)), HOST, info(), (SERVER,), 0.0)
    assert len(exchanges) == 4


def test_a_lease_without_end_is_a_location_without_end():
    concentrator = engine()
    [relayed] = asked(concentrator)
    ack = server_message(relayed, MessageType.ACK, yiaddr=HOST, lease=0xFFFFFFFF)
    [_, permit] = concentrator.handle(ack, 0.1)
    assert permit.location.expires == FOREVER
