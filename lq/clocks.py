"""The time of day, by which the kernel stamps packets, and the monotonic clock, by which all is measured."""

from __future__ import annotations

import time

_UNDISTURBED = 5e-6  # seconds between two readings of the clock
_ATTEMPTS = 10


def time_of_day_ahead() -> float:
    """Return how far the time of day is ahead of the monotonic clock, in seconds.

    One is read after the other, and who waits for a processor in between reads a wrong difference: the
    first undisturbed attempt counts, or the least disturbed of a few.
    """
    least, ahead = float("inf"), 0.0
    for _ in range(_ATTEMPTS):
        before, time_of_day, after = time.monotonic(), time.time(), time.monotonic()
        if after - before < least:
            least, ahead = after - before, time_of_day - (before + after) / 2
            if least < _UNDISTURBED:
                break
    return ahead
