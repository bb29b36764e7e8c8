"""Two servers: one dies around the reboot, or they disagree about where a host is."""

from __future__ import annotations

import pytest

from lq.errors import BadInput
from lq.experiments.run import run
from lq.experiments.spec import load
from topologies import plan

QUICK = {"probes.warmup": 0.2, "reboot.settle": 0.2}


def play(directory, **settings):
    named = {f"failover.{name}": value for name, value in settings.items()}
    return run(load("failover", {**QUICK, **named}), directory / "run")


@pytest.mark.lab
@pytest.mark.requirement("R4.4-1")
@pytest.mark.parametrize("when", ["before", pytest.param("during", marks=pytest.mark.kernel), "after"])
def test_with_a_copy_of_its_bindings_nobody_misses_the_dead_server(tmp_path, when):
    summary = play(tmp_path, when=when).summary
    assert summary["recovered"] == summary["subscribers"] == 3
    assert summary["recovered_of_dead"] == summary["held_by_dead"] >= 2
    assert summary["recovery_max_s"] < 5  # not by a poll


@pytest.mark.lab
@pytest.mark.requirement("R4.4-1")
@pytest.mark.requirement("R6.6-2")
def test_without_it_its_subscribers_are_back_when_it_is(tmp_path):
    finished = play(tmp_path, shared=False, returns=3)
    summary = finished.summary
    assert summary["recovered"] == 3
    held = finished.recovery[finished.recovery > 9.9]  # polled 10 s after the first query
    assert len(held) == summary["held_by_dead"]
    wire = finished.table("wire")
    replies = wire[(wire["sent_by"] == "server") & (wire["at"] >= 0)]
    unknown = replies[replies["type"] == "unknown"]
    assert summary["dead_server"] not in set(unknown["server"])
    assert unknown["address"].nunique() == summary["held_by_dead"]  # the other does not manage them


@pytest.mark.lab
@pytest.mark.requirement("R6.7-1")
def test_of_two_answers_that_disagree_the_later_transaction_counts(tmp_path):
    finished = play(tmp_path, case="disagreement")
    summary = finished.summary
    assert (summary["disagreements"], summary["fresher_won"]) == (1, 1)
    assert summary["recovered"] == 3  # so the host that moved is reached at its new place
    answers = finished.table("answers")
    differing = answers[answers.groupby("address")["modem"].transform("nunique") > 1]
    differing = differing.sort_values("last_transaction")
    assert list(differing["modem"]) == [plan.modem_mac(2), plan.modem_mac(1)]
    assert list(differing["won"]) == [True, False]
    assert differing["last_transaction"].diff().iloc[-1] >= 2
    assert set(differing["server"]) == {"server", "server2"}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"server.count": 1}, "server.count=2"),
        ({"server.kind": "dhcpd"}, "failover.shared=false"),
        ({"failover.case": "disagreement", "topology.modems": 1}, "topology.modems=2"),
        ({"failover.when": "never"}, "failover.when"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(settings, word):
    with pytest.raises(BadInput, match=word) as caught:
        load("failover", settings)
    assert "\n" not in str(caught.value)
