"""The recovery benchmark at a small size: that it measures, not what."""

from __future__ import annotations

import pytest

from controllers.settings import FRAMEWORKS
from lq.bench.recovery import run

SUBSCRIBERS = 80


@pytest.mark.lab
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
        assert ours["queries"] >= SUBSCRIBERS  # with one lost on a busy machine, one more
        assert "queries" not in bare
    assert ("leases", SUBSCRIBERS, SUBSCRIBERS) in told
    assert told[-1] == ("rounds", 1, 1)
    assert set(FRAMEWORKS) == {"ryu", "os-ken"}
