"""Which function checks which row, and the states that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lq.conformance.rows import ROWS
from lq.conformance.trial import NotApplicable, Trial

Run = Callable[[Trial], None]


@dataclass(frozen=True)
class RowCheck:
    """The function that judges a row, and the names of the states that are made before."""

    run: Run
    needs: tuple[str, ...]


CHECKS: dict[str, RowCheck] = {}


def check(row: str, *needs: str) -> Callable[[Run], Run]:
    """Register the check of a row; `needs` names states of `lq.conformance.prepared`."""
    assert row not in CHECKS
    assert any(each.id == row for each in ROWS)

    def register(run: Run) -> Run:
        CHECKS[row] = RowCheck(run, needs)
        return run

    return register


def never(row: str, why: str) -> None:
    """Register that a row cannot be judged through queries."""

    @check(row)
    def _not_applicable(trial: Trial) -> None:
        raise NotApplicable(why)
