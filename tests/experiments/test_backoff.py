"""A server that does not answer: what reaches its interface stays within the bounds of section 6.6."""

from __future__ import annotations

import json
import subprocess
from ipaddress import IPv4Address

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from lq.experiments.spec import load
from lq.results import messages
from lq.results.finished_run import Run
from lq.sandbox.tools import find
from lq.scenarios import backoff
from lq.wire import Message, frames
from tests import support
from topologies import plan

WATCHED = 75  # seconds of real time
RUNS = {
    "dead": ["--set", f"backoff.duration={WATCHED}"],
    "dnsmasq": ["--server", "dnsmasq", "--set", "backoff.server=silent"]
    + ["--set", f"backoff.duration={WATCHED}"],
    "slow": ["--topology", "dsl", "--set", "backoff.server=slow", "--set", "backoff.duration=40"],
    "heard": ["--set", "backoff.heard=true", "--set", "backoff.server=returning"]
    + ["--set", "backoff.after=14", "--set", "backoff.duration=25", "--set", "wan.duplication=0.3"],
}


@pytest.fixture(scope="module")
def played(request, tmp_path_factory):
    """Return a function that waits for one of the runs: all are started at once, each in a lab of its own.

    Those of the tests that were chosen, that is.
    """
    directory = tmp_path_factory.mktemp("backoff")
    chosen = {
        item.callspec.params.get("name")
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    }
    started = {
        name: subprocess.Popen(
            [
                *support.LQ,
                "run",
                "backoff",
                "--json",
                "--no-figures",
                "--out",
                str(directory / name),
                *options,
            ],
            cwd=support.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, options in RUNS.items()
        if name in chosen and (name != "dnsmasq" or find("dnsmasq"))
    }

    def wait(name: str):
        if name not in started:
            pytest.skip(f"{name} is not installed")
        output, errors = started[name].communicate(timeout=WATCHED + 120)
        assert started[name].returncode == 0, errors
        return json.loads(output), Run(directory / name)

    yield wait
    for process in started.values():
        process.kill()


@pytest.mark.lab
@pytest.mark.requirement("R6.6-4")
@pytest.mark.requirement("R6.6-5")
@pytest.mark.requirement("R6.6-6")
@pytest.mark.parametrize("name", ["heard"])
def test_a_server_that_was_heard_gets_one_window_with_its_back_off_and_then_a_poll(played, name):
    summary, run = played(name)
    assert summary["within_bounds"], summary["verdict"]
    assert summary["burst_addresses"] == 100  # the window
    assert summary["burst_packets"] == 400  # each at 0, 1, 3 and 7 s
    assert summary["polls"] == 1  # 10 s after the last of these; it is back by then, and answers
    assert 9.75 < summary["smallest_gap_s"] < 11
    asked = run.table("queries")
    table = run.table("wire")
    since = table[table["at"] >= 0]
    answers = since[since["type"].isin(["active", "known", "unknown"])]
    assert answers["xid"].nunique() == 197  # all that waited, once it is back: 200 less the subscribers' own
    assert summary["wire_answers"] > 197  # a copy of a query has an answer of its own
    queries = since[since["type"] == "leasequery"]
    assert len(queries[~queries["duplicate"]]) == summary["wire_packets"] == len(asked)
    assert queries["duplicate"].sum() == summary["wire_duplicates"] > 100


@pytest.mark.lab
@pytest.mark.kernel
@pytest.mark.requirement("R6.6-2")
@pytest.mark.parametrize("name", ["slow"])
def test_a_slow_server_is_not_pressed_before_its_first_answer_and_used_after_it(played, name):
    summary, _ = played(name)
    assert summary["within_bounds"], summary["verdict"]
    assert summary["polls"] == 2  # at 0 and 10 s, and the first answer comes after 12 s
    assert summary["recovered"] == 3
    assert summary["recovery_max_s"] > 12
    assert summary["wire_answers"] > 100


@pytest.mark.lab
@pytest.mark.requirement("R6.6-2")
@pytest.mark.requirement("R6.6-3")
@pytest.mark.parametrize("name", ["dead", "dnsmasq"])
def test_a_server_that_never_answers_gets_four_packets_in_the_first_75_seconds(played, name):
    """Whatever there is to ask: at 0, 10, 30 and 70 s."""
    summary, run = played(name)
    assert summary["within_bounds"], summary["verdict"]
    assert summary["judged_s"] >= WATCHED
    assert summary["wire_packets"] == summary["polls"] == 4
    assert summary["smallest_gap_s"] > 9.99
    assert summary["largest_gap_s"] < 41
    assert summary["wire_answers"] == 0
    assert summary["queries_sent"] + summary["queries_resent"] == 4  # so says the controller, too
    table = run.table("wire")
    assert (table.loc[table["type"] == "leasequery", "sent_by"] == "others").all()
    assert summary["recovered"] == 0
    assert summary["demand_packets"] > 100 * WATCHED * 0.9  # there was much to ask about


# -- what was on the wire


def datagram(identification: int, xid: int, source: str = "198.18.0.1") -> bytes:
    """Return a frame with a query."""
    message = Message(xid=xid, ciaddr=IPv4Address("198.18.0.20"), options={53: b"\x0a"})
    packet = bytearray(frames.udp_packet((IPv4Address(source), 67), (plan.SERVER, 67), message.encode()))
    packet[4:6] = identification.to_bytes(2, "big")
    return frames.ethernet(bytes(6), bytes(6), (), frames.ETHERTYPE_IPV4, bytes(packet))


@pytest.mark.requirement("R6.6-5")
def test_a_copy_made_on_the_way_is_told_from_a_query_that_is_sent_again(tmp_path):
    sent = [datagram(7, 1), datagram(8, 1), datagram(7, 1), datagram(9, 2), datagram(9, 3), datagram(8, 1)]
    sent += [datagram(0, 4), datagram(0, 4)]  # without an identification nobody can tell
    wrpcap(str(tmp_path / "server.pcap"), [Ether(frame) for frame in sent], nano=True)
    table = messages.tabulate(tmp_path, {"killed": 0.0, "clock": 0.0})
    assert list(table["duplicate"]) == [False, False, True, False, False, True, False, False]
    assert list(table["type"]) == ["leasequery"] * len(sent)


def test_the_way_may_bring_packets_nearer_to_each_other_than_they_were_sent():
    """By what a reordered one gains on one that was delayed; no way excuses more."""
    for settings, gap, faults in (
        ({}, 9.7, 1),
        ({"wan.delay": 0.5}, 9.7, 1),
        ({"wan.delay": 0.5, "wan.reordering": 0.1}, 9.3, 0),
        ({"wan.delay": 0.5, "wan.jitter": 0.2}, 9.4, 0),
        ({"wan.delay": 0.5, "wan.reordering": 0.1}, 9.2, 1),
    ):
        spec = load("backoff", settings)
        found = backoff.judge(spec, backoff.Backoff(), [0.0, gap], ["198.18.0.20"] * 2, 0.0, 20.0)
        assert len(found.faults) == faults, (settings, gap)


# -- the judge


def judge(times, addresses=None, heard=False, until=120.0):
    spec, options = load("backoff", {}), backoff.Backoff(heard=heard)
    return backoff.judge(spec, options, times, addresses or ["198.18.0.20"] * len(times), 0.0, until)


def test_what_keeps_the_bounds():
    bounds = judge([0.0, 10.0, 30.0, 70.0])
    assert bounds.faults == []
    assert (bounds.polls, bounds.shortest, bounds.longest) == (4, 10.0, 50.0)


@pytest.mark.parametrize(
    ("times", "until", "word"),
    [
        ([0.0, 5.0, 20.0], 30.0, "sooner than 10 s"),
        ([0.0, 10.0], 71.0, "longer than 60 s"),
        ([61.0], 70.0, "longer than 60 s"),
        ([], 30.0, "no packet at all"),
    ],
)
def test_what_breaks_the_bounds_of_a_server_not_heard(times, until, word):
    assert word in ", ".join(judge(times, until=until).faults)


def test_what_breaks_the_bounds_of_a_server_that_was_heard():
    burst = [0.0, 1.0, 3.0, 7.0]
    assert judge([*burst, 17.0, 37.0], heard=True, until=40.0).faults == []
    assert "back-off" in judge([0.0, 1.0, 2.0, 17.0], heard=True, until=20.0).faults[0]
    assert "sooner" in judge([*burst, 12.0], heard=True, until=20.0).faults[0]
    many = [f"198.18.1.{number}" for number in range(101)]
    assert "window" in judge([0.01 * n for n in range(101)], many, heard=True, until=20.0).faults[0]
