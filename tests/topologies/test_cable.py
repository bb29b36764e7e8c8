"""Figure 1 (R1-1): its shape, and that its cable and modems treat frames as such devices do."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from lq.experiments.spec import Spec
from topologies import plan
from topologies.cable import CableTopo

MARK = b"the frame of the test".ljust(50, b".").hex()


def test_the_figure():
    topo = CableTopo()
    assert sorted(topo.hosts()) == ["host1", "host2", "host3", "internet", "network", "server"]
    links = {frozenset(link) for link in topo.links()}
    assert frozenset(("network", "cmts")) in links
    assert frozenset(("network", "server")) in links
    assert frozenset(("cmts", "cable")) in links
    assert {frozenset(("cable", "modem1")), frozenset(("cable", "modem2"))} <= links
    assert {
        frozenset(("host1", "modem1")),
        frozenset(("host2", "modem2")),
        frozenset(("host3", "modem2")),
    } <= links


@pytest.mark.parametrize(("modems", "hosts", "total"), [(5, None, 5), (None, 3, 6), (20, 4, 80)])
def test_larger_ones(modems, hosts, total):
    topo = CableTopo(modems=modems, hosts_per_modem=hosts)
    subscribers = [name for name in topo.hosts() if name.startswith("host")]
    assert len(subscribers) == total
    assert len({topo.nodeInfo(name)["mac"] for name in subscribers}) == total
    circuits = [topo.nodeInfo(n)["circuit"] for n in topo.switches() if n.startswith("modem")]
    assert len(set(circuits)) == len(circuits) == (modems or 2)


def test_the_plan_stays_within_the_test_addresses():
    test_addresses = IPv4Network("198.18.0.0/15")
    addresses = [value for value in vars(plan).values() if isinstance(value, IPv4Address)]
    networks = [value for value in vars(plan).values() if isinstance(value, IPv4Network)]
    assert len(addresses) >= 8
    assert all(address in test_addresses for address in addresses)
    assert all(network.subnet_of(test_addresses) for network in networks)


@pytest.fixture(scope="module")
def figure(lab):
    return lab(Spec(), "bridges")


@pytest.mark.lab
@pytest.mark.requirement("R1-1")
@pytest.mark.parametrize(("tag", "hosts"), [(1, ["host1"]), (2, ["host2", "host3"]), (3, [])])
def test_a_modem_lets_down_only_its_own_circuit(figure, tag, hosts):
    broadcast = "ff" * 6 + "02c000000002" + f"8100{tag:04x}" + "88b6" + MARK
    assert figure("seen_downstream", broadcast, ["host1", "host2", "host3", "modems"]) == hosts


@pytest.mark.lab
@pytest.mark.requirement("R1-1")
def test_every_downstream_frame_reaches_every_modem(figure):
    trace = figure("trace", "cable", "in_port=1,dl_vlan=1,dl_dst=02:0a:00:00:00:01")
    assert 'bridge("modem1")' in trace
    assert 'bridge("modem2")' in trace


@pytest.mark.lab
@pytest.mark.requirement("R1-1")
def test_upstream_frames_reach_the_concentrator_alone_tagged_with_the_circuit(figure):
    """Without its controller the concentrator forwards nothing, but it counts what arrives."""
    frame = "ff" * 6 + "020a00000001" + "88b6" + MARK
    before = figure("concentrator_received")
    assert figure("seen_upstream", "host1", frame, ["host2", "host3", "server"]) == []
    assert figure("concentrator_received") == before + 1
    trace = figure("trace", "modem2", "in_port=2,dl_src=02:0a:00:00:00:02,dl_dst=ff:ff:ff:ff:ff:ff")
    at_the_concentrator = trace[trace.index('bridge("cmts")') :]
    assert "dl_vlan=2" in trace.split("Megaflow")[0] or "push_vlan(vid=2" in at_the_concentrator, trace


@pytest.mark.lab
def test_hosts_behind_one_modem_share_it(figure):
    frame = "ff" * 6 + "020a00000002" + "88b6" + MARK
    assert figure("seen_upstream", "host2", frame, ["host1", "host3"]) == ["host3"]


@pytest.mark.lab
def test_the_network_routes_between_server_and_internet(figure):
    assert " 1 received" in figure("cmd", "internet", f"ping -c1 -W2 {plan.SERVER}")


@pytest.mark.lab
def test_hosts_cannot_speak_for_modems(figure):
    """Registration frames go between the concentrator and the modems' processors alone."""
    before = figure("concentrator_received")
    frame = "ff" * 6 + "020b00000001" + "88b5" + MARK
    assert figure("seen_upstream", "host1", frame, ["modems", "host2"]) == []
    assert figure("concentrator_received") == before
    own = frame[:24] + "81000001" + frame[24:]
    assert figure("seen_upstream", "modems", own, ["host1", "host2"]) == []
    assert figure("concentrator_received") == before + 1


@pytest.mark.kernel
@pytest.mark.lab
@pytest.mark.requirement("R1-1")
def test_stacked_tags_on_the_cable(lab):
    """What bears another outer or inner tag than the modem's passes no modem; upstream both are added."""
    act = lab(Spec(topology={"stacked_tags": True}), "bridges")
    broadcast = "ff" * 6 + "02c000000002"
    for tags, hosts in (
        ("88a8000181000002", ["host2", "host3"]),
        ("88a8000281000002", []),
        ("88a8000181000003", []),
        ("81000002", []),
    ):
        assert act("seen_downstream", broadcast + tags + "88b6" + MARK) == hosts, tags
    trace = act("trace", "modem2", "in_port=2,dl_src=02:0a:00:00:00:02,dl_dst=ff:ff:ff:ff:ff:ff")
    radio_end = trace[trace.index('bridge("cable")') : trace.index('bridge("cmts")')]
    assert "push_vlan:0x88a8" in radio_end
    assert f"set_field:{0x1001}->vlan_vid" in radio_end
    assert "push_vlan(vid=2" in trace  # the inner one, by the modem's ports
