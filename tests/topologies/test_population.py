"""A population without a network: its clients' states, its frames as scapy sees them."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from ipaddress import IPv4Address

import numpy as np
import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether

from lq.wire import BOOTREPLY, Message, MessageType, OptionCode, frames
from topologies import plan
from topologies.population.client import Client, State
from topologies.population.hosts import Hosts
from topologies.population.layout import Layout
from topologies.population.probes import PORT, Arrivals, fields
from topologies.population.ring import Ring

SERVER, ADDRESS = plan.SERVER, IPv4Address("198.18.0.16")
MAC = bytes.fromhex(plan.host_mac(1).replace(":", ""))
GATEWAY_MAC = bytes.fromhex(plan.CONCENTRATOR_ACCESS_MAC.replace(":", ""))


def reply(request: Message, kind: MessageType, address: IPv4Address = ADDRESS, **options: int) -> Message:
    """Return a server's answer; `options` are numbers of seconds by name."""
    seconds = {"lease_time": 3600} | options
    return Message(
        op=BOOTREPLY,
        htype=1,
        xid=request.xid,
        yiaddr=address,
        chaddr=request.chaddr,
        options={
            OptionCode.MESSAGE_TYPE: bytes((kind,)),
            OptionCode.SERVER_IDENTIFIER: SERVER.packed,
            **{OptionCode[name.upper()]: number.to_bytes(4, "big") for name, number in seconds.items()},
        },
    )


def bound(now: float = 0.0, **options: int) -> Client:
    """Return a client with a lease taken at `now`."""
    client = Client(MAC, random.Random(1))
    discover = client.start(now)[0].message
    request = client.receive(reply(discover, MessageType.OFFER), now)[0].message
    assert client.receive(reply(request, MessageType.ACK, **options), now) == []
    assert client.state is State.BOUND
    return client


class TestClient:
    """RFC 2131, 4.4."""

    def test_a_lease_is_taken(self):
        client = Client(MAC, random.Random(1))
        ((discover, to),) = client.start(10.0)
        assert (discover.message_type, to) == (MessageType.DISCOVER, None)
        ((request, to),) = client.receive(reply(discover, MessageType.OFFER), 10.1)
        assert (request.message_type, to, request.xid) == (MessageType.REQUEST, None, discover.xid)
        assert request.options[OptionCode.REQUESTED_ADDRESS] == ADDRESS.packed
        assert request.options[OptionCode.SERVER_IDENTIFIER] == SERVER.packed
        assert int(request.ciaddr) == 0
        assert client.receive(reply(request, MessageType.ACK), 10.2) == []
        assert client.lease.address == ADDRESS
        assert (client.deadline, client.lease.expires) == (10.2 + 1800, 10.2 + 3600)

    def test_unanswered_messages_are_sent_again_with_a_back_off(self):
        client = Client(MAC, random.Random(1))
        client.start(0.0)
        gaps, now = [], 0.0
        for _ in range(8):
            gaps.append(client.deadline - now)
            now = client.deadline
            assert client.wake(now - 0.001) == []
            assert [send.message.message_type for send in client.wake(now)] == [MessageType.DISCOVER]
        for gap, wanted in zip(gaps, [4, 8, 16, 32, 64, 64, 64, 64], strict=True):
            assert 0.75 * wanted <= gap <= 1.25 * wanted

    def test_an_offer_that_leads_nowhere_is_given_up(self):
        client = Client(MAC, random.Random(1))
        discover = client.start(0.0)[0].message
        client.receive(reply(discover, MessageType.OFFER), 0.0)
        sent = [client.wake(client.deadline)[0].message for _ in range(4)]
        assert [message.message_type for message in sent] == [
            *[MessageType.REQUEST] * 3,
            MessageType.DISCOVER,
        ]
        assert sent[3].xid != discover.xid

    def test_what_is_for_others_is_ignored(self):
        client = Client(MAC, random.Random(1))
        discover = client.start(0.0)[0].message
        offer = reply(discover, MessageType.OFFER)
        for other in (
            replace(offer, xid=offer.xid ^ 1),
            replace(offer, chaddr=bytes(6)),
            replace(offer, op=1),
            replace(offer, options={OptionCode.MESSAGE_TYPE: b"\2"}),
            reply(discover, MessageType.ACK),
        ):
            assert client.receive(other, 0.1) == []
        assert client.state is State.SELECTING

    def test_a_lease_is_renewed_at_t1_with_the_server_itself(self):
        client = bound()
        ((request, to),) = client.wake(1800.0)
        assert (request.message_type, to, request.ciaddr) == (MessageType.REQUEST, SERVER, ADDRESS)
        absent = {OptionCode.REQUESTED_ADDRESS, OptionCode.SERVER_IDENTIFIER}  # RFC 2131, 4.3.2
        assert not absent & set(request.options)
        client.receive(reply(request, MessageType.ACK), 1801.0)
        assert client.lease.expires == 1801.0 + 3600

    def test_the_server_may_say_when(self):
        client = bound(renewal_time=100, rebinding_time=200)
        assert (client.lease.renew, client.lease.rebind) == (100.0, 200.0)

    def test_from_t2_any_server_will_do_and_the_lease_ends(self):
        client = bound()
        sent = []
        while client.lease is not None:
            now = client.deadline
            sent += [(now, send.server, send.message) for send in client.wake(now)]
        kinds = {now: (message.message_type, server) for now, server, message in sent}
        assert kinds[1800.0] == (MessageType.REQUEST, SERVER)
        assert kinds[3150.0] == (MessageType.REQUEST, None)
        assert kinds[3600.0] == (MessageType.DISCOVER, None)
        times = [now for now, _, _ in sent]
        assert all(
            late - early >= 60 or late in (3150.0, 3600.0) for early, late in itertools.pairwise(times)
        )

    def test_it_asks_for_its_former_address_again_unless_that_was_refused(self):
        client = bound()
        client.release(1.0)
        assert client.start(2.0)[0].message.options[OptionCode.REQUESTED_ADDRESS] == ADDRESS.packed
        refused = bound()
        request = refused.renew(1.0)[0].message
        refused.receive(reply(request, MessageType.NAK), 1.0)
        assert OptionCode.REQUESTED_ADDRESS not in refused.wake(refused.deadline)[0].message.options

    def test_a_refusal_begins_anew_but_not_at_once(self):
        client = bound()
        request = client.renew(5.0)[0].message
        assert client.receive(reply(request, MessageType.NAK), 5.0) == []
        assert client.lease is None
        assert client.deadline > 6.0
        assert client.wake(client.deadline)[0].message.message_type == MessageType.DISCOVER

    def test_a_release_names_server_and_address(self):
        client = bound()
        ((message, to),) = client.release(7.0)
        assert (message.message_type, to, message.ciaddr) == (MessageType.RELEASE, SERVER, ADDRESS)
        assert message.options[OptionCode.SERVER_IDENTIFIER] == SERVER.packed
        assert (client.state, client.lease, client.deadline) == (State.STOPPED, None, math.inf)
        assert client.release(8.0) == client.renew(8.0) == client.wake(9.0) == []

    def test_a_lease_without_end(self):
        client = bound(lease_time=0xFFFFFFFF)
        assert client.deadline == math.inf


def population(stacked: bool = False, modems: int = 3, each: int = 2, outstanding: int = 100) -> Hosts:
    circuits = [plan.tags(number, stacked) for number in range(1, modems + 1)]
    layout = Layout(circuits, [each] * modems)
    return Hosts(layout, np.zeros(layout.count, dtype=np.uint32), outstanding=outstanding)


def down(
    hosts: Hosts, host: int, packet: bytes, *, kind: int = 0x0800, to: bytes | None = None
) -> list[bytes]:
    """Give a packet to the modem of a host, as the kernel hands it over: without the outer tag."""
    tags = hosts.layout.circuits[hosts.layout.modem_of[host]]
    inner = b"".join(b"\x81\x00" + tag.to_bytes(2, "big") for tag in tags[1:])
    frame = (to or hosts.layout.mac(host)) + GATEWAY_MAC + inner + kind.to_bytes(2, "big") + packet
    return hosts.receive(tags[:1], frame, 1.0)


def serve(hosts: Hosts, sent: list[bytes]) -> int:
    """Answer every client until all is quiet; host n gets the nth address. Return how many messages."""
    waiting, count = list(sent), 0
    while waiting:
        seen = Ether(waiting.pop(0))
        host = hosts.layout.host(bytes.fromhex(seen.src.replace(":", "")))
        request = Message(xid=seen[BOOTP].xid, chaddr=hosts.layout.mac(host))
        kind = MessageType.OFFER if seen[DHCP].options[0][1] == 1 else MessageType.ACK
        payload = reply(request, kind, ADDRESS + host).encode()
        packet = frames.udp_packet((plan.GATEWAY, 67), (ADDRESS + host, 68), payload)
        waiting += down(hosts, host, packet)
        count += 1
    return count


def gateway_answers(asked: bytes) -> bytes:
    """Return the ARP message that answers a host's frame."""
    request = frames.parse_arp(frames.parse(asked).payload)
    return frames.arp_reply(request, GATEWAY_MAC, ())[14:]


class TestHosts:
    """What hosts do with frames."""

    @pytest.mark.parametrize("stacked", [False, True])
    def test_a_discover_as_scapy_sees_it(self, stacked):
        hosts = population(stacked)
        sent = hosts.start([5], 0.0)
        seen = Ether(sent[0])
        assert (seen.dst, seen.src) == ("ff:ff:ff:ff:ff:ff", plan.host_mac(6))
        tags = [layer.vlan for layer in (seen.getlayer(Dot1AD), seen.getlayer(Dot1Q)) if layer is not None]
        assert tuple(tags) == plan.tags(3, stacked)
        assert (seen[IP].src, seen[IP].dst, seen[IP].ttl) == ("0.0.0.0", "255.255.255.255", 64)
        assert (seen[UDP].sport, seen[UDP].dport, len(seen[BOOTP])) == (68, 67, 300)
        assert seen[BOOTP].chaddr[:6] == hosts.layout.mac(5)
        again = seen.copy()
        for layer in (again[IP], again[UDP]):
            del layer.chksum
        assert bytes(again) == sent[0]  # scapy computes the same checksums

    @pytest.mark.parametrize("stacked", [False, True])
    def test_all_get_leases_a_few_at_a_time(self, stacked):
        hosts = population(stacked, outstanding=2)
        begun = hosts.start(range(6), 0.0)
        assert len(begun) == 2
        assert serve(hosts, begun) == 12
        assert hosts.addresses.tolist() == [int(ADDRESS) + host for host in range(6)]
        assert hosts.counts() == {"bound": 6}

    def test_a_frame_for_another_circuit_is_not_let_through(self):
        hosts = population()
        sent = hosts.start([0], 0.0)
        request = Message(xid=Ether(sent[0])[BOOTP].xid, chaddr=hosts.layout.mac(0))
        payload = reply(request, MessageType.OFFER).encode()
        packet = frames.udp_packet((plan.GATEWAY, 67), (ADDRESS, 68), payload)
        frame = hosts.layout.mac(0) + GATEWAY_MAC + b"\x08\x00" + packet
        assert hosts.receive((2,), frame, 0.1) == []  # its modem has circuit 1
        assert hosts.receive((), frame, 0.1) == []
        assert hosts.receive((1, 1), frame, 0.1) == []
        assert hosts.receive((1,), hosts.layout.mac(1) + frame[6:], 0.1) == []  # its neighbour
        assert len(hosts.receive((1,), frame, 0.1)) == 1

    def test_a_renewal_asks_for_the_gateway_first(self):
        hosts = population(outstanding=6)
        serve(hosts, hosts.start(range(6), 0.0))
        (asked,) = hosts.renew([3], 2.0)
        arp = Ether(asked)[ARP]
        assert (arp.op, arp.psrc, arp.pdst) == (1, str(ADDRESS + 3), str(plan.GATEWAY))
        assert hosts.deadline == 3.0
        assert Ether(hosts.wake(3.0)[0])[ARP].op == 1
        (renewal,) = down(hosts, 3, gateway_answers(asked), kind=frames.ETHERTYPE_ARP)
        seen = Ether(renewal)
        assert (seen.dst, seen[IP].src, seen[IP].dst) == (
            plan.CONCENTRATOR_ACCESS_MAC, str(ADDRESS + 3), str(SERVER)
        )  # fmt: skip
        assert seen[BOOTP].ciaddr == str(ADDRESS + 3)
        (release,) = hosts.release([3], 2.5)  # the gateway is known now
        assert (
            dict(option for option in Ether(release)[DHCP].options if len(option) == 2)["message-type"] == 7
        )
        assert hosts.addresses[3] == 0

    def test_a_silent_gateway_is_asked_three_times(self):
        hosts = population()
        serve(hosts, hosts.start(range(6), 0.0))
        asked = len(hosts.renew([0], 2.0))
        for moment in (3.0, 4.0, 5.0, 6.0):
            asked += len(hosts.wake(moment))
        assert asked == 3

    def test_hosts_answer_for_their_own_addresses_only(self):
        hosts = population()
        serve(hosts, hosts.start(range(6), 0.0))
        question = frames.arp_request(GATEWAY_MAC, plan.GATEWAY, ADDRESS + 2, ())[14:]
        # Hosts 2 and 3 hear it.
        (answer,) = down(hosts, 3, question, kind=frames.ETHERTYPE_ARP, to=frames.BROADCAST_MAC)
        seen = Ether(answer)
        assert (seen.src, seen[Dot1Q].vlan, seen[ARP].op, seen[ARP].psrc) == (
            plan.host_mac(3), 2, 2, str(ADDRESS + 2)
        )  # fmt: skip
        assert down(hosts, 0, question, kind=frames.ETHERTYPE_ARP, to=frames.BROADCAST_MAC) == []

    def test_hosts_answer_pings(self):
        hosts = population()
        serve(hosts, hosts.start(range(6), 0.0))
        ping = bytes(IP(src="198.19.2.2", dst=str(ADDRESS)) / ICMP(id=7, seq=9) / b"odd")
        (asked,) = down(hosts, 0, ping)
        assert Ether(asked)[ARP].pdst == str(plan.GATEWAY)
        (pong,) = down(hosts, 0, gateway_answers(asked), kind=frames.ETHERTYPE_ARP)
        seen = Ether(pong)
        assert (seen[IP].src, seen[IP].dst, seen[ICMP].type, seen[ICMP].id) == (
            str(ADDRESS), "198.19.2.2", 0, 7
        )  # fmt: skip
        assert bytes(seen[ICMP].payload)[:3] == b"odd"
        del seen[ICMP].chksum
        assert bytes(seen) == pong


def probe(host: int, sequence: int, address: IPv4Address, port: int = PORT) -> bytes:
    payload = host.to_bytes(4, "big") + sequence.to_bytes(4, "big")
    return frames.udp_packet((plan.INTERNET, 40000), (address, port), payload)


def slots(depth: int, *seen: tuple[tuple[int, ...], bytes]) -> np.ndarray:
    """Return frames as the ring shows them: (tags, untagged frame) each."""
    layout = {**Ring.LAYOUT, **{name: (kind, 66 + place) for name, (kind, place) in fields(depth).items()}}
    dtype = np.dtype(
        {
            "names": list(layout),
            "formats": [kind for kind, _ in layout.values()],
            "offsets": [place for _, place in layout.values()],
            "itemsize": 256,
        }
    )
    memory = bytearray(256 * len(seen))
    found = np.frombuffer(memory, dtype)
    for number, (tags, frame) in enumerate(seen):
        inner = b"".join(b"\x81\x00" + tag.to_bytes(2, "big") for tag in tags[1:])
        whole = frame[:12] + inner + frame[12:]
        memory[256 * number + 66 : 256 * number + 66 + len(whole)] = whole
        found["status"][number] = 1 | (16 if tags else 0)
        found["tag"][number] = tags[0] if tags else 0
        found["length"][number] = found["kept"][number] = len(whole)
        found["offset"][number] = 66
    return found


class TestProbes:
    """Which probes count, and their echoes."""

    @pytest.fixture(params=[False, True], ids=["one tag", "two tags"])
    def hosts(self, request):
        hosts = population(request.param)
        serve(hosts, hosts.start(range(6), 0.0))
        return hosts

    def test_only_what_its_host_could_have_received_counts(self, hosts):
        layout = hosts.layout
        good = probe(4, 77, ADDRESS + 4)
        own, tags = layout.mac(4) + GATEWAY_MAC + b"\x08\x00", layout.circuits[2]
        elsewhere = (*tags[:-1], tags[-1] + 1)
        found = slots(
            layout.depth,
            (tags, own + good),
            (elsewhere, own + good),
            (tags, layout.mac(5) + own[6:] + good),
            (tags, own + probe(4, 77, ADDRESS + 5)),
            (tags, own + good[:-1] + b"x"),
            (tags, own + good[:8] + b"\7" + good[9:]),
            (tags, own + probe(4, 77, ADDRESS + 4, port=53)),
        )
        arrivals = Arrivals(hosts)
        latest = np.zeros(layout.count)
        arrivals.begin(latest)
        probes, arrived = arrivals.take(found)
        assert probes.tolist() == [True] * 6 + [False]
        assert arrived.tolist() == [True] + [False] * 6
        assert arrivals.misplaced == 5
        rows = arrivals.end()
        assert rows[["subscriber", "sequence"]].tolist() == [(4, 77)]
        assert np.flatnonzero(latest).tolist() == [4]
        assert latest[4] == rows["received"][0]

    def test_echoes_as_scapy_sees_them(self, hosts):
        layout = hosts.layout
        frames_down = [
            (layout.circuits[layout.modem_of[host]],
             layout.mac(host) + GATEWAY_MAC + b"\x08\x00" + probe(host, 1000 + host, ADDRESS + host))
            for host in range(6)
        ]  # fmt: skip
        found = slots(layout.depth, *frames_down)
        arrivals = Arrivals(hosts)
        _, arrived = arrivals.take(found)
        assert arrived.all()
        asked = arrivals.echoes(found, 1.0)
        assert [Ether(frame)[ARP].pdst for frame in asked] == [str(plan.GATEWAY)] * 6
        hosts.gateway[:] = np.frombuffer(GATEWAY_MAC, dtype=np.uint8)
        hosts.gateway_until[:] = 60.0
        for host, frame in enumerate(arrivals.echoes(found, 1.0)):
            seen = Ether(frame)
            assert (seen.dst, seen.src) == (plan.CONCENTRATOR_ACCESS_MAC, plan.host_mac(host + 1))
            tags = [
                layer.vlan for layer in (seen.getlayer(Dot1AD), seen.getlayer(Dot1Q)) if layer is not None
            ]
            assert tuple(tags) == layout.circuits[layout.modem_of[host]]
            assert (seen[IP].src, seen[IP].dst) == (str(ADDRESS + host), str(plan.INTERNET))
            assert (seen[UDP].sport, seen[UDP].dport) == (PORT, PORT)
            assert bytes(seen[UDP].payload) == host.to_bytes(4, "big") + (1000 + host).to_bytes(4, "big")
            for layer in (seen[IP], seen[UDP]):
                del layer.chksum
            assert bytes(seen) == frame


def test_a_layout_that_cannot_be():
    with pytest.raises(ValueError, match="circuit of its own"):
        Layout([(1,), (1,)], [1, 1])
    with pytest.raises(ValueError, match="circuit of its own"):
        Layout([(1,), (1, 2)], [1, 1])
