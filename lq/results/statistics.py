"""What repeated runs say together: the median, and how far it may be believed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95


class Median(NamedTuple):
    """A median with its confidence interval `low` to `high`.

    `confidence` is the probability with which such an interval holds the true median. It is less than
    what was asked for when there are too few values: fewer than six for 0.95.
    """

    value: float
    low: float
    high: float
    confidence: float
    runs: int


def median(values: Iterable[float | None], confidence: float = CONFIDENCE) -> Median:
    """Return the median of `values`, None and NaN left out, with its interval.

    The interval is between two of the values themselves (the sign test's): it assumes nothing about
    how they are distributed, only that they are independent. The narrowest symmetric one that reaches
    `confidence` is taken, or the whole range if none does. All NaN, with confidence 0, without values.
    """
    array = np.sort(np.array([value for value in values if value is not None], dtype=float))
    array = array[~np.isnan(array)]
    n = len(array)
    if n == 0:
        return Median(np.nan, np.nan, np.nan, 0.0, 0)
    # The chance that the median lies below value number `cut`, from 0: `tail` of 2**n, whole numbers.
    cut, tail, more = 0, 1, n
    while cut + 1 < n - cut - 1 and (tail + more) / 2**n <= (1 - confidence) / 2:
        cut, tail = cut + 1, tail + more
        more = more * (n - cut) // (cut + 1)
    held = 1 - 2 * (tail / 2**n) if n > 1 else 0.0
    return Median(float(np.median(array)), float(array[cut]), float(array[n - 1 - cut]), held, n)
