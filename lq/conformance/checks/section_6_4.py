"""Sections 6.4 and 6.4.1: which of the answers it is, and about which address."""

from __future__ import annotations

from ipaddress import IPv4Address

from lq.conformance.checks.by_row import check
from lq.conformance.prepared import PlayedClient, Unavailable
from lq.conformance.trial import NotApplicable, QueryOutcome, Trial
from lq.wire import OptionCode

_NO_DATA = frozenset({OptionCode.MESSAGE_TYPE, OptionCode.SERVER_IDENTIFIER})
_HOW_TO_RESERVE = (
    "configure a reservation of an address for a hardware address whose client has not come yet, and name "
    "both with --reserved and --reserved-mac"
)


@check("R6.4-1", "leased", "released", "expired", "declined", "free")
def known_without_a_lease(trial: Trial) -> None:
    """R6.4-1: free, released, expired and declined addresses by IP; a client without lease by MAC."""
    _expect_known(trial, trial.by_ip(trial.states.free))
    for client in trial.subscribers("released", "expired", "declined"):
        _expect_known(trial, trial.by_ip(client.address))
    ended = trial.subscribers("released", "expired")[0]
    _expect_known_client(trial, trial.by_mac(ended.chaddr))


def _expect_known(trial: Trial, answer: QueryOutcome) -> None:
    trial.expect(answer.kind == "known", f"{answer.asked}, managed and not leased: {answer.kind}")


def _expect_known_client(trial: Trial, answer: QueryOutcome) -> None:
    """What may be said of a client whose lease has ended; a form that is not supported is no matter here."""
    due = "known" if trial.draft else "unknown"
    if not trial.unsupported(answer):
        trial.expect(answer.kind == due, f"{answer.asked}, a client whose lease ended: {answer.kind}")


def _reservation(trial: Trial) -> tuple[IPv4Address, bytes]:
    if trial.target.reserved is None or trial.target.reserved_mac is None:
        raise NotApplicable(_HOW_TO_RESERVE)
    return trial.target.reserved, trial.target.reserved_mac


def _expect_r(trial: Trial, answer: QueryOutcome, reserved: bool) -> None:
    """The R bit of the draft; in RFC 4388 that bit is always clear."""
    if answer.reply is None:
        return
    bit = trial.dialect.r_flag or 0x4000
    wanted = bit if reserved and trial.draft else 0
    says = "set" if answer.reply.flags & bit else "clear"
    trial.expect(answer.reply.flags & bit == wanted, f"{answer.asked}: the R bit is {says}")


@check("R6.4-2", "leased", "free")
def known_for_a_reservation(trial: Trial) -> None:
    """R6.4-2: with R bit and client by IP and by MAC; and no R bit where nothing is reserved.

    RFC 4388: the address by IP; its client has no lease, so that by MAC it is UNKNOWN.
    """
    address, chaddr = _reservation(trial)
    if trial.target.reservation_as_active:
        raise NotApplicable("the server is said to answer ACTIVE for a reservation (R6.4-5)")
    by_ip, by_mac = trial.by_ip(address), trial.by_mac(chaddr)
    _expect_reserved(trial, by_ip, address, chaddr)
    if trial.draft and not trial.unsupported(by_mac):
        _expect_reserved(trial, by_mac, address, chaddr)
    elif not trial.draft:
        _expect_known_client(trial, by_mac)
    _expect_r(trial, trial.by_ip(trial.states.free), reserved=False)


def _expect_reserved(trial: Trial, answer: QueryOutcome, address: IPv4Address, chaddr: bytes) -> None:
    trial.expect(answer.kind == "known", f"{answer.asked}, reserved and not leased: {answer.kind}")
    if answer.kind != "known":
        return
    trial.expect(answer.ciaddr == address, f"{answer.asked}: ciaddr is {answer.ciaddr}")
    if trial.draft:
        trial.expect(answer.client == (1, chaddr), f"{answer.asked}: the reservation's client is not named")
    _expect_r(trial, answer, reserved=True)


@check("R6.4-3", "leased")
def unknown_says_nothing(trial: Trial) -> None:
    """R6.4-3: option 54, which names the server, is borne; others should not be there."""
    nobody = trial.states.new_client("nobody")
    for answer in (
        trial.by_ip(trial.target.foreign),
        trial.by_mac(nobody.chaddr),
        trial.by_id(nobody.client_id or b""),
    ):
        if answer.kind == "unimplemented" or (answer.kind == "silence" and "by IP" not in answer.asked):
            continue
        trial.expect(answer.kind == "unknown", f"{answer.asked}: {answer.kind}")
        if answer.kind == "unknown" and answer.reply is not None:
            _expect_r(trial, answer, reserved=False)
            more = sorted(answer.reply.options.keys() - _NO_DATA)
            trial.expect(not more, f"{answer.asked}: UNKNOWN with options {more}", must=not trial.draft)


@check("R6.4-4", "leased")
def active_for_a_lease(trial: Trial) -> None:
    """R6.4-4: a lease, and the lease of a reservation, which this check takes and gives back."""
    client = trial.states.subscriber("leased")
    answer = trial.by_ip(client.address)
    trial.expect(answer.kind == "active", f"{answer.asked}, leased now: {answer.kind}")
    _expect_r(trial, answer, reserved=False)
    if trial.target.reserved is None or trial.target.reserved_mac is None:
        trial.note(f"the lease of a reservation was not tried: {_HOW_TO_RESERVE}")
        return
    holder = trial.states.new_client()
    holder.chaddr = trial.target.reserved_mac
    try:
        trial.states.lease(holder)
    except Unavailable as reason:
        trial.note(f"the reservation could not be leased: {reason}")
        return
    answer = trial.by_ip(holder.address)
    trial.states.release(holder)
    trial.expect(answer.kind == "active", f"{answer.asked}, reserved and leased now: {answer.kind}")
    if answer.kind == "active":
        _expect_r(trial, answer, reserved=holder.address == trial.target.reserved)


@check("R6.4-5", "leased")
def active_for_a_reservation(trial: Trial) -> None:
    """R6.4-5: judged where the server is said to be so configured."""
    address, chaddr = _reservation(trial)
    if not trial.target.reservation_as_active:
        raise NotApplicable("the server is not said to be so configured (else say --reservation-as-active)")
    answer = trial.by_ip(address)
    trial.expect(answer.kind == "active", f"{answer.asked}, reserved and not leased: {answer.kind}")
    if answer.kind != "active":
        return
    trial.expect(answer.value(OptionCode.LEASE_TIME) is None, "option 51 is there, though no lease is")
    trial.expect(answer.client == (1, chaddr), "the reservation's client is not named")
    _expect_r(trial, answer, reserved=True)


@check("R6.4-6", "leased", "identified")
def unimplemented_is_of_one_form(trial: Trial) -> None:
    """R6.4-6: where a form is UNIMPLEMENTED, the answer has no data, and query by IP works."""
    if not trial.draft:
        raise NotApplicable("RFC 4388 has no UNIMPLEMENTED")
    leased, identified = trial.states.subscriber("leased"), trial.states.subscriber("identified")
    answers = [trial.by_mac(leased.chaddr), trial.by_id(identified.client_id or b"")]
    refused = [answer for answer in answers if answer.kind == "unimplemented"]
    if not refused:
        raise NotApplicable("the server supports all forms, so that it says UNIMPLEMENTED of none")
    for answer in refused:
        options = answer.reply.options.keys() if answer.reply is not None else set()
        trial.expect(not options - _NO_DATA, f"{answer.asked}: UNIMPLEMENTED with options")
    answer = trial.by_ip(leased.address)
    trial.expect(answer.has_binding, f"{answer.asked}, which must be supported: {answer.kind}")


@check("R6.4.1-1", "leased", "released", "expired", "free")
def by_ip_the_address_asked_for(trial: Trial) -> None:
    """R6.4.1-1: leased, released, expired and free addresses; foreign ones and those outside the pools."""
    clients = trial.subscribers("leased", "released", "expired")
    for address in (*(client.address for client in clients), trial.states.free):
        answer = trial.by_ip(address)
        trial.expect(
            answer.has_binding and answer.ciaddr == address,
            f"{answer.asked}, managed: {answer.kind} with ciaddr {answer.ciaddr}",
        )
    unmanaged = [trial.target.foreign]
    unmanaged += [trial.target.outside] if trial.target.outside is not None else []
    for address in unmanaged:
        answer = trial.by_ip(address)
        trial.expect(answer.kind == "unknown", f"{answer.asked}, not managed: {answer.kind}")


@check("R6.4.1-2", "leased", "identified", "released", "moved-to", "lapsed", "left", "newer")
def by_client_its_address(trial: Trial) -> None:
    """R6.4.1-2: one address; one that went to another client; one lease beside others that ended later;
    two leases, in both orders of use."""
    leased, identified = trial.states.subscriber("leased"), trial.states.subscriber("identified")
    _expect_address(trial, trial.by_mac(leased.chaddr), leased)
    _expect_address(trial, trial.by_id(identified.client_id or b""), identified)
    if trial.draft:
        _expect_last_address(trial)
    try:
        former, latter = trial.states.subscriber("moved-from"), trial.states.subscriber("moved-to")
    except Unavailable as reason:
        trial.note(f"no address went from client to client: {reason}")
    else:
        _expect_address(trial, trial.by_mac(latter.chaddr), latter)
        answer = trial.by_mac(former.chaddr)
        trial.expect(
            answer.ciaddr != former.address, f"{answer.asked}: {former.address}, which another client has"
        )
    _expect_the_lease(trial)
    _expect_one_of_two(trial)


def _expect_last_address(trial: Trial) -> None:
    try:
        released = trial.states.subscriber("released")
    except Unavailable as reason:
        trial.note(f"no client has released its address: {reason}")
    else:
        _expect_address(trial, trial.by_mac(released.chaddr), released)


def _expect_the_lease(trial: Trial) -> None:
    """A client with a lease has it, although another one of it was released, or expired, more recently."""
    staying, others = None, []
    for name in ("lapsed", "left"):
        try:
            others.append(f"{trial.states.subscriber(name).address} {name}")
            staying = trial.states.subscriber("staying")
        except Unavailable as reason:
            trial.note(f"no client has a lease and another that has {name}: {reason}")
    if staying is None:
        return
    answer = trial.by_mac(staying.chaddr)
    if not trial.unsupported(answer):
        trial.expect(
            answer.kind == "active" and answer.ciaddr == staying.address,
            f"{answer.asked}: {answer.kind} with ciaddr {answer.ciaddr}, but {staying.address} is leased "
            f"({', '.join(others)} more recently)",
        )


def _expect_address(trial: Trial, answer: QueryOutcome, client: PlayedClient) -> None:
    if trial.unsupported(answer):
        return
    trial.expect(
        answer.has_binding and answer.ciaddr == client.address,
        f"{answer.asked}: {answer.kind} with ciaddr {answer.ciaddr}, not {client.address}",
    )


def _expect_one_of_two(trial: Trial) -> None:
    """The second lease is later and shorter than the first."""
    try:
        older, newer = trial.states.subscriber("older"), trial.states.subscriber("newer")
    except Unavailable as reason:
        trial.note(f"no client has two addresses: {reason}")
        return
    if trial.target.longest_lease:
        _expect_address(trial, trial.by_mac(older.chaddr), older)
        return
    if older.acked < newer.acked:
        _expect_address(trial, trial.by_mac(older.chaddr), newer)
    trial.states.wait_for_age(newer)
    trial.states.renew(older)
    _expect_address(trial, trial.by_mac(older.chaddr), older)


@check("R6.4.1-3", "leased")
def by_client_without_an_address(trial: Trial) -> None:
    """R6.4.1-3: clients that the server never heard of."""
    nobody = trial.states.new_client("nobody")
    for answer in (trial.by_mac(nobody.chaddr), trial.by_id(nobody.client_id or b"")):
        if not trial.unsupported(answer):
            trial.expect(answer.kind == "unknown", f"{answer.asked}: {answer.kind}")
