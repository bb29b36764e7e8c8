"""Section 6.3: receiving a query."""

from __future__ import annotations

from lq.conformance.checks.by_row import check
from lq.conformance.trial import QueryOutcome, Trial
from lq.wire.message import ANY

_TIMES = frozenset({51, 58, 59, 91})


@check("R6.3-1", "leased")
def without_giaddr_no_answer(trial: Trial) -> None:
    """R6.3-1: by IP; R6.4.3-2 has the other forms."""
    client = trial.states.subscriber("leased")
    answer = trial.unanswered(ciaddr=client.address, giaddr=ANY)
    trial.expect(answer.kind == "silence", f"giaddr zero, but answered {answer.kind}")


@check("R6.3-2", "leased", "identified")
def several_items_or_none(trial: Trial) -> None:
    """R6.3-2: neither KNOWN nor ACTIVE, which carry data; that it is counted and logged does not show."""
    leased, identified = trial.states.subscriber("leased"), trial.states.subscriber("identified")
    address, chaddr, client_id = leased.address, leased.chaddr, identified.client_id
    for answer in (
        trial.unanswered(),
        trial.unanswered(ciaddr=address, chaddr=chaddr),
        trial.unanswered(ciaddr=address, client_id=client_id),
        trial.unanswered(chaddr=chaddr, client_id=client_id),
        trial.unanswered(ciaddr=address, chaddr=chaddr, client_id=client_id),
    ):
        trial.expect(not answer.has_binding, f"{answer.asked} is answered with data")
    # No row says whether 6 octets of zero are a hardware address. Requesters in the field send them.
    zero = trial.unanswered(ciaddr=address, chaddr=bytes(6))
    taken = {"active": "answered as by IP", "silence": "left without answer"}.get(zero.kind, zero.kind)
    trial.note(f"for information: by IP with hlen 6 and chaddr all zero, as some requesters ask, is {taken}")


@check("R6.3-3", "leased")
def the_item_alone_counts(trial: Trial) -> None:
    """R6.3-3: other giaddr, sender's port, R bit, hops and secs change nothing in the answer."""
    address = trial.states.subscriber("leased").address
    usual = trial.by_ip(address)
    others = [trial.by_ip(address, hops=3, secs=77), trial.by_ip(address, flags=0x4000)]
    from_elsewhere = trial.by_ip_from("source", address)
    if from_elsewhere.arrival is not None:
        others.append(from_elsewhere)
    else:
        trial.note("it keeps silent to another port than a relay agent's")
    if trial.target.other_giaddr is not None:
        others.append(trial.by_ip_from("other", address))
    else:
        trial.note("asked from one giaddr only: name a second one with --other-giaddr")
    for other in others:
        trial.expect(_said(other) == _said(usual), f"{other.asked} is answered otherwise than plainly")


def _said(answer: QueryOutcome) -> object:
    options = answer.reply.options if answer.reply is not None else {}
    return (
        answer.kind,
        answer.ciaddr,
        answer.client,
        {code: None if code in _TIMES else value for code, value in options.items()},
    )
