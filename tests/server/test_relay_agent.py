"""What a relay agent may ask of the server in option 82: another link, another server identifier."""

from ipaddress import IPv4Address

import pytest
from scapy.all import BOOTP, DHCP

from lq.server.agent import Agent, circuit
from lq.wire import Message, MessageType, decode

from .helpers import RELAY, SERVER, Host, ask, mac, query, service

TWO_LINKS = """
listen: 198.19.1.2
database: x
leasequery: {requesters: [198.18.0.1]}
subnets:
  - {network: 198.18.0.0/24, pools: [198.18.0.10-198.18.0.20]}
  - {network: 198.18.1.0/24, pools: [198.18.1.10-198.18.1.20], options: {routers: [198.18.1.1]}}
"""
OTHER = TWO_LINKS.replace("198.19.1.2", "198.19.3.2").replace("0.10-198.18.0.20", "0.30-198.18.0.40")
CIRCUIT = b"\x01\x02c7"
OVERRIDE = bytes((198, 18, 0, 1))
OVERRIDDEN = CIRCUIT + b"\x0b\x04" + OVERRIDE
SELECTED = CIRCUIT + b"\x05\x04" + bytes((198, 18, 1, 0))


def test_the_client_sees_the_server_identifier_that_the_relay_agent_gives():
    """RFC 5107, 4: in OFFER, ACK and NAK; and a REQUEST that names it is for this server."""
    server = service()
    host = Host(server, relay_info=OVERRIDDEN)
    offer = host.discover(1000.0)
    assert offer.options[54] == OVERRIDE
    assert offer.options[82] == OVERRIDDEN
    ack = host.select(offer, 1000.0)
    assert (ack.message_type, ack.options[54]) == (MessageType.ACK, OVERRIDE)
    host.address = ack.yiaddr
    # The client sends what it has to say to "its server" to the relay agent, which passes it on.
    renewed = host.send(MessageType.REQUEST, 1500.0, ciaddr=str(host.address))
    assert (renewed.message_type, renewed.options[54]) == (MessageType.ACK, OVERRIDE)
    informed = host.send(MessageType.INFORM, 1500.0, ciaddr=str(host.address))
    assert informed.options[54] == OVERRIDE
    nak = host.send(MessageType.REQUEST, 1500.0, o50=bytes((198, 19, 0, 9)))
    assert (nak.message_type, nak.options[54]) == (MessageType.NAK, OVERRIDE)
    host.send(MessageType.RELEASE, 1600.0, ciaddr=str(host.address), o54=OVERRIDE)
    assert not server.bindings.get(host.address).leased(1600.0)


@pytest.mark.requirement("R6.4.2-7")
def test_leasequery_shows_the_servers_own_name_and_option_82_as_it_came():
    server = service()
    host = Host(server, relay_info=OVERRIDDEN)
    host.lease(1000.0)
    reply = ask(server, 1100.0, host.address)
    assert (reply.options[54], reply.options[82]) == (SERVER.packed, OVERRIDDEN)


def test_of_two_servers_with_one_name_the_one_that_made_the_offer_is_meant():
    """With the override a REQUEST does not tell the servers apart: the other keeps silent, frees its own."""
    one, two = service(), service(config=OTHER)
    host = Host(one, relay_info=OVERRIDDEN)
    offer = host.discover(1000.0)
    host.server = two
    freed = host.discover(1000.0).yiaddr
    assert freed != offer.yiaddr
    assert host.select(offer, 1001.0) is None
    assert not two.changed
    assert two.counters["dropped: another server was chosen"] == 1
    assert Host(two, 9).discover(1001.0).yiaddr == freed
    host.server = one
    assert host.select(offer, 1001.0).message_type == MessageType.ACK


@pytest.mark.parametrize("octets", [b"", b"\xc6", OVERRIDE + b"\0"])
def test_an_override_of_another_length_is_left_alone(octets):
    server = service()
    relay_info = CIRCUIT + bytes((11, len(octets))) + octets
    offer = Host(server, relay_info=relay_info).discover(1000.0)
    assert (offer.options[54], offer.options[82]) == (SERVER.packed, relay_info)


def test_the_link_is_the_one_that_the_relay_agent_selects():
    """RFC 3527, 3: giaddr says where replies go, the sub-option which link the client is on."""
    server = service(config=TWO_LINKS)
    host = Host(server, relay_info=SELECTED)
    ack = host.lease(1000.0)
    assert ack.yiaddr == IPv4Address("198.18.1.10")
    assert ack.options[3] == bytes((198, 18, 1, 1))
    assert host.destination == RELAY
    assert Host(server, 2, relay_info=CIRCUIT).lease(1000.0).yiaddr == IPv4Address("198.18.0.10")
    nak = host.send(MessageType.REQUEST, 1100.0, o50=bytes((198, 18, 0, 10)))
    assert nak.message_type == MessageType.NAK
    nowhere = Host(server, 3, relay_info=CIRCUIT + b"\x05\x04\xc6\x13\x09\x00")
    assert nowhere.discover(1000.0) is None
    assert server.counters["dropped: unknown network"] == 1


def test_giaddr_need_not_lie_in_a_subnet_if_the_link_is_selected():
    server = service(config=TWO_LINKS)
    host = Host(server, relay_info=SELECTED, giaddr=IPv4Address("198.19.7.1"))
    assert host.lease(1000.0).yiaddr == IPv4Address("198.18.1.10")
    assert host.destination == ("198.19.7.1", 67)


@pytest.mark.parametrize("relay_info", [OVERRIDDEN, SELECTED])
def test_a_host_is_no_relay_agent(relay_info):
    """The same sub-options from whoever does not hold giaddr, or names none, change nothing."""
    server = service(config=TWO_LINKS)
    host = Host(server, relay_info=relay_info)
    assert host.send(MessageType.DISCOVER, 1000.0, source=("198.18.0.10", 68)) is None
    honest = Host(server, relay_info=CIRCUIT)
    honest.lease(1000.0)
    honest.kept = {82: relay_info}
    assert honest.renew(1100.0) is None
    assert len(server.bindings) == 1


@pytest.mark.parametrize(
    ("relay_info", "key"),
    [
        (None, None),
        (b"", None),
        (CIRCUIT, CIRCUIT),
        (CIRCUIT + b"\x02\x01m", CIRCUIT),
        (b"\x02\x01m" + CIRCUIT, CIRCUIT),
        (b"\x02\x01m", b"\x02\x01m"),
        (b"\x01\x09short", b"\x01\x09short"),
        (b"\x02\x01m\x01", b"\x02\x01m\x01"),
        (b"\x01\x00", b"\x01\x00"),
    ],
)
def test_what_tells_circuits_apart(relay_info, key):
    assert circuit(relay_info) == key
    message = Message(
        giaddr=IPv4Address("198.18.0.1"), options={} if relay_info is None else {82: relay_info}
    )
    assert Agent.of(message).circuit == key
    message.giaddr = IPv4Address(0)
    assert Agent.of(message) == (None, None, None)


def test_messages_that_scapy_has_made():
    """Another implementation's octets of RFC 5107 and RFC 3527, from DISCOVER to leasequery."""
    server = service(config=TWO_LINKS)
    suboptions = CIRCUIT + b"\x0b\x04" + OVERRIDE + b"\x05\x04" + bytes((198, 18, 1, 0))

    def made(kind, *options, **fields):
        head = BOOTP(op=1, xid=7, giaddr="198.18.0.1", chaddr=mac(1), **fields)
        body = DHCP(
            options=[("message-type", kind), *options, ("relay_agent_information", suboptions), "end"]
        )
        return bytes(head / body)

    offer = BOOTP(server.handle(made("discover"), 1000.0, RELAY)[0])
    told = dict(option[:2] for option in offer[DHCP].options if isinstance(option, tuple))
    assert (offer.yiaddr, told["server_id"]) == ("198.18.1.10", "198.18.0.1")
    chosen = [("requested_addr", offer.yiaddr), ("server_id", told["server_id"])]
    ack = BOOTP(server.handle(made("request", *chosen), 1001.0, RELAY)[0])
    told = dict(option[:2] for option in ack[DHCP].options if isinstance(option, tuple))
    assert (ack.yiaddr, told["message-type"], told["server_id"]) == ("198.18.1.10", 5, "198.18.0.1")
    reply = decode(server.handle(query("198.18.1.10", requested=b"\x52"), 1002.0, RELAY)[0])
    assert (reply.message_type, reply.options[82]) == (MessageType.ACTIVE, suboptions)
