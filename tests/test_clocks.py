"""The two clocks are compared when nothing came in between."""

from __future__ import annotations

import itertools

import pytest

from lq import clocks

AHEAD = 1000.0


class Disturbed:
    """Clocks of which each reading takes a microsecond, and some much longer."""

    def __init__(self, pauses: list[float]) -> None:
        self.now = 5.0
        self.pauses = itertools.chain(pauses, itertools.repeat(0.0))
        self.readings = 0

    def monotonic(self) -> float:
        self.readings += 1
        self.now += 1e-6 + next(self.pauses)
        return self.now

    def time(self) -> float:
        return self.monotonic() + AHEAD


@pytest.mark.parametrize(
    ("pauses", "readings"),
    [
        ([], 3),
        ([0.02], 3),  # before the first reading: no harm
        ([0, 0.02], 6),
        ([0, 0, 0.02], 6),
        ([0, 0.02, 0, 0, 0, 0.02], 9),
    ],
)
def test_an_attempt_that_was_disturbed_does_not_count(monkeypatch, pauses, readings):
    disturbed = Disturbed(pauses)
    monkeypatch.setattr(clocks, "time", disturbed)
    assert clocks.time_of_day_ahead() == pytest.approx(AHEAD, abs=1e-8)
    assert disturbed.readings == readings


def test_on_a_machine_that_is_never_quiet_the_least_disturbed_counts(monkeypatch):
    pauses = [part for number in range(10) for part in (0, 0.001 * abs(number - 4) + 1e-4, 0)]
    disturbed = Disturbed(pauses)
    monkeypatch.setattr(clocks, "time", disturbed)
    assert clocks.time_of_day_ahead() == pytest.approx(AHEAD, abs=1e-4)
    assert disturbed.readings == 30
