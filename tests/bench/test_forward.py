"""The forwarding benchmark at a small size: that packets of both kinds pass, in both directions."""

from __future__ import annotations

import struct

import pytest

from lq.bench.forward import SEGMENTS, SIZE, Located, _large, compare, downstream_frame, run, upstream_frame
from lq.wire import frames
from topologies import plan

HOST = Located(plan.host_mac(7), (3,), "198.18.0.22")


@pytest.mark.lab
@pytest.mark.alone
def test_the_benchmark_compares_both_bridges_on_the_same_load():
    result = run(rounds=1, modems=5, hosts_per_modem=2, seconds=1)
    assert [case["name"] for case in (result, *result["cases"])] == ["forward", "downstream", "upstream"]
    for case in (result, *result["cases"]):
        assert {"unit", "ours", "peer", "peer_name", "ratio", "goal", "cpu_ratio", "valid"} <= set(case)
        assert case["ratio"] == pytest.approx(case["ours"] / case["peer"])
        for sample in case["samples"] + case["peer_samples"]:
            assert sample["rate"] > 0
            assert sample["flows"] >= 10  # the cache has one for each host at least
    buffers = result["port_buffers"]
    assert len(buffers["plain"]) == 2  # the network's side and the hosts'
    assert buffers["ours"] == buffers["plain"]


def test_a_sender_that_was_too_slow_makes_a_figure_not_valid():
    full = {"rate": 10.0, "offered": 20.0, "rate_per_cpu_s": 10.0}
    idle = {**full, "offered": 11.0}
    assert compare("both", [full], [full])["valid"] is True
    doubted = compare("upstream", [full, full], [full, idle])
    assert doubted["valid"] is False
    assert doubted["invalid_reasons"] == ["the switch took nearly all that was sent in 1 of 4 measurements"]


@pytest.mark.parametrize("make", [downstream_frame, upstream_frame])
def test_both_bridges_get_frames_of_the_same_size_for_the_same_host(make):
    ours, plain = make(HOST, "ours"), make(HOST, "plain")
    assert len(ours) == len(plain) == SIZE
    assert frames.ipv4_addresses(frames.parse(ours).payload) == frames.ipv4_addresses(
        frames.parse(plain).payload
    )
    assert bytes.fromhex(HOST.mac.replace(":", "")) in (plain[:6], plain[6:12])


@pytest.mark.parametrize("make", [downstream_frame, upstream_frame])
def test_the_kernel_is_told_where_to_cut(make):
    frame = make(HOST, "ours")
    large = _large(frame)
    _, _, headers, payload, start, at = struct.unpack("=BBHHHH", large[:10])
    assert headers + payload == SIZE
    assert len(large) == 10 + headers + SEGMENTS * payload
    assert large[10 + start : 10 + start + 4] == frame[start : start + 4]  # the UDP ports
    assert struct.unpack_from("!H", large, 10 + start + 4) == (8 + SEGMENTS * payload,)
    assert at == 6  # in the UDP header
