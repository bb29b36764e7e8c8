"""The meters at their default rates: each kind of packet has its own, and its share in others' floods."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from lq.wire import Message, frames, registration
from topologies import plan

pytestmark = pytest.mark.lab

TAG, HOST, MODEM = 7, plan.host_mac(1), plan.modem_mac(1)
ADDRESS, EVERYBODY = "198.18.3.1", "ff:ff:ff:ff:ff:ff"
SENDER, CHADDR = 18 + 14, 18 + 20 + 8 + 28  # where they are in a frame with one tag


def octets(mac):
    return bytes.fromhex(mac.replace(":", ""))


def tagged(payload, host=HOST):
    return bytes(Ether(src=host, dst=EVERYBODY) / Dot1Q(vlan=TAG) / payload).hex()


def tagged_at(tag, frame):
    """Return a frame with another tag."""
    return frame.replace("8100" + f"{TAG:04x}", "8100" + f"{tag:04x}", 1)


def asks(host):
    return tagged(ARP(op=1, hwsrc=host, psrc=ADDRESS, pdst=str(plan.GATEWAY)), host)


def discovers(host, xid):
    told = Message(htype=1, xid=xid, chaddr=octets(host), options={53: b"\1"})
    header = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
    return tagged(header / Raw(told.encode()), host)


def registers(life):
    told = registration.Registration(registration.Kind.REGISTER, life, octets(MODEM)).encode()
    return frames.ethernet(octets(EVERYBODY), octets(MODEM), (TAG,), registration.ETHERTYPE, told).hex()


def router_asks(mac):
    return frames.arp_request(octets(mac), plan.UPLINK_ROUTER, plan.UPLINK_CONCENTRATOR, ()).hex()


@pytest.fixture(scope="module")
def act(rig):
    act = rig(engine={"circuit_messages": 0})  # else a circuit that floods is muted before a meter notices
    yield act
    assert act("record", "switch_error") == []


@pytest.mark.kernel
def test_each_kind_has_a_meter_of_its_own(act):
    answer = tagged(ARP(op=2, hwsrc=HOST, psrc=ADDRESS, pdst=str(plan.GATEWAY)))
    packet = tagged(IP(src=ADDRESS, dst=str(plan.INTERNET)) / UDP(sport=9, dport=9))
    down = Ether(src=plan.ROUTER_UPLINK_MAC) / IP(src=str(plan.INTERNET), dst=ADDRESS) / UDP(dport=9)
    for side, frame, kind in (
        ("access", asks(HOST), "arp"),
        ("access", answer, "upstream"),
        ("access", packet, "upstream"),
        ("access", discovers(HOST, 1), "dhcp"),
        ("access", registers(1), "devices"),
        ("uplink", router_asks(plan.ROUTER_UPLINK_MAC), "devices"),
        ("uplink", bytes(down).hex(), "downstream"),
    ):
        before = act("to_controller")
        act("send", side, *[frame] * 3)
        act("settle")
        after = act("to_controller")
        more = {each for each in after if after[each] > before[each]} - {"devices"}
        assert more == {kind} - {"devices"}  # it was asked by the router whether all was done
        assert after["devices"] - before["devices"] >= (4 if kind == "devices" else 1)


@pytest.mark.parametrize("kind", ["arp", "dhcp"])
def test_a_flood_of_one_kind_leaves_the_others_their_share(act, kind):
    """Of 30,000 frames in a second; each other message is repeated until it is answered, as ever."""
    flood = {"arp": (asks(HOST), SENDER, ADDRESS, 1), "dhcp": (discovers(HOST, 2), CHADDR, "2.0.0.0", 30_000)}
    expected = {
        "dhcp": ("access", discovers(plan.host_mac(2), 0x12345678), "uplink", "12345678"),
        "arp": ("access", asks(plan.host_mac(3)), "access", octets(plan.host_mac(3)).hex()),
        "registration": ("access", registers(1), "access", b"modm\0\3".hex()),
        "router": ("uplink", router_asks(plan.host_mac(4)), "uplink", octets(plan.host_mac(4)).hex()),
    }
    del expected[kind]
    act("settle")
    act("forget")
    before = act("metered")
    act("begin_flood", "access", *flood[kind], 30_000, 30_000)
    try:
        for side, frame, there, part in expected.values():
            for _ in range(100):
                act("send", side, frame)
                if act("seen", there, part, 1, 0.1):
                    break
            else:
                pytest.fail(f"{part} did not come out")
    finally:
        act("end_flood")
    dropped = {name: after[1] - before[name][1] for name, after in act("metered").items()}
    assert dropped.pop(kind) > 0
    assert set(dropped.values()) == {0}


def test_a_circuit_that_floods_dhcp_is_muted_in_the_switch_for_a_while(rig):
    """Its share goes on to the server; the rest costs the controller nothing, and no other circuit."""
    act = rig(engine={"circuit_messages": 50, "quota_interval": 60.0})
    act("settle")
    before = act("to_controller")["dhcp"]
    act("flood", "access", discovers(HOST, 2), CHADDR, "2.0.0.0", 20_000, 20_000)
    act("settle")
    assert len(act("seen", "uplink", "00000002", 50)) >= 50
    assert act("to_controller")["dhcp"] - before < 5_000
    muted = [
        line
        for line in act("sh", "ovs-ofctl -O OpenFlow13 dump-flows cmts table=2").splitlines()
        if "priority=120" in line
    ]
    assert len(muted) == 1
    assert "n_packets=0" not in muted[0]
    other = tagged_at(TAG + 1, discovers(plan.host_mac(2), 0x12345678))
    act("send", "access", other)
    assert act("seen", "uplink", "12345678")
    assert act("record", "switch_error") == []
