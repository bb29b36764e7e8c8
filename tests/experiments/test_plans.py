"""Plans of programs in the lab, and their reports: what is written is read again, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

import pytest

from lq.emulation.programs import flood, hijacker, neighbours, probes
from lq.sandbox import plans
from tests import support

FLOOD = flood.FloodPlan(
    interface="eth0",
    rate=100.0,
    maximum_packets=5,
    seed=1,
    source_mac=bytes(6),
    next_hop_mac=bytes.fromhex("02c000000002"),
    address=IPv4Address("198.19.2.2"),
    kind="scan",
    pattern="hit-list",
    first=IPv4Address("198.18.0.16"),
    last=IPv4Address("198.18.0.20"),
    outside=IPv4Address("198.19.128.1"),
    listed=(IPv4Address("198.18.0.17"),),
    report_file=Path("/run/report.json"),
)
FORGED = hijacker.Forged(trial=3, frames={"198.19.1.2": b"\x01\xff"})
PLANS = [
    FLOOD,
    hijacker.ForgeryPlan(
        interface="eth0", rows=((-1, b"ab", 0), (2, b"", 5)), rounds=2, every=1, wait=True, seed=2**63 - 1
    ),
    hijacker.OnPathPlan(interface="eth0", queries={"198.18.0.16": FORGED}, requests={7: FORGED}),
    hijacker.TapPlan(interface="eth0", victims={"198.18.0.16": b"\x02" * 6}, answers=(11, 13)),
    hijacker.TapReport(stolen=(("198.18.0.16", 1.5),), disclosed={"198.18.0.16": 1}),
    hijacker.OnPathReport(sent={-1: 2, 4: 1}),
    neighbours.CountPlan(pids={"host1": 17}),
    neighbours.SpoofReport(answers=2, stolen={}),
    probes.SinkPlan(latest_file=Path("a"), received_file=Path("b"), pids=(1, 2)),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: type(plan).__name__)
def test_what_is_written_is_read_again(plan, tmp_path):
    plans.save(plan, tmp_path / "plan.json")
    assert plans.load(type(plan), tmp_path / "plan.json") == plan


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rate": "fast"}, "rate: 'fast' is no float"),
        ({"rate": True}, "rate: True is no float"),
        ({"maximum_packets": 1.5}, "maximum_packets: 1.5 is no int"),
        ({"kind": "smurf"}, "kind: 'smurf' is no"),
        ({"first": "198.18.0"}, "first: Expected 4 octets"),
        ({"source_mac": "xy"}, "source_mac: non-hexadecimal"),
        ({"listed": ["198.18.0.17", 5]}, r"listed\[1\]: 5 is no IPv4Address"),
        ({"listed": None}, "listed: None is no"),
        ({"further": 1}, "there is no field 'further'"),
    ],
)
def test_a_field_that_is_wrong_is_named(changes, told, tmp_path):
    path = tmp_path / "plan.json"
    plans.save(FLOOD, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=told) as error:
        plans.load(flood.FloodPlan, path)
    assert "\n" not in str(error.value)


@dataclass
class Kinds:
    """Kinds of fields that no plan has together."""

    optional: float | None
    pair: tuple[int, str]
    word: Literal["a", "b"] = "a"


def test_none_and_pairs():
    assert plans.checked(Kinds, {"optional": None, "pair": [1, "x"]}, "it") == Kinds(None, (1, "x"))
    assert plans.checked(Kinds, {"optional": 2, "pair": [1, "x"], "word": "b"}, "it").optional == 2.0
    for wrong in ([1], [1, "x", 2], ["x", 1], "1x"):
        with pytest.raises(ValueError, match="pair"):
            plans.checked(Kinds, {"optional": None, "pair": wrong}, "it")


def test_a_program_with_a_wrong_plan_ends_with_one_line(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text('{"interface": 5}')
    command = [sys.executable, "-m", "lq.emulation.programs.flood", str(path)]
    done = subprocess.run(command, cwd=support.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["plan.json: rate is missing"]
