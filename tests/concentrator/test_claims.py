"""Who may take an address over: attacks by clients that know a neighbour's hardware address (R1-5)."""

from ipaddress import IPv4Address

import pytest

from lq.concentrator.events import (
    ArpReply,
    Circuit,
    Downstream,
    FromClient,
    ModemRegistered,
    Permit,
    Probe,
    Refuse,
    ToServer,
    Withdraw,
)
from lq.wire import MessageType, OptionCode
from tests.concentrator.helpers import (
    CIRCUIT,
    HOST,
    MAC,
    MODEM,
    OTHER_CIRCUIT,
    OTHER_MAC,
    OTHER_MODEM,
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


def made(**settings):
    return engine(**{"moves": "when-gone", **settings})


def request(address=HOST, chaddr=MAC, xid=5, kind=MessageType.REQUEST):
    if kind == MessageType.RELEASE:
        return client_message(kind, xid, chaddr=chaddr, ciaddr=address)
    return client_message(kind, xid, chaddr=chaddr, options={OptionCode.REQUESTED_ADDRESS: address.packed})


def relayed(effects):
    return [each for each in of_type(ToServer, effects) if each.query is None]


def located(now=0.0, **settings):
    """Return an engine that has located HOST on CIRCUIT, and a server that is known to answer."""
    concentrator = made(**settings)
    [query] = queries(concentrator.handle(Downstream(HOST), now))
    concentrator.handle(active(query), now)
    return concentrator


def woken(concentrator, until):
    """Wake the engine whenever it wants, up to a moment; return each effect with its time."""
    found = []
    while concentrator.deadline is not None and concentrator.deadline <= until:
        now = concentrator.deadline
        found += [(now, effect) for effect in concentrator.wake(now)]
    return found


CLONE = FromClient(OTHER_CIRCUIT, request())
HERE = ArpReply(CIRCUIT, MAC, HOST)


@pytest.mark.requirement("R1-5")
def test_a_cloned_host_does_not_take_over_an_address_whose_host_answers():
    concentrator = located()
    effects = concentrator.handle(CLONE, 1.0)
    assert effects == [Probe(concentrator.locations.get(int(HOST), 1.0))], (
        "the host at the old place is asked"
    )
    effects = concentrator.handle(HERE, 1.001)
    assert drops(effects) == ["moved"]
    assert relayed(effects) == [], "the server hears nothing of it"
    assert concentrator.locations.get(int(HOST), 1.1).circuit == CIRCUIT
    assert drops(concentrator.handle(CLONE, 1.2)) == ["moved"], "and is not asked again so soon"
    assert woken(concentrator, 20.0) == []


@pytest.mark.requirement("R1-4")
def test_a_host_that_is_gone_from_its_old_place_moves_after_three_probes():
    concentrator = located()
    assert len(of_type(Probe, concentrator.handle(CLONE, 1.0))) == 1
    happened = woken(concentrator, 3.0)
    assert [(now, type(effect)) for now, effect in happened] == [(1.5, Probe), (2.0, Probe), (2.5, ToServer)]
    ack = server_message(happened[-1][1], MessageType.ACK, yiaddr=HOST, lease=60)
    _, withdraw, permit = concentrator.handle(ack, 2.6)
    assert (withdraw.location.circuit, permit.location.circuit) == (CIRCUIT, OTHER_CIRCUIT)
    assert isinstance(withdraw, Withdraw)


@pytest.mark.parametrize(
    "reply",
    [
        ArpReply(OTHER_CIRCUIT, MAC, HOST),
        ArpReply(CIRCUIT, OTHER_MAC, HOST),
        ArpReply(CIRCUIT, MAC, HOST + 1),
    ],
)
def test_only_the_host_at_the_old_place_answers_for_itself(reply):
    concentrator = located()
    concentrator.handle(CLONE, 1.0)
    assert drops(concentrator.handle(reply, 1.1)) == ["arp-unasked"]
    assert len(relayed([effect for _, effect in woken(concentrator, 3.0)])) == 1


def test_policies_always_and_never():
    concentrator = located(moves="always")
    assert len(relayed(concentrator.handle(CLONE, 1.0))) == 1
    concentrator = located(moves="never")
    assert drops(concentrator.handle(CLONE, 1.0)) == ["moved"]
    concentrator.wake(3600.0)  # the lease at the old place has ended: the server knows whose it is
    [query] = queries(concentrator.handle(CLONE, 3600.0))
    assert len(relayed(concentrator.handle(answer(query, "known"), 3600.1))) == 1


@pytest.mark.parametrize("kind", [MessageType.RELEASE, MessageType.DECLINE])
def test_nobody_gives_up_an_address_of_another_circuit(kind):
    concentrator = located()
    effects = concentrator.handle(FromClient(OTHER_CIRCUIT, request(kind=kind)), 1.0)
    assert (drops(effects), relayed(effects)) == (["spoofed"], [])
    assert concentrator.locations.get(int(HOST), 1.0) is not None


@pytest.mark.requirement("R5-1")
@pytest.mark.parametrize("kind", [MessageType.REQUEST, MessageType.RELEASE, MessageType.DECLINE])
def test_after_a_reboot_the_server_is_asked_first_and_a_clone_gets_nothing(kind):
    concentrator = made()
    effects = concentrator.handle(FromClient(OTHER_CIRCUIT, request(kind=kind)), 0.0)
    [query] = queries(effects)
    assert (query.query.address, relayed(effects)) == (HOST, [])
    effects = concentrator.handle(active(query), 0.01)
    assert [each.location.circuit for each in of_type(Permit, effects)] == [CIRCUIT]
    assert relayed(effects) == []
    if kind == MessageType.REQUEST:
        assert len(of_type(Probe, effects)) == 1
        effects = concentrator.handle(HERE, 0.02)
    assert drops(effects) == ["moved" if kind == MessageType.REQUEST else "spoofed"]
    assert concentrator.locations.get(int(HOST), 1.0).circuit == CIRCUIT
    assert relayed([effect for _, effect in woken(concentrator, 60.0)]) == []


def test_after_a_reboot_the_host_itself_waits_for_one_answer():
    concentrator = made()
    [query] = queries(concentrator.handle(FromClient(CIRCUIT, request()), 0.0))
    effects = concentrator.handle(active(query), 0.01)
    assert len(of_type(Permit, effects)) == len(relayed(effects)) == 1
    effects = made().handle(FromClient(CIRCUIT, client_message(MessageType.DISCOVER)), 0.0)
    assert len(relayed(effects)) == 1, "a DISCOVER changes nothing: it need not wait"


@pytest.mark.parametrize("kind", ["known", "unknown"])
@pytest.mark.parametrize("negative_cache", [True, False])
def test_what_nobody_has_may_be_leased(kind, negative_cache):
    concentrator = made(negative_cache=negative_cache)
    [query] = queries(concentrator.handle(FromClient(CIRCUIT, request()), 0.0))
    effects = concentrator.handle(answer(query, kind), 0.01)
    [message] = relayed(effects)
    assert queries(effects) == [], "and is asked about once"
    assert all(each.quiet for each in of_type(Refuse, effects)), "no packet asked: nothing to drop"
    ack = server_message(message, MessageType.ACK, yiaddr=HOST, lease=60)
    assert of_type(Permit, concentrator.handle(ack, 0.02))


def test_without_a_server_that_answers_queries_messages_pass_after_its_timer():
    concentrator = made()
    concentrator.handle(FromClient(CIRCUIT, request()), 0.0)
    passed = [(now, effect) for now, effect in woken(concentrator, 12.0) if relayed([effect])]
    assert [now for now, _ in passed] == [12.0]
    assert len(relayed(concentrator.handle(FromClient(CIRCUIT, request(HOST + 1)), 13.0))) == 1, "at once"


def test_a_message_whose_query_was_lost_is_dropped_in_time_and_may_come_again():
    concentrator = located()
    other = FromClient(OTHER_CIRCUIT, request(HOST + 1))
    assert len(queries(concentrator.handle(other, 1.0))) == 1
    happened = woken(concentrator, 9.0)
    assert len(queries([effect for _, effect in happened])) == 3, "resent: 1, 3, 7 s later"
    query = of_type(ToServer, [effect for _, effect in happened])[-1]
    assert len(relayed(concentrator.handle(answer(query, "known"), 9.1))) == 1


def test_a_message_that_is_sent_again_waits_once():
    concentrator = made()
    for xid in range(5):
        concentrator.handle(FromClient(CIRCUIT, request(xid=xid)), 0.1 * xid)
    [query] = [concentrator.queries.get(int(HOST))]
    assert query is not None
    assert len(concentrator._claims) == 1


def test_what_waits_is_bounded():
    concentrator = made(waiting_limit=20, circuit_messages=0)
    for number in range(200):
        concentrator.handle(FromClient(CIRCUIT, request(HOST + number)), 0.0)
    assert len(concentrator._claims) <= 20
    concentrator = made(waiting_limit=1000, circuit_messages=0)
    for number in range(200):
        clone = request(chaddr=number.to_bytes(6, "big"))
        effects = concentrator.handle(FromClient(Circuit(2, (number + 10,)), clone), 0.0)
    assert len(concentrator._claims) == 8, "about one address"
    assert drops(effects) == ["moved"]
    concentrator.wake(12.0)
    assert len(concentrator._claims) == 0


def test_behind_a_modem_that_has_not_come_back_a_host_counts_as_there_for_a_while():
    concentrator = made(registered_only=True, modem_wait=5.0)
    concentrator.handle(ModemRegistered(OTHER_MODEM, OTHER_CIRCUIT), 0.0)
    [query] = queries(concentrator.handle(CLONE, 0.0))
    effects = concentrator.handle(active(query, option82=info(CIRCUIT, MODEM)), 0.01)
    assert "moved" in drops(effects)
    assert relayed(effects) == []
    effects = concentrator.handle(CLONE, 61.0)
    assert len(relayed(effects)) == 1, "a minute later it counts as gone"
    assert of_type(Probe, effects) == []


@pytest.mark.parametrize(
    ("options", "ciaddr", "reason"),
    [
        ({OptionCode.REQUESTED_ADDRESS: (HOST + 1).packed}, HOST, "two-addresses"),
        ({OptionCode.REQUESTED_ADDRESS: HOST.packed + b"\1"}, IPv4Address(0), "malformed"),
    ],
)
@pytest.mark.parametrize("kind", [MessageType.REQUEST, MessageType.RELEASE, MessageType.DECLINE])
def test_a_message_that_names_two_addresses_is_dropped(kind, options, ciaddr, reason):
    """The server might take the one that was not looked at."""
    message = client_message(kind, ciaddr=ciaddr, options=options)
    assert drops(located().handle(FromClient(OTHER_CIRCUIT, message), 1.0)) == [reason]


def test_each_circuit_has_its_share_of_messages():
    concentrator = made(circuit_messages=5, quota_interval=10.0)
    discover = client_message(MessageType.DISCOVER)
    sent = [concentrator.handle(FromClient(CIRCUIT, discover), 0.0) for _ in range(8)]
    assert [len(relayed(each)) for each in sent] == [1] * 5 + [0] * 3
    [drop] = sent[-1]
    assert (drop.reason.value, drop.circuit, drop.until) == ("message-limit", CIRCUIT, 10.0)
    assert len(relayed(concentrator.handle(FromClient(OTHER_CIRCUIT, discover), 0.0))) == 1, "its neighbour"
    assert len(relayed(concentrator.handle(FromClient(CIRCUIT, discover), 10.0))) == 1


def test_a_packet_for_an_address_that_is_being_claimed_makes_its_refusal_one_to_drop():
    concentrator = made()
    [query] = queries(concentrator.handle(FromClient(CIRCUIT, request()), 0.0))
    assert queries(concentrator.handle(Downstream(HOST), 0.001)) == []
    [refusal] = of_type(Refuse, concentrator.handle(answer(query, "known"), 0.01))
    assert not refusal.quiet
