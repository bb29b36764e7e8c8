"""Address assignment as RFC 2131 has it."""

from ipaddress import IPv4Address

import pytest

from lq.server.bindings import State
from lq.wire import MessageType

from .helpers import CONFIG, GIADDR, RELAY, SERVER, Host, ask, mac, option_82, seconds, service


@pytest.fixture
def server():
    return service()


def test_a_client_gets_an_address_through_the_relay(server):
    host = Host(server)
    offer = host.discover(1000.0, o55=bytes((1, 3, 6, 15)))
    assert offer.message_type == MessageType.OFFER
    assert offer.yiaddr == IPv4Address("198.18.0.10")
    assert not server.changed  # an offer is nothing to store
    ack = host.select(offer, 1001.0, o55=bytes((1, 3, 6, 15)))
    assert ack.message_type == MessageType.ACK
    assert (ack.yiaddr, ack.giaddr, ack.chaddr) == (offer.yiaddr, GIADDR, mac(1))
    assert ack.options[54] == SERVER.packed
    assert ack.options[1] == bytes((255, 255, 0, 0))
    assert ack.options[3] == bytes((198, 18, 0, 1))
    assert ack.options[15] == b"example"
    assert 6 not in ack.options
    assert (seconds(ack, 51), seconds(ack, 58), seconds(ack, 59)) == (3600, 1800, 3150)
    assert host.destination == ("198.18.0.1", 67)
    (binding,) = server.changed.values()
    assert (binding.address, binding.expires, binding.last_transaction) == (ack.yiaddr, 4601.0, 1001.0)


@pytest.mark.requirement("R5-9")
def test_option_82_is_echoed_last_and_kept_byte_for_byte(server):
    odd = b"\x02\x02zz\x01\x00\x09\x03abc"
    host = Host(server, relay_info=odd)
    ack = host.lease(1000.0)
    assert list(ack.options)[-1] == 82
    assert ack.options[82] == odd
    assert server.bindings.get(host.address).relay_info == odd


@pytest.mark.requirement("R5-9")
def test_a_unicast_renewal_extends_the_lease_and_keeps_option_82(server):
    host = Host(server)
    host.lease(1000.0)
    ack = host.renew(2000.0)
    assert (ack.message_type, ack.yiaddr, ack.ciaddr) == (MessageType.ACK, host.address, host.address)
    assert host.destination == (str(host.address), 68)
    binding = server.bindings.get(host.address)
    assert (binding.expires, binding.relay_info) == (5600.0, option_82(1))


@pytest.mark.requirement("R5-9")
def test_a_relayed_rebinding_brings_the_most_recent_option_82(server):
    host = Host(server)
    host.lease(1000.0)
    host.relay_info = option_82(77)
    assert host.send(MessageType.REQUEST, 4200.0, ciaddr=str(host.address)).message_type == MessageType.ACK
    assert server.bindings.get(host.address).relay_info == option_82(77)


@pytest.mark.requirement("R5-10")
def test_the_vendor_class_is_kept_also_when_left_out_once(server):
    host = Host(server)
    host.lease(1000.0, o60=b"docsis3.0")
    host.renew(1100.0, o12=b"name")
    binding = server.bindings.get(host.address)
    assert binding.sent == b"\x3c\x09docsis3.0\x0c\x04name"
    assert ask(server, 1200.0, host.address).options[60] == b"docsis3.0"


def test_init_reboot_is_confirmed(server):
    host = Host(server)
    host.lease(1000.0)
    ack = host.send(MessageType.REQUEST, 1500.0, o50=host.address.packed)
    assert (ack.message_type, ack.yiaddr) == (MessageType.ACK, host.address)


def test_init_reboot_of_a_stranger_is_met_with_silence(server):
    assert Host(server).send(MessageType.REQUEST, 1000.0, o50=bytes((198, 18, 0, 15))) is None
    assert server.counters["dropped: client without a binding"] == 1


@pytest.mark.parametrize("asked", ["198.19.0.10", "10.0.0.1"])
def test_an_address_of_another_network_is_refused(server, asked):
    nak = Host(server).send(MessageType.REQUEST, 1000.0, o50=IPv4Address(asked).packed)
    assert (nak.message_type, nak.broadcast, nak.yiaddr) == (MessageType.NAK, True, IPv4Address(0))
    assert 51 not in nak.options


def test_an_address_leased_to_another_is_refused(server):
    first, second = Host(server, 1), Host(server, 2)
    first.lease(1000.0)
    second.lease(1000.0)
    for ask_for in (first.address, second.address):
        host = second if ask_for == first.address else first
        nak = host.send(MessageType.REQUEST, 1500.0, o50=ask_for.packed)
        assert nak.message_type == MessageType.NAK
        nak = host.send(MessageType.REQUEST, 1500.0, ciaddr=str(ask_for), relayed=False)
        assert nak.message_type == MessageType.NAK
        nak = host.send(MessageType.REQUEST, 1500.0, o50=ask_for.packed, o54=SERVER.packed)
        assert nak.message_type == MessageType.NAK


def test_an_expired_lease_can_still_be_renewed_by_its_client(server):
    host = Host(server)
    host.lease(1000.0)
    assert host.renew(9000.0).message_type == MessageType.ACK


def test_a_client_that_chose_another_server_frees_the_offer(server):
    host = Host(server)
    offer = host.discover(1000.0)
    assert host.send(MessageType.REQUEST, 1000.0, o50=offer.yiaddr.packed, o54=bytes((198, 19, 9, 9))) is None
    assert server.counters["dropped: another server was chosen"] == 1
    assert Host(server, 2).discover(1001.0).yiaddr == offer.yiaddr


def test_offers_to_different_clients_differ_and_lapse(server):
    offers = [Host(server, number).discover(1000.0).yiaddr for number in range(11)]
    assert len(set(offers)) == 11
    assert Host(server, 50).discover(1001.0) is None
    assert server.counters["dropped: no free address"] == 1
    assert Host(server, 50).discover(1061.0).yiaddr == offers[0]


def test_the_same_client_is_offered_the_same_address(server):
    host = Host(server)
    first = host.discover(1000.0)
    assert host.discover(1030.0).yiaddr == first.yiaddr
    assert host.discover(1200.0, o50=bytes((198, 18, 0, 17))).yiaddr == IPv4Address("198.18.0.17")


def test_the_former_address_is_preferred_after_release_and_expiry(server):
    host = Host(server, 1)
    host.lease(1000.0)
    host.release(1100.0)
    other = Host(server, 2)
    other.lease(1200.0)
    assert other.address != host.address
    assert host.discover(1300.0, o50=bytes((198, 18, 0, 19))).yiaddr == host.address
    assert host.discover(99999.0).yiaddr == host.address


def test_the_least_recently_used_address_is_used_again(server):
    hosts = [Host(server, number) for number in range(11)]
    for host in hosts:
        host.lease(1000.0)
    hosts[3].renew(1200.0)
    hosts[4].release(1100.0)
    hosts[7].release(1050.0)
    fresh = [Host(server, 100 + number) for number in range(3)]
    assert fresh[0].lease(1200.0).yiaddr == hosts[7].address
    assert fresh[1].lease(1200.0).yiaddr == hosts[4].address
    assert fresh[2].discover(1200.0) is None
    # All others expire at 4600 but the renewed one at 4800.
    later = [Host(server, 200 + number).lease(4900.0).yiaddr for number in range(9)]
    assert set(later) == {host.address for host in hosts} - {fresh[0].address, fresh[1].address}
    assert later[-1] == hosts[3].address


def test_a_release_by_another_client_changes_nothing(server):
    host = Host(server, 1)
    host.lease(1000.0)
    thief = Host(server, 2)
    thief.address = host.address
    thief.release(1100.0)
    assert server.bindings.get(host.address).leased(1100.0)
    assert server.counters["dropped: released address is not the client's"] == 1


def test_a_declined_address_is_held_back(server):
    host = Host(server)
    host.lease(1000.0)
    host.send(MessageType.DECLINE, 1010.0, o50=host.address.packed, o54=SERVER.packed)
    assert server.bindings.get(host.address).state == State.DECLINED
    assert server.changed[host.address.packed].state == State.DECLINED
    assert host.lease(1020.0).yiaddr == IPv4Address("198.18.0.11")
    for number in range(2, 11):
        assert Host(server, number).lease(1030.0).yiaddr != IPv4Address("198.18.0.10")
    # Nothing else is left: rather an address that somebody found in use a while ago than none.
    assert Host(server, 30).lease(4000.0).yiaddr == IPv4Address("198.18.0.10")
    assert Host(server, 31).discover(4000.0) is None


def test_a_decline_by_another_client_changes_nothing(server):
    host = Host(server)
    host.lease(1000.0)
    Host(server, 2).send(MessageType.DECLINE, 1010.0, o50=host.address.packed)
    assert server.bindings.get(host.address).leased(1010.0)


@pytest.mark.parametrize("octets", [b"", b"\xc6", bytes((198, 18, 0, 15)) * 2, bytes((198, 18, 0, 15, 0))])
def test_a_requested_address_of_another_length_is_passed_over(server, octets):
    assert Host(server).discover(1000.0, o50=octets).yiaddr == IPv4Address("198.18.0.10")
    for kind in (MessageType.REQUEST, MessageType.DECLINE):
        assert Host(server, 2).send(kind, 1000.0, o50=octets, o54=SERVER.packed) is None
    assert not server.changed


def test_a_former_client_cannot_decline_what_is_offered_to_another(server):
    host, other = Host(server), Host(server, 2)
    host.lease(1000.0)
    host.release(1010.0)
    offer = other.discover(1020.0, o50=host.address.packed)
    assert offer.yiaddr == host.address
    host.send(MessageType.DECLINE, 1030.0, o50=host.address.packed)
    assert other.select(offer, 1040.0).message_type == MessageType.ACK


def test_inform_gets_options_and_no_lease(server):
    host = Host(server)
    ack = host.send(MessageType.INFORM, 1000.0, ciaddr="198.18.0.99", relayed=False)
    assert (ack.message_type, ack.yiaddr) == (MessageType.ACK, IPv4Address(0))
    assert 51 not in ack.options
    assert ack.options[3] == bytes((198, 18, 0, 1))
    assert host.destination == ("198.18.0.99", 68)
    assert len(server.bindings) == 0


def test_clients_are_told_apart_by_identifier_before_hardware(server):
    one, two = Host(server, 1, client_id=b"\0one"), Host(server, 1, client_id=b"\0two")
    ack = one.lease(1000.0)
    assert ack.options[61] == b"\0one"
    assert two.lease(1000.0).yiaddr != ack.yiaddr


def test_a_shorter_lease_is_granted_and_a_longer_one_bounded(server):
    assert seconds(Host(server).discover(1000.0, o51=(60).to_bytes(4, "big")), 51) == 60
    assert seconds(Host(server).discover(1000.0, o51=b"\xff\xff\xff\xff"), 51) == 3600


def test_messages_for_other_networks_and_without_identity_are_dropped(server):
    assert Host(server, giaddr=IPv4Address("198.19.0.1")).discover(1000.0) is None
    nobody = Host(server)
    nobody.chaddr = b""
    assert nobody.discover(1000.0) is None
    assert server.handle(b"\x01" * 300, 1000.0, RELAY) is None
    assert server.handle(b"", 1000.0, RELAY) is None
    assert Host(server).send(9, 1000.0) is None
    for reason in ("unknown network", "no client identity", "malformed", "unexpected message type"):
        assert server.counters[f"dropped: {reason}"] >= 1, reason


SHARED = """
listen: 198.19.1.2
database: bindings.sqlite
lease_time: 600
options: {domain-name: outer, domain-name-servers: 198.19.1.3}
shared_networks:
  - name: cable
    subnets:
      - {network: 198.18.0.0/24, pools: [198.18.0.10-198.18.0.11], options: {routers: 198.18.0.1}}
      - {network: 198.18.1.0/24, pools: [198.18.1.10], lease_time: 900, t1: 100, t2: 200}
reservations:
  - {address: 198.18.1.50, hardware: "02:00:00:00:00:05", lease_time: 60, options: {domain-name: inner}}
  - {address: 198.18.0.51, client_id: "0x00aabb"}
  - {address: 198.18.0.10, hardware: "02:00:00:00:00:09"}
"""


def test_a_shared_network_gives_addresses_of_each_subnet():
    server = service(config=SHARED)
    first, second = Host(server, 1).lease(1000.0), Host(server, 2).lease(1000.0)
    assert [str(first.yiaddr), str(second.yiaddr)] == ["198.18.0.11", "198.18.1.10"]
    assert first.options[3] == bytes((198, 18, 0, 1))
    assert (3 in second.options, second.options[15], seconds(second, 51)) == (False, b"outer", 900)
    assert (seconds(second, 58), seconds(second, 59)) == (100, 200)
    assert Host(server, 3).discover(1000.0) is None


def test_reservations_by_hardware_address_and_client_identifier():
    server = service(config=SHARED)
    ack = Host(server, 5).lease(1000.0)
    assert (str(ack.yiaddr), ack.options[15], seconds(ack, 51)) == ("198.18.1.50", b"inner", 60)
    assert ack.options[6] == bytes((198, 19, 1, 3))
    assert str(Host(server, 80, client_id=b"\x00\xaa\xbb").lease(1000.0).yiaddr) == "198.18.0.51"
    assert str(Host(server, 9, client_id=b"any").lease(1000.0).yiaddr) == "198.18.0.10"


def test_a_reserved_address_is_given_to_nobody_else():
    server = service(config=SHARED)
    offer = Host(server, 1).discover(1000.0, o50=bytes((198, 18, 1, 50)))
    assert str(offer.yiaddr) == "198.18.0.11"
    nak = Host(server, 1).send(MessageType.REQUEST, 1000.0, o50=bytes((198, 18, 1, 50)), o54=SERVER.packed)
    assert nak.message_type == MessageType.NAK


def test_bindings_outside_the_configuration_are_left_out():
    former = service()
    Host(former).lease(1000.0)
    narrowed = service(
        config=CONFIG.replace("198.18.0.10-", "198.18.0.11-"), bindings=former.bindings, now=1100.0
    )
    assert len(narrowed.bindings) == 0
    assert narrowed.counters["bindings outside the configured pools"] == 1


def test_a_reply_that_is_too_long_for_the_client_is_overloaded_or_dropped():
    server = service(extra=f"options: {{43: '0x{'00' * 300}', 17: '0x{'00' * 60}'}}\n")
    offer = Host(server).discover(1000.0)
    assert (len(offer.options[43]), len(offer.options[17])) == (300, 60)
    server = service(extra=f"options: {{43: '0x{'00' * 900}'}}\n")
    assert Host(server).discover(1000.0) is None
    assert server.counters["dropped: reply too long"] == 1
    assert Host(server).discover(1000.0, o57=(1400).to_bytes(2, "big")) is not None
