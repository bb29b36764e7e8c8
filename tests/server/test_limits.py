"""What one client and one circuit may use up. Each bound is attacked until it is full."""

import tracemalloc
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lq.server.assign import MOST_KEPT
from lq.server.bindings import MOST_SHARED, Binding, Bindings, State
from lq.server.pools import _SLACK
from lq.wire import MessageType
from lq.wire.options import parse_field

from .helpers import CONFIG, SERVER, Host, ask, mac, option_82, service

POOL = CONFIG.replace("198.18.0.10-198.18.0.20", "198.18.1.0-198.18.1.99")  # 100 addresses
FLOOD = option_82(666)
NO_LIMITS = "leases_per_circuit: 0\nleases_per_client: 0\n"


def thief(server, number, **options):
    """A host of the attacker's circuit, with a hardware address of its own making."""
    return Host(server, 5000 + number, **{"relay_info": FLOOD} | options)


def honest(server, count, now):
    """How many hosts, each on a circuit of its own, get a lease."""
    served = 0
    for number in range(count):
        host = Host(server, 100 + number)
        offer = host.discover(now)
        if offer is not None:
            ack = host.select(offer, now + 0.1)
            served += ack is not None and ack.message_type == MessageType.ACK
    return served


def held(server, now):
    """How many addresses the attacker's circuit has used up, leased or declined."""
    return sum(each.relay_info == FLOOD and each.expires > now for each in server.bindings)


def test_a_flood_of_discovers_leaves_addresses_for_the_others():
    server = service(config=POOL)
    offers = [thief(server, number).discover(1000.0) for number in range(2000)]
    assert sum(offer is not None for offer in offers) == 16
    assert server.counters["dropped: circuit has its number of addresses"] == 2000 - 16
    assert honest(server, 84, 1001.0) == 84


def test_a_flood_of_requests_without_an_offer_leaves_addresses_for_the_others():
    server = service(config=POOL)
    for number in range(300):
        address = bytes((198, 18, 1, number % 100))
        thief(server, number).send(MessageType.REQUEST, 1000.0, o50=address, o54=SERVER.packed)
    assert held(server, 1000.0) == 16
    assert server.counters["refused: circuit has its number of addresses"] > 0
    assert honest(server, 84, 1001.0) == 84


def test_leasing_and_declining_one_after_the_other_uses_up_no_more():
    server = service(config=POOL)
    for number in range(200):
        host = thief(server, number)
        offer = host.discover(1000.0 + number)
        ack = host.select(offer, 1000.0 + number)
        host.send(MessageType.DECLINE, 1000.0 + number, o50=ack.yiaddr.packed)
    assert held(server, 1200.0) == 16
    assert honest(server, 84, 1300.0) == 84


def test_leasing_and_releasing_one_after_the_other_uses_up_no_more():
    """The addresses released still count: each has its last client, which leasequery tells."""
    server = service(config=POOL)
    for number in range(200):
        host = thief(server, number)
        host.lease(1000.0 + number)
        host.release(1000.5 + number)
    assert sum(each.relay_info == FLOOD for each in server.bindings) == 16
    assert honest(server, 84, 1300.0) == 84


@pytest.mark.parametrize("relay_info", [FLOOD, b""], ids=["of a circuit", "of no known circuit"])
def test_one_hardware_address_uses_up_no_more_by_naming_other_identifiers(relay_info):
    server = service("leases_per_circuit: 0\n", config=POOL)
    addresses = set()
    for number in range(200):
        host = Host(server, 666, client_id=b"\0%d" % number, relay_info=relay_info)
        if host.discover(1000.0 + number) is None:
            continue
        addresses.add(host.lease(1000.0 + number).yiaddr)
        if number % 2:
            host.send(MessageType.DECLINE, 1000.0 + number, o50=host.address.packed)
        else:
            host.release(1000.0 + number)
    assert len(addresses) == 8
    assert len(server.bindings) == 8


def test_one_identifier_uses_up_no_more_by_naming_other_hardware_addresses():
    server = service("leases_per_circuit: 0\n", config=POOL)
    for number in range(50):
        address = bytes((198, 18, 1, number))
        host = Host(server, number, client_id=b"\0one")
        host.send(MessageType.REQUEST, 1000.0, o50=address, o54=SERVER.packed)
    assert len(server.bindings) == 8


def test_what_is_used_up_survives_a_restart():
    server = service(config=POOL)
    for number in range(16):
        host = thief(server, number)
        host.lease(1000.0)
        if number % 2:
            host.send(MessageType.DECLINE, 1001.0, o50=host.address.packed)
    stored = [replace(each, template_of=None) for each in server.changed.values()]
    again = service(config=POOL, bindings=stored, now=1002.0)
    wanted = {"o50": bytes((198, 18, 1, 50)), "o54": SERVER.packed}
    assert thief(again, 40).send(MessageType.REQUEST, 1002.0, **wanted).message_type == MessageType.NAK
    assert thief(again, 0).discover(1002.0) is not None  # what it holds, it may have again
    one = service("leases_per_circuit: 0\nleases_per_client: 1\n", config=POOL, bindings=stored, now=1002.0)
    declined_before = Host(one, 5001, client_id=b"\0new", relay_info=option_82(7))
    assert declined_before.discover(1002.0).yiaddr == stored_address(stored, 5001)


def stored_address(stored, number):
    wanted = b"\x01" + mac(number)
    return next(each.address for each in stored if parse_field(each.sent).get(61) == wanted)


def test_a_client_renewing_what_it_holds_is_never_refused():
    """Also where the limit has been lowered meanwhile, and in every way of asking."""
    server = service(config=POOL)
    hosts = [thief(server, number) for number in range(16)]
    for host in hosts:
        host.lease(1000.0)
    strict = service("leases_per_circuit: 2\nleases_per_client: 1\n", config=POOL, bindings=server.bindings)
    for host in hosts:
        host.server = strict
        assert host.renew(1500.0).message_type == MessageType.ACK
        for asked in ({"ciaddr": str(host.address)}, {"o50": host.address.packed}):
            assert host.send(MessageType.REQUEST, 1500.0, **asked).message_type == MessageType.ACK
        assert host.lease(1500.0).yiaddr == host.address
    assert thief(strict, 99).discover(1500.0) is None


def test_a_full_circuit_takes_over_no_leases_of_another():
    """Else two circuits together would use up a pool: one leases, the other takes over."""
    server = service(config=POOL)
    for number in range(60):
        host = Host(server, 1000 + number, relay_info=option_82(1))
        if host.discover(1000.0) is not None:
            host.lease(1000.0)
            host.relay_info = option_82(2)
            host.send(MessageType.REQUEST, 1000.0, o50=host.address.packed)
    assert len(server.bindings) == 32


def test_a_new_device_of_a_full_circuit_gets_what_another_of_it_has_left():
    server = service(config=POOL)
    hosts = [thief(server, number) for number in range(16)]
    for number, host in enumerate(hosts):
        host.lease(1000.0 + number)
    assert thief(server, 50).discover(2000.0) is None
    hosts[5].release(2100.0)
    hosts[3].release(2200.0)
    assert thief(server, 50).lease(2300.0).yiaddr == hosts[5].address


def test_a_full_circuit_gets_the_longest_declined_of_its_own_again():
    server = service("leases_per_circuit: 3\n", config=POOL)
    declined = []
    for number in range(3):
        host = thief(server, number)
        declined.append(host.lease(1000.0 + number).yiaddr)
        host.send(MessageType.DECLINE, 1000.0 + number, o50=host.address.packed)
    assert thief(server, 9).lease(1100.0).yiaddr == declined[0]


def test_reserved_addresses_do_not_count():
    reservations = [f"{{address: 198.18.9.{n}, hardware: '{mac(7).hex(':')}'}}" for n in range(1, 4)]
    server = service(f"leases_per_client: 1\nreservations: [{', '.join(reservations)}]\n", config=POOL)
    for last in range(1, 4):
        ack = Host(server, 7).send(
            MessageType.REQUEST, 1000.0, o50=bytes((198, 18, 9, last)), o54=SERVER.packed
        )
        assert ack.message_type == MessageType.ACK
    assert Host(server, 7, client_id=b"other").lease(1000.0).yiaddr == IPv4Address("198.18.1.0")


def test_the_circuits_of_two_links_are_different_circuits():
    config = """
listen: 198.19.1.2
database: x
leases_per_circuit: 2
subnets:
  - {network: 198.18.0.0/24, pools: [198.18.0.10-198.18.0.99]}
  - {network: 198.18.1.0/24, pools: [198.18.1.10-198.18.1.99]}
"""
    server = service(config=config)
    for link in (0, 1):
        giaddr = IPv4Address(f"198.18.{link}.1")
        offers = [thief(server, 10 * link + n, giaddr=giaddr).discover(1000.0) for n in range(4)]
        assert [offer is not None for offer in offers] == [True, True, False, False]


def test_with_a_limit_for_a_larger_house_more_are_served():
    server = service("leases_per_circuit: 40\n", config=POOL)
    assert sum(thief(server, number).discover(1000.0) is not None for number in range(60)) == 40


# -- when a pool is used up all the same


def test_offers_are_taken_back_from_the_circuit_that_holds_most():
    server = service(NO_LIMITS, config=POOL)
    for number in range(500):
        thief(server, number).discover(1000.0)
    assert honest(server, 50, 1001.0) == 50
    assert server.counters["offers taken back"] == 50


def test_offers_are_not_taken_from_who_holds_no_more_than_oneself():
    server = service(config=POOL)
    offers = [Host(server, number).discover(1000.0) for number in range(100)]
    assert None not in offers
    assert Host(server, 200).discover(1001.0) is None
    for number, offer in enumerate(offers):
        assert Host(server, number).select(offer, 1002.0).message_type == MessageType.ACK


def test_a_flood_of_unknown_circuit_leaves_the_others_enough():
    """Without option 82 no host can be told from another: who takes up its offer at once gets its lease."""
    server = service(config=POOL)
    served = 0
    for second in range(30):
        for number in range(500):
            thief(server, 500 * second + number, relay_info=b"").discover(1000.0 + second)
        host = Host(server, second, relay_info=b"")
        offer = host.discover(1000.5 + second)
        served += offer is not None and host.select(offer, 1000.6 + second).message_type == MessageType.ACK
    assert served == 30
    assert honest(server, 50, 1031.0) == 50  # those of known circuits do not wait


def test_the_longest_declined_is_used_again_when_nothing_else_is_left():
    server = service(NO_LIMITS)
    hosts = [Host(server, number) for number in range(11)]
    for host in hosts:
        host.lease(1000.0)
    for later, number in enumerate((4, 2, 7)):
        hosts[number].send(MessageType.DECLINE, 1010.0 + later, o50=hosts[number].address.packed)
    hosts[9].release(1020.0)
    stored = [replace(each, template_of=None) for each in server.bindings]
    for again in (server, service(NO_LIMITS, bindings=stored, now=1021.0)):
        fresh = [Host(again, 50 + number) for number in range(5)]
        got = [host.discover(1030.0) for host in fresh]
        assert [offer and offer.yiaddr for offer in got] == [
            *(hosts[number].address for number in (9, 4, 2, 7)),
            None,
        ]
        # An offer of one that is not taken up: the address is declined as before.
        late = Host(again, 70)
        assert late.discover(1100.0).yiaddr in {hosts[number].address for number in (9, 4, 2, 7)}
        assert late.lease(1100.0).message_type == MessageType.ACK


def test_a_declined_address_is_not_to_be_had_by_asking_for_it():
    server = service()
    host = Host(server)
    host.lease(1000.0)
    host.send(MessageType.DECLINE, 1010.0, o50=host.address.packed)
    nak = Host(server, 2).send(MessageType.REQUEST, 1020.0, o50=host.address.packed, o54=SERVER.packed)
    assert nak.message_type == MessageType.NAK
    assert Host(server, 2).discover(1020.0, o50=host.address.packed).yiaddr != host.address


# -- memory


@pytest.mark.requirement("R5-10")
def test_options_of_one_binding_are_bounded_and_the_newest_stay():
    """Renewals with ever other options, long ones too, merge into one binding."""
    server = service()
    host = Host(server)
    host.lease(1000.0, o60=b"first")
    (binding,) = server.bindings
    for number in range(2000):
        host.renew(1001.0 + number, **{f"o{128 + number % 90}": b"%d" % number * 100})
        (binding,) = server.bindings
        assert len(binding.sent) <= MOST_KEPT
    kept = parse_field(binding.sent)
    assert kept[128 + 1999 % 90] == b"1999" * 100
    assert 128 + (1999 - 10) % 90 not in kept  # heard longer ago
    assert ask(server, 4000.0, host.address, requested=bytes((128 + 1999 % 90,))).options
    host.renew(4001.0, o60=b"x" * (MOST_KEPT + 1), o12=b"name")
    (binding,) = server.bindings
    assert parse_field(binding.sent)[12] == b"name"
    assert len(binding.sent) <= MOST_KEPT


def test_the_table_of_shared_option_fields_is_bounded_in_octets():
    bindings = Bindings()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(20_000):
        sent = number.to_bytes(4, "big") * 300
        bindings.put(Binding(bytes(4), 1, mac(1), None, State.LEASED, 2e9, sent=sent))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(bindings) == 1
    assert grown < 2 * MOST_SHARED < 20_000 * 1200


def test_offers_are_bounded_by_the_pool_and_gone_in_time():
    server = service(NO_LIMITS, config=POOL)
    offers = server._assigner._offers
    for number in range(3000):
        thief(server, number, client_id=b"\0" + b"x" * 200 + b"%d" % number).discover(1000.0)
        assert len(offers) <= 100
    assert len(offers) == 100
    Host(server, 1).discover(2000.0)
    assert len(offers) == 1
    (ranked,) = offers._on_link.values()
    for holders in (ranked, offers._to_hardware, offers._to_client_id):
        assert sum(map(len, holders._held.values())) <= 1
    assert sum(map(len, ranked._ranks)) == 1


def test_an_identifier_that_no_option_can_hold_is_refused():
    server = service()
    assert Host(server, client_id=b"x" * 256).discover(1000.0) is None
    assert server.counters["dropped: client identifier too long"] == 1
    assert Host(server, client_id=b"x" * 255).discover(1000.0) is not None


def test_the_order_of_a_pool_is_kept_in_proportion_to_it():
    """Leases, releases, and offers that are not taken up, by the thousand: nothing dead piles up."""
    server = service(NO_LIMITS)
    hosts = [Host(server, number) for number in range(11)]
    for host in hosts:
        host.lease(1000.0)
    assert Host(server, 50).discover(1000.0) is None  # the pool is used up: from now on a heap has its order
    (pools,) = server._assigner._pools.values()
    now = 1001.0
    for turn in range(3000):
        host = hosts[turn % 11]
        now += 0.01
        host.release(now)
        host.discover(now, o50=hosts[(turn + 3) % 11].address.packed)
        host.lease(now, o51=(600 + turn).to_bytes(4, "big"))
        assert len(pools._used) <= 2 * 11 + _SLACK + 1
        assert len(pools._listed) <= 11
        assert len(pools._returned) + len(pools._declined) <= 22
    for host in hosts:
        host.release(now)
    found = {Host(server, 100 + number).lease(now + 1).yiaddr for number in range(11)}
    assert len(found) == 11  # and nothing is lost by it


def test_changing_ones_mind_about_an_address_piles_nothing_up():
    server = service()
    (pools,) = server._assigner._pools.values()
    host = Host(server)
    for turn in range(1000):
        host.discover(1000.0, o50=bytes((198, 18, 0, 10 + turn % 11)))
    assert len(pools._returned) <= 11
