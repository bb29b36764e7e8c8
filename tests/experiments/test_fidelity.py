"""Whether a run may be believed: the bounds, and a run that is starved on purpose."""

from __future__ import annotations

import os
import subprocess
import time

import pandas as pd
import pytest

from lq.bench.fidelity import sample, starving
from lq.emulation.processes import cpu_seconds, end, python
from lq.emulation.watch import Watch
from lq.results import validity

INTERVAL = 0.05


def observed(**changes):
    process = {"ran": 0.7, "waited": 0.1, "watched": 1.0, "turns": 50}
    healthy = {
        "seconds": 4.0, "clock_step_s": 0.0, "processes": {"switch": process}, "processors": 2,
        "stolen_s": 0.0, "udp_drops": 0, "upcall_drops": 0, "capture_drops": 0, "port_drops": 0,
    }  # fmt: skip
    return healthy | changes


def probes(late_at: range = range(0), late: float = 0.0, count: int = 2000):
    due = [number * INTERVAL for number in range(count)]
    return pd.DataFrame(
        {"due": due, "sent": [at + (late if n in late_at else 0.001) for n, at in enumerate(due)]}
    )


def judge(seen, sent=None, windows=()):
    return validity.judge(seen, probes() if sent is None else sent, INTERVAL, windows)


def test_a_healthy_run_is_valid():
    assert judge(observed(), windows=[(10.0, 10.2)]) == []


@pytest.mark.parametrize(
    ("ran", "waited", "watched", "turns", "valid"),
    [
        (0.7, 0.2, 1.0, 200, True),
        (0.7, 0.6, 1.0, 200, False),  # slowed by nearly a half
        (0.7, 0.6, 1.0, 5900, False),
        (0.7, 0.6, 1.0, 6100, True),  # by less than a tenth of a millisecond each time
        (0.7, 0.6, 20.0, 200, True),  # over so long that it changes little
        (0.02, 0.04, 4.0, 10, True),  # hardly ran
    ],
)
def test_waiting_counts_by_what_was_wanted(ran, waited, watched, turns, valid):
    process = {"ran": ran, "waited": waited, "watched": watched, "turns": turns}
    assert (judge(observed(processes={"switch": process})) == []) is valid


def test_late_probes_count_where_subscribers_recover():
    late = probes(range(1000, 1005), late=0.04)
    assert judge(observed(), late) == []  # few among many
    (reason,) = judge(observed(), late, [(50.0, 50.2)])
    assert "40 ms late" in reason
    assert "while subscribers recovered" in reason


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"clock_step_s": 0.1}, "clock"), ({"stolen_s": 1.0}, "took 12 %"), ({"udp_drops": 3}, "3 datagrams")],
)
def test_what_else_breaks_a_run(changes, word):
    (reason,) = judge(observed(**changes))
    assert word in reason


def attack(**changes):
    sent = {"rate": 1000.0, "packets": 10_000, "refused": 0, "started": 5.0, "ended": 15.0, "late": 0.005}
    return {"name": "attack", **sent, **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"packets": 9600}, []),
        ({"packets": 9400}, ["reached 940 of 1,000 packets a second"]),
        ({"ended": 16.0}, ["reached 909 of 1,000"]),  # all of them, but not in time
        ({"packets": 4000, "ended": 9.0}, []),  # told to stop
        ({"late": 0.2}, ["200 ms late"]),
        ({"packets": 9990, "refused": 10}, ["10 packets", "refused"]),
        ({"packets": 1, "ended": 5.0}, []),
        ({"outlast": 14.0}, []),
        ({"outlast": 17.0}, ["2.0 s before", "raise attack.duration"]),
    ],
)
def test_an_attack_must_be_what_it_is_said_to_be(changes, words):
    reasons = judge(observed(attacks=[attack(), attack(name="other", **changes)]))
    assert len(reasons) == bool(words)
    for word in [*words, "other"] if words else []:
        assert word in reasons[0]


def test_an_attack_without_a_report_is_none():
    (reason,) = judge(observed(attacks=[{"name": "defended-inside"}]))
    assert "defended-inside ended without a report" in reason


@pytest.mark.alone
def test_what_a_process_wanted_and_got_is_measured():
    """Three of them on one core: each runs for about a third of the time, and waits for the rest."""
    core = str(min(os.sched_getaffinity(0)))
    busy = [subprocess.Popen(python("lq.bench.busy", core, "30")) for _ in range(3)]
    watch = Watch()
    try:
        watch.start({"one": busy[0].pid})
        while busy_seconds(busy) < 1.0:
            time.sleep(0.01)
        seen = watch.finish([], "", []).processes["one"]
    finally:
        for process in busy:
            end(process)
    assert 0 < seen["ran"] < 0.7 * seen["watched"]
    assert seen["waited"] > 0.2 * seen["watched"]
    assert validity.Scheduled(**seen).starved


def busy_seconds(processes):
    return sum(cpu_seconds(process) for process in processes)


@pytest.mark.lab
@pytest.mark.alone
def test_starved_runs_are_flagged():
    with starving():
        starved = [sample(seed) for seed in (1, 2)]
    for each in starved:
        assert each["valid"] is False
        assert any("waited" in reason for reason in each["reasons"])
        assert each["processes"]["starting controller"]["waited"] > 0
