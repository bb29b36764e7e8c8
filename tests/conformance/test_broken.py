"""Every check fails against a server that breaks its rule, and against no other."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

import pytest

from lq.conformance.checks import CHECKS
from lq.conformance.rows import ROWS
from lq.wire import RelayInfo

from .broken import judge

KNOWN, UNKNOWN, ACTIVE, UNIMPLEMENTED = 11, 12, 13, 254
R_BIT = 0x4000
NOBODY = IPv4Address(0)
BOTH = ("draft-03", "rfc4388")
DRAFT, RFC = BOTH[:1], BOTH[1:]
NOT_JUDGED = {"R3-2", "R6.4.2-9", "R7-1", "R7-2"}


def by_ip(query):
    return query.ciaddr != NOBODY


def by_mac(query):
    return bool(query.chaddr)


def by_id(query):
    return 61 in query.options


def has_binding(exchange):
    return exchange.reply is not None and exchange.reply.message_type in (KNOWN, ACTIVE)


def is_kind(exchange, kind):
    return exchange.reply is not None and exchange.reply.message_type == kind


# -- sections 3 and 5


def takes_queries_for_transactions(exchange):
    if exchange.binding is not None:
        exchange.binding.last_transaction = exchange.now


def renews_on_query(exchange):
    if is_kind(exchange, ACTIVE):
        exchange.binding.expires = exchange.now + 600


def revives_on_query(exchange):
    if is_kind(exchange, KNOWN) and exchange.binding is not None:
        exchange.binding.state, exchange.binding.expires = 1, exchange.now + 600


def silent_about_strangers(exchange):
    if is_kind(exchange, UNKNOWN):
        exchange.reply = None


def malformed(exchange):
    if exchange.reply is not None:
        exchange.octets = exchange.reply.encode()[:230]


def refuses_aloud(exchange):
    exchange.answer_with(UNKNOWN)


def naks(exchange):
    exchange.answer_with(6)


def knows_no_addresses(exchange):
    if by_ip(exchange.query):
        exchange.answer_with(UNKNOWN)


def by_ip_unimplemented(exchange):
    if by_ip(exchange.query):
        exchange.answer_with(UNIMPLEMENTED)


def knows_no_macs(exchange):
    if by_mac(exchange.query):
        exchange.answer_with(UNKNOWN)


def silent_about_macs(exchange):
    if by_mac(exchange.query):
        exchange.reply = None


def knows_no_identifiers(exchange):
    if by_id(exchange.query):
        exchange.answer_with(UNKNOWN)


def leaves_ciaddr_out(exchange):
    if has_binding(exchange):
        exchange.reply.ciaddr = NOBODY


def leaves_client_out(exchange):
    if has_binding(exchange):
        exchange.reply.htype, exchange.reply.chaddr = 0, b""


class FirstOption:
    """Keeps an option as it came first, whatever comes later."""

    def __init__(self, code):
        self.code = code

    def hears(self, exchange):
        if self.code in exchange.query.options:
            exchange.memory.setdefault(exchange.query.chaddr, exchange.query.options[self.code])

    def __call__(self, exchange):
        if has_binding(exchange) and self.code in exchange.reply.options:
            exchange.reply.options[self.code] = exchange.memory[exchange.reply.chaddr]


class WithoutOption:
    def __init__(self, *codes):
        self.codes = codes

    def __call__(self, exchange):
        for code in self.codes if exchange.reply is not None else ():
            exchange.reply.options.pop(code, None)


class SetOption:
    """Sets options in answers of a kind, when they are asked for."""

    def __init__(self, kind, value, *codes):
        self.kind, self.value, self.codes = kind, value, codes

    def __call__(self, exchange):
        for code in self.codes if is_kind(exchange, self.kind) else ():
            if code in exchange.query.options.get(55, b""):
                exchange.reply.options[code] = self.value


def absolute_time(exchange):
    if exchange.reply is not None and 91 in exchange.reply.options:
        exchange.reply.options[91] = int(time.time()).to_bytes(4, "big")


def cut_list(exchange):
    for code in (50, 92):
        if exchange.reply is not None and code in exchange.reply.options:
            exchange.reply.options[code] = exchange.reply.options[code][:-1]


# -- section 6.3


def answers_the_sender(exchange):
    if exchange.query.giaddr == NOBODY:
        exchange.answer_as(replace(exchange.query, giaddr=IPv4Address(f"{exchange.server.net}.2")))
        exchange.destination = exchange.source


def takes_the_first_item(exchange):
    query = exchange.query
    if by_ip(query) + by_mac(query) + by_id(query) > 1:
        options = {code: value for code, value in query.options.items() if code != 61}
        exchange.answer_as(replace(query, htype=0, chaddr=b"", options=options))


def serves_one_relay(exchange):
    if str(exchange.query.giaddr).endswith(".3"):
        exchange.answer_with(UNKNOWN)


def minds_the_r_bit(exchange):
    if exchange.query.flags & R_BIT and is_kind(exchange, ACTIVE):
        exchange.reply.message_type = KNOWN


# -- sections 6.4 and 6.4.1


def knows_no_free_addresses(exchange):
    if is_kind(exchange, KNOWN) and exchange.binding is None:
        exchange.answer_with(UNKNOWN)


def forgets_ended_leases(exchange):
    if is_kind(exchange, KNOWN) and exchange.binding is not None:
        exchange.answer_with(UNKNOWN)


def always_active(exchange):
    if is_kind(exchange, KNOWN):
        exchange.reply.message_type = ACTIVE


def clears_r(exchange):
    if exchange.reply is not None:
        exchange.reply.flags = 0


def sets_r(exchange):
    if exchange.reply is not None:
        exchange.reply.flags = R_BIT


def knows_no_reservation(exchange):
    if exchange.binding is not None and exchange.binding.reserved:
        exchange.answer_with(UNKNOWN)


def reservation_of_nobody(exchange):
    if exchange.binding is not None and exchange.binding.reserved:
        exchange.reply.htype, exchange.reply.chaddr = 0, b""


def knows_strangers(exchange):
    if is_kind(exchange, UNKNOWN):
        exchange.reply.message_type = KNOWN


def talkative_about_strangers(exchange):
    if is_kind(exchange, UNKNOWN):
        exchange.reply.options[15] = b"access.example"


def never_active(exchange):
    if is_kind(exchange, ACTIVE):
        exchange.reply.message_type = KNOWN


def talkative_about_forms(exchange):
    if is_kind(exchange, UNIMPLEMENTED):
        exchange.reply.options[51] = bytes(4)


def another_address(exchange):
    if by_ip(exchange.query) and has_binding(exchange):
        exchange.reply.ciaddr += 1


def least_recent(exchange):
    found = exchange.server.service.bindings.of_hardware(b"\x01" + exchange.query.chaddr)
    if by_mac(exchange.query) and len(found) > 1:
        oldest = min(found, key=lambda each: each.last_transaction)
        exchange.answer_as(replace(exchange.query, ciaddr=oldest.address, htype=0, chaddr=b""))


class FormerAddress:
    """Remembers of each hardware address where it was last, even when another client is there now."""

    @staticmethod
    def hears(exchange):
        if exchange.reply is not None and exchange.reply.message_type == 5:
            exchange.memory[exchange.query.chaddr] = exchange.reply.yiaddr

    def __call__(self, exchange):
        former = exchange.memory.get(exchange.query.chaddr)
        if is_kind(exchange, UNKNOWN) and former is not None:
            exchange.answer_with(KNOWN)
            exchange.reply.ciaddr = former


def prefers_what_ended(exchange):
    """Of several addresses the one heard of last, though its lease has ended and another stands."""
    found = exchange.server.service.bindings.of_hardware(b"\x01" + exchange.query.chaddr)
    newest = max(found, key=lambda each: each.last_transaction, default=None)
    if by_mac(exchange.query) and len(found) > 1 and not newest.leased(exchange.now):
        exchange.answer_as(replace(exchange.query, ciaddr=newest.address, htype=0, chaddr=b""))


def unknown_after_a_release(exchange):
    """A client with a lease is UNKNOWN because another of its leases ended."""
    found = exchange.server.service.bindings.of_hardware(b"\x01" + exchange.query.chaddr)
    if by_mac(exchange.query) and not all(each.leased(exchange.now) for each in found):
        exchange.answer_with(UNKNOWN)


def unassigned_by_client(exchange):
    """A client without a lease is told of by the address that it had."""
    found = exchange.server.service.bindings.of_hardware(b"\x01" + exchange.query.chaddr)
    if by_mac(exchange.query) and is_kind(exchange, UNKNOWN) and found:
        exchange.answer_as(replace(exchange.query, ciaddr=found[0].address, htype=0, chaddr=b""))


def silent_about_unknown_clients(exchange):
    if is_kind(exchange, UNKNOWN) and not by_ip(exchange.query):
        exchange.reply = None


# -- section 6.4.2


def known_by_mac(exchange):
    if by_mac(exchange.query):
        never_active(exchange)


def another_client(exchange):
    if has_binding(exchange) and exchange.reply.chaddr:
        exchange.reply.chaddr = bytes((exchange.reply.chaddr[0] ^ 4,)) + exchange.reply.chaddr[1:]


def another_htype(exchange):
    if has_binding(exchange) and exchange.reply.chaddr:
        exchange.reply.htype = 6


def ended_lease_of_another(exchange):
    if is_kind(exchange, KNOWN):
        another_client(exchange)


def names_the_last_client(exchange):
    if is_kind(exchange, KNOWN) and exchange.binding is not None:
        exchange.reply.htype, exchange.reply.chaddr = exchange.binding.htype, exchange.binding.chaddr


def talkative_about_addresses(exchange):
    if is_kind(exchange, KNOWN):
        exchange.reply.options[15] = b"access.example"


def lists_if_requested(exchange):
    """Option 92 as an option like any other."""
    if exchange.reply is not None and 92 not in exchange.query.options.get(55, b""):
        exchange.reply.options.pop(92, None)


def lists_what_ended(exchange):
    found = exchange.server.service.bindings.of_hardware(b"\x01" + exchange.query.chaddr)
    if by_mac(exchange.query) and len(found) > 1 and is_kind(exchange, ACTIVE):
        recent = sorted(found, key=lambda each: each.last_transaction, reverse=True)
        exchange.reply.options[92] = b"".join(each.packed for each in recent)


def lists_leases_alone(exchange):
    if exchange.reply is not None and 50 in exchange.reply.options:
        value, bindings = exchange.reply.options[50], exchange.server.service.bindings
        addresses = [value[at : at + 4] for at in range(0, len(value), 4)]
        leased = [each for each in addresses if bindings.by_address[each].leased(exchange.now)]
        exchange.reply.options[50] = b"".join(leased)


def counts_down_for_ever(exchange):
    if exchange.reply is not None and exchange.reply.options.get(51) == b"\xff" * 4:
        exchange.reply.options[51] = b"\xff\xff\xff\xfd"


def renews_what_has_no_end(exchange):
    if is_kind(exchange, ACTIVE) and exchange.binding.expires > 2**39:
        exchange.reply.options[58] = b"\x7f\xff\xff\xff"


def nothing_left_until_renewal(exchange):
    """T1 that is past is said to be now."""
    if is_kind(exchange, ACTIVE) and 58 in exchange.query.options.get(55, b""):
        exchange.reply.options.setdefault(58, bytes(4))


def renewal_was_long_ago(exchange):
    """T1 that is past, as a negative number."""
    if is_kind(exchange, ACTIVE) and 58 in exchange.query.options.get(55, b""):
        exchange.reply.options.setdefault(58, b"\xff\xff\xff\xfe")


def nothing_without_a_list(exchange):
    if is_kind(exchange, ACTIVE) and 55 not in exchange.query.options:
        exchange.reply.options = {code: exchange.reply.options[code] for code in (53, 54)}


def one_address(exchange):
    for code in (50, 92):
        if exchange.reply is not None and code in exchange.reply.options:
            exchange.reply.options[code] = exchange.reply.ciaddr.packed


def oldest_first(exchange):
    for code in (50, 92):
        if exchange.reply is not None and code in exchange.reply.options:
            value = exchange.reply.options[code]
            exchange.reply.options[code] = value[4:] + value[:4]


def the_other_dialects_option(exchange):
    options = exchange.reply.options if exchange.reply is not None else {}
    for code in (50, 92):
        if code in options:
            options[142 - code] = options.pop(code)
            return


def usual_order(exchange):
    if exchange.reply is not None and 82 in exchange.reply.options:
        info = RelayInfo.decode(exchange.reply.options[82])
        exchange.reply.options[82] = replace(info, order=()).encode()


def drops_unknown_sub_options(exchange):
    if exchange.reply is not None and 82 in exchange.reply.options:
        info = RelayInfo.decode(exchange.reply.options[82])
        exchange.reply.options[82] = RelayInfo(info.circuit_id, info.remote_id).encode()


# -- section 6.4.3


def answers_the_senders_port(exchange):
    exchange.destination = exchange.source


def answers_the_sender_by_client(exchange):
    if not by_ip(exchange.query):
        answers_the_sender(exchange)


@dataclass(frozen=True)
class Case:
    """A row, the rule that is broken, the dialects; `level` is the one that the result should show."""

    row: str
    rule: object
    dialects: tuple[str, ...] = BOTH
    level: str = ""
    leasequery: str = ""
    told: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.row}-{getattr(self.rule, '__name__', type(self.rule).__name__)}"


OFF = {"leasequery": "enabled: false", "told": {"without_leasequery": True, "silence": 0.5}}
ADDRESS_ONLY = {"leasequery": "forms: [address]"}
AS_ACTIVE = {"leasequery": "reservation_as_active: true", "told": {"reservation_as_active": True}}
FULL = (600).to_bytes(4, "big")

CASES = [
    Case("R3-1", takes_queries_for_transactions),
    Case("R3-1", renews_on_query),
    Case("R3-1", revives_on_query),
    Case("R5-2", silent_about_strangers),
    Case("R5-2", malformed),
    Case("R5-3", refuses_aloud, **OFF),
    Case("R5-3", naks, **OFF),
    Case("R5-4", knows_no_addresses),
    Case("R5-4", by_ip_unimplemented),
    Case("R5-5", knows_no_macs),
    Case("R5-5", silent_about_macs, DRAFT),
    Case("R5-6", knows_no_identifiers),
    Case("R5-8", leaves_ciaddr_out),
    Case("R5-8", leaves_client_out, level="SHOULD"),
    Case("R5-9", FirstOption(82)),
    Case("R5-9", WithoutOption(82)),
    Case("R5-10", FirstOption(60)),
    Case("R5-10", WithoutOption(60)),
    Case("R6.1-1", absolute_time),
    Case("R6.1-1", SetOption(ACTIVE, bytes(4), 91)),
    Case("R6.1-1", SetOption(ACTIVE, b"\0", 91)),
    Case("R6.1-2", cut_list),
    Case("R6.3-1", answers_the_sender),
    Case("R6.3-2", takes_the_first_item),
    Case("R6.3-3", serves_one_relay),
    Case("R6.3-3", minds_the_r_bit),
    Case("R6.4-1", knows_no_free_addresses),
    Case("R6.4-1", forgets_ended_leases),
    Case("R6.4-1", always_active),
    Case("R6.4-1", unassigned_by_client, RFC),
    Case("R6.4-1", knows_no_macs, DRAFT),
    Case("R6.4-2", clears_r, DRAFT),
    Case("R6.4-2", sets_r),
    Case("R6.4-2", knows_no_reservation),
    Case("R6.4-2", reservation_of_nobody, DRAFT),
    Case("R6.4-2", unassigned_by_client, RFC),
    Case("R6.4-3", sets_r),
    Case("R6.4-3", knows_strangers),
    Case("R6.4-3", talkative_about_strangers, DRAFT, level="SHOULD"),
    Case("R6.4-3", talkative_about_strangers, RFC),
    Case("R6.4-4", never_active),
    Case("R6.4-4", clears_r, DRAFT),
    Case("R6.4-4", sets_r),
    Case("R6.4-5", never_active, **AS_ACTIVE),
    Case("R6.4-5", clears_r, DRAFT, **AS_ACTIVE),
    Case("R6.4-5", SetOption(ACTIVE, FULL, 51), **AS_ACTIVE),
    Case("R6.4-6", talkative_about_forms, DRAFT, **ADDRESS_ONLY),
    Case("R6.4-6", by_ip_unimplemented, DRAFT, **ADDRESS_ONLY),
    Case("R6.4.1-1", knows_strangers),
    Case("R6.4.1-1", knows_no_free_addresses),
    Case("R6.4.1-1", another_address),
    Case("R6.4.1-2", least_recent),
    Case("R6.4.1-2", FormerAddress()),
    Case("R6.4.1-2", prefers_what_ended),
    Case("R6.4.1-2", unknown_after_a_release),
    Case("R6.4.1-2", None, told={"longest_lease": True}),
    Case("R6.4.1-3", knows_strangers),
    Case("R6.4.1-3", silent_about_unknown_clients, DRAFT),
    Case("R6.4.2-1", always_active),
    Case("R6.4.2-1", never_active),
    Case("R6.4.2-1", known_by_mac),
    Case("R6.4.2-2", another_client),
    Case("R6.4.2-2", another_htype),
    Case("R6.4.2-2", ended_lease_of_another, DRAFT),
    Case("R6.4.2-2", names_the_last_client, RFC, level="SHOULD"),
    Case("R6.4.2-2", talkative_about_addresses, RFC, level="SHOULD"),
    Case("R6.4.2-2", leaves_client_out),
    Case("R6.4.2-3", WithoutOption(61)),
    Case("R6.4.2-4", one_address, DRAFT),
    Case("R6.4.2-4", one_address, RFC),
    Case("R6.4.2-4", oldest_first),
    Case("R6.4.2-4", lists_if_requested, RFC),
    Case("R6.4.2-4", lists_what_ended, RFC),
    Case("R6.4.2-4", lists_leases_alone, DRAFT),
    Case("R6.4.2-4", the_other_dialects_option),
    Case("R6.4.2-5", SetOption(ACTIVE, FULL, 51)),
    Case("R6.4.2-5", SetOption(KNOWN, bytes(4), 51)),
    Case("R6.4.2-5", WithoutOption(51)),
    Case("R6.4.2-5", counts_down_for_ever),
    Case("R6.4.2-6", SetOption(ACTIVE, FULL, 58)),
    Case("R6.4.2-6", SetOption(KNOWN, bytes(4), 59)),
    Case("R6.4.2-6", WithoutOption(59)),
    Case("R6.4.2-6", renews_what_has_no_end),
    Case("R6.4.2-6", nothing_left_until_renewal, RFC),
    Case("R6.4.2-6", renewal_was_long_ago),
    Case("R6.4.2-7", usual_order),
    Case("R6.4.2-7", drops_unknown_sub_options),
    Case("R6.4.2-8", WithoutOption(15)),
    Case("R6.4.2-8", WithoutOption(12)),
    Case("R6.4.2-8", nothing_without_a_list, RFC),
    Case("R6.4.3-1", answers_the_senders_port),
    Case("R6.4.3-2", answers_the_sender_by_client),
]
RUNS = [(case, name) for case in CASES for name in case.dialects]


@pytest.fixture(scope="module")
def judged():
    """All servers at once, as most of the time is waiting; a test takes its own result."""

    def run(case, name):
        return judge(case.rule, name, [case.row], case.leasequery, **case.told)

    with ThreadPoolExecutor(16) as pool:
        yield [pool.submit(run, *each) for each in RUNS]


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=f"{case}-{name}", marks=pytest.mark.requirement(case.row))
        for number, (case, name) in enumerate(RUNS)
    ],
)
def test_a_broken_rule_is_caught(judged, number):
    case, _ = RUNS[number]
    (result,) = judged[number].result()
    assert (result.id, result.verdict) == (case.row, "fail"), result.evidence
    row = next(row for row in ROWS if row.id == case.row)
    assert result.level == (case.level or row.level), result.evidence
    assert " -> " in result.evidence


def test_each_row_has_a_check_and_each_check_is_caught_failing():
    assert list(CHECKS.keys() ^ {row.id for row in ROWS}) == []
    judged = {(row, name) for row in CHECKS.keys() - NOT_JUDGED for name in BOTH}
    assert {(case.row, name) for case, name in RUNS} == judged - {("R6.4-6", "rfc4388")}


@pytest.mark.parametrize("name", BOTH)
def test_the_same_server_unbroken_passes(name):
    results = judge(None, name)
    assert [result for result in results if result.verdict == "fail"] == []
    open_rows = {result.id for result in results if result.verdict == "not applicable"}
    assert open_rows == {*NOT_JUDGED, "R5-3", "R6.4-5", "R6.4-6"}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("row", ["R5-3", "R6.4-5", "R6.4-6", "R6.4.1-2"])
def test_so_it_does_configured_otherwise(name, row):
    configured = {"R5-3": OFF, "R6.4-5": AS_ACTIVE, "R6.4-6": ADDRESS_ONLY}.get(
        row, {"leasequery": "prefer: longest-lease", "told": {"longest_lease": True}}
    )
    (result,) = judge(None, name, [row], configured["leasequery"], **configured.get("told", {}))
    expected = "not applicable" if (row, name) == ("R6.4-6", "rfc4388") else "pass"
    assert result.verdict == expected, result.evidence
