"""Figure 2 (R1-2): its shape, and that DSLAM and modems treat frames as such devices do."""

from __future__ import annotations

import itertools

import pytest

from lq.experiments.spec import Spec
from topologies import plan
from topologies.dsl import DslTopo, topos

MARK = b"the frame of the test".ljust(50, b".").hex()
BROADCAST = "ff" * 6
HOSTS = ["host1", "host2", "host3"]

pytestmark = pytest.mark.requirement("R1-2")


def test_the_figure():
    topo = DslTopo()
    assert sorted(topo.hosts()) == ["host1", "host2", "host3", "internet", "network", "server"]
    links = {frozenset(link) for link in topo.links()}
    way = ["server", "network", "bras", "metro", "dslam", "modem2", "host3"]
    assert all(frozenset(pair) in links for pair in itertools.pairwise(way))
    assert {frozenset(("dslam", "modem1")), frozenset(("host1", "modem1"))} <= links
    assert frozenset(("host2", "modem2")) in links
    assert topo.modem_places == (
        ("02:0b:00:00:00:01", (1,)),
        ("02:0b:00:00:00:02", (2,)),
    )


def test_mininet_finds_it_and_gives_it_its_size_by_position():
    """As `mn --custom topologies/dsl.py --topo dsl,4,2` does."""
    assert [len(topos["dsl"](4, 2).modem_places), len(topos["dsl"](4, 2).hosts())] == [4, 3 + 8]


def test_one_tag_up_to_4094_circuits_and_two_beyond():
    assert not plan_of(4094)[1]
    places, stacked = plan_of(4095)
    assert stacked
    assert len(set(places)) == 4095
    assert all(len(tags) == 2 and 1 <= min(tags) <= max(tags) <= 4094 for _, tags in places)
    assert places[-1].tags == (2, 1)
    assert DslTopo(stacked_tags=True).modem_places[0].tags == (1, 1)


def plan_of(modems: int):
    class Unbuilt(DslTopo):
        def _add_modems(self, *_):
            pass

    topo = Unbuilt(modems=modems)
    return topo.modem_places, topo.stacked_tags


def test_two_servers_share_the_pool():
    topo = DslTopo(servers=2)
    assert {"server", "server2"} <= set(topo.hosts())
    (first, middle), (next_one, last) = plan.pools(2)
    assert (first, last) == (plan.POOL_FIRST, plan.POOL_LAST)
    assert int(next_one) == int(middle) + 1
    assert plan.pools(1) == [(first, last)]


@pytest.fixture(scope="module", params=[False, True], ids=["one tag", "two tags"])
def figure(request, lab):
    act = lab(Spec(topology={"figure": "dsl", "stacked_tags": request.param}), "bridges")
    act.stacked = request.param
    return act


def tagged(circuit: int, stacked: bool) -> str:
    return f"88a8{1:04x}8100{circuit:04x}" if stacked else f"8100{circuit:04x}"


@pytest.mark.lab
@pytest.mark.parametrize(("circuit", "hosts"), [(1, ["host1"]), (2, ["host2", "host3"]), (3, [])])
def test_the_dslam_sends_each_circuit_down_its_own_line(figure, circuit, hosts):
    frame = BROADCAST + "02c000000002" + tagged(circuit, figure.stacked) + "88b6" + MARK
    assert figure("seen_downstream", frame) == hosts


@pytest.mark.lab
@pytest.mark.parametrize("tags", ["", "81000003", "88a8000381000001"])
def test_what_bears_no_circuit_reaches_nobody(figure, tags):
    assert figure("seen_downstream", BROADCAST + "02c000000002" + tags + "88b6" + MARK) == []


@pytest.mark.lab
def test_upstream_frames_reach_the_concentrator_alone_tagged_by_the_dslam(figure):
    frame = BROADCAST + "020a00000001" + "88b6" + MARK
    before = figure("concentrator_received")
    assert figure("seen_upstream", "host1", frame, ["host2", "host3", "server"]) == []
    assert figure("concentrator_received") == before + 1
    trace = figure(
        "trace", "modem2", "in_port=2,dl_src=02:0a:00:00:00:02,dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x88b6"
    )
    dslam, concentrator = trace.index('bridge("dslam")'), trace.index('bridge("bras")')
    assert "push_vlan" not in trace[:dslam]
    assert trace[dslam:concentrator].count("push_vlan") == (2 if figure.stacked else 1)


@pytest.mark.lab
def test_a_host_cannot_choose_its_circuit(figure):
    """Frames that come with tags from a line are dropped."""
    before = figure("concentrator_received")
    for tags in ("81000002", tagged(2, figure.stacked)):
        frame = BROADCAST + "020a00000001" + tags + "88b6" + MARK
        assert figure("seen_upstream", "host1", frame, ["host2"]) == []
    assert figure("concentrator_received") == before


@pytest.mark.lab
def test_hosts_cannot_speak_for_modems(figure):
    """Registration frames go between the concentrator and the modems' processors alone."""
    before = figure("concentrator_received")
    frame = BROADCAST + "020b00000001" + "88b5" + MARK
    assert figure("seen_upstream", "host1", frame, ["modems", "host2"]) == []
    assert figure("concentrator_received") == before
    downstream = BROADCAST + "02c000000002" + tagged(1, figure.stacked) + "88b5" + MARK
    assert figure("seen_downstream", downstream, ["modems", *HOSTS]) == ["modems"]
    own = frame[:24] + tagged(1, figure.stacked) + frame[24:]
    assert figure("seen_upstream", "modems", own, HOSTS) == []
    assert figure("concentrator_received") == before + 1
