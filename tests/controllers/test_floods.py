"""Floods against the concentrator: what they cost the controller, and what is left for the others."""

from __future__ import annotations

import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from topologies import plan

pytestmark = [pytest.mark.lab, pytest.mark.alone]

TAG, HOST, MODEM = 7, plan.host_mac(1), plan.modem_mac(1)
SCANNED = "198.18.9.0"
DESTINATION, SOURCE = 14 + 16, 18 + 12  # where the address is in a frame from the network, from a circuit


@pytest.fixture(scope="module")
def act(rig):
    modems = [{"mac": MODEM, "tags": [TAG]}]
    act = rig(life=None, modems=modems, engine={"circuit_queries": 20, "quota_interval": 60})
    for number in range(1, 20):
        act("lease", f"198.18.3.{number}", HOST, MODEM)
    return act


@pytest.fixture(autouse=True)
def the_switch_refused_nothing(act):
    yield
    assert act("record", "switch_error") == []


def downstream(destination):
    packet = IP(src=str(plan.INTERNET), dst=destination) / UDP(sport=9, dport=9) / b"down"
    return bytes(Ether(src=plan.ROUTER_UPLINK_MAC, dst=plan.CONCENTRATOR_UPLINK_MAC) / packet).hex()


def upstream(source, **fields):
    packet = IP(**{"src": source, "dst": str(plan.INTERNET), **fields}) / UDP(sport=9, dport=9) / b"up"
    return bytes(Ether(src=HOST, dst=plan.CONCENTRATOR_ACCESS_MAC) / Dot1Q(vlan=TAG) / packet).hex()


def cost(act, *flood):
    """Return what a flood hands to the controller, all of it dealt with."""
    act("settle")
    before = act("to_controller")
    act("flood", *flood)
    act("settle")
    after = act("to_controller")
    return {kind: after[kind] - before[kind] for kind in ("downstream", "upstream")}


@pytest.mark.requirement("R7-3")
def test_refused_addresses_cost_the_controller_nothing(act):
    """Each is asked about once; after that the switch drops thousands of packets for them on its own."""
    scan = ("uplink", downstream(SCANNED), DESTINATION, SCANNED, 200)
    assert cost(act, *scan, 200)["downstream"] <= 200
    assert len(act("record", "refuse", 200)) == 200
    assert cost(act, *scan, 5000) == {"downstream": 0, "upstream": 0}
    assert set(act("queries").values()) == {1}
    rules = act("sh", "ovs-ofctl -O OpenFlow13 dump-flows cmts | grep -c priority=50,ip.*nw_.*=198.18.9")
    assert int(rules) == 200  # one for each: nothing came from these addresses


@pytest.mark.requirement("R7-3")
def test_a_refused_address_in_the_other_direction_costs_one_packet(act):
    assert cost(act, "uplink", downstream("198.18.8.1"), DESTINATION, "198.18.8.1", 1, 1)["downstream"] == 1
    assert act("record", "refuse", 201)[-1]["address"] == "198.18.8.1"
    assert cost(act, "access", upstream("198.18.8.1"), SOURCE, "198.18.8.1", 1, 1)["upstream"] == 1
    assert cost(act, "access", upstream("198.18.8.1"), SOURCE, "198.18.8.1", 1, 1000)["upstream"] == 0
    assert act("queries")["198.18.8.1"] == 1


@pytest.mark.requirement("R7-4")
@pytest.mark.requirement("R6.2-7")
@pytest.mark.parametrize("address", ["198.18.0.0", "198.18.255.255", "198.20.1.1", "224.0.0.5", "10.0.0.1"])
def test_out_of_range_addresses_cost_nothing(act, address):
    queries = act("queries")
    nothing = {"downstream": 0, "upstream": 0}
    assert cost(act, "uplink", downstream(SCANNED), DESTINATION, address, 1, 100) == nothing
    assert cost(act, "access", upstream(SCANNED), SOURCE, address, 1, 100) == nothing
    assert act("queries") == queries


def test_what_no_router_forwards_costs_nothing(act):
    """Broadcasts, multicast, the gateway's own address as a source, a packet at the end of its life."""
    host = "198.18.3.1"
    act("send", "access", upstream(host))
    assert len([permit for permit in act("record", "permit", 1) if permit["address"] == host]) >= 1
    act("settle")
    act("forget")
    for destination in ("255.255.255.255", "224.0.0.251", "239.1.2.3"):
        assert cost(act, "access", upstream(host, dst=destination), SOURCE, host, 1, 100)["upstream"] == 0
    assert cost(act, "access", upstream(host), SOURCE, str(plan.GATEWAY), 1, 100)["upstream"] == 0
    assert cost(act, "access", upstream(host, ttl=1), SOURCE, host, 1, 100)["upstream"] == 0
    assert act("seen", "uplink", b"up".hex(), 1, 0) == []


def test_a_circuit_that_has_used_up_its_queries_costs_nothing_more(act):
    """2,000 spoofed sources: 20 queries, one flow; located hosts of the circuit are served all the same."""
    host = "198.18.3.2"
    act("send", "uplink", downstream(host))
    assert act("seen", "access", b"down".hex())
    before = len(act("queries"))
    scan = ("access", upstream(SCANNED), SOURCE, "198.18.10.0", 2000)
    cost(act, *scan, 2000)
    assert len(act("queries")) - before <= 20
    assert cost(act, *scan, 2000)["upstream"] == 0
    act("forget")
    act("send", "access", upstream(host))
    assert act("seen", "uplink", b"up".hex())


@pytest.mark.requirement("R1-5")
def test_ever_other_spoofed_sources_cost_a_few_flows_and_then_nothing(rig):
    """3,000 hardware addresses with a located host's address: the circuit's share, then one flow for all."""
    modems = [{"mac": plan.modem_mac(number), "tags": [number]} for number in (TAG, TAG + 1)]
    act = rig(life=None, modems=modems, engine={"circuit_queries": 20, "quota_interval": 60, "drop_time": 60})
    act("lease", "198.18.3.1", HOST, plan.modem_mac(TAG + 1))
    act("send", "uplink", downstream("198.18.3.1"))
    assert act("seen", "access", b"down".hex())
    behind_the_ethernet_vendor = 6 + 2
    flood = ("access", upstream("198.18.3.1"), behind_the_ethernet_vendor, "10.0.0.0", 3000, 3000)
    act("flood", *flood)
    act("settle")
    assert int(act("sh", "ovs-ofctl -O OpenFlow13 dump-flows cmts | grep -c priority=40,")) <= 20
    assert cost(act, *flood)["upstream"] == 0
    assert act("record", "switch_error") == []


def test_nothing_went_past_the_meters(act):
    """The last of this rig: not even for what a switch may report on its own, such as a TTL that ran out."""
    counted = sum(act("to_controller").values())
    came = act("finish")["controller"]["packet_ins"]
    assert 0 < came <= counted  # fewer came where the machine was busy: the switch's queue is bounded, too


def test_meters_keep_a_flood_from_the_others(rig):
    """A thousand addresses at once, of which the meter lets a few pass: the others' turn comes."""
    act = rig(life=None, modems=[{"mac": MODEM, "tags": [TAG]}], rates={"downstream": 50})
    act("lease", "198.18.3.1", HOST, MODEM)
    seconds = act("flood", "uplink", downstream(SCANNED), DESTINATION, SCANNED, 1000, 1000)
    act("send", "access", upstream("198.18.3.1"))
    assert act("seen", "uplink", b"up".hex())
    act("settle")
    passed = act("to_controller")
    assert 5 <= passed["downstream"] <= 5 + 50 * (seconds + 5)
    assert passed["upstream"] == 1
    counters = act("finish")["controller"]
    assert counters["packet_ins"] == sum(passed.values())
    assert act("record", "switch_error") == []


@pytest.mark.requirement("R6.5-2")
def test_a_refusal_ends_in_the_switch_when_it_ends_in_the_cache(rig):
    """The controller takes its flow out; then the address is asked about again, and is a host's by now."""
    act = rig(life=None, modems=[{"mac": MODEM, "tags": [TAG]}], engine={"known_time": 0.3})
    address, flow = (
        "198.18.3.1",
        "ovs-ofctl -O OpenFlow13 dump-flows cmts | grep -c nw_dst=198.18.3.1 || true",
    )
    act("send", "uplink", downstream(address))
    (refusal,) = act("record", "refuse", 1)
    act("lease", address, HOST, MODEM)
    deadline = time.monotonic() + 10
    while int(act("sh", flow)):
        assert time.monotonic() < deadline
    assert time.monotonic() >= refusal["until"]
    act("send", "uplink", downstream(address))
    assert act("seen", "access", b"down".hex())
    assert act("queries") == {address: 2}
    assert act("record", "switch_error") == []
