"""Captures at chosen points of a run, as tshark reads them."""

from __future__ import annotations

import json

import pytest

from lq.errors import BadInput
from lq.experiments.run import run
from lq.experiments.spec import load
from tests.support import tshark
from topologies import plan

QUICK = {"probes.warmup": 0.2, "reboot.settle": 0.1}
TYPES = {"1": "DISCOVER", "2": "OFFER", "3": "REQUEST", "5": "ACK"}


@pytest.mark.kernel
@pytest.mark.lab
def test_each_point_sees_what_passes_it(tmp_path):
    settings = {**QUICK, "topology.stacked_tags": True}
    nodes = ["host1", "internet", "concentrator"]
    finished = run(load("reboot", {**settings, "capture.nodes": nodes}), tmp_path / "run")
    assert finished.spec.capture.nodes == tuple(nodes)
    files = {path.stem: path for path in finished.directory.glob("*.pcap")}
    assert set(files) == {*nodes, "server"}

    def exchange(node, host, *tags):
        """Check the DHCP exchange of a host at a node, with the circuit's tags there, outer first."""
        messages = f"dhcp.hw.mac_addr == {plan.host_mac(host)}"
        seen = tshark(files[node], messages, "dhcp.option.dhcp", "ieee8021ad.id", "vlan.id")
        assert [TYPES[kind] for kind, *_ in seen] == ["DISCOVER", "OFFER", "REQUEST", "ACK"]
        assert {tuple(filter(None, found)) for _, *found in seen} == {tags}

    exchange("host1", 1)
    exchange("concentrator", 1, "1", "1")
    exchange("concentrator", 3, "1", "2")

    sent = tshark(files["internet"], f"udp && ip.src == {plan.INTERNET}", "ip.dst")
    probes = finished.table("probes")
    assert len(sent) == len(probes)
    assert {address for (address,) in sent} == set(probes["address"])
    for name in nodes:
        assert "dropped 0" in (finished.directory / "logs" / f"capture-{name}.log").read_text()
    assert json.loads((finished.directory / "manifest.json").read_text())["fidelity"]["capture_drops"] == 0


@pytest.mark.lab
@pytest.mark.kernel
@pytest.mark.parametrize("figure", ["cable", "dsl"])
def test_full_size_packets_pass_a_captured_link_with_two_tags(lab, figure):
    topology = {"topology.figure": figure, "topology.stacked_tags": True}
    act = lab(load("reboot", {**topology, "capture.nodes": ["concentrator"]}), "running")
    address = act("leases")["host1"]
    said = act("cmd", "internet", f"ping -c 3 -i 0.2 -W 5 -M do -s 1472 {address}")
    assert " 3 received" in said, said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"capture.nodes": ["host4"]}, ["'host4'", "internet", "host1 to host3"]),
        ({"capture.nodes": ["modem1"]}, ["'modem1'", "concentrator"]),
        ({"capture.nodes": ["server2"]}, ["'server2'", "server,"]),
        ({"capture.nodes": ["host1"], "topology.population": True}, ["topology.population", "not nodes"]),
        ({"capture.nodes": [f"host{n}" for n in range(9)]}, ["capture.nodes", "8"]),
        ({"capture.nodes": 5}, ["capture.nodes"]),
    ],
)
def test_other_points_are_refused_with_those_that_there_are(settings, words):
    with pytest.raises(BadInput) as caught:
        load("reboot", settings)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words), line


def test_one_name_is_a_list_of_one():
    assert load("reboot", {"capture.nodes": "internet"}).capture.nodes == ("internet",)
    assert load("failover", {"capture.nodes": ["server2"]}).capture.nodes == ("server2",)
