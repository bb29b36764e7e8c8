"""The server benchmark at a small size: that it measures, not what."""

import os
import subprocess
import time
import uuid

import pytest

from lq.bench.cases import case
from lq.bench.server import run
from lq.sandbox.tools import find
from tests import support


@pytest.mark.lab
@pytest.mark.alone
def test_the_benchmark_compares_all_servers_on_the_same_load():
    result = run(rounds=1, queries=2000, leases=50, large=False)
    wanted = {"name", "unit", "ours", "peer", "peer_name", "ratio", "goal"}
    assert wanted | {"cases", "ceiling"} <= set(result)
    assert [each["name"] for each in result["cases"]] == [
        "query by hardware",
        "query by client-id",
        "leases granted",
    ]
    for each in [result, *result["cases"]]:
        assert wanted <= set(each)
        assert each["ours"] > 0
        for sample in each["samples"] + each.get("peer_samples", []):
            assert set(sample["types"]) <= {"active", "ack"}
            assert sample["lost"] == 0
    if find("dhcpd") is not None:
        assert result["peer_name"] == "ISC dhcpd"
        assert result["ratio"] == pytest.approx(result["ours"] / result["peer"])


@pytest.mark.lab
def test_a_killed_benchmark_leaves_no_process(tmp_path):
    value = str(uuid.uuid4())
    process = subprocess.Popen(
        [*support.LQ, "bench", "server", "--quick", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(support.ROOT), "LQ_MARK": value},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while len(support.descendants_marked(value)) < 6:  # ours, the lab's two, the hosts, the servers
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    while left := support.descendants_marked(value):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]  # what it was writing stays there


def test_ratios_above_one_are_better():
    fast, slow = {"rate": 20.0, "rate_per_cpu_s": 30.0}, {"rate": 10.0, "rate_per_cpu_s": 10.0}
    both = case("a", "answers/s", [fast], [slow], 3.0, "other")
    assert (both["ratio"], both["cpu_ratio"], both["peer_name"]) == (2.0, 3.0, "other")
    assert case("b", "s", 2.0, 4.0, None, "other")["ratio"] == 2.0
    alone = case("c", "answers/s", [fast], [], 3.0, "other")
    assert (alone["ours"], alone["peer"], alone["ratio"], alone["peer_name"]) == (20.0, None, None, None)
