"""The recovery benchmark at a small size: that it measures, not what."""

from __future__ import annotations

import pytest

from controllers.settings import FRAMEWORKS
from lq.bench.recovery import compare, run

SUBSCRIBERS = 80


@pytest.mark.lab
@pytest.mark.alone
def test_both_recover_the_same_subscribers_on_both_frameworks():
    told = []
    result = run(rounds=1, subscribers=SUBSCRIBERS, tell=lambda *progress: told.append(progress))
    assert [each["name"] for each in [result, *result["cases"]]] == [
        "recovery on ryu",
        "recovery on os-ken",
        "recovery on ryu, per processor second",
        "recovery on os-ken, per processor second",
    ]
    for each in [result, *result["cases"]]:
        assert {"name", "unit", "ours", "peer", "peer_name", "ratio", "goal"} <= set(each)
    for each in (result, result["cases"][0]):
        assert each["ratio"] == pytest.approx(each["ours"] / each["peer"])
        (ours,), (bare,) = each["samples"], each["peer_samples"]
        for sample in (ours, bare):
            assert sample["recovered"] == SUBSCRIBERS
            assert sample["misdelivered"] == 0
            assert sample["received"] >= SUBSCRIBERS
            assert sample["resent"] == sample["sent"] - SUBSCRIBERS >= 0
        assert ours["queries"] >= SUBSCRIBERS  # with one lost on a busy machine, one more
        assert "queries" not in bare
    assert ("leases", SUBSCRIBERS, SUBSCRIBERS) in told
    assert told[-1] == ("rounds", 1, 1)
    assert set(FRAMEWORKS) == {"ryu", "os-ken"}


def sample(rate: float, resent: int = 0) -> dict[str, float]:
    return {"rate": rate, "rate_per_cpu_s": rate, "resent": resent}


def test_rounds_in_which_a_packet_was_lost_do_not_count_where_there_are_others():
    ours = [sample(100), sample(10, resent=1), sample(9, resent=3), sample(102)]
    result = compare("recovery", ours, [sample(50), sample(5, resent=1)], "other")
    assert (result["ours"], result["peer"]) == (101, 50)
    assert result["ratio"] == pytest.approx(101 / 50)
    assert result["samples"] == ours  # what was flagged can be seen
    assert (result["valid"], result["invalid_reasons"]) == (True, [])


def test_where_most_rounds_lost_packets_all_count_and_the_figure_is_not_valid():
    ours = [sample(100), sample(10, resent=1), sample(9, resent=3)]
    result = compare("recovery", ours, [sample(50)], "other")
    assert result["ours"] == 10
    assert result["valid"] is False
    assert result["invalid_reasons"] == ["ours: packets had to be sent again in 2 of 3 rounds"]
