"""Section 6.4.2: what KNOWN and ACTIVE say of the address."""

from __future__ import annotations

from ipaddress import IPv4Address

from lq.conformance.checks.by_row import check, never
from lq.conformance.prepared import PAUSE, PlayedClient, Unavailable
from lq.conformance.trial import NotApplicable, QueryOutcome, Trial
from lq.wire import OptionCode
from lq.wire.options import INFINITE, pack_addresses

_LISTS = (OptionCode.REQUESTED_ADDRESS, OptionCode.ASSOCIATED_IP)
_NO_DATA = frozenset({OptionCode.MESSAGE_TYPE, OptionCode.SERVER_IDENTIFIER})
_RUNNING = (51, 58, 59)
_FROM_LEASE = frozenset({50, 51, 53, 54, 55, 56, 57, 58, 59, 61, 82, 90, 91, 92})  # have rows of their own


@check("R6.4.2-1", "leased", "identified", "released", "expired", "declined")
def active_or_known(trial: Trial) -> None:
    """R6.4.2-1: all forms about leases; addresses whose lease has ended, by IP and by MAC."""
    leased, identified = trial.states.subscriber("leased"), trial.states.subscriber("identified")
    supported = ("active", "unimplemented") if trial.draft else ("active", "silence")
    answer = trial.by_ip(leased.address)
    trial.expect(answer.kind == "active", f"{answer.asked}, leased now: {answer.kind}")
    for answer in (trial.by_mac(leased.chaddr), trial.by_id(identified.client_id or b"")):
        trial.expect(answer.kind in supported, f"{answer.asked}, leased now: {answer.kind}")
    for client in trial.subscribers("released", "expired", "declined"):
        for answer in (trial.by_ip(client.address), trial.by_mac(client.chaddr)):
            trial.expect(answer.kind != "active", f"{answer.asked}, no longer leased: active")


@check("R6.4.2-2", "leased", "identified", "released", "expired", "free")
def hardware_address_of_the_client(trial: Trial) -> None:
    """R6.4.2-2: of a lease always; of a lease that has ended, where the server shows to know its client.

    RFC 4388: where no lease is active the answer is about the address, and about nobody.
    """
    for client in trial.subscribers("leased", "identified"):
        answer = trial.by_ip(client.address)
        _expect_client(trial, answer, client)
    for client in trial.subscribers("released", "expired"):
        by_ip = trial.by_ip(client.address)
        if not trial.draft:
            _expect_nobody(trial, by_ip)
            continue
        by_mac = trial.by_mac(client.chaddr)
        known = by_mac.has_binding and by_mac.ciaddr == client.address
        if known or by_ip.client[1]:
            _expect_client(trial, by_ip, client)
        else:
            trial.note("of that client, whose lease has ended, nothing is said")
    if not trial.draft:
        _expect_nobody(trial, trial.by_ip(trial.states.free))


def _expect_nobody(trial: Trial, answer: QueryOutcome) -> None:
    """UNASSIGNED as RFC 4388 has it; option 54, which names the server, is borne."""
    if answer.kind != "known" or answer.reply is None:
        return
    _, chaddr = answer.client
    trial.expect(not chaddr, f"{answer.asked}, not leased: names {chaddr.hex(':')} all the same", must=False)
    more = sorted(answer.reply.options.keys() - _NO_DATA)
    trial.expect(not more, f"{answer.asked}, not leased: has options {more} all the same", must=False)


def _expect_client(trial: Trial, answer: QueryOutcome, client: PlayedClient) -> None:
    htype, chaddr = answer.client
    trial.expect(
        (htype, chaddr) == (1, client.chaddr),
        f"{answer.asked}: htype {htype}, chaddr {chaddr.hex(':') or 'none'}, not {client.chaddr.hex(':')}",
    )


@check("R6.4.2-3", "identified")
def client_identifier(trial: Trial) -> None:
    """R6.4.2-3: as the client sent it, by IP and by MAC."""
    client = trial.states.subscriber("identified")
    for answer in (trial.by_ip(client.address, (61,)), trial.by_mac(client.chaddr, (61,))):
        if answer.has_binding or answer.asked.startswith("query by IP"):
            trial.expect(
                answer.value(61) == client.client_id, f"{answer.asked}: option 61 is not the client's"
            )


@check("R6.4.2-4", "lapsed", "left", "newer")
def all_addresses(trial: Trial) -> None:
    """R6.4.2-4: of a hardware address with two leases, the most recent first; of one with leases that ended.

    RFC 4388: whether they were requested or not, and leases only.
    """
    older, newer = trial.states.subscriber("older"), trial.states.subscriber("newer")
    code = trial.dialect.client_addresses_option
    answers = [trial.by_mac(older.chaddr, _LISTS)]
    if trial.unsupported(answers[0]):
        raise NotApplicable("query by MAC is not supported")
    answers += [] if trial.draft else [trial.by_mac(older.chaddr)]
    recent = sorted((older, newer), key=lambda each: each.acked, reverse=True)
    addresses = [client.address for client in recent]
    shown = " ".join(map(str, addresses))
    for answer in answers:
        allowed = [pack_addresses(addresses)]
        if not trial.draft:
            allowed.append(pack_addresses(each for each in addresses if each != answer.ciaddr))
        listed = answer.value(code)
        trial.expect(listed in allowed, f"{answer.asked}: option {code} does not list {shown} in this order")
    _expect_ended_listed(trial, code)


def _expect_ended_listed(trial: Trial, code: int) -> None:
    """The draft lists the addresses that a client had, too; RFC 4388 those of its leases alone."""
    try:
        staying = trial.states.subscriber("staying")
        ended = {trial.states.subscriber(name).address for name in ("lapsed", "left")}
    except Unavailable as reason:
        trial.note(f"no client has a lease and others that ended: {reason}")
        return
    answer = trial.by_mac(staying.chaddr, _LISTS)
    value = answer.value(code) or b""
    listed = {IPv4Address(value[at : at + 4]) for at in range(0, len(value) - 3, 4)}
    if trial.draft:
        shown = " ".join(map(str, sorted({staying.address} | ended)))
        trial.expect(
            listed == {staying.address} | ended, f"{answer.asked}: option {code} does not list {shown}"
        )
    else:
        wrong = " ".join(map(str, sorted(listed - {staying.address})))
        trial.expect(not wrong, f"{answer.asked}: option {code} lists {wrong}, which it has no longer")


@check("R6.4.2-5", "leased", "released", "expired", "free", "endless")
def lease_time_left(trial: Trial) -> None:
    """R6.4.2-5: the time left, not the time granted; all of a lease without end; none without a lease."""
    client = trial.states.subscriber("leased")
    trial.states.wait_for_age(client, PAUSE)
    _expect_left(trial, client, OptionCode.LEASE_TIME, must=True)
    _expect_no_times(trial, (OptionCode.LEASE_TIME,))
    if (endless := _endless(trial)) is not None:
        trial.states.wait_for_age(endless, PAUSE)
        answer = trial.by_ip(endless.address, (OptionCode.LEASE_TIME,))
        left = answer.number(OptionCode.LEASE_TIME)
        trial.expect(left == INFINITE, f"{answer.asked}, leased without end: option 51 says {left}")


def _endless(trial: Trial) -> PlayedClient | None:
    """The client of a lease without end (RFC 2131, 3.3), where the server grants one."""
    try:
        client = trial.states.subscriber("endless")
    except Unavailable as reason:
        trial.note(f"no lease without end: {reason}")
        return None
    if (granted := client.granted(OptionCode.LEASE_TIME)) == INFINITE:
        return client
    trial.note(f"no lease without end: {granted} s are granted where it was asked for")
    return None


@check("R6.4.2-6", "leased", "released", "expired", "free", "ageing", "endless")
def renewal_and_rebinding_left(trial: Trial) -> None:
    """R6.4.2-6: judged against what the client was told at its last ACK; neither of a lease without end.

    RFC 4388: no time that is past. The draft says nothing of those; there 0 is borne.
    """
    client = trial.states.subscriber("leased")
    trial.states.wait_for_age(client, PAUSE)
    for code in (OptionCode.RENEWAL_TIME, OptionCode.REBINDING_TIME):
        if client.granted(code) is not None:
            _expect_left(trial, client, code, must=False)
        else:
            trial.note(f"the client was given no option {int(code)}, so that none is expected")
    times = (OptionCode.RENEWAL_TIME, OptionCode.REBINDING_TIME)
    _expect_no_times(trial, times)
    _expect_none_past(trial)
    if (endless := _endless(trial)) is not None:
        answer = trial.by_ip(endless.address, times)
        for code in times:
            said = f"{answer.asked}, leased without end: has option {int(code)} all the same"
            trial.expect(answer.value(code) is None, said, must=False)


def _expect_none_past(trial: Trial) -> None:
    try:
        client = trial.states.subscriber("ageing")
    except Unavailable as reason:
        trial.note(f"no lease whose T1 has passed: {reason}")
        return
    code = OptionCode.RENEWAL_TIME
    answer = trial.by_ip(client.address, (code, OptionCode.REBINDING_TIME))
    lease = client.granted(OptionCode.LEASE_TIME) or 0
    if answer.arrival is None or trial.since(client, answer)[1] > lease - 1:
        trial.note("the lease whose T1 has passed has ended, too")
        return
    value = answer.number(code)
    # Of a T1 that its client was not told, it is not known whether it is past, unless it makes no sense.
    borne = value is not None and client.granted(code) is None and 0 < value < lease
    borne = borne or value is None or (value == 0 and trial.draft)
    trial.expect(borne, f"{answer.asked}, whose T1 is past: option 58 says {value}", must=False)


def _expect_left(trial: Trial, client: PlayedClient, code: int, must: bool) -> None:
    answer = trial.by_ip(client.address, (code,))
    granted, left = client.granted(code), answer.number(code)
    if granted is None or answer.arrival is None:
        trial.expect(False, f"{answer.asked}: {answer.kind}", must)
        return
    least, most = trial.since(client, answer)
    trial.expect(
        left is not None and max(granted - most - 1, 0) <= left <= max(granted - least + 1, 0),
        f"option {int(code)} says {left}, but of {granted} s {least:.1f} to {most:.1f} s have passed",
        must,
    )


def _expect_no_times(trial: Trial, codes: tuple[int, ...]) -> None:
    addresses = [client.address for client in trial.subscribers("released", "expired")]
    for address in (*addresses, trial.states.free):
        answer = trial.by_ip(address, codes)
        for code in codes:
            trial.expect(
                answer.value(code) is None, f"{answer.asked}, not leased: has option {int(code)} all the same"
            )


@check("R6.4.2-7", "leased", "identified")
def option_82_octet_for_octet(trial: Trial) -> None:
    """R6.4.2-7: with sub-options that no server knows, in an order that is not the usual one."""
    for client in trial.subscribers("leased", "identified"):
        value = trial.by_ip(client.address, (82,)).value(82)
        if value is None:
            raise NotApplicable("the server returns no option 82, so that it seems to save none (see R5-9)")
        trial.expect(value == client.relay_info, f"option 82 is not {client.relay_info.hex()}, as last sent")


@check("R6.4.2-8", "leased", "undemanding")
def other_options(trial: Trial) -> None:
    """R6.4.2-8: each option that the client was given, and its host name (12).

    RFC 4388: without a Parameter Request List, what a client gets that sends none.
    """
    client = trial.states.subscriber("leased")
    assert client.ack is not None
    expected = {code: value for code, value in client.options.items() if code != 60}  # R5-10
    expected |= {code: value for code, value in client.ack.options.items() if code not in _FROM_LEASE}
    answer = trial.by_ip(client.address, (*sorted(expected), OptionCode.CLIENT_LAST_TRANSACTION_TIME))
    for code, value in sorted(expected.items()):
        trial.expect(answer.value(code) == value, f"option {int(code)} is not {value.hex()}")
    trial.expect(answer.value(91) is not None, "option 91 is not there")
    _note_unrequested(trial, trial.by_ip(client.address, (1,)))
    if not trial.draft:
        _expect_as_request(trial)


def _expect_as_request(trial: Trial) -> None:
    """The options of the ACK that answered a DHCPREQUEST without Parameter Request List."""
    try:
        client = trial.states.subscriber("undemanding")
    except Unavailable as reason:
        trial.note(f"no client without Parameter Request List: {reason}")
        return
    assert client.ack is not None
    answer = trial.by_ip(client.address, ())
    given = client.ack.options.keys() - {OptionCode.MESSAGE_TYPE, OptionCode.RELAY_AGENT_INFORMATION}
    for code in sorted(given):
        trial.expect(
            answer.value(code) is not None
            if code in _RUNNING
            else answer.value(code) == client.ack.options[code],
            f"{answer.asked}: option {int(code)} is not as its client got it",
        )


def _note_unrequested(trial: Trial, answer: QueryOutcome) -> None:
    """No row forbids more than was requested, but it is worth knowing."""
    if answer.reply is not None:
        more = sorted(answer.reply.options.keys() - {1, 53, 54})
        if more:
            trial.note(f"not requested, yet returned: options {' '.join(map(str, more))}")


never("R6.4.2-9", "failover between servers does not show in leasequery; see the server's manual")
