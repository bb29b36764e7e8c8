"""Finding hosts by broadcast ARP (section 4.1), and that no other mode does so: frames on the access side."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether

from topologies import plan

pytestmark = pytest.mark.lab

CIRCUITS = [(1000, 7), (1000, 8), (1001, 7)]
HOST, ADDRESS = plan.host_mac(1), "198.18.3.1"


@pytest.fixture
def start(rig):
    def start(mode):
        modems = [{"mac": plan.modem_mac(n), "tags": tags} for n, tags in enumerate(CIRCUITS, 1)]
        act = rig(life=None, modems=modems, stacked_tags=True, engine={"mode": mode})
        act("lease", ADDRESS, HOST, plan.modem_mac(2))
        return act

    return start


def downstream(destination):
    packet = IP(src=str(plan.INTERNET), dst=destination) / UDP(sport=9, dport=9) / b"down"
    return bytes(Ether(src=plan.ROUTER_UPLINK_MAC, dst=plan.CONCENTRATOR_UPLINK_MAC) / packet).hex()


def reply(tags, mac, address):
    body = ARP(op=2, hwsrc=mac, psrc=address, hwdst=plan.CONCENTRATOR_ACCESS_MAC, pdst=str(plan.GATEWAY))
    frame = Ether(src=mac, dst=plan.CONCENTRATOR_ACCESS_MAC) / Dot1AD(vlan=tags[0]) / Dot1Q(vlan=tags[1])
    return bytes(frame / body).hex()


def frames(act, part, at_least=1):
    return [Ether(bytes.fromhex(frame)) for frame in act("seen", "access", part.hex(), at_least)]


def tags_of(frame):
    return tuple(layer.vlan for layer in frame.iterpayloads() if isinstance(layer, Dot1Q))


@pytest.mark.requirement("R4.1-1")
def test_the_question_goes_down_every_circuit_and_the_first_answer_is_believed(start):
    act = start("arp")
    act("send", "uplink", downstream(ADDRESS))
    asked = frames(act, b"\x08\x06", 3)
    assert sorted(tags_of(frame) for frame in asked) == CIRCUITS
    for frame in asked:
        assert (frame.dst, frame.src) == ("ff:ff:ff:ff:ff:ff", plan.CONCENTRATOR_ACCESS_MAC)
        question = (frame[ARP].op, frame[ARP].psrc, frame[ARP].hwsrc, frame[ARP].pdst)
        assert question == (1, str(plan.GATEWAY), plan.CONCENTRATOR_ACCESS_MAC, ADDRESS)
    thief = plan.host_mac(66)
    act("send", "access", reply(CIRCUITS[2], thief, ADDRESS), reply(CIRCUITS[1], HOST, ADDRESS))
    (delivered,) = frames(act, b"down")
    assert (tags_of(delivered), delivered.dst) == (CIRCUITS[2], thief)  # what section 4.1 warns of
    assert act("queries") == {}
    assert act("record", "switch_error") == []


@pytest.mark.requirement("R4.1-1")
@pytest.mark.parametrize("mode", ["leasequery", "glean-only"])
def test_no_other_mode_asks_the_subscribers_or_believes_them(start, mode):
    act = start(mode)
    act("send", "access", reply(CIRCUITS[2], plan.host_mac(66), ADDRESS))
    act("send", "uplink", *[downstream(ADDRESS)] * 3, downstream("198.18.3.2"))
    delivered = frames(act, b"down") if mode == "leasequery" else []
    assert {(tags_of(frame), frame.dst) for frame in delivered} <= {(CIRCUITS[1], HOST)}
    act("settle")
    assert act("seen", "access", b"\x08\x06".hex(), 1, 0.5) == []
    assert act("record", "switch_error") == []
