"""Broadcast ARP beside leasequery: what every host has to process, and a thief."""

from __future__ import annotations

import pytest

from lq.emulation.programs import neighbours
from lq.errors import BadInput
from lq.experiments.run import run
from lq.experiments.spec import load
from lq.wire import frames
from topologies import plan

QUICK = {"probes.warmup": 0.2, "arp.duration": 4}
OWN = bytes.fromhex("020a00000001")


@pytest.mark.lab
@pytest.mark.requirement("R4.1-1")
@pytest.mark.parametrize("topology", ["cable", "dsl"])
def test_by_arp_everybody_is_disturbed_and_robbed_and_by_leasequery_nobody(tmp_path, topology):
    finished = run(load("arp", {**QUICK, "topology.figure": topology}), tmp_path / "run")
    summary = finished.summary
    assert summary["subscribers"] == 24
    assert summary["arp_frames_per_host"] > 20  # each one about each, save before modems registered
    assert summary["spoofed_answers"] >= 23
    assert summary["reached"] + summary["spoofed_locations"] == 24
    assert summary["spoofed_share"] == summary["spoofed_locations"] / 23
    assert summary["queries_sent"] == 0
    for key in ("arp_frames_per_host", "spoofed_answers", "spoofed_locations", "stolen_packets"):
        assert summary[f"leasequery_{key}"] == 0, key
    assert summary["leasequery_reached"] == summary["leasequery_queries_sent"] == 24
    assert summary["access_packets"] > summary["leasequery_access_packets"]
    assert list(finished.table("phases")["phase"]) == ["arp", "leasequery"]


@pytest.mark.lab
@pytest.mark.requirement("R4.1-1")
def test_without_a_thief_arp_finds_all(tmp_path):
    settings = {**QUICK, "arp.spoofer": False, "topology.modems": 2, "topology.hosts_per_modem": 2}
    summary = run(load("arp", settings), tmp_path / "run").summary
    assert summary["reached"] == summary["recovered"] == 4
    assert (summary["spoofed_answers"], summary["spoofed_locations"]) == (0, 0)
    assert summary["arp_frames_per_host"] >= 3  # one about each of the others


def asked(target: str) -> bytes:
    mac = bytes.fromhex(plan.CONCENTRATOR_ACCESS_MAC.replace(":", ""))
    return frames.arp_request(mac, plan.GATEWAY, plan.IPv4Address(target), ())


def test_the_thief_claims_what_is_asked_for():
    told = frames.parse(neighbours.answer(asked("198.18.0.20"), OWN, frozenset()))
    arp = frames.parse_arp(told.payload)
    assert not arp.request
    assert (arp.sender_mac, str(arp.sender), arp.target) == (OWN, "198.18.0.20", plan.GATEWAY)
    assert (told.source, told.destination) == (OWN, bytes.fromhex("02c000000002"))


def test_the_thief_leaves_alone_what_it_is_told_to_and_what_is_no_request():
    spared = frozenset({plan.IPv4Address("198.18.0.20")})
    assert neighbours.answer(asked("198.18.0.20"), OWN, spared) is None
    assert neighbours.answer(asked(str(plan.GATEWAY)), OWN, frozenset()) is None  # an announcement
    reply = neighbours.answer(asked("198.18.0.20"), OWN, frozenset())
    assert neighbours.answer(reply, OWN, frozenset()) is None
    assert neighbours.answer(reply[:30], OWN, frozenset()) is None


def test_frames_are_counted_at_hosts_so_there_must_be_some():
    with pytest.raises(BadInput, match=r"topology\.population=false"):
        load("arp", {"topology.population": True})
