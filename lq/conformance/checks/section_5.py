"""Sections 3 and 5, and the options of 6.1: what a server that knows leasequery does in general."""

from __future__ import annotations

from collections.abc import Callable

from lq.conformance.checks.by_row import check, never
from lq.conformance.prepared import PAUSE, PlayedClient, Unavailable
from lq.conformance.trial import NotApplicable, QueryOutcome, Trial
from lq.wire import MalformedMessage, OptionCode, RelayInfo

never("R3-2", "failover between servers does not show in leasequery; see the server's manual")

_FALLING = (OptionCode.LEASE_TIME, OptionCode.RENEWAL_TIME, OptionCode.REBINDING_TIME)
_RISING = OptionCode.CLIENT_LAST_TRANSACTION_TIME
_SUPPORTED = ("active", "known")


@check("R3-1", "leased", "released", "expired", "free")
def query_only_reads(trial: Trial) -> None:
    """R3-1: the same questions before and after many queries have the same answers; times run on alone."""
    leased, states = trial.states.subscriber("leased"), trial.states
    states.wait_for_age(leased)
    questions: list[Callable[[], QueryOutcome]] = [
        lambda: trial.by_ip(leased.address),
        lambda: trial.by_mac(leased.chaddr),
        lambda: trial.by_ip(states.free),
    ]
    for other in trial.subscribers("released", "expired"):
        questions.append(lambda address=other.address: trial.by_ip(address))  # type: ignore[misc]
    before = [ask() for ask in questions]
    for _ in range(3):
        for ask in questions:
            ask()
    for earlier, ask in zip(before, questions, strict=True):
        _expect_unchanged(trial, earlier, ask())
    _expect_age_kept(trial, leased)


def _expect_unchanged(trial: Trial, before: QueryOutcome, after: QueryOutcome) -> None:
    trial.expect(before.kind == after.kind, f"{before.asked} is answered {before.kind}, then {after.kind}")
    if before.reply is None or after.reply is None:
        return
    assert before.arrival is not None
    assert after.arrival is not None
    same = before.client == after.client and before.ciaddr == after.ciaddr
    trial.expect(same, f"{before.asked} names another client or address the second time")
    elapsed = after.arrival.received - before.arrival.sent
    for code in before.reply.options.keys() | after.reply.options.keys():
        then, now = before.number(code), after.number(code)
        if code == _RISING and then is not None and now is not None:
            trial.expect(then <= now <= then + elapsed + 1, f"option 91 went from {then} to {now}")
        elif code in _FALLING and then is not None and now is not None:
            trial.expect(then - elapsed - 1 <= now <= then, f"option {code} went from {then} to {now}")
        else:
            trial.expect(before.value(code) == after.value(code), f"option {code} changed")


def _expect_age_kept(trial: Trial, client: PlayedClient) -> None:
    """A server that takes the query for a transaction shows it in option 91."""
    answer = trial.by_ip(client.address)
    age = answer.number(_RISING)
    if age is not None:
        least, _ = trial.since(client, answer)
        trial.expect(age >= least - 1, f"option 91 says {age}, but the client was heard {least:.1f} s ago")


@check("R5-2", "leased", "identified", "free")
def every_query_is_answered(trial: Trial) -> None:
    """R5-2: leased, free and foreign addresses, known and unknown clients."""
    leased, identified = trial.states.subscriber("leased"), trial.states.subscriber("identified")
    nobody = trial.states.new_client("nobody")
    for address in (leased.address, trial.states.free, trial.target.foreign):
        _expect_answer(trial, trial.by_ip(address))
    by_mac = [trial.by_mac(leased.chaddr), trial.by_mac(nobody.chaddr)]
    by_id = [trial.by_id(identified.client_id or b""), trial.by_id(nobody.client_id or b"")]
    for answers in (by_mac, by_id):
        if not trial.draft and all(answer.kind == "silence" for answer in answers):
            trial.note("taken for a form that is not supported")
            continue
        for answer in answers:
            _expect_answer(trial, answer)


def _expect_answer(trial: Trial, answer: QueryOutcome) -> None:
    kinds = ("active", "known", "unknown", *(["unimplemented"] if trial.draft else []))
    trial.expect(answer.kind in kinds, f"{answer.asked} is answered by {answer.kind}")


@check("R5-3")
def without_leasequery_it_is_silent(trial: Trial) -> None:
    """R5-3: judged where the server is said to have no leasequery."""
    if not trial.target.without_leasequery:
        raise NotApplicable("the server is taken for one with leasequery (else say --without-leasequery)")
    for answer in (
        trial.unanswered(ciaddr=trial.target.foreign),
        trial.unanswered(ciaddr=trial.giaddr),
        trial.unanswered(chaddr=trial.states.new_client().chaddr),
    ):
        allowed = ("silence", "unimplemented") if trial.draft else ("silence",)
        trial.expect(answer.kind in allowed, f"{answer.asked} is answered by {answer.kind}")


@check("R5-4", "leased")
def by_ip_is_supported(trial: Trial) -> None:
    """R5-4: the address of a lease is known."""
    answer = trial.by_ip(trial.states.subscriber("leased").address)
    trial.expect(answer.kind in _SUPPORTED, f"query by IP about a leased address: {answer.kind}")


@check("R5-5", "leased")
def by_mac_is_supported(trial: Trial) -> None:
    """R5-5: the client of a lease is known, or the form is unimplemented."""
    _expect_form(trial, trial.by_mac(trial.states.subscriber("leased").chaddr))


@check("R5-6", "identified")
def by_client_identifier_is_supported(trial: Trial) -> None:
    """R5-6: the client of a lease is known, or the form is unimplemented."""
    _expect_form(trial, trial.by_id(trial.states.subscriber("identified").client_id or b""))


def _expect_form(trial: Trial, answer: QueryOutcome) -> None:
    if answer.kind == "silence" and not trial.draft:
        raise NotApplicable("not supported, and left without answer, as RFC 4388 allows")
    allowed = (*_SUPPORTED, *(["unimplemented"] if trial.draft else []))
    trial.expect(answer.kind in allowed, f"about the client of a lease: {answer.kind}")


@check("R5-8", "leased", "identified", "released", "free")
def answers_name_address_and_client(trial: Trial) -> None:
    """R5-8: ciaddr in each, which must be; the client in ACTIVE, which should be."""
    leased, identified = trial.states.subscriber("leased"), trial.states.subscriber("identified")
    asked: list[tuple[PlayedClient | None, QueryOutcome]] = [
        (leased, trial.by_ip(leased.address)),
        (leased, trial.by_mac(leased.chaddr)),
        (identified, trial.by_id(identified.client_id or b"")),
        (None, trial.by_ip(trial.states.free)),
    ]
    try:
        released = trial.states.subscriber("released")
    except Unavailable as reason:
        trial.note(f"no released address: {reason}")
    else:
        asked.append((released, trial.by_ip(released.address)))
    for client, answer in asked:
        if not answer.has_binding:
            continue
        wanted = client.address if client is not None else trial.states.free
        trial.expect(answer.ciaddr == wanted, f"ciaddr is {answer.ciaddr}, not {wanted}")
        if client is not None and answer.kind == "active":
            owner = answer.client == (1, client.chaddr)
            trial.expect(owner, f"{answer.asked}: the client is not named", must=False)


@check("R5-9", "leased", "identified")
def option_82_is_kept(trial: Trial) -> None:
    """R5-9: circuit and modem of the renewal, not those of the first lease."""
    for client in trial.subscribers("leased", "identified"):
        value = trial.by_ip(client.address).value(OptionCode.RELAY_AGENT_INFORMATION)
        sent = RelayInfo.decode(client.relay_info)
        try:
            got = RelayInfo.decode(value) if value is not None else None
        except MalformedMessage:
            got = None
        same = got is not None and (got.circuit_id, got.remote_id) == (sent.circuit_id, sent.remote_id)
        trial.expect(same, f"{client.address} was last heard from {sent}, but the answer says {got}")


@check("R5-10", "leased", "identified")
def vendor_class_is_kept(trial: Trial) -> None:
    """R5-10: option 60 of the renewal, not that of the first lease."""
    code = OptionCode.VENDOR_CLASS_IDENTIFIER
    for client in trial.subscribers("leased", "identified"):
        value = trial.by_ip(client.address, (code,)).value(code)
        trial.expect(value == client.options[code], f"option 60 is {value!r}, not {client.options[code]!r}")


@check("R6.1-1", "leased")
def last_transaction_counts_back(trial: Trial) -> None:
    """R6.1-1: option 91 agrees with the time since the client was acknowledged."""
    client = trial.states.subscriber("leased")
    trial.states.wait_for_age(client, PAUSE)
    answer = trial.by_ip(client.address)
    value = answer.value(_RISING)
    if value is None:
        raise NotApplicable("option 91 is not returned")
    age = answer.number(_RISING)
    least, most = trial.since(client, answer)
    trial.expect(len(value) == 4, f"option 91 has {len(value)} octets, not 4")
    trial.expect(
        age is not None and least - 1 <= age <= most + 1,
        f"option 91 says {age} s, but the client was heard {least:.1f} to {most:.1f} s before",
    )


@check("R6.1-2", "newer")
def addresses_are_whole(trial: Trial) -> None:
    """R6.1-2: the list of a client's addresses."""
    code = trial.dialect.client_addresses_option
    value = trial.by_mac(trial.states.subscriber("newer").chaddr, (code,)).value(code)
    if value is None:
        raise NotApplicable(f"option {code} is not returned (see R6.4.2-4)")
    trial.expect(len(value) % 4 == 0 and value != b"", f"option {code} has {len(value)} octets")
