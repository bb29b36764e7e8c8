"""The controller on the real switch: relaying, forwarding, verifying, asking, before and after a reboot."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from lq.experiments.spec import Spec
from lq.sandbox.tools import find
from topologies import plan

pytestmark = pytest.mark.lab

SPEC = Spec()


@pytest.fixture(scope="module")
def act(lab):
    return lab(SPEC, "running")


@pytest.fixture(autouse=True)
def the_switch_refused_nothing(act):
    yield
    assert act("record", "switch_error") == []


def ping(act, source: str, destination: str) -> bool:
    return " 0% packet loss" in act("cmd", source, f"ping -c1 -W3 {destination}")


@pytest.mark.requirement("R1-4")
@pytest.mark.requirement("R1-7")
def test_both_ways_without_a_query(act):
    """What was gleaned is there. (Before that, the server was asked whose each address was: nobody's.)"""
    asked = act("record", "query")
    for address in act("leases").values():
        assert ping(act, "internet", address)
    assert ping(act, "host1", str(plan.INTERNET))
    assert ping(act, "host2", str(plan.GATEWAY))
    assert act("record", "query") == asked
    assert {each["reply"] for each in act("record", "answered")} == {"known"}


def test_the_gateway_is_the_concentrator(act):
    """ARP is answered by the controller, not by the machine that the lab runs on."""
    assert ping(act, "host3", str(plan.GATEWAY))
    neighbours = act("cmd", "host3", "ip neigh show")
    assert f"{plan.GATEWAY} dev host3-eth0 lladdr {plan.CONCENTRATOR_ACCESS_MAC}" in neighbours


def test_subscribers_reach_one_another_through_the_concentrator(act):
    leases = act("leases")
    assert ping(act, "host1", leases["host3"])
    assert plan.CONCENTRATOR_ACCESS_MAC in act("cmd", "host1", f"ip neigh show {leases['host3']}")


def test_hosts_get_no_frame_of_one_anothers(act):
    """Broadcast, multicast, unknown and known unicast, a stray DHCP offer: they end at the concentrator."""
    own, mark = act("leases")["host1"], b"the frame of the test"
    everybody, victim = "ff:ff:ff:ff:ff:ff", act("leases")["host2"]
    offer = UDP(sport=67, dport=68) / mark
    frames = [
        Ether(dst=everybody, type=0x88B6) / mark.ljust(50),
        Ether(dst=everybody) / ARP(op=1, psrc=own, pdst=victim) / mark,
        Ether(dst=everybody) / ARP(op=2, psrc=str(plan.GATEWAY), pdst=victim, hwdst=plan.host_mac(2)) / mark,
        Ether(dst=everybody) / IP(src=own, dst="255.255.255.255") / UDP(sport=9, dport=9) / mark,
        Ether(dst=everybody) / IP(src=own, dst="255.255.255.255") / offer,
        Ether(dst=everybody) / IP(src=own, dst="198.18.255.255") / UDP(sport=9, dport=9) / mark,
        Ether(dst="01:00:5e:00:00:fb") / IP(src=own, dst="224.0.0.251") / UDP(sport=9, dport=9) / mark,
        Ether(dst=plan.host_mac(2)) / IP(src=own, dst=victim) / offer,
        Ether(dst=plan.host_mac(77), type=0x88B6) / mark.ljust(50),
        Ether(dst=plan.host_mac(2), type=0x88B6) / mark.ljust(50),
    ]
    for frame in frames:
        frame.src = plan.host_mac(1)
    everything = " ".join(bytes(frame).hex() for frame in frames)
    assert act("seen_upstream", "host1", everything, ["host2", "host3"]) == []


@pytest.mark.skipif(find("dnsmasq") is None, reason="dnsmasq is not installed")
def test_a_subscribers_dhcp_server_serves_nobody_behind_another_modem(act):
    """Host2's server hears host3, behind the same modem, so it works; of host1 it hears nothing."""
    act("rogue_server", "host2")
    once = "udhcpc -f -n -q -t 3 -T 1 -s /bin/true -i {0}-eth0 2>&1"
    assert f"obtained from {plan.SERVER}" in act("cmd", "host1", once.format("host1"))
    act("cmd", "host3", once.format("host3"))
    heard = act("rogue_log", plan.host_mac(3))
    assert plan.host_mac(3) in heard
    assert plan.host_mac(1) not in heard


@pytest.mark.requirement("R1-5")
def test_a_neighbours_address_gets_nowhere(act):
    """Host1 takes host2's address: the query's answer names another hardware address and circuit."""
    stolen = act("leases")["host2"]
    act("cmd", "host1", f"ip addr add {stolen}/16 dev host1-eth0")
    try:
        sent = f"ping -c2 -i 0.3 -W1 -I {stolen} {plan.INTERNET}"
        assert " 100% packet loss" in act("cmd", "host1", sent)
        assert ping(act, "internet", stolen)  # the owner is undisturbed
        assert ping(act, "host2", str(plan.INTERNET))
    finally:
        act("cmd", "host1", f"ip addr del {stolen}/16 dev host1-eth0")


@pytest.mark.requirement("R4.3-1")
def test_a_unicast_renewal_is_forwarded_but_not_gleaned(act):
    address = act("leases")["host1"]
    permits = len(act("record", "permit"))
    act("renew", "host1")
    for _ in range(100):
        if act("server_saw", address):
            break
        act("cmd", "host1", "sleep 0.05")
    assert act("server_saw", address) >= 1
    assert len(act("record", "permit")) == permits


@pytest.mark.requirement("R5-1")
def test_after_a_reboot_traffic_in_either_direction_brings_a_subscriber_back(act):
    leases = act("leases")
    act("reboot")
    assert act("record", "query") == []
    assert ping(act, "internet", leases["host1"])  # downstream first
    assert ping(act, "host2", str(plan.INTERNET))  # upstream first
    queries = act("record", "query", 2)
    assert [query["address"] for query in queries] == [leases["host1"], leases["host2"]]
    assert [query["attempt"] for query in queries] == [1, 1]
    # A packet that the switch had under way may be permitted once more, but is not asked about again.
    permitted = {permit["address"] for permit in act("record", "permit", 2)}
    assert permitted == {leases["host1"], leases["host2"]}
    assert ping(act, "internet", leases["host1"])
    assert ping(act, "internet", leases["host2"])
    assert len(act("record", "query")) == 2


@pytest.mark.requirement("R6.5-2")
def test_a_refused_address_is_asked_about_once_and_then_dropped_in_the_switch(act):
    """An address of the pool that nobody leases: KNOWN, and the switch drops what comes after."""
    free = "198.18.77.77"
    before = len(act("record", "query"))
    assert " 100% packet loss" in act("cmd", "internet", f"ping -c5 -i 0.2 -W1 {free}")
    assert len(act("record", "query", before + 1)) == before + 1
    assert [r["reason"] for r in act("record", "refuse") if r["address"] == free] == ["known"]
    flows = act("cmd", "cmts", "ovs-ofctl -O OpenFlow13 dump-flows cmts")
    dropped = [line for line in flows.splitlines() if f"nw_dst={free} actions=drop" in line]
    assert len(dropped) == 1
    assert "n_packets=0" not in dropped[0]
