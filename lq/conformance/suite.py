"""Runs the checks against one server and collects their results."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.conformance.prepared import PreparedStates, Unavailable
from lq.conformance.requester import Requester, own_address
from lq.conformance.rows import ROWS, Row
from lq.conformance.trial import NotApplicable, Target, Trial
from lq.errors import BadInput

__all__ = ["RowResult", "Target", "conform"]

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not applicable"
Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class RowResult:
    """What came of one row. `level` is that of the row, or SHOULD where only such a part of it failed."""

    id: str
    level: str
    verdict: str
    evidence: str

    @property
    def failed_must(self) -> bool:
        """Whether a MUST or MUST NOT is broken."""
        return self.verdict == FAIL and self.level.startswith("MUST")

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {
            "id": self.id,
            "level": self.level,
            "verdict": self.verdict,
            "evidence": self.evidence,
        }


def refuse_unknown(rows: Collection[str]) -> None:
    """Raise BadInput unless all rows are those of a server."""
    if unknown := set(rows) - {row.id for row in ROWS}:
        raise BadInput(f"there is no row {sorted(unknown)[0]}: the rows are those of a server, as R6.4-4")


def conform(
    target: Target, rows: Collection[str] = (), tell: Tell = lambda what, done, of: None
) -> list[RowResult]:
    """Play clients and a relay agent against a server and judge it, row by row in the draft's order.

    `rows` names those wanted, all by default; an unfinished `target` is filled in (giaddr). Raises BadInput
    if a row is unknown, the relay's address cannot be had, or the server leases nothing.
    """
    from lq.conformance.checks import CHECKS

    refuse_unknown(rows)
    wanted = [row for row in ROWS if not rows or row.id in rows]
    giaddr = target.giaddr or own_address(target.server)
    requester = Requester(target.server, giaddr, target.other_giaddr, target.port)
    try:
        states = PreparedStates(
            requester, giaddr, target.timeout, target.short_lease, target.patience, target.free
        )
        if not target.without_leasequery:
            _prepare(target, states, {name for row in wanted for name in CHECKS[row.id].needs}, giaddr)
        results = []
        for number, row in enumerate(wanted):
            tell("checks", number, len(wanted))
            results.append(_judge(row, CHECKS[row.id].run, Trial(target, giaddr, requester, states)))
        tell("checks", len(wanted), len(wanted))
        states.leave()
        return results
    finally:
        requester.close()


def _prepare(target: Target, states: PreparedStates, needed: set[str], giaddr: IPv4Address) -> None:
    states.prepare(needed)
    if not needed:
        return
    try:
        states.subscriber("leased")
    except Unavailable as reason:
        raise BadInput(
            f"{target.server}: {reason}; is it running, and has the subnet of {giaddr} a pool with room?"
        ) from None


def _judge(row: Row, check: Callable[[Trial], None], trial: Trial) -> RowResult:
    if trial.target.without_leasequery and row.id != "R5-3":
        return RowResult(row.id, row.level, NOT_APPLICABLE, "the server is said to have no leasequery")
    try:
        check(trial)
    except NotApplicable as reason:
        if not trial.complaints:
            return RowResult(row.id, row.level, NOT_APPLICABLE, str(reason))
    except Unavailable as reason:
        if not trial.complaints:
            return RowResult(row.id, row.level, NOT_APPLICABLE, f"the state cannot be made: {reason}")
    rule = f". Rule: {row.rfc4388}" if row.rfc4388 and not trial.draft else ""
    if not trial.complaints:
        if not trial.expectations:
            return RowResult(row.id, row.level, NOT_APPLICABLE, f"nothing to judge. Seen: {trial.evidence}")
        return RowResult(row.id, row.level, PASS, trial.evidence + rule)
    must = any(complaint.must for complaint in trial.complaints)
    level = row.level if must or not row.level.startswith("MUST") else "SHOULD"
    said = "; ".join(complaint.text for complaint in trial.complaints)
    return RowResult(row.id, level, FAIL, f"{said}. Seen: {trial.evidence}{rule}")
