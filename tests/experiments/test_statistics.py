"""The median's interval."""

import math

import numpy as np
import pytest

from lq.results.statistics import median


def test_nothing_and_one_value_promise_nothing():
    none, one = median([]), median([3.0, None, math.nan])
    assert (none.runs, none.confidence) == (0, 0)
    assert math.isnan(none.value)
    assert (one.value, one.low, one.high, one.confidence, one.runs) == (3.0, 3.0, 3.0, 0.0, 1)


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.5), (5, 0.9375), (6, 0.96875)])
def test_few_values_give_their_range_and_its_true_confidence(n, confidence):
    found = median(range(n))
    assert (found.low, found.high) == (0, n - 1)
    assert found.confidence == pytest.approx(confidence)


def test_textbook_interval_of_twenty_values():
    """The sign test's interval for n = 20 is from the 6th to the 15th value, 95.86 %."""
    found = median(range(1, 21))
    assert (found.value, found.low, found.high) == (10.5, 6, 15)
    assert found.confidence == pytest.approx(0.9586, abs=1e-4)


def test_it_holds_the_true_median_as_often_as_it_says():
    random = np.random.default_rng(4388)
    trials = [median(random.exponential(size=15)) for _ in range(2000)]
    held = sum(trial.low <= math.log(2) <= trial.high for trial in trials) / len(trials)
    assert held == pytest.approx(trials[0].confidence, abs=0.02)
