"""The router between all others: it drops what cannot come from where it comes (BCP 38)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from lq.experiments.spec import Spec
from lq.wire import frames
from topologies import plan

pytestmark = pytest.mark.lab
MARK = b"the frame of the test".ljust(50, b".")
SOMEBODY = plan.POOL_FIRST
UNATTACHED = plan.UNATTACHED_NETWORK[7]


@pytest.fixture(scope="module", params=[True, False], ids=["filter", "no filter"])
def network(request, lab):
    act = lab(Spec(topology={"ingress_filter": request.param}, server={"count": 2}), "bridges")
    act.filters = request.param
    return act


def passes(act, node: str, source: IPv4Address, to: str, destination: IPv4Address) -> bool:
    """Whether a packet with this source, sent by a host behind the router, arrives at another."""
    port = {"server": 1, "server2": 2, "internet": 3}[node]
    router = act("cmd", "network", f"cat /sys/class/net/network-eth{port}/address").strip()
    packet = frames.udp_packet((source, 4000), (destination, 4000), MARK)
    octets = [bytes.fromhex(mac.replace(":", "")) for mac in (router, plan.host_mac(99))]
    frame = frames.ethernet(*octets, (), frames.ETHERTYPE_IPV4, packet)
    return act("seen_upstream", node, frame.hex(), [to]) == [to]


@pytest.mark.parametrize(
    ("node", "source"),
    [
        ("internet", plan.GATEWAY),
        ("internet", SOMEBODY),
        ("internet", UNATTACHED),
        ("internet", plan.SECOND_SERVER),
        ("internet", plan.UPLINK_CONCENTRATOR),
        ("server2", plan.GATEWAY),
        ("server2", plan.INTERNET),
    ],
)
def test_a_source_that_lies_elsewhere_is_dropped(network, node, source):
    assert passes(network, node, source, "server", plan.SERVER) is not network.filters


@pytest.mark.parametrize(("node", "source"), [("internet", plan.INTERNET), ("server2", plan.SECOND_SERVER)])
def test_a_source_of_its_own_passes(network, node, source):
    assert passes(network, node, source, "server", plan.SERVER)


def test_what_the_filter_is_does_not_depend_on_the_machine(network):
    wanted = "1" if network.filters else "0"
    shown = network("cmd", "network", "cat /proc/sys/net/ipv4/conf/*/rp_filter")
    assert set(shown.split()) <= {wanted, "0"} if network.filters else set(shown.split()) == {"0"}
    for port in range(4):
        path = f"/proc/sys/net/ipv4/conf/network-eth{port}/rp_filter"
        assert network("cmd", "network", f"cat {path}").strip() == wanted
