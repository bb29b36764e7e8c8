"""When which subscriber is sent a probe, or sends one: fixed before the first, by the seed alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from topologies.population.probes import SCHEDULE

Pattern = Literal["steady", "poisson", "zipf"]
Direction = Literal["down", "up"]
DIRECTIONS: dict[str, tuple[Direction, ...]] = {"down": ("down",), "up": ("up",), "both": ("down", "up")}


def popularity(subscribers: int, exponent: float, seed: int) -> npt.NDArray[np.float64]:
    """Return each subscriber's share of the traffic: 1/rank^exponent, the ranks dealt out by the seed."""
    weights = np.arange(1, subscribers + 1) ** -exponent
    shares: npt.NDArray[np.float64] = np.random.default_rng(seed).permutation(weights / weights.sum())
    return shares


def schedule(
    pattern: Pattern,
    subscribers: int,
    interval: float,
    seconds: float,
    exponent: float = 1.0,
    seed: int = 1,
    direction: Direction = "down",
) -> npt.NDArray[Any]:
    """Return about `seconds` of probes in the order of time, as an array of SCHEDULE.

    `interval` is the mean time between two probes of the same subscriber, in seconds, over all subscribers:

    steady   each in turn, at equal distances
    poisson  at random moments (a Poisson process), each subscriber as likely as any other
    zipf     the same, but with shares as `popularity` gives: the same subscribers are popular both ways
    """
    count = int(subscribers * seconds / interval)
    step = interval / subscribers
    rows = np.empty(count, dtype=SCHEDULE)
    if pattern == "steady":
        numbers = np.arange(count)
        rows["subscriber"], rows["due"] = numbers % subscribers, numbers * step
        return rows
    random = np.random.default_rng([seed, list(DIRECTIONS).index(direction)])
    rows["due"] = np.cumsum(random.exponential(step, count))
    if pattern == "poisson":
        rows["subscriber"] = random.integers(subscribers, size=count)
    else:
        upper = np.cumsum(popularity(subscribers, exponent, seed))
        upper[-1] = 1.0
        rows["subscriber"] = np.searchsorted(upper, random.random(count), side="right")
    return rows
