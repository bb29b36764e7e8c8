"""Modems that register, one tag and two: frames into the real switch, frames out of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from lq.wire import Message, RelayInfo, decode, frames, registration
from topologies import plan

pytestmark = pytest.mark.lab

HOST, MODEM = plan.host_mac(1), plan.modem_mac(1)
ADDRESSES = DOWNSTREAM, UPSTREAM, OWN = [f"198.18.3.{number}" for number in (1, 2, 3)]
ELSEWHERE = "198.18.3.9"
SOLICIT = b"modm\0\1"
REGISTERED = b"modm\0\3"
XID = b"\x12\x34\x56\x78"


@pytest.fixture(scope="module", params=[(7,), (1000, 7)], ids=["one tag", "two tags"])
def tags(request):
    return request.param


@pytest.fixture(scope="module")
def act(rig, tags):
    act = rig(stacked_tags=len(tags) == 2)
    for address in ADDRESSES:
        act("lease", address, HOST, MODEM)
    act("lease", ELSEWHERE, HOST, plan.modem_mac(2))
    return act


@pytest.fixture(autouse=True)
def the_switch_refused_nothing(act):
    act("forget")
    yield
    assert act("record", "switch_error") == []


def tagged(tags, payload, source=HOST, destination=plan.CONCENTRATOR_ACCESS_MAC):
    frame = Ether(src=source, dst=destination)
    for depth, tag in enumerate(tags, 1):
        frame /= Dot1AD(vlan=tag) if depth < len(tags) else Dot1Q(vlan=tag)
    return bytes(frame / payload).hex()


def seen(act, side, *layers, part="", at_least=1, timeout=5.0):
    found = [Ether(bytes.fromhex(data)) for data in act("seen", side, part, at_least, timeout)]
    return [frame for frame in found if all(layer in frame for layer in layers)]


def tags_of(frame):
    """Return the tags with their kinds, outer first."""
    return [(layer.name, layer.vlan) for layer in frame.iterpayloads() if isinstance(layer, Dot1Q)]


def circuit(tags):
    return [("802_1AD" if depth < len(tags) else "802.1Q", tag) for depth, tag in enumerate(tags, 1)]


def register(act, tags, modem=MODEM, life=None, side="access"):
    """Have a modem answer what the concentrator solicits."""
    solicited = registration.decode(bytes.fromhex(act("seen", "access", SOLICIT.hex())[0])[14:])
    mac = bytes.fromhex(modem.replace(":", ""))
    told = registration.Registration(registration.Kind.REGISTER, life or solicited.life, mac)
    frame = frames.ethernet(frames.BROADCAST_MAC, mac, tags, registration.ETHERTYPE, told.encode())
    act("send", side, frame.hex())


def from_internet(destination, text):
    packet = IP(src=str(plan.INTERNET), dst=destination) / UDP(sport=9, dport=9) / Raw(text)
    return bytes(Ether(src=plan.ROUTER_UPLINK_MAC, dst=plan.CONCENTRATOR_UPLINK_MAC) / packet).hex()


def to_internet(tags, source, text, mac=HOST):
    return tagged(tags, IP(src=source, dst=str(plan.INTERNET)) / UDP(sport=9, dport=9) / Raw(text), mac)


def test_a_concentrator_that_comes_up_says_so(act):
    """To the router, for whom the address may have moved; to the modems, in each life with another number."""
    own = plan.UPLINK_CONCENTRATOR
    solicited = []
    for _ in range(2):
        act("kill")
        act("forget")
        act("start")
        (frame,) = seen(act, "uplink", ARP, part=own.packed.hex())
        assert (frame.dst, frame[ARP].op, frame[ARP].pdst) == ("ff:ff:ff:ff:ff:ff", 1, str(own))
        assert frame.src == frame[ARP].hwsrc == plan.CONCENTRATOR_UPLINK_MAC
        first, second = seen(act, "access", part=SOLICIT.hex(), at_least=2)[:2]
        assert first == second
        assert first.dst == "ff:ff:ff:ff:ff:ff"
        solicited.append(first)
    assert solicited[0] != solicited[1]


@pytest.mark.requirement("R1-3")
def test_registrations_that_do_not_count(act, tags):
    """Without a circuit, with another depth of tags, from the network, from another life of ours."""
    modem = plan.modem_mac(2)
    register(act, (), modem)
    register(act, (*tags, 9) if len(tags) == 1 else tags[:1], modem)
    register(act, tags, modem, life=4711)
    register(act, (), modem, side="uplink")
    act("send", "uplink", from_internet(ELSEWHERE, "down"))
    assert [refusal["reason"] for refusal in act("record", "refuse", 1)] == ["modem-absent"]
    assert act("seen", "access", REGISTERED.hex(), 1, 0) == []


@pytest.mark.requirement("R1-3")
def test_a_modem_that_registers_is_told_so_on_its_circuit(act, tags):
    register(act, tags)
    (frame,) = seen(act, "access", part=REGISTERED.hex())
    assert (frame.dst, frame.src) == (MODEM, plan.CONCENTRATOR_ACCESS_MAC)
    assert tags_of(frame) == circuit(tags)


@pytest.mark.requirement("R1-4")
def test_downstream_first(act, tags):
    """The packet that caused the query is held, and sent down the circuit with all its tags."""
    for number in (1, 2):
        act("send", "uplink", from_internet(DOWNSTREAM, f"down {number}"))
        (frame,) = seen(act, "access", part=f"down {number}".encode().hex())
        assert (frame.src, frame.dst) == (plan.CONCENTRATOR_ACCESS_MAC, HOST)
        assert tags_of(frame) == circuit(tags)
        assert frame[IP].ttl == 63
    assert act("queries") == {DOWNSTREAM: 1}


@pytest.mark.requirement("R1-5")
def test_upstream_first(act, tags):
    """The held packet comes out with no tag left, and so does one that the switch passes on its own."""
    for number in (1, 2):
        act("send", "access", to_internet(tags, UPSTREAM, f"up {number}"))
        (frame,) = seen(act, "uplink", part=f"up {number}".encode().hex())
        assert (frame.src, frame.dst) == (plan.CONCENTRATOR_UPLINK_MAC, plan.ROUTER_UPLINK_MAC)
        assert tags_of(frame) == []
    assert act("queries") == {UPSTREAM: 1}
    assert {tuple(permit["tags"]) for permit in act("record", "permit")} == {tags}


@pytest.mark.requirement("R1-5")
def test_each_part_of_a_circuit_is_verified(act, tags):
    """Another inner or outer tag, or another hardware address: dropped, the owner undisturbed."""
    act("send", "access", to_internet(tags, OWN, "up own"))
    assert act("seen", "uplink", b"up own".hex())
    for depth in range(len(tags)):
        elsewhere = tuple(tag + 1 if number == depth else tag for number, tag in enumerate(tags))
        act("send", "access", *[to_internet(elsewhere, OWN, "stolen")] * 3)
    act("send", "access", *[to_internet(tags, OWN, "stolen", plan.host_mac(66))] * 3)
    act("send", "access", to_internet(tags, OWN, "up again"))
    assert act("seen", "uplink", b"up again".hex())
    act("settle")
    assert act("seen", "uplink", b"stolen".hex(), 1, 0) == []
    assert act("queries") == {OWN: 1}


def test_arp_is_answered_on_the_circuit(act, tags):
    asked = ARP(op=1, hwsrc=HOST, psrc=OWN, pdst=str(plan.GATEWAY))
    act("send", "access", tagged(tags, asked, destination="ff:ff:ff:ff:ff:ff"))
    (frame,) = seen(act, "access", part=bytes(asked)[8:18].hex())  # the asker comes back as the target
    assert frame[ARP].op == 2
    assert (frame[ARP].hwsrc, frame[ARP].psrc) == (plan.CONCENTRATOR_ACCESS_MAC, str(plan.GATEWAY))
    assert tags_of(frame) == circuit(tags)


def test_dhcp_goes_and_comes_by_the_circuit(act, tags):
    """A broadcast from the client is relayed with option 82; the server's reply comes out on the circuit."""
    chaddr = bytes.fromhex(HOST.replace(":", ""))
    discover = Message(htype=1, xid=int.from_bytes(XID, "big"), chaddr=chaddr, options={53: b"\1"})
    packet = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / Raw(discover.encode())
    act("send", "access", tagged(tags, packet, destination="ff:ff:ff:ff:ff:ff"))
    (relayed,) = seen(act, "uplink", UDP, part=XID.hex())
    message = decode(relayed[UDP].payload.original)
    assert message.giaddr == plan.GATEWAY
    info = RelayInfo.decode(message.options[82])
    assert info.remote_id.hex(":") == MODEM

    offer = replace(message, op=2, yiaddr=IPv4Address(OWN), options={53: b"\2", 82: message.options[82]})
    answer = IP(src=str(plan.SERVER), dst=str(plan.GATEWAY)) / UDP(sport=67, dport=67) / Raw(offer.encode())
    head = Ether(src=plan.ROUTER_UPLINK_MAC, dst=plan.CONCENTRATOR_UPLINK_MAC)
    act("send", "uplink", bytes(head / answer).hex())
    (frame,) = seen(act, "access", part=XID.hex())
    assert tags_of(frame) == circuit(tags)
    assert (frame.dst, frame[UDP].dport) == (HOST, 68)


@pytest.mark.requirement("R4.3-1")
def test_a_unicast_release_takes_the_location_away(act, tags):
    """Not another's, nor a renewal. What speaks for the host reaches the server, once, as it was sent."""
    chaddr = bytes.fromhex(HOST.replace(":", ""))

    def to_server(kind, ciaddr, xid, mac=HOST):
        told = Message(1, 1, xid=xid, chaddr=chaddr, ciaddr=IPv4Address(ciaddr), options={53: bytes((kind,))})
        packet = IP(src=OWN, dst=str(plan.SERVER)) / UDP(sport=68, dport=67) / Raw(told.encode())
        return tagged(tags, packet, mac)

    act("send", "access", to_internet(tags, OWN, "up"))
    assert act("seen", "uplink", b"up".hex())
    act("settle")
    withdrawn, counted = len(act("record", "withdraw")), act("to_controller")["dhcp"]
    neighbours, renewal, spoofed = (7, DOWNSTREAM, 0x51), (3, OWN, 0x52), (7, OWN, 0x53)
    act("send", "access", to_server(*neighbours), to_server(*renewal))
    act("send", "access", to_server(*spoofed, mac=plan.host_mac(66)))
    act("settle")
    assert len(act("record", "withdraw")) == withdrawn
    act("send", "access", to_server(7, OWN, 0x54))
    assert act("record", "withdraw", withdrawn + 1)[withdrawn:][0]["address"] == OWN
    act("settle")
    assert act("to_controller")["dhcp"] - counted >= 3
    flows = act("sh", "ovs-ofctl -O OpenFlow13 dump-flows cmts").splitlines()
    assert not [flow for flow in flows if f"={OWN} " in flow and "actions=drop" not in flow]
    frames_out = seen(act, "uplink", UDP, part=chaddr.hex(), at_least=2)
    messages = [decode(frame[UDP].payload.original) for frame in frames_out if frame[UDP].sport == 68]
    assert [each.xid for each in messages] == [0x52, 0x54]
    assert {int(each.giaddr) for each in messages} == {0}
    assert [(frame.src, frame.dst, frame[IP].ttl) for frame in frames_out] == [
        (plan.CONCENTRATOR_UPLINK_MAC, plan.ROUTER_UPLINK_MAC, 63)
    ] * 2


@pytest.mark.requirement("R1-5")
def test_what_a_host_must_not_tell_a_server_ends_at_the_concentrator(act, tags):
    """In a neighbour's name, through a relay, as a requester, in pieces: all from its verified address."""
    chaddr, neighbour = bytes.fromhex(HOST.replace(":", "")), bytes.fromhex(plan.host_mac(9).replace(":", ""))
    act("send", "access", to_internet(tags, OWN, "back again"))
    assert act("seen", "uplink", b"back again".hex())
    act("settle")
    act("forget")

    def to_server(kind, port=68, **fields):
        options = {53: bytes((kind,)), **fields.pop("options", {})}
        told = Message(
            **{"htype": 1, "chaddr": chaddr, "ciaddr": IPv4Address(OWN), **fields}, options=options
        )
        return IP(src=OWN, dst=str(plan.SERVER)) / UDP(sport=port, dport=67) / Raw(told.encode())

    wrong = [
        to_server(3, xid=0x6101, chaddr=neighbour, ciaddr=IPv4Address(DOWNSTREAM), giaddr=plan.GATEWAY),
        to_server(3, xid=0x6102, chaddr=neighbour),
        to_server(7, xid=0x6103, ciaddr=IPv4Address(DOWNSTREAM)),
        to_server(4, xid=0x6104, giaddr=plan.GATEWAY, options={50: IPv4Address(DOWNSTREAM).packed}),
        to_server(10, xid=0x6105, chaddr=b"", ciaddr=IPv4Address(DOWNSTREAM), giaddr=IPv4Address(OWN)),
        to_server(10, port=6700, xid=0x6106, giaddr=IPv4Address(OWN)),
        to_server(8, xid=0x6107, options={82: bytes.fromhex("0106000000020009")}),
    ]
    pieces = fragment(to_server(3, xid=0x6108), fragsize=256)
    assert len(pieces) == 2
    act("send", "access", *(tagged(tags, packet, HOST) for packet in [*wrong, *pieces]))
    act("send", "access", tagged(tags, to_server(3, xid=0x6200), HOST))
    assert act("seen", "uplink", "00006200")
    act("settle")
    assert act("seen", "uplink", "000061", 1, 0.2) == []
    assert act("record", "switch_error") == []


@pytest.mark.requirement("R1-5")
def test_a_cloned_host_is_found_out_by_arp_on_the_old_circuit_alone(act, tags):
    """A REQUEST from another circuit: one unicast ARP request to the old place, whose answer settles it."""
    told = Message(htype=1, xid=0x7101, chaddr=bytes.fromhex(HOST.replace(":", "")))
    told.options = {53: b"\3", 50: IPv4Address(OWN).packed}
    request = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / Raw(told.encode())
    elsewhere = (*tags[:-1], tags[-1] + 1)
    act("send", "access", tagged(elsewhere, request))
    [probe] = seen(act, "access", ARP, part=IPv4Address(OWN).packed.hex())
    assert (probe.dst, probe[ARP].op, probe[ARP].pdst) == (HOST, 1, OWN)
    assert tags_of(probe) == circuit(tags)
    answer = ARP(op=2, hwsrc=HOST, psrc=OWN, hwdst=probe.src, pdst=str(plan.GATEWAY))
    act("send", "access", tagged(tags, answer))
    act("settle")
    counted = len(act("record", "probe"))
    act("send", "access", tagged(elsewhere, request))
    act("settle")
    assert len(act("record", "probe")) == counted, "it is not asked again so soon"
    assert act("seen", "uplink", "00007101", 1, 0.1) == [], "the server hears of none of it"
