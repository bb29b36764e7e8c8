"""What the parts of a `Lab` have in common: they ask the lab, and make tables of what it answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import pandas as pd

from lq.errors import BadInput, shown, unknown
from lq.live.connection import Connection


class Asking:
    """Something that asks a live network for what it shows."""

    _connection: Connection

    def _ask(self, what: str, **details: Any) -> Any:
        return self._connection.ask(what, details)


def frame(rows: list[dict[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return rows as a table, with these columns even if there are none."""
    made: pd.DataFrame = pd.DataFrame(rows, columns=None if columns is None else list(columns))
    return made


def one_of(what: str, value: object, choices: Sequence[str]) -> None:
    """Raise BadInput for a value that is none of the choices."""
    if value not in choices:
        raise BadInput(f"{unknown(what, value, choices)} (use one of {', '.join(choices)})")


def positive(what: str, value: object) -> None:
    """Raise BadInput for what is no finite number above 0."""
    if not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise BadInput(f"{what} is {shown(value)}: use a number above 0")
