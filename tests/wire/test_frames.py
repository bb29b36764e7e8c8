"""Frames by struct against frames by scapy."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from lq.wire import frames

macs = st.binary(min_size=6, max_size=6)
addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
ports = st.integers(0, 65535)
tags = st.lists(st.integers(0, 4095), max_size=2).map(tuple)


@given(macs, macs, tags, addresses, ports, addresses, ports, st.binary(max_size=600))
def test_a_udp_frame_is_what_scapy_reads(destination, source, vlans, src, sport, dst, dport, payload):
    packet = frames.udp_packet((src, sport), (dst, dport), payload)
    data = frames.ethernet(destination, source, vlans, frames.ETHERTYPE_IPV4, packet)
    seen = Ether(data)
    assert seen.src == source.hex(":")
    assert seen.dst == destination.hex(":")
    assert [layer.vlan for layer in seen.iterpayloads() if isinstance(layer, Dot1Q)] == list(vlans)
    assert (seen[IP].src, seen[IP].dst) == (str(src), str(dst))
    assert (seen[UDP].sport, seen[UDP].dport) == (sport, dport)
    # Scapy fills in what is left empty: the checksums must be those that it finds.
    wanted = IP(bytes(seen[IP]))
    for layer in (wanted[IP], wanted[UDP]):
        layer.chksum = None
    assert bytes(wanted) == packet

    frame = frames.parse(data)
    assert frame is not None
    assert (frame.destination, frame.source, frame.tags) == (destination, source, vlans)
    assert frame.ethertype == frames.ETHERTYPE_IPV4
    assert frames.ipv4_addresses(frame.payload) == (src, dst)
    assert frames.udp_payload(frame.payload) == payload


@given(addresses, ports, addresses, ports, st.binary(max_size=600), st.binary(max_size=600), st.data())
def test_another_payload_in_a_packet_is_as_if_it_had_been_made_so(src, sport, dst, dport, one, other, data):
    first, second = (frames.udp_packet((src, sport), (dst, dport), payload) for payload in (one, other))
    assert frames.udp_intact(memoryview(first))
    assert frames.with_udp_payload(memoryview(first + bytes(9)), other) == second
    damaged = bytearray(first)
    place = data.draw(st.integers(12, len(first) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    without_one = not any(damaged[26:28])  # no checksum: nobody can tell
    assert not frames.udp_intact(memoryview(damaged)) or without_one


def test_a_piece_of_a_packet_is_not_whole():
    packet = bytearray(frames.udp_packet((IPv4Address("198.18.0.1"), 68), (frames.BROADCAST, 67), b"payload"))
    for place, value in ((6, 0x20), (7, 1), (3, 28)):  # more follows, an offset, too short for the datagram
        changed = bytearray(packet)
        changed[place] = value
        assert not frames.udp_intact(memoryview(changed))
    packet[6] = 0x40  # not to be fragmented
    assert frames.udp_intact(memoryview(packet))


@given(macs, macs, tags, addresses, addresses)
def test_arp_request_and_reply(asker, own, vlans, sender, target):
    request = Ether(src=asker, dst="ff:ff:ff:ff:ff:ff")
    for tag in vlans:
        request /= Dot1Q(vlan=tag)
    request /= ARP(op=1, hwsrc=asker.hex(":"), psrc=str(sender), pdst=str(target))
    frame = frames.parse(bytes(request))
    assert frame is not None
    assert frame.ethertype == frames.ETHERTYPE_ARP
    arp = frames.parse_arp(frame.payload)
    assert arp == frames.Arp(True, asker, sender, target)
    reply = Ether(frames.arp_reply(arp, own, vlans))
    assert (reply.dst, reply.src) == (asker.hex(":"), own.hex(":"))
    assert (reply[ARP].op, reply[ARP].hwsrc, reply[ARP].psrc) == (2, own.hex(":"), str(target))
    assert (reply[ARP].hwdst, reply[ARP].pdst) == (asker.hex(":"), str(sender))


@given(macs, tags, addresses, addresses)
def test_an_arp_request_is_what_scapy_reads(own, vlans, sender, target):
    seen = Ether(frames.arp_request(own, sender, target, vlans))
    assert (seen.dst, seen.src, seen[ARP].op) == ("ff:ff:ff:ff:ff:ff", own.hex(":"), 1)
    assert (seen[ARP].hwsrc, seen[ARP].psrc) == (own.hex(":"), str(sender))
    assert (seen[ARP].hwdst, seen[ARP].pdst) == ("00:00:00:00:00:00", str(target))
    kinds = [type(layer) for layer in seen.iterpayloads() if isinstance(layer, Dot1Q)]
    assert kinds == [Dot1AD, Dot1Q][2 - len(vlans) :]  # of two tags the outer one is a service tag


@given(st.binary(max_size=80))
def test_rubbish_raises_nothing(data):
    frame = frames.parse(data)
    if frame is not None:
        frames.ipv4_addresses(frame.payload)
        frames.udp_payload(frame.payload)
        frames.parse_arp(frame.payload)


def test_a_datagram_cut_short_is_none():
    whole = bytes(IP(src="198.18.0.1", dst="198.18.0.2") / UDP(sport=67, dport=68) / Raw(b"x" * 20))
    assert frames.udp_payload(memoryview(whole)) == b"x" * 20
    for length in range(len(whole)):
        assert frames.udp_payload(memoryview(whole[:length])) is None
