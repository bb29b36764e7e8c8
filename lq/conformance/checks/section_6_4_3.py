"""Sections 6.4.3 and 7: sending the answer, and securing it."""

from __future__ import annotations

from lq.conformance.checks.by_row import check, never
from lq.conformance.trial import Trial
from lq.wire.message import ANY


@check("R6.4.3-1", "leased")
def the_answer_goes_to_giaddr(trial: Trial) -> None:
    """R6.4.3-1: also where the query left from another port. A server may keep silent to that."""
    address = trial.states.subscriber("leased").address
    answers = [("giaddr", trial.by_ip(address)), ("giaddr", trial.by_ip_from("source", address))]
    if trial.target.other_giaddr is not None:
        answers.append(("other", trial.by_ip_from("other", address)))
    for wanted, answer in answers:
        if answer.arrival is None and answer is answers[1][1]:
            trial.note("it keeps silent to another port than a relay agent's")
            continue
        if answer.arrival is None:
            trial.expect(False, f"{answer.asked}: no answer at giaddr nor elsewhere")
            continue
        trial.note(f"it came to {answer.arrival.at}")
        trial.expect(answer.arrival.at == wanted, f"{answer.asked}: the answer went to its sender's port")


@check("R6.4.3-2", "leased", "identified")
def no_form_is_answered_without_giaddr(trial: Trial) -> None:
    """R6.4.3-2: all three forms."""
    leased, identified = trial.states.subscriber("leased"), trial.states.subscriber("identified")
    for answer in (
        trial.unanswered(ciaddr=leased.address, giaddr=ANY),
        trial.unanswered(chaddr=leased.chaddr, giaddr=ANY),
        trial.unanswered(client_id=identified.client_id, giaddr=ANY),
    ):
        trial.expect(answer.kind == "silence", f"{answer.asked}: answered {answer.kind}")


_SECURITY = "needs keys configured on both sides, which this suite does not have"
never("R7-1", f"DHCP authentication {_SECURITY}")
never("R7-2", f"delayed authentication or IPsec {_SECURITY}")
