"""What `arp` finds, from small tables: the costs of broadcast ARP, and a thief's gain, beside leasequery."""

from __future__ import annotations

import pandas as pd
import pytest

from lq.experiments.spec import load
from lq.results.findings import arp

ADDRESSES = {f"host{number}": f"198.18.0.{15 + number}" for number in range(1, 5)}  # host1 is the thief
FIRST, SECOND, THIRD, FOURTH = ADDRESSES.values()
OF_A_PHASE = {
    "arp_frames_per_host", "work_cpu_s", "switch_cpu_s", "access_packets", "spoofed_answers",
    "spoofed_locations", "spoofed_share", "stolen_packets", "reached",
}  # fmt: skip


def phase(name: str, **measured):
    """Return what a phase measured: by default hosts got no ARP, and nobody stole."""
    quiet = {"arp_requests": 0, "work_cpu_s": 0.25, "switch_cpu_s": 0.5, "access_packets": 100}
    return {"name": name, **quiet, "spoofed_answers": 0, "stolen": {}, **measured}


def summary(by_arp=None, by_leasequery=None, reached=(4, 4), *, spoofer=True, queries=4):
    """Return the summary of a run with these two phases."""
    rows = pd.DataFrame({"phase": ["arp", "leasequery"], "reached": reached, "queries_sent": [0, queries]})
    phases = [phase("arp", **(by_arp or {})), phase("leasequery", **(by_leasequery or {}))]
    result = {"addresses": ADDRESSES, "phases": phases}
    return arp.summarize(load("arp", {"arp.spoofer": spoofer}), result, {"phases": rows})


def test_each_phase_has_its_keys_and_leasequery_s_have_a_prefix():
    assert summary().keys() == {
        *OF_A_PHASE,
        *(f"leasequery_{key}" for key in OF_A_PHASE),
        "leasequery_queries_sent",
        "verdict",
    }


@pytest.mark.parametrize(
    ("measured", "key", "expected"),
    [
        ({"arp_requests": 96}, "arp_frames_per_host", 24.0),
        ({"arp_requests": 3}, "arp_frames_per_host", 0.75),
        ({"arp_requests": 0}, "arp_frames_per_host", 0.0),
        ({"work_cpu_s": 1.5}, "work_cpu_s", 1.5),
        ({"switch_cpu_s": 0.0}, "switch_cpu_s", 0.0),
        ({"access_packets": 7}, "access_packets", 7),
        ({"spoofed_answers": 12}, "spoofed_answers", 12),
        ({"stolen": {SECOND: 5, THIRD: 1}}, "spoofed_locations", 2),
        ({"stolen": {SECOND: 5, THIRD: 1}}, "spoofed_share", pytest.approx(2 / 3)),
        ({"stolen": {SECOND: 5, THIRD: 1}}, "stolen_packets", 6),
        ({"stolen": {SECOND: 1, THIRD: 1, FOURTH: 1}}, "spoofed_share", 1.0),
        ({"stolen": {}}, "spoofed_share", 0.0),
        ({"stolen": {"198.18.0.99": 8}}, "spoofed_locations", 0),
        ({"stolen": {"198.18.0.99": 8, SECOND: 2}}, "stolen_packets", 2),
    ],
)
@pytest.mark.parametrize("mode", ["arp", "leasequery"])
def test_what_a_phase_measured_is_told_of_that_phase_alone(mode, measured, key, expected):
    """What came to the thief for an address that nobody has was nobody's to lose."""
    found = summary(measured, None) if mode == "arp" else summary(None, measured)
    quiet = summary()
    told, other = (key, f"leasequery_{key}") if mode == "arp" else (f"leasequery_{key}", key)
    assert found[told] == expected
    assert found[other] == quiet[other]


@pytest.mark.parametrize("reached", [(4, 4), (1, 4), (4, 0), (0, 0)])
def test_hosts_reached_and_queries_are_the_phases_own(reached):
    found = summary(reached=reached, queries=5)
    assert (found["reached"], found["leasequery_reached"]) == reached
    assert found["leasequery_queries_sent"] == 5


def test_the_verdict_without_a_thief_is_of_the_frames_alone():
    found = summary({"arp_requests": 90, "access_packets": 300}, {"access_packets": 120}, spoofer=False)
    assert found["verdict"] == (
        "each host had to process 22.5 ARP requests, 0.0 with leasequery; "
        "300 frames left the concentrator downstream, 120 with leasequery"
    )


@pytest.mark.parametrize(
    ("by_arp", "by_leasequery", "shares"),
    [
        ({SECOND: 3, THIRD: 2, FOURTH: 1}, {}, (100, 0)),
        ({SECOND: 3}, {}, (33, 0)),
        ({}, {}, (0, 0)),
        ({SECOND: 3, THIRD: 2}, {FOURTH: 9}, (67, 33)),
    ],
    ids=["all stolen", "one of three", "nothing", "unequal"],
)
def test_the_verdict_with_a_thief_has_its_shares(by_arp, by_leasequery, shares):
    found = summary({"stolen": by_arp}, {"stolen": by_leasequery})
    assert found["verdict"].endswith(
        f"; the thief got the traffic of {shares[0]} % of its neighbours, {shares[1]} % with leasequery"
    )
