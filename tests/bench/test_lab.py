"""The lab benchmark at a small size: that it measures the same network twice, not what."""

from __future__ import annotations

import pytest
from mininet.node import Host

from lq.bench.cases import case, doubtful, limited
from lq.bench.lab import StockSwitch, StockTopo, run
from lq.cli.shared import print_benchmark
from topologies.cable import CableTopo


@pytest.mark.lab
@pytest.mark.alone
def test_both_come_up_and_vanish():
    result = run(rounds=1, modems=2, hosts_per_modem=1)
    gone, killed = result["cases"]
    for each in (result, gone, killed):
        assert {"name", "unit", "ours", "peer", "peer_name", "ratio", "goal"} <= set(each)
        assert each["ratio"] == pytest.approx(each["peer"] / each["ours"])
    (ours,), (stock_stopped, stock_killed) = result["samples"], result["peer_samples"]
    assert result["ours"] == ours["up"] > ours["gone"] > 0
    assert min(stock_stopped["up"], stock_killed["up"]) <= result["peer"]
    assert gone["peer"] == stock_stopped["stopped"] > 0
    assert killed["peer"] == stock_killed["gone"] > 0
    assert gone["ours"] == killed["ours"] == ours["gone"]


def test_a_goal_is_of_the_ratio_and_a_limit_of_what_was_measured():
    """Half a second until all is gone is a time: it says nothing of the ratio to an orderly stop."""
    slow = limited("gone", "s", 0.6, 0.5, 23.0, "other")
    assert slow["ratio"] == pytest.approx(23.0 / 0.6)
    assert (slow["goal"], slow["limit"], slow["met"]) == (None, 0.5, False)
    assert limited("gone", "s", 0.5, 0.5)["met"] is True


def test_people_see_limits_and_doubts(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    late = limited("gone", "s", 0.6, 0.5, 23.0, "other")
    cases = [late, doubtful(case("some", "/s", 4.0, 2.0, 1.5, "other"), ["nobody knows"])]
    print_benchmark({**limited("all", "s", 0.4, 0.5), "cases": cases})
    first, second, third, doubt = (line.rstrip() for line in capsys.readouterr().out.splitlines()[-4:])
    assert "at most 0.5 s: met" in first
    assert "at most 0.5 s: not met" in second
    assert "1.5" in third
    assert "at most" not in third
    assert doubt == "not valid: some: nobody knows"


@pytest.mark.lab
def test_the_peer_has_the_same_nodes_and_links():
    figure = CableTopo(modems=3, hosts_per_modem=2)
    stock = StockTopo(figure=figure)
    assert sorted(stock.nodes()) == sorted(figure.nodes())
    assert sorted(map(sorted, stock.links())) == sorted(map(sorted, figure.links()))
    assert {stock.nodeInfo(name)["cls"] for name in stock.hosts()} == {Host}
    assert {stock.nodeInfo(name)["cls"] for name in stock.switches()} == {StockSwitch}
    for name in figure.hosts():
        assert stock.nodeInfo(name)["mac"] == figure.nodeInfo(name).get("mac")
