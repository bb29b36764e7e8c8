"""What is cached goes stale: leases that end, hosts that leave or move, addresses assigned anew."""

from ipaddress import IPv4Network

import pytest

from lq.concentrator.access import AccessAddresses
from lq.concentrator.events import (
    BroadcastArp,
    Downstream,
    FromClient,
    ModemRegistered,
    Permit,
    Refuse,
    Upstream,
    Withdraw,
)
from lq.concentrator.reasons import RefusalReason
from lq.wire import MessageType, OptionCode
from tests.concentrator.helpers import (
    CIRCUIT,
    GIADDR,
    HOST,
    LEASE,
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

KEY = int(HOST)
BOTH = {"servers": (SERVER, SECOND)}


def ask(concentrator, now=0.0):
    [query] = queries(concentrator.handle(Downstream(HOST), now))
    return query


def located(concentrator, now=0.0, **fields):
    """Have MAC on CIRCUIT located by an answer; return its location."""
    [permit] = of_type(Permit, concentrator.handle(active(ask(concentrator, now), **fields), now))
    return permit.location


def relayed(concentrator, kind, now, circuit=CIRCUIT, chaddr=MAC, xid=5):
    """Pass on a client's message about HOST; return all effects."""
    about = {"ciaddr": HOST} if kind == MessageType.RELEASE else {}
    options = {} if about else {OptionCode.REQUESTED_ADDRESS: HOST.packed}
    message = client_message(kind, xid, chaddr=chaddr, options=options, **about)
    return concentrator.handle(FromClient(circuit, message), now)


def acknowledged(concentrator, now, circuit=CIRCUIT, chaddr=MAC, server=SERVER, seconds=LEASE):
    """Let a client take HOST of a server through the relay; return the effects of the ACK."""
    requests = relayed(concentrator, MessageType.REQUEST, now, circuit, chaddr)
    [request] = [each for each in requests if each.server == server]
    ack = server_message(request, MessageType.ACK, yiaddr=HOST, lease=seconds)
    return concentrator.handle(ack, now)


@pytest.mark.requirement("R5-11")
def test_a_location_ends_with_the_lease_and_not_before():
    concentrator = engine()
    location = located(concentrator, lease=100)
    assert concentrator.handle(Downstream(HOST), 99.9) == [Permit(location)]
    assert len(queries(concentrator.handle(Downstream(HOST), 100.0))) == 1, "even before it is woken"
    assert of_type(Withdraw, concentrator.wake(100.0)) == [Withdraw(location)]


@pytest.mark.parametrize("kind", [MessageType.RELEASE, MessageType.DECLINE])
def test_who_gives_an_address_up_is_withdrawn_whether_gleaned_or_asked_about(kind):
    concentrator = engine()
    location = located(concentrator)
    assert of_type(Withdraw, relayed(concentrator, kind, 1.0)) == [Withdraw(location)]
    ask(concentrator, 2.0)


@pytest.mark.parametrize("kind", [MessageType.RELEASE, MessageType.DECLINE])
def test_an_answer_on_its_way_does_not_revive_what_was_given_up_meanwhile(kind):
    concentrator = engine(known_time=30.0)
    query = ask(concentrator)
    relayed(concentrator, kind, 0.1)
    effects = concentrator.handle(active(query), 0.2)
    assert of_type(Permit, effects) == []
    assert of_type(Refuse, effects) == [Refuse(HOST, 30.2, RefusalReason.KNOWN)]
    [permit] = of_type(Permit, acknowledged(concentrator, 1.0))
    assert permit.location.admits(CIRCUIT, MAC), "a new lease counts at once"


def test_a_late_second_answer_does_not_revive_it_either():
    concentrator = engine(**BOTH)
    first, second = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(active(first, ago=500), 0.1)
    relayed(concentrator, MessageType.RELEASE, 0.2)
    effects = concentrator.handle(active(second, ago=5), 0.3)
    assert of_type(Permit, effects) == []


def test_giving_up_another_s_address_does_not_disturb_the_answer():
    concentrator = engine()
    query = ask(concentrator)
    for circuit, chaddr in ((OTHER_CIRCUIT, MAC), (CIRCUIT, OTHER_MAC)):
        relayed(concentrator, MessageType.RELEASE, 0.1, circuit, chaddr)
    [permit] = of_type(Permit, concentrator.handle(active(query), 0.2))
    assert permit.location.admits(CIRCUIT, MAC)


def test_a_nak_ends_a_location_that_came_by_answer():
    concentrator = engine()
    location = located(concentrator)
    [request] = relayed(concentrator, MessageType.REQUEST, 1.0)
    effects = concentrator.handle(server_message(request, MessageType.NAK), 1.1)
    assert of_type(Withdraw, effects) == [Withdraw(location)]


def test_a_host_that_leaves_while_its_modem_is_absent_is_not_located_when_the_modem_comes():
    concentrator = engine()
    concentrator.handle(ModemRegistered(b"\x02another", CIRCUIT), 0.0)
    effects = concentrator.handle(active(ask(concentrator), option82=info(CIRCUIT, MODEM)), 0.1)
    assert [each.reason.value for each in of_type(Refuse, effects)] == ["modem-absent"]
    relayed(concentrator, MessageType.RELEASE, 0.2, OTHER_CIRCUIT)
    assert of_type(Permit, concentrator.handle(ModemRegistered(MODEM, OTHER_CIRCUIT), 1.0)) == []
    ask(concentrator, 6.0)


def test_a_client_that_moved_is_where_its_new_lease_says():
    concentrator = engine()
    location = located(concentrator)
    _, withdraw, permit = acknowledged(concentrator, 1.0, OTHER_CIRCUIT)
    assert withdraw == Withdraw(location)
    assert permit.location.admits(OTHER_CIRCUIT, MAC)
    assert drops(concentrator.handle(Upstream(CIRCUIT, MAC, HOST), 2.0)) == ["spoofed"]


def test_a_client_whose_modem_moved_moves_with_it():
    concentrator = engine()
    concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 0.0)
    location = located(concentrator, option82=info(CIRCUIT, MODEM))
    withdraw, permit = concentrator.handle(ModemRegistered(MODEM, OTHER_CIRCUIT), 1.0)
    assert withdraw == Withdraw(location)
    assert permit.location.admits(OTHER_CIRCUIT, MAC)
    assert permit.location.expires == location.expires


def test_in_mode_arp_a_host_moves_with_its_modem_too():
    from lq.concentrator.events import ArpReply

    concentrator = engine(mode="arp")
    concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 0.0)
    assert concentrator.handle(Downstream(HOST), 0.0) == [BroadcastArp(HOST)]
    concentrator.handle(ArpReply(CIRCUIT, MAC, HOST), 0.1)
    _, permit = concentrator.handle(ModemRegistered(MODEM, OTHER_CIRCUIT), 1.0)
    assert permit.location.admits(OTHER_CIRCUIT, MAC)


def test_an_address_assigned_to_another_client_leaves_the_one_that_an_answer_named():
    concentrator = engine()
    location = located(concentrator)
    _, withdraw, permit = acknowledged(concentrator, 1.0, OTHER_CIRCUIT, OTHER_MAC)
    assert withdraw == Withdraw(location)
    assert permit.location.admits(OTHER_CIRCUIT, OTHER_MAC)


@pytest.mark.requirement("R6.5-5")
@pytest.mark.parametrize("kind", ["known", "unknown"])
def test_a_refusal_ends_when_the_address_is_leased(kind):
    concentrator = engine(known_time=1000.0, unknown_time=1000.0)
    concentrator.handle(answer(ask(concentrator), kind), 0.1)
    acknowledged(concentrator, 1.0, seconds=60)
    assert concentrator.negative_cache.get(KEY, 1.0) is None
    concentrator.wake(61.0)
    ask(concentrator, 62.0)  # neither the refusal nor the server's UNKNOWN is remembered


@pytest.mark.requirement("R6.5-4")
def test_another_server_s_acknowledgement_makes_it_the_one_to_ask():
    concentrator = engine(**BOTH, unknown_time=1000.0)
    first, second = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(answer(first, "known"), 0.1)
    concentrator.handle(answer(second, "unknown"), 0.1)
    effects = acknowledged(concentrator, 1.0, server=SECOND, seconds=60)
    assert len(of_type(Permit, effects)) == 1
    concentrator.wake(61.0)
    assert [each.server for each in queries(concentrator.handle(Downstream(HOST), 62.0))] == [SECOND]


def test_what_one_server_said_of_an_address_does_not_keep_it_from_the_other():
    """UNKNOWN is cached for each server: the one that did not say so is asked."""
    concentrator = engine(**BOTH, known_time=10.0, unknown_time=1000.0)
    first, second = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(answer(first, "unknown"), 0.1)
    concentrator.handle(answer(second, "known"), 0.1)
    assert [each.server for each in queries(concentrator.handle(Downstream(HOST), 11.0))] == [SECOND]


@pytest.mark.requirement("R6.2-7")
@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("198.18.4.0/30", (1, 2), (0, 3, 4, -1)),
        ("198.18.4.0/31", (0, 1), (2, -1)),
        ("198.18.4.0/32", (0,), (1, -1)),
    ],
)
def test_which_addresses_of_a_network_a_host_may_have(network, inside, outside):
    network = IPv4Network(network)
    addresses = AccessAddresses([IPv4Network("198.18.0.0/24"), network], GIADDR)
    base = int(network.network_address)
    assert all(base + number in addresses for number in inside)
    assert not any(base + number in addresses for number in outside)
    assert int(GIADDR) not in addresses
    assert int(GIADDR) + 1 in addresses
