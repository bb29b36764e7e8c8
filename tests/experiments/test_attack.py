"""The flood: its packets, its addresses, its rate."""

import collections
import errno
import socket
import threading
import time
from ipaddress import IPv4Address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lq.emulation.programs.flood import addresses, flood, frames
from lq.results.validity import attack_reasons

FIRST, LAST = int(IPv4Address("198.18.0.16")), int(IPv4Address("198.18.3.254"))
OTHER = IPv4Address("198.19.2.9")
MACS = (b"\2\0\0\0\0\1", b"\2\0\0\0\0\2")


def test_a_scan_visits_every_address_once_in_a_cycle():
    in_order = addresses("sequential", FIRST, LAST, (), seed=1)
    shuffled = addresses("random", FIRST, LAST, (), seed=1)
    assert in_order[0] == FIRST
    assert in_order[-1] == LAST
    assert list(shuffled) != list(in_order)
    assert sorted(shuffled) == list(in_order)
    assert list(shuffled) == list(addresses("random", FIRST, LAST, (), seed=1))
    assert list(shuffled) != list(addresses("random", FIRST, LAST, (), seed=2))
    assert list(addresses("hit-list", FIRST, LAST, (FIRST + 7, FIRST), seed=1)) == [FIRST + 7, FIRST]


def test_a_mixed_scan_goes_in_and_out_of_the_range():
    outside = int(IPv4Address("198.19.128.1"))
    mixed = addresses("mixed", FIRST, FIRST + 5, (), seed=1, outside=outside)
    assert list(mixed) == [FIRST, outside, FIRST + 1, outside + 1, FIRST + 2, outside + 2]


@given(st.lists(st.integers(1, 2**32 - 2), min_size=1, max_size=20), st.sampled_from(["scan", "spoof"]))
def test_every_frame_is_a_well_formed_packet(cycle, kind):
    for row, address in zip(frames(np.array(cycle, dtype=np.uint32), kind, OTHER, *MACS), cycle, strict=True):
        packet = Ether(row.tobytes())
        ends = (str(OTHER), str(IPv4Address(address)))
        assert (packet[IP].src, packet[IP].dst) == (ends if kind == "scan" else ends[::-1])
        assert (packet.src, packet.dst) == tuple(mac.hex(":") for mac in MACS)
        assert packet[UDP].dport == 9
        claimed = packet[IP].chksum
        del packet[IP].chksum
        assert Ether(bytes(packet))[IP].chksum == claimed
        assert len(row) == 60


@pytest.mark.parametrize("rate", [200.0, 5000.0])
def test_it_sends_what_it_says_in_order_and_stops_by_itself(rate):
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.setblocking(False)
    rows = np.arange(30, dtype=np.uint8).reshape(10, 3)
    seen = collections.Counter()

    class Tap:
        def send(self, frame):
            sender.send(frame)
            seen[bytes(receiver.recv(10))] += 1

    report = flood(Tap(), rows, rate, 95, threading.Event())
    assert report.packets == sum(seen.values()) == 95
    assert report.addresses == 10
    assert [seen[bytes(row)] for row in rows] == [10] * 5 + [9] * 5
    assert report.ended - report.started >= 94 / rate  # never faster than it says


def test_it_ends_when_told_and_says_what_it_sent():
    ended = threading.Event()
    seen = []

    class Tap:
        def send(self, frame):
            seen.append(bytes(frame))
            if len(seen) == 7:
                ended.set()

    rows = np.arange(30, dtype=np.uint8).reshape(10, 3)
    report = flood(Tap(), rows, 1000.0, 10**6, ended)
    assert 7 <= report.packets == len(seen) < 1000
    assert report.addresses == min(len(seen), 10)


ROWS = np.arange(30, dtype=np.uint8).reshape(10, 3)


class Slow:
    """Takes a while for each frame, and `ended` is set when it has taken so many."""

    def __init__(self, seconds, most, ended):
        self.left, self.seconds, self.ended = most, seconds, ended

    def send(self, _):
        time.sleep(self.seconds)
        self.left -= 1
        if self.left == 0:
            self.ended.set()


def reasons(report):
    return attack_reasons([{"name": "attack", **vars(report)}])


def test_a_rate_that_cannot_be_reached_is_told_and_judged():
    ended = threading.Event()
    report = flood(Slow(0.0005, 600, ended), ROWS, 100_000.0, 10**7, ended)
    assert 600 <= report.packets < 1000  # told to stop, it stops soon
    took = report.ended - report.started
    assert report.packets < 0.1 * report.rate * took
    assert 0.3 * took < report.late < took
    assert any("of 100,000 packets a second" in reason for reason in reasons(report))


def test_one_long_gap_among_many_bursts_makes_it_late():
    class Held:
        left = 500

        def send(self, _):
            self.left -= 1
            if self.left == 0:
                time.sleep(0.5)

    report = flood(Held(), ROWS, 1000.0, 1500, threading.Event())
    assert report.packets == 1500
    assert report.late > 0.2  # a third of the packets, but one of a thousand bursts
    assert any("late" in reason for reason in reasons(report))


def test_what_the_kernel_refuses_is_not_sent():
    class Full:
        calls = 0

        def send(self, _):
            self.calls += 1
            if self.calls % 10 == 0:
                raise OSError(errno.ENOBUFS, "no room")

    report = flood(Full(), ROWS, 5000.0, 500, threading.Event())
    assert (report.packets, report.refused) == (450, 50)
    assert any("50 packets of the generator attack were refused" in reason for reason in reasons(report))
