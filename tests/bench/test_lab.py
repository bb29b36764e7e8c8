"""The lab benchmark at a small size: that it measures the same network twice, not what."""

from __future__ import annotations

import pytest
from mininet.node import Host

from lq.bench.lab import StockSwitch, StockTopo, run
from topologies.cable import CableTopo

pytestmark = pytest.mark.lab


def test_both_come_up_and_vanish():
    result = run(rounds=1, modems=2, hosts_per_modem=1)
    (gone,) = result["cases"]
    for case in (result, gone):
        assert {"name", "unit", "ours", "peer", "peer_name", "ratio", "goal"} <= set(case)
        assert case["ratio"] == pytest.approx(case["peer"] / case["ours"])
    (ours,), (stock,) = result["samples"], result["peer_samples"]
    assert result["ours"] == ours["up"] > ours["gone"] > 0
    assert result["peer"] == stock["up"] > 0
    assert gone["peer"] == stock["stopped"] > 0


def test_the_peer_has_the_same_nodes_and_links():
    figure = CableTopo(modems=3, hosts_per_modem=2)
    stock = StockTopo(figure=figure)
    assert sorted(stock.nodes()) == sorted(figure.nodes())
    assert sorted(map(sorted, stock.links())) == sorted(map(sorted, figure.links()))
    assert {stock.nodeInfo(name)["cls"] for name in stock.hosts()} == {Host}
    assert {stock.nodeInfo(name)["cls"] for name in stock.switches()} == {StockSwitch}
    for name in figure.hosts():
        assert stock.nodeInfo(name)["mac"] == figure.nodeInfo(name).get("mac")
