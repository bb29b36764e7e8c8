from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lq.concentrator.circuit_id import TextCircuitId
from lq.concentrator.events import (
    Answered,
    Circuit,
    Downstream,
    FromClient,
    FromServer,
    ModemRegistered,
    Permit,
    ToClient,
    ToServer,
    Upstream,
    Withdraw,
)
from lq.wire import BOOTREPLY, Message, MessageType, OptionCode, RelayInfo
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


def requested(address):
    return {OptionCode.REQUESTED_ADDRESS: address.packed}


def relay(concentrator, message, circuit=CIRCUIT, now=0.0):
    [relayed, *_] = of_type(ToServer, concentrator.handle(FromClient(circuit, message), now))
    return relayed


def lease(concentrator, address=HOST, chaddr=MAC, circuit=CIRCUIT, now=0.0, seconds=3600):
    """Let a client take a lease through the relay; return the effects of the ACK."""
    message = client_message(MessageType.REQUEST, chaddr=chaddr, options=requested(address))
    relayed = relay(concentrator, message, circuit, now)
    ack = server_message(relayed, MessageType.ACK, yiaddr=address, lease=seconds)
    return concentrator.handle(ack, now)


def test_a_client_s_message_goes_to_all_servers_with_giaddr_and_option_82():
    concentrator = engine(servers=(SERVER, SECOND))
    concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 0.0)
    message = client_message(MessageType.DISCOVER, options={OptionCode.HOST_NAME: b"host1"})
    before = replace(message, options=dict(message.options))
    effects = concentrator.handle(FromClient(CIRCUIT, message), 0.0)
    assert [each.server for each in effects] == [SERVER, SECOND]
    for each in effects:
        assert each.query is None
        assert each.message.giaddr == GIADDR
        assert each.message.hops == 1
        assert RelayInfo.decode(each.message.options[RELAY_INFO]) == info(CIRCUIT, MODEM)
        rest = {code: value for code, value in each.message.options.items() if code != RELAY_INFO}
        assert rest == message.options
    assert message == before, "the caller's message is left alone"


def test_the_circuit_id_has_the_configured_format():
    concentrator = engine(circuit_id="text", access_node="dslam1")
    relayed = relay(concentrator, client_message(MessageType.DISCOVER), Circuit(3, (101,)))
    assert RelayInfo.decode(relayed.message.options[RELAY_INFO]).circuit_id == b"dslam1 eth 0/3:101"
    assert TextCircuitId("dslam1").decode(b"dslam1 eth 0/3:101") == Circuit(3, (101,))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (client_message(MessageType.DISCOVER, giaddr=IPv4Address("198.18.9.9")), "spoofed-giaddr"),
        (client_message(MessageType.DISCOVER, options={RELAY_INFO: info().encode()}), "spoofed-option-82"),
        (client_message(MessageType.OFFER, op=BOOTREPLY), "rogue-server"),
        (client_message(MessageType.ACK), "not-a-client's"),
        (client_message(MessageType.LEASEQUERY, ciaddr=HOST), "not-a-client's"),
        (client_message(MessageType.ACTIVE, ciaddr=HOST), "not-a-client's"),
        (client_message(MessageType.DISCOVER, hops=16), "hops"),
    ],
)
def test_what_a_client_may_not_send_is_dropped(message, reason):
    effects = engine().handle(FromClient(CIRCUIT, message), 0.0)
    assert drops(effects) == [reason]
    assert of_type(ToServer, effects) == []


def test_a_reply_goes_to_its_circuit_without_option_82():
    concentrator = engine()
    relayed = relay(concentrator, client_message(MessageType.DISCOVER))
    effects = concentrator.handle(server_message(relayed, MessageType.OFFER, yiaddr=HOST, lease=60), 0.0)
    [reply] = effects
    assert isinstance(reply, ToClient)
    assert (reply.circuit, reply.chaddr, reply.broadcast) == (CIRCUIT, MAC, False)
    assert RELAY_INFO not in reply.message.options
    assert reply.message.yiaddr == HOST
    assert len(concentrator.locations) == 0, "an offer is no lease"


def test_a_server_that_does_not_return_option_82_is_served_from_memory():
    concentrator = engine()
    concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 0.0)
    relayed = relay(concentrator, client_message(MessageType.REQUEST, options=requested(HOST)))
    ack = server_message(relayed, MessageType.ACK, yiaddr=HOST, lease=60, echo=False)
    to_client, permit = concentrator.handle(ack, 0.0)
    assert to_client.circuit == permit.location.circuit == CIRCUIT
    assert permit.location.modem == MODEM


def test_after_a_reboot_a_reply_answers_no_request_of_this_life():
    relayed = relay(engine(), client_message(MessageType.DISCOVER), Circuit(2, (100, 7)))
    offer = server_message(relayed, MessageType.OFFER, yiaddr=HOST, lease=60)
    assert drops(engine().handle(offer, 0.0)) == ["unasked-reply"]
    # A relay that believes whatever bears its giaddr takes option 82 alone for where the client is.
    [reply] = engine(verify_replies=False).handle(offer, 0.0)
    assert reply.circuit == Circuit(2, (100, 7))
    without = server_message(relayed, MessageType.OFFER, yiaddr=HOST, lease=60, echo=False)
    assert drops(engine(verify_replies=False).handle(without, 0.0)) == ["no-circuit"]


@pytest.mark.parametrize(("flags", "yiaddr"), [(0x8000, HOST), (0, IPv4Address(0))])
def test_replies_are_broadcast_where_the_client_hears_nothing_else(flags, yiaddr):
    concentrator = engine()
    relayed = relay(concentrator, client_message(MessageType.REQUEST))
    reply = server_message(relayed, MessageType.NAK, flags=flags, yiaddr=yiaddr)
    [to_client] = concentrator.handle(reply, 0.0)
    assert to_client.broadcast


def test_replies_from_elsewhere_or_not_for_us_or_unreadable_are_dropped():
    concentrator = engine()
    relayed = relay(concentrator, client_message(MessageType.REQUEST, options=requested(HOST)))
    good = server_message(relayed, MessageType.ACK, yiaddr=HOST, lease=60)

    def changed(**fields):
        return FromServer(SERVER, replace(good.message, **fields))

    def with_option(code, value):
        return changed(options={**good.message.options, code: value})

    assert drops(concentrator.handle(FromServer(SECOND, good.message), 0.0)) == ["unknown-server"]
    assert drops(concentrator.handle(changed(giaddr=HOST), 0.0)) == ["not-a-reply"]
    assert drops(concentrator.handle(changed(op=1), 0.0)) == ["not-a-reply"]
    assert drops(concentrator.handle(with_option(RELAY_INFO, b"\x01\x09x"), 0.0)) == ["malformed"]
    assert drops(concentrator.handle(with_option(OptionCode.LEASE_TIME, b"\x01"), 0.0)) == ["malformed"]
    assert len(concentrator.locations) == 0


@pytest.mark.requirement("R1-7")
def test_an_ack_is_gleaned_for_the_lease_time():
    concentrator = engine(refresh=False)
    to_client, permit = lease(concentrator, now=5.0, seconds=60)
    assert isinstance(to_client, ToClient)
    assert permit == Permit(concentrator.locations.get(int(HOST), 5.0))
    assert permit.location.expires == 65.0
    assert permit.location.admits(CIRCUIT, MAC)
    assert concentrator.handle(Downstream(HOST), 64.9) == [permit]
    assert concentrator.deadline == 65.0
    assert concentrator.wake(65.0) == [Withdraw(permit.location)]
    assert concentrator.deadline is None


@pytest.mark.requirement("R4.3-1")
def test_a_renewal_that_was_not_relayed_is_learnt_by_query_when_the_gleaned_lease_is_over():
    concentrator = engine()
    lease(concentrator, seconds=60)
    concentrator.wake(60.0)  # the client renewed at the server directly: nothing passed here
    [query] = queries(concentrator.handle(Downstream(HOST), 61.0))
    [_, permit] = concentrator.handle(active(query), 61.01)
    assert permit.location.admits(CIRCUIT, MAC)


@pytest.mark.requirement("R4.3-1")
def test_what_was_gleaned_does_not_survive_a_reboot():
    lease(engine())
    assert len(queries(engine().handle(Downstream(HOST), 1.0))) == 1


def test_an_ack_without_address_or_lease_teaches_nothing():
    concentrator = engine()
    relayed = relay(concentrator, client_message(MessageType.INFORM, ciaddr=HOST))
    assert len(concentrator.handle(server_message(relayed, MessageType.ACK, ciaddr=HOST), 0.0)) == 1
    effects = concentrator.handle(server_message(relayed, MessageType.ACK, yiaddr=HOST), 0.0)
    assert of_type(Permit, effects) == []


def test_bootp_is_relayed():
    concentrator = engine()
    message = Message(xid=3, htype=1, chaddr=MAC)
    relayed = relay(concentrator, message)
    reply = Message(op=BOOTREPLY, xid=3, htype=1, chaddr=MAC, giaddr=GIADDR, yiaddr=HOST)
    assert relayed.message.giaddr == GIADDR
    [to_client] = concentrator.handle(FromServer(SERVER, reply), 0.0)
    assert to_client.circuit == CIRCUIT


def test_gleaning_ends_the_query_about_the_address_and_a_late_answer_does_not_undo_it():
    concentrator = engine()
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    lease(concentrator, circuit=OTHER_CIRCUIT)
    assert len(concentrator.queries) == 0
    effects = concentrator.handle(active(query), 0.1)
    assert effects == [Answered(HOST, SERVER, "ip", "active", 0.1, 1)], "it is written down, and no more"
    assert concentrator.locations.get(int(HOST), 0.1).circuit == OTHER_CIRCUIT
    assert drops(concentrator.handle(active(query), 0.2)) == ["unmatched"], "a duplicate"


@pytest.mark.requirement("R6.6-4")
@pytest.mark.parametrize("kind", ["active", "known", "unknown"])
def test_an_answer_that_comes_after_gleaning_shows_that_the_server_lives(kind):
    """Whatever became of the query, recovery goes on at once, not with the next poll."""
    concentrator = engine()
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    lease(concentrator, now=0.02)
    late = active(query) if kind == "active" else answer(query, kind)
    assert of_type(Answered, concentrator.handle(late, 0.03))
    assert concentrator.locations.get(int(HOST), 0.03).admits(CIRCUIT, MAC)
    assert len(queries(concentrator.handle(Downstream(HOST + 1), 0.1))) == 1
    assert len(concentrator.negative_cache) == 0


@pytest.mark.requirement("R6.6-3")
def test_what_was_gleaned_is_still_on_the_wire():
    """One query at a time to a server that rested, none more than the window to one that answers."""
    concentrator = engine(window=2)
    [first] = queries(concentrator.handle(Downstream(HOST), 0.0))
    lease(concentrator, now=0.0)
    assert queries(concentrator.handle(Downstream(HOST + 1), 0.0)) == []
    [second] = queries(concentrator.handle(active(first), 0.1))
    concentrator.handle(active(second), 0.2)
    concentrator.wake(10.2)  # at rest
    [_probe] = queries(concentrator.handle(Downstream(HOST + 2), 20.0))
    lease(concentrator, HOST + 2, now=20.0)
    assert queries(concentrator.handle(Downstream(HOST + 3), 20.1)) == []
    [next_] = queries(concentrator.wake(21.0))  # the probe is lost: when it would go again, another goes
    assert next_.query.address == HOST + 3


@pytest.mark.requirement("R6.6-4")
def test_a_query_about_an_address_that_was_gleaned_and_lost_again_is_another_one():
    concentrator = engine()
    [first] = queries(concentrator.handle(Downstream(HOST), 0.0))
    lease(concentrator, now=0.1)
    release = client_message(MessageType.RELEASE, ciaddr=HOST)
    concentrator.handle(FromClient(CIRCUIT, release), 0.2)
    assert queries(concentrator.handle(Downstream(HOST), 0.3)) == []
    effects = concentrator.handle(active(first), 0.4)
    assert of_type(Permit, effects) == [], "it tells of before"
    [second] = queries(effects)
    assert second.message.xid != first.message.xid
    assert of_type(Permit, concentrator.handle(active(second), 0.5))


def test_gleaning_lifts_a_refusal():
    concentrator = engine()
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(answer(query, "known"), 0.1)
    assert drops(concentrator.handle(Downstream(HOST), 0.2)) == ["refused"]
    lease(concentrator, now=0.3)
    assert of_type(Permit, concentrator.handle(Downstream(HOST), 0.4))


def test_an_address_assigned_to_another_client_takes_the_first_one_s_flows_away():
    concentrator = engine()
    [_, first] = lease(concentrator)
    [_, withdraw, permit] = lease(concentrator, chaddr=OTHER_MAC, circuit=OTHER_CIRCUIT)
    assert withdraw == Withdraw(first.location)
    assert permit.location.admits(OTHER_CIRCUIT, OTHER_MAC)


def test_a_client_that_moved_to_another_circuit_is_there_alone():
    concentrator = engine()
    [_, first] = lease(concentrator)
    [_, withdraw, permit] = lease(concentrator, circuit=OTHER_CIRCUIT)
    assert (withdraw, permit.location.circuit) == (Withdraw(first.location), OTHER_CIRCUIT)
    spoofed = concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 1.0)
    assert drops(spoofed) == ["spoofed"]


@pytest.mark.parametrize("kind", [MessageType.RELEASE, MessageType.DECLINE])
def test_a_released_or_declined_address_is_withdrawn(kind):
    concentrator = engine()
    [_, permit] = lease(concentrator)
    fields = {"ciaddr": HOST} if kind == MessageType.RELEASE else {"options": requested(HOST)}
    effects = concentrator.handle(FromClient(CIRCUIT, client_message(kind, **fields)), 1.0)
    assert [type(each) for each in effects] == [ToServer, Withdraw]
    assert effects[1] == Withdraw(permit.location)


@pytest.mark.parametrize(("circuit", "chaddr"), [(OTHER_CIRCUIT, MAC), (CIRCUIT, OTHER_MAC)])
def test_nobody_releases_another_s_address(circuit, chaddr):
    concentrator = engine()
    lease(concentrator)
    message = client_message(MessageType.RELEASE, ciaddr=HOST, chaddr=chaddr)
    effects = concentrator.handle(FromClient(circuit, message), 1.0)
    assert drops(effects) == ["spoofed"]
    assert of_type(ToServer, effects) == []
    assert concentrator.locations.get(int(HOST), 1.0) is not None


def test_a_nak_ends_the_lease_of_the_host_that_it_denies_but_no_other_s():
    concentrator = engine()
    [_, permit] = lease(concentrator)
    elsewhere = relay(
        concentrator, client_message(MessageType.REQUEST, 6, options=requested(HOST)), OTHER_CIRCUIT
    )
    assert of_type(Withdraw, concentrator.handle(server_message(elsewhere, MessageType.NAK), 1.0)) == []
    here = relay(concentrator, client_message(MessageType.REQUEST, 7, options=requested(HOST)))
    effects = concentrator.handle(server_message(here, MessageType.NAK), 1.0)
    assert [type(each) for each in effects] == [ToClient, Withdraw]
    assert effects[1] == Withdraw(permit.location)


def test_the_memory_of_exchanges_is_bounded(monkeypatch):
    monkeypatch.setattr("lq.concentrator.exchanges._MOST", 2)
    concentrator = engine()
    options = requested(HOST)
    relayed = [
        relay(concentrator, client_message(MessageType.REQUEST, xid, options=options)) for xid in range(3)
    ]
    replies = [server_message(each, MessageType.ACK, yiaddr=HOST, lease=9, echo=False) for each in relayed]
    assert [drops(concentrator.handle(each, 0.0)) for each in replies] == [["unasked-reply"], [], []]
