"""Section 6.4.2: what KNOWN and ACTIVE say of the address."""

from __future__ import annotations

from lq.conformance.checks.registry import check, never
from lq.conformance.states import PAUSE, Subscriber
from lq.conformance.trial import Answer, NotApplicable, Trial
from lq.wire import OptionCode
from lq.wire.options import pack_addresses

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


@check("R6.4.2-2", "leased", "identified", "released", "expired")
def hardware_address_of_the_client(trial: Trial) -> None:
    """R6.4.2-2: of a lease always; of a lease that has ended, where the server shows to know its client."""
    for client in trial.subscribers("leased", "identified"):
        answer = trial.by_ip(client.address)
        _expect_client(trial, answer, client)
    for client in trial.subscribers("released", "expired"):
        by_mac, by_ip = trial.by_mac(client.chaddr), trial.by_ip(client.address)
        known = trial.draft and by_mac.has_binding and by_mac.ciaddr == client.address
        if known or by_ip.client[1]:
            _expect_client(trial, by_ip, client)
        else:
            trial.note("of that client, whose lease has ended, nothing is said")


def _expect_client(trial: Trial, answer: Answer, client: Subscriber) -> None:
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


@check("R6.4.2-4", "newer")
def all_addresses(trial: Trial) -> None:
    """R6.4.2-4: of a hardware address with two leases, the most recent first."""
    older, newer = trial.states.subscriber("older"), trial.states.subscriber("newer")
    code = trial.dialect.client_addresses_option
    answer = trial.by_mac(older.chaddr, (OptionCode.REQUESTED_ADDRESS, OptionCode.ASSOCIATED_IP))
    if answer.kind == "unimplemented" or (answer.kind == "silence" and not trial.draft):
        raise NotApplicable("query by MAC is not supported")
    recent = sorted((older, newer), key=lambda each: each.acked, reverse=True)
    addresses = [client.address for client in recent]
    allowed = [pack_addresses(addresses)]
    if not trial.draft:
        allowed.append(pack_addresses(each for each in addresses if each != answer.ciaddr))
    shown = " ".join(map(str, addresses))
    trial.expect(answer.value(code) in allowed, f"option {code} does not list {shown} in this order")


@check("R6.4.2-5", "leased", "released", "expired", "free")
def lease_time_left(trial: Trial) -> None:
    """R6.4.2-5: the time left, not the time granted; none for an address without lease."""
    client = trial.states.subscriber("leased")
    trial.states.wait_for_age(client, PAUSE)
    _expect_left(trial, client, OptionCode.LEASE_TIME, must=True)
    _expect_no_times(trial, (OptionCode.LEASE_TIME,))


@check("R6.4.2-6", "leased", "released", "expired", "free")
def renewal_and_rebinding_left(trial: Trial) -> None:
    """R6.4.2-6: judged against what the client was told at its last ACK."""
    client = trial.states.subscriber("leased")
    trial.states.wait_for_age(client, PAUSE)
    for code in (OptionCode.RENEWAL_TIME, OptionCode.REBINDING_TIME):
        if client.granted(code) is not None:
            _expect_left(trial, client, code, must=False)
        else:
            trial.note(f"the client was given no option {int(code)}, so that none is expected")
    _expect_no_times(trial, (OptionCode.RENEWAL_TIME, OptionCode.REBINDING_TIME))


def _expect_left(trial: Trial, client: Subscriber, code: int, must: bool) -> None:
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


@check("R6.4.2-8", "leased")
def other_options(trial: Trial) -> None:
    """R6.4.2-8: each option that the client was given, and its host name (12)."""
    client = trial.states.subscriber("leased")
    assert client.ack is not None
    expected = {code: value for code, value in client.options.items() if code != 60}  # R5-10
    expected |= {code: value for code, value in client.ack.options.items() if code not in _FROM_LEASE}
    answer = trial.by_ip(client.address, (*sorted(expected), OptionCode.CLIENT_LAST_TRANSACTION_TIME))
    for code, value in sorted(expected.items()):
        trial.expect(answer.value(code) == value, f"option {int(code)} is not {value.hex()}")
    trial.expect(answer.value(91) is not None, "option 91 is not there")
    _note_unrequested(trial, trial.by_ip(client.address, (1,)))


def _note_unrequested(trial: Trial, answer: Answer) -> None:
    """No row forbids more than was requested, but it is worth knowing."""
    if answer.reply is not None:
        more = sorted(answer.reply.options.keys() - {1, 53, 54})
        if more:
            trial.note(f"not requested, yet returned: options {' '.join(map(str, more))}")


never("R6.4.2-9", "failover between servers does not show in leasequery; see the server's manual")
