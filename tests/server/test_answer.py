"""Answers to leasequery, row by row of the requirements."""

from ipaddress import IPv4Address

import pytest

from lq.server.bindings import Binding
from lq.wire import DRAFT_03, MessageType, decode
from lq.wire.options import FOREVER

from .helpers import ALL, CONFIG, GIADDR, RELAY, Host, ask, mac, option_82, query, seconds, service

ACTIVE, KNOWN, UNKNOWN = MessageType.ACTIVE, MessageType.KNOWN, MessageType.UNKNOWN
DRAFT = "dialect: draft-03\n"
FORMER = "leasequery: {former_client: true}\n"
BOTH = pytest.mark.parametrize("extra", ["", DRAFT], ids=["rfc4388", "draft-03"])
RESERVED = "reservations: [{address: 198.18.50.1, hardware: '02:00:00:00:00:77', client_id: '0x0001'}]\n"
FREE, OUTSIDE, FOREIGN = "198.18.0.20", "198.18.99.1", "198.19.7.7"


def leased(extra="", number=1, at=1000.0, **options):
    server = service(extra)
    host = Host(server, number)
    host.lease(at, **options)
    return server, host


def what(reply):
    """Kind, address and client of an answer, and the options that it has."""
    return reply.message_type, str(reply.ciaddr), reply.chaddr, set(reply.options)


def snapshot(server):
    return {
        each.packed: tuple(
            getattr(each, name) for name in Binding.__slots__ if not name.startswith("template")
        )
        for each in server.bindings
    }


@BOTH
@pytest.mark.requirement("R5-2")
@pytest.mark.requirement("R5-4")
@pytest.mark.requirement("R6.4-4")
@pytest.mark.requirement("R6.4.2-1")
def test_a_leased_address_is_active(extra):
    server, host = leased(extra)
    assert ask(server, 1500.0, host.address).message_type == ACTIVE


@BOTH
@pytest.mark.requirement("R5-8")
@pytest.mark.requirement("R6.4.2-2")
def test_the_answer_names_address_and_client(extra):
    server, host = leased(extra)
    for now in (1500.0, 9999.0):  # ACTIVE, then KNOWN
        reply = ask(server, now, host.address)
        client = (0, b"") if now > 9000 and not extra else (1, mac(1))
        assert (reply.ciaddr, reply.htype, reply.chaddr) == (host.address, *client)
        assert (reply.yiaddr, reply.siaddr, reply.flags) == (IPv4Address(0), IPv4Address(0), 0)


@BOTH
@pytest.mark.requirement("R6.4-1")
@pytest.mark.requirement("R6.4.1-1")
def test_a_free_address_of_a_pool_is_known(extra):
    reply = ask(service(extra), 1500.0, FREE)
    assert (reply.message_type, str(reply.ciaddr), reply.hlen) == (KNOWN, FREE, 0)
    assert set(reply.options) == {53, 54}


@BOTH
@pytest.mark.requirement("R6.4-3")
@pytest.mark.requirement("R6.4.1-1")
@pytest.mark.parametrize("address", [OUTSIDE, FOREIGN])
def test_an_address_not_managed_is_unknown_without_options(extra, address):
    reply = ask(service(extra + RESERVED), 1500.0, address)
    assert (reply.message_type, str(reply.ciaddr), reply.flags) == (UNKNOWN, address, 0)
    assert set(reply.options) == {53}


@BOTH
@pytest.mark.requirement("R6.4.1-3")
@pytest.mark.requirement("R6.4-3")
@pytest.mark.parametrize("item", [{"chaddr": mac(99)}, {"client_id": b"nobody"}])
def test_an_unknown_client_is_unknown(extra, item):
    reply = ask(leased(extra)[0], 1500.0, **item)
    assert (reply.message_type, reply.ciaddr, set(reply.options)) == (UNKNOWN, IPv4Address(0), {53})
    assert reply.chaddr == item.get("chaddr", b"")


@pytest.mark.requirement("R6.4.2-1")
@pytest.mark.requirement("R6.4.2-5")
@pytest.mark.requirement("R6.4.2-6")
@pytest.mark.parametrize("end", ["release", "expiry"])
@pytest.mark.parametrize("extra", [DRAFT, FORMER])
def test_without_a_valid_lease_the_answer_is_known_without_times(extra, end):
    """The draft's KNOWN tells of the last client, and so does RFC 4388's UNASSIGNED if so configured."""
    server, host = leased(extra)
    now = 1200.0
    if end == "release":
        host.release(now)
    else:
        now = 4600.0
    reply = ask(server, now, host.address)
    assert (reply.message_type, reply.chaddr) == (KNOWN, mac(1))
    assert set(reply.options) == {53, 54, 91, 82}
    assert ask(server, 4599.0, host.address).message_type == (KNOWN if end == "release" else ACTIVE)


@pytest.mark.requirement("R6.4.2-5")
@pytest.mark.requirement("R6.4.2-6")
@pytest.mark.requirement("R6.1-1")
@BOTH
def test_times_are_those_left_and_those_past(extra):
    """T1 and T2 that are past are left out; the same template serves whichever are there."""
    server, host = leased(extra)
    for _ in range(2):
        reply = ask(server, 1600.5, host.address)
        assert [seconds(reply, code) for code in (51, 58, 59, 91)] == [2999, 1199, 2549, 600]
        middle = ask(server, 2800.0, host.address)  # T1 is now: it is past
        assert [seconds(middle, code) for code in (51, 59, 91)] == [1800, 1350, 1800]
        assert set(middle.options) == {53, 54, 51, 59, 91, 82}
        late = ask(server, 4500.0, host.address)
        assert [seconds(late, code) for code in (51, 91)] == [100, 3500]
        assert set(late.options) == {53, 54, 51, 91, 82}


@pytest.mark.requirement("R6.4.2-5")
@pytest.mark.requirement("R6.4.2-6")
@BOTH
def test_a_lease_without_end_stays_without_end(extra):
    """Neither option 51 counts down, nor is there a time to renew; the ACK says the same (RFC 2131, 3.3)."""
    server = service(extra + "max_lease_time: 4294967295\n", CONFIG.replace("    lease_time: 3600\n", ""))
    host = Host(server)
    ack = host.lease(1000.0, o51=b"\xff" * 4)
    assert (ack.options[51], ack.options.keys() & {58, 59}) == (b"\xff" * 4, set())
    for now in (1000.0, 5e9, 9e9):
        reply = ask(server, now, host.address)
        assert (reply.message_type, reply.options[51]) == (ACTIVE, b"\xff" * 4)
        assert set(reply.options) == {53, 54, 51, 91, 82}
    host.release(9.1e9)
    assert ask(server, 9.2e9, host.address).message_type == KNOWN


@BOTH
@pytest.mark.requirement("R6.4.2-6")
def test_a_lease_without_end_from_elsewhere_is_never_renewed(extra):
    """Such as dhcpd's `ends never`, for whose halves an importer may have set times."""
    stored = Binding(
        bytes((198, 18, 0, 10)),
        1,
        mac(1),
        expires=FOREVER,
        renews=FOREVER / 2,
        rebinds=FOREVER,
        last_transaction=9.0,
    )
    reply = ask(service(extra, bindings=[stored]), 1e9, "198.18.0.10")
    assert (reply.options[51], set(reply.options)) == (b"\xff" * 4, {53, 54, 51, 91})


@pytest.mark.requirement("R6.4.2-7")
def test_option_82_is_returned_byte_for_byte_as_most_recently_received():
    server, host = leased()
    assert ask(server, 1500.0, host.address).options[82] == option_82(1)
    host.relay_info = b"\x02\x02zz\x01\x00\x09\x03abc"
    host.send(MessageType.REQUEST, 1600.0, ciaddr=str(host.address))
    assert ask(server, 1700.0, host.address).options[82] == host.relay_info
    host.renew(1800.0)  # unicast, without option 82
    assert ask(server, 1900.0, host.address).options[82] == host.relay_info


@pytest.mark.requirement("R6.4.2-7")
def test_an_option_82_longer_than_255_octets_is_returned_whole():
    server = service()
    host = Host(server, relay_info=b"".join(bytes((9, 100)) + bytes([i]) * 100 for i in range(4)))
    host.lease(1000.0)
    assert ask(server, 1500.0, host.address).options[82] == host.relay_info


@BOTH
@pytest.mark.parametrize("requested", [b"", b"\x01", b"\x33", b"\x5b\x52", ALL])
def test_only_what_is_requested_is_returned(extra, requested):
    server, host = leased(extra, o60=b"class")
    reply = ask(server, 1500.0, host.address, requested=requested)
    held = {1, 51, 58, 59, 60, 82, 91}
    assert set(reply.options) == {53, 54} | (held & set(requested or b""))


@pytest.mark.requirement("R6.2-2")
def test_without_a_parameter_request_list_the_draft_asks_for_nothing():
    server, host = leased(DRAFT)
    assert set(ask(server, 1500.0, host.address, requested=None).options) == {53, 54}


@pytest.mark.requirement("R6.2-2")
@pytest.mark.requirement("R6.4.2-8")
@pytest.mark.parametrize("form", ["ciaddr", "chaddr", "client_id"])
def test_without_one_rfc4388_answers_as_it_answers_a_request_without_one(form):
    """With the options of such an ACK, though this client asked for fewer; and with option 91."""
    server = service()
    host = Host(server, client_id=b"\x01id")
    ack = host.lease(1000.0)
    narrow = Host(server, 2, client_id=b"\x01me")
    narrow.lease(1000.0, o55=b"\x03")
    item = {"ciaddr": narrow.address, "chaddr": mac(2), "client_id": b"\x01me"}[form]
    reply = ask(server, 1500.0, requested=None, **{form: item})
    assert set(reply.options) == set(ack.options) | {91}
    fixed = set(ack.options) - {53, 51, 58, 59, 61, 82}
    assert {code: reply.options[code] for code in fixed} == {code: ack.options[code] for code in fixed}
    assert (reply.options[61], reply.options[82]) == (b"\x01me", option_82(2))
    assert [seconds(reply, code) for code in (51, 58, 59, 91)] == [3100, 1300, 2650, 500]


@pytest.mark.requirement("R6.4.2-8")
@pytest.mark.requirement("R5-10")
def test_other_options_come_as_last_returned_else_as_last_sent():
    server, host = leased(o60=b"docsis", o12=b"host", o15=b"sent", o55=b"\x01\x03\x0f")
    reply = ask(server, 1500.0, host.address, requested=bytes((60, 12, 15, 3, 6)))
    found = {code: value for code, value in reply.options.items() if code not in (53, 54)}
    assert found == {60: b"docsis", 12: b"host", 15: b"example", 3: bytes((198, 18, 0, 1))}


@BOTH
@pytest.mark.requirement("R6.4.2-3")
def test_the_client_identifier_is_returned_when_requested(extra):
    server = service(extra)
    host = Host(server, client_id=b"\x01id")
    host.lease(1000.0)
    assert ask(server, 1500.0, host.address).options[61] == b"\x01id"
    assert 61 not in ask(server, 1500.0, host.address, requested=b"\x33").options


@BOTH
@pytest.mark.requirement("R5-5")
@pytest.mark.requirement("R6.4.1-2")
def test_query_by_hardware_address(extra):
    server, host = leased(extra)
    reply = ask(server, 1500.0, chaddr=mac(1))
    assert (reply.message_type, reply.ciaddr, reply.chaddr) == (ACTIVE, host.address, mac(1))
    assert ask(server, 1500.0, chaddr=mac(1), htype=6).message_type == UNKNOWN


@BOTH
@pytest.mark.requirement("R5-6")
@pytest.mark.requirement("R6.4.1-2")
def test_query_by_client_identifier(extra):
    server = service(extra)
    host = Host(server, client_id=b"\x01id")
    host.lease(1000.0)
    reply = ask(server, 1500.0, client_id=b"\x01id")
    assert (reply.message_type, reply.ciaddr, reply.chaddr) == (ACTIVE, host.address, mac(1))


def two_leases(extra=""):
    server = service(extra)
    one, two = Host(server, 1, client_id=b"a"), Host(server, 1, client_id=b"b")
    one.lease(1000.0)
    two.lease(1100.0, o51=(600).to_bytes(4, "big"))
    return server, one, two


@pytest.mark.requirement("R6.4.1-2")
def test_of_several_addresses_the_most_recently_used_is_taken():
    server, one, two = two_leases()
    assert ask(server, 1200.0, chaddr=mac(1)).ciaddr == two.address
    one.renew(1300.0)
    assert ask(server, 1400.0, chaddr=mac(1)).ciaddr == one.address


@pytest.mark.requirement("R6.4.1-2")
def test_or_the_one_with_the_longest_lease_if_so_configured():
    server, one, _ = two_leases("leasequery: {prefer: longest-lease}\n")
    assert ask(server, 1200.0, chaddr=mac(1)).ciaddr == one.address
    one.release(1300.0)
    assert ask(server, 1301.0, chaddr=mac(1)).ciaddr != one.address


@pytest.mark.requirement("R6.4.1-2")
@BOTH
@pytest.mark.parametrize("prefer", ["most-recent", "longest-lease"])
@pytest.mark.parametrize("end", ["release", "expiry"])
def test_a_lease_comes_before_one_that_ended_more_recently(extra, end, prefer):
    """A RELEASE or an expiry returns no address: a connected host is not called one without a lease."""
    server, one, two = two_leases(extra + f"leasequery: {{prefer: {prefer}}}\n")
    now = 1200.0
    if end == "release":
        two.release(now)
    else:
        now = 1701.0
    for item in ({"chaddr": mac(1)}, {"client_id": b"a"}):
        reply = ask(server, now, **item)
        assert (reply.message_type, reply.ciaddr) == (ACTIVE, one.address)


@pytest.mark.requirement("R6.4.1-2")
@BOTH
def test_an_offer_returns_no_lease(extra):
    """What was offered and not taken is nobody's yet, however recent."""
    server = service(extra)
    host = Host(server, 1, client_id=b"a")
    host.lease(1000.0)
    offer = Host(server, 1, client_id=b"b").discover(1100.0)
    assert offer.yiaddr != host.address
    assert ask(server, 1101.0, chaddr=mac(1)).ciaddr == host.address


@pytest.mark.requirement("R6.4-1")
@pytest.mark.requirement("R6.4.1-2")
@pytest.mark.requirement("R6.4.1-3")
@pytest.mark.parametrize("end", ["release", "expiry"])
@pytest.mark.parametrize("item", [{"chaddr": mac(1)}, {"client_id": b"a"}])
def test_a_client_without_a_lease_is_known_in_the_draft_and_unknown_in_rfc4388(item, end):
    """RFC 4388: UNASSIGNED answers queries by IP address only."""
    for extra in (DRAFT, "", FORMER):
        server = service(extra)
        host = Host(server, client_id=b"a")
        host.lease(1000.0)
        now = 1200.0 if end == "release" else 4601.0
        if end == "release":
            host.release(now)
        reply = ask(server, now, **item)
        if extra == DRAFT:
            assert what(reply) == (KNOWN, str(host.address), mac(1), {53, 54, 61, 82, 91})
        else:
            assert what(reply) == (UNKNOWN, "0.0.0.0", item.get("chaddr", b""), {53})


@pytest.mark.requirement("R6.4-1")
@pytest.mark.requirement("R6.4.2-2")
@pytest.mark.parametrize("requested", [ALL, None])
@pytest.mark.parametrize("end", ["release", "expiry", "decline"])
def test_unassigned_of_rfc4388_speaks_of_the_address_alone(requested, end):
    server = service()
    host = Host(server, client_id=b"a")
    host.lease(1000.0, o60=b"class")
    now = 1200.0 if end != "expiry" else 4601.0
    if end == "release":
        host.release(now)
    elif end == "decline":
        host.send(MessageType.DECLINE, now, o50=host.address.packed)
    reply = ask(server, now, host.address, requested=requested)
    assert what(reply) == (KNOWN, str(host.address), b"", {53, 54})
    assert (reply.htype, reply.hlen, reply.flags) == (0, 0, 0)


@pytest.mark.requirement("R6.4.2-4")
@pytest.mark.requirement("R6.1-2")
def test_all_addresses_of_the_client_most_recent_first_in_the_draft():
    """If asked for, and those that it had, too."""
    server, one, two = two_leases(DRAFT)
    both = two.address.packed + one.address.packed
    asked = bytes((50, 51, 92))
    for _ in range(2):  # the second time from the prepared answer
        reply = ask(server, 1200.0, chaddr=mac(1), requested=asked)
        assert set(reply.options) == {53, 54, 51, 50}
        assert reply.options[50] == both
    one.renew(1300.0)
    assert ask(server, 1400.0, chaddr=mac(1), requested=asked).options[50] == both[4:] + both[:4]
    assert 50 not in ask(server, 1400.0, client_id=b"a", requested=asked).options
    assert 50 not in ask(server, 1400.0, chaddr=mac(1), requested=b"\x33").options
    for ended in (1401.0, 1800.0):
        assert ask(server, ended, chaddr=mac(1), requested=asked).options[50] == both[4:] + both[:4]


@pytest.mark.requirement("R6.4.2-4")
@pytest.mark.requirement("R6.1-2")
@pytest.mark.parametrize("requested", [b"\x33\x5c", b"\x33"], ids=["asked", "unasked"])
def test_in_rfc4388_its_leases_whether_asked_for_or_not(requested):
    server, one, two = two_leases()
    both = two.address.packed + one.address.packed
    for _ in range(2):  # the second time from the prepared answer
        reply = ask(server, 1200.0, chaddr=mac(1), requested=requested)
        assert set(reply.options) == {53, 54, 51, 92}
        assert reply.options[92] == both
    one.renew(1300.0)
    assert ask(server, 1400.0, chaddr=mac(1), requested=requested).options[92] == both[4:] + both[:4]
    assert 92 not in ask(server, 1400.0, client_id=b"a", requested=requested).options
    # The second lease ends at 1700, and no message says so.
    assert ask(server, 1699.0, chaddr=mac(1), requested=requested).options[92] == both[4:] + both[:4]
    assert 92 not in ask(server, 1700.0, chaddr=mac(1), requested=requested).options


@pytest.mark.requirement("R6.4.2-4")
def test_about_an_address_the_others_of_its_client_come_if_they_are_wanted():
    """RFC 4388 has them returned unasked of the client that the query names; this one names none."""
    first, second = (
        Binding(bytes((198, 18, 0, last)), 1, mac(1), expires=end, last_transaction=float(last))
        for last, end in ((10, 9000.0), (11, 2000.0))
    )
    server = service(bindings=(first, second))
    assert ask(server, 1500.0, first.address).options[92] == second.packed + first.packed
    assert 92 not in ask(server, 1500.0, first.address, requested=b"\x33").options
    assert 92 not in ask(server, 2000.0, first.address).options


@pytest.mark.requirement("R6.4.2-4")
def test_the_list_shrinks_as_leases_end_one_by_one():
    server = service()
    hosts = [Host(server, 1, client_id=bytes((number,))) for number in range(1, 5)]
    for number, host in enumerate(hosts):
        host.lease(1000.0 + number, o51=(100 * (4 - number)).to_bytes(4, "big"))
    for now, left in ((1050.0, 4), (1104.0, 3), (1203.0, 2), (1302.0, 1), (1401.0, 0)):
        for _ in range(2):
            reply = ask(server, now, chaddr=mac(1))
            listed = b"".join(host.address.packed for host in reversed(hosts[:left]))
            assert reply.message_type == (ACTIVE if left else UNKNOWN)
            assert reply.options.get(92) == (listed if left > 1 else None)


@pytest.mark.requirement("R6.4.1-2")
def test_an_address_belongs_to_its_most_recent_client():
    server = service(config=CONFIG.replace("-198.18.0.20", ""))
    first, second = Host(server, 1, client_id=b"one"), Host(server, 2)
    first.lease(1000.0)
    assert second.lease(9000.0).yiaddr == first.address
    assert ask(server, 9100.0, chaddr=mac(1)).message_type == UNKNOWN
    assert ask(server, 9100.0, client_id=b"one").message_type == UNKNOWN
    assert ask(server, 9100.0, first.address).chaddr == mac(2)


@pytest.mark.requirement("R6.3-1")
@pytest.mark.requirement("R6.4.3-2")
def test_without_giaddr_there_is_no_answer():
    server, host = leased()
    assert ask(server, 1500.0, host.address, giaddr=IPv4Address(0)) is None
    assert server.counters["dropped: query without giaddr"] == 1


@pytest.mark.requirement("R6.3-2")
def test_several_items_or_none_are_counted_and_not_answered():
    server, host = leased()
    address = str(host.address)
    assert ask(server, 1500.0) is None
    assert ask(server, 1500.0, address, chaddr=mac(1)) is None
    assert ask(server, 1500.0, address, client_id=b"x") is None
    assert ask(server, 1500.0, chaddr=mac(1), client_id=b"x") is None
    assert ask(server, 1500.0, address, chaddr=mac(1), client_id=b"x") is None
    assert server.counters["dropped: query for nothing"] == 1
    assert server.counters["dropped: query for several things"] == 4


@BOTH
@pytest.mark.requirement("R6.3-2")
@pytest.mark.requirement("R6.2-4")
def test_a_length_without_a_hardware_address_asks_for_nothing(extra):
    """Requesters in the field set hlen 6 beside ciaddr, and leave chaddr all zero."""
    server = service(extra)
    host = Host(server, client_id=b"id")
    host.lease(1000.0)
    for length in (6, 16, 1):
        zero = {"chaddr": bytes(length)}
        assert ask(server, 1500.0, host.address, **zero) == ask(server, 1500.0, host.address)
        assert ask(server, 1500.0, client_id=b"id", **zero) == ask(server, 1500.0, client_id=b"id")
        assert ask(server, 1500.0, FREE, **zero) == ask(server, 1500.0, FREE)
        assert ask(server, 1500.0, FOREIGN, **zero).message_type == UNKNOWN
        assert ask(server, 1500.0, host.address, client_id=b"id", **zero) is None
        assert ask(server, 1500.0, **zero).message_type == UNKNOWN  # by a hardware address that is all zero
    assert ask(server, 1500.0, host.address, chaddr=bytes(5) + b"\1") is None


@pytest.mark.requirement("R6.3-3")
@pytest.mark.requirement("R6.4.3-1")
def test_giaddr_is_the_destination_and_nothing_else():
    server, host = leased("leasequery: {requesters: [198.18.0.1, 198.19.200.0/24]}\n")
    for giaddr in ("198.18.0.1", "198.19.200.1"):
        octets, destination = server.handle(
            query(str(host.address), giaddr=IPv4Address(giaddr)), 1500.0, (giaddr, 67)
        )
        assert destination == (giaddr, 67)
        reply = decode(octets)
        assert str(reply.giaddr) == giaddr
        reply.giaddr = GIADDR
        assert reply == ask(server, 1500.0, host.address)


@pytest.mark.requirement("R3-1")
def test_a_query_changes_no_binding():
    server, _, two = two_leases(RESERVED)
    server.changed.clear()
    before = snapshot(server)
    for item in ({"ciaddr": two.address}, {"ciaddr": FREE}, {"ciaddr": "198.18.50.1"}):
        ask(server, 1500.0, **item)
    ask(server, 99999.0, chaddr=mac(1))
    ask(server, 99999.0, client_id=b"a")
    assert snapshot(server) == before
    assert not server.changed


@pytest.mark.requirement("R5-3")
def test_a_server_without_leasequery_is_silent():
    server, host = leased("leasequery: {enabled: false}\n")
    assert ask(server, 1500.0, host.address) is None
    assert server.counters["dropped: leasequery is switched off"] == 1


@pytest.mark.requirement("R5-5")
@pytest.mark.requirement("R5-6")
@pytest.mark.requirement("R6.4-6")
def test_a_form_switched_off_is_unimplemented_or_silent():
    off = "leasequery: {forms: [address]}\n"
    for item in ({"chaddr": mac(1)}, {"client_id": b"x"}):
        server, host = leased(DRAFT + off)
        assert ask(server, 1500.0, **item).message_type == DRAFT_03.unimplemented
        assert ask(server, 1500.0, host.address).message_type == ACTIVE
        server, host = leased(off)
        assert ask(server, 1500.0, **item) is None
    server, _ = leased(DRAFT + off + "unimplemented_type: 200\n")
    assert ask(server, 1500.0, chaddr=mac(1)).message_type == 200


@pytest.mark.requirement("R6.4-2")
@pytest.mark.requirement("R6.4.2-2")
@pytest.mark.requirement("R6.4.2-3")
@pytest.mark.parametrize(("extra", "flags"), [(DRAFT, 0x4000), (DRAFT + "r_flag: 0x2000\n", 0x2000)])
def test_a_reservation_without_a_lease_is_known(extra, flags):
    server = service(extra + RESERVED)
    for item in ({"ciaddr": "198.18.50.1"}, {"chaddr": mac(0x77)}, {"client_id": b"\0\1"}):
        reply = ask(server, 1500.0, **item)
        assert (reply.message_type, str(reply.ciaddr), reply.chaddr) == (KNOWN, "198.18.50.1", mac(0x77))
        assert (reply.flags, reply.options[61], set(reply.options)) == (flags, b"\0\1", {53, 54, 61})


@pytest.mark.requirement("R6.4-2")
def test_of_a_reservation_without_a_lease_rfc4388_says_no_more_than_of_any_address():
    server = service(RESERVED)
    assert what(ask(server, 1500.0, "198.18.50.1")) == (KNOWN, "198.18.50.1", b"", {53, 54})
    for item in ({"chaddr": mac(0x77)}, {"client_id": b"\0\1"}):
        assert ask(server, 1500.0, **item).message_type == UNKNOWN
    named = ask(service(RESERVED + FORMER), 1500.0, "198.18.50.1")
    assert what(named) == (KNOWN, "198.18.50.1", mac(0x77), {53, 54, 61})


@pytest.mark.requirement("R6.4-5")
@pytest.mark.parametrize(("extra", "flags"), [("", 0), (DRAFT, 0x4000)])
def test_or_active_without_option_51_if_so_configured(extra, flags):
    server = service(extra + RESERVED + "leasequery: {reservation_as_active: true}\n")
    for item in ({"ciaddr": "198.18.50.1"}, {"chaddr": mac(0x77)}, {"client_id": b"\0\1"}):
        reply = ask(server, 1500.0, **item)
        assert what(reply) == (ACTIVE, "198.18.50.1", mac(0x77), {53, 54, 61})
        assert reply.flags == flags
    assert ask(server, 1500.0, FREE).message_type == KNOWN


@pytest.mark.requirement("R6.4-4")
@pytest.mark.requirement("R6.4-2")
def test_the_lease_of_a_reservation_has_the_r_flag_and_keeps_it():
    server = service(DRAFT + RESERVED)
    host = Host(server, 0x77, client_id=b"\0\1")
    host.lease(1000.0)
    assert str(host.address) == "198.18.50.1"
    active = ask(server, 1500.0, "198.18.50.1")
    assert (active.message_type, active.flags) == (ACTIVE, 0x4000)
    host.release(1600.0)
    known = ask(server, 1700.0, "198.18.50.1")
    assert (known.message_type, known.flags, known.chaddr) == (KNOWN, 0x4000, mac(0x77))


@pytest.mark.requirement("R6.2-3")
def test_the_r_flag_of_a_query_means_nothing():
    server, host = leased(DRAFT)
    assert ask(server, 1500.0, host.address, flags=0x4000) == ask(server, 1500.0, host.address)


def test_only_allowed_requesters_are_answered():
    server, host = leased("leasequery: {requesters: [198.18.0.1/32]}\n")
    assert ask(server, 1500.0, host.address).message_type == ACTIVE
    other = query(str(host.address), giaddr=IPv4Address("198.18.0.2"))
    assert server.handle(other, 1500.0, ("198.18.0.2", 67)) is None
    assert server.counters["dropped: requester not allowed"] == 1


def test_malformed_queries_are_counted_and_dropped():
    server, host = leased()
    good = query(str(host.address))
    ask(server, 1500.0, host.address)  # its option field is remembered now
    for octets in (good[:200], good[:2] + b"\x11" + good[3:], b"\x02" + good[1:], good[:242]):
        assert server.handle(octets, 1500.0, RELAY) is None
    assert server.counters["dropped: malformed"] == 4


def test_overloaded_queries_are_read_whole():
    server = service()
    host = Host(server, client_id=b"id")
    host.lease(1000.0)
    octets = bytearray(query(client_id=None, requested=None))
    octets[243:247] = b"\x34\x01\x01\xff"
    for client_id, kind in ((b"id", ACTIVE), (b"no", UNKNOWN)):
        octets[108:113] = b"\x3d\x02" + client_id + b"\xff"
        assert decode(server.handle(bytes(octets), 1500.0, RELAY)[0]).message_type == kind


def test_answers_are_counted_by_kind():
    server, host = leased()
    for address in (host.address, host.address, FREE, FOREIGN):
        ask(server, 1500.0, address)
    wanted = {"received: leasequery": 4, "answered: active": 2, "answered: known": 1, "answered: unknown": 1}
    assert {name: server.counters[name] for name in wanted} == wanted
