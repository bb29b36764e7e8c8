"""What a run's processes wrote down, made into tables and the summary."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from controllers.record import Recorder, read
from lq import plots
from lq.experiments.run import run
from lq.experiments.spec import load
from lq.results import record

ZERO = 100.0  # the reboot, on the monotonic clock
SENT = [("subscriber", "i8"), ("sequence", "i8"), ("due", "f8"), ("sent", "f8")]
RECEIVED = [("subscriber", "i8"), ("sequence", "i8"), ("received", "f8")]
ADDRESSES = {"host1": "198.18.0.16", "host2": "198.18.0.17"}
FIRST, SECOND = "198.19.1.2", "198.19.3.2"


def query(at, server, address="198.18.0.16", attempt=1):
    line = {"at": ZERO + at, "event": "query", "server": server, "address": address, "client": None}
    return line | {"form": "address", "attempt": attempt}


def answer(at, server, address="198.18.0.16", reply="active"):
    line = {"at": ZERO + at, "event": "answered", "address": address, "client": None, "server": server}
    return line | {"form": "address", "reply": reply, "rtt": 0.1, "attempts": 1}


def counters(at, packet_ins):
    return {"at": ZERO + at, "event": "counters", "controller": {"packet_ins": packet_ins}, "engine": {}}


def phase(name, start, ready, end):
    return {
        **{"name": name, "start": ZERO + start, "ready": ZERO + ready, "end": ZERO + end},
        **{"attacks": [], "delivered": None, "controller_memory": None},
        **dict.fromkeys(("server_cpu_s", "controller_cpu_s", "switch_cpu_s"), 0.0),
    }


def write(directory, lives, phases, back):
    """Write a run's raw files; return its result. `back`: when each host's probe arrived, NaN: never."""
    raw = directory / "raw"
    raw.mkdir()
    for number, lines in enumerate(lives):
        started = {"at": lines[0]["at"] if lines else ZERO - 1, "event": "started"}
        text = "".join(json.dumps(line) + "\n" for line in [started, *lines])
        (raw / f"controller-{number}.jsonl").write_text(text)
    sent = [(host, 0, ZERO + 1.0, ZERO + 1.0) for host in range(len(back))]
    np.save(raw / "sent-down.npy", np.array(sent, dtype=SENT))
    received = [(host, 0, ZERO + at) for host, at in enumerate(back) if np.isfinite(at)]
    np.save(raw / "received-down.npy", np.array(received, dtype=RECEIVED))
    return {
        **{"killed": ZERO, "ready": phases[0]["ready"], "addresses": ADDRESSES, "phases": phases},
        **{"server_cpu_s": 0.0, "controller_cpu_s": 0.0},
    }


def summary_of(directory, result, spec):
    tables = record.tabulate(directory, result)
    return record.summarize(spec, result, tables, record.controller_counters(directory))


def test_an_answer_is_that_of_the_server_that_was_asked(tmp_path):
    """The first is dead; the second answers about both addresses, and about one of them twice."""
    asked = [query(1.0, FIRST), query(1.0, SECOND), query(1.1, SECOND, "198.18.0.17"), query(2.0, FIRST)]
    answers = [answer(1.2, SECOND), answer(1.3, SECOND, "198.18.0.17", "known"), answer(9.0, FIRST)]
    result = write(tmp_path, [[], [*asked, *answers]], [phase("reboot", 0, 0.5, 20)], [1.5, 1.5])
    queries = record.tabulate(tmp_path, result)["queries"]
    found = queries.round(6).set_index(["at", "server"])[["answered", "reply"]]
    assert tuple(found.loc[(1.0, SECOND)]) == (1.2, "active")
    assert tuple(found.loc[(1.1, SECOND)]) == (1.3, "known")
    assert list(found.xs(FIRST, level="server")["answered"]) == [9.0, 9.0]


def test_counters_are_those_of_the_controller_that_served_the_first_phase(tmp_path):
    """Each wrote several lines, the second one until it was killed; the events have none of them."""
    lives = [
        [counters(-5, 3), counters(-1, 7)],
        [{"at": ZERO + 0.5, "event": "ready"}, counters(1, 11), counters(2, 13)],
        [{"at": ZERO + 5.5, "event": "ready"}, counters(6, 1000)],
    ]
    result = write(tmp_path, lives, [phase("one", 0, 0.5, 5), phase("two", 5, 5.5, 10)], [1.5, 6.0])
    assert summary_of(tmp_path, result, load("arp", {}))["packet_ins"] == 13
    events = record.tabulate(tmp_path, result)["events"]
    assert "counters" not in set(events["event"])
    assert {"controller", "engine"}.isdisjoint(events.columns)


def test_a_controller_that_was_killed_before_it_counted_has_no_counters(tmp_path):
    result = write(tmp_path, [[counters(-1, 7)], []], [phase("reboot", 0, 0.5, 5)], [1.5, 1.5])
    assert summary_of(tmp_path, result, load("reboot", {}))["packet_ins"] == 0


def test_the_summary_is_about_the_first_phase(tmp_path):
    lives = [[], [query(1.0, FIRST), query(2.0, FIRST, attempt=2), query(7.0, FIRST), answer(7.1, FIRST)]]
    result = write(tmp_path, lives, [phase("one", 0, 0.5, 4), phase("two", 5, 5.5, 10)], [1.5, 6.0])
    summary = summary_of(tmp_path, result, load("arp", {}))
    assert (summary["queries_sent"], summary["queries_resent"], summary["replies_active"]) == (1, 1, 0)
    assert summary["queries_per_s"] == 2 / 4


def test_without_a_reboot_nobody_recovers(tmp_path):
    result = write(tmp_path, [[]], [phase("attack", 0, 0, 5)], [1.5, np.nan])
    summary = summary_of(tmp_path, result, load("backoff", {"backoff.heard": True}))
    assert summary["outage_s"] == 0
    keys = ("recovered", "recovery_p50_s", "recovery_p99_s", "recovery_max_s")
    assert [summary[key] for key in keys] == [None] * 4
    tables = record.tabulate(tmp_path, result)
    assert not record.rebooted(tables["phases"]).any()
    assert record.recovery_windows(tables["probes"], tables["phases"]) == []


def test_counters_are_written_when_they_changed_and_once_a_second(tmp_path):
    recorder, counts = Recorder(tmp_path / "record.jsonl"), Counter()
    for at, packet_ins in ((9.0, 0), (10.0, 1), (10.5, 2), (11.2, 3), (15.0, 3), (15.1, 4)):
        counts += Counter(packet_ins=packet_ins - counts["packet_ins"])
        recorder.counters(at, counts, Counter())
    recorder.flush()
    lines = [json.loads(line) for line in recorder.path.read_text().splitlines()]
    assert [(line["at"], line["controller"]["packet_ins"]) for line in lines] == [
        (10.0, 1),
        (11.2, 3),
        (15.1, 4),
    ]
    assert {line["event"] for line in lines} == {"counters"}


@pytest.mark.lab
def test_two_reboots_and_what_is_told_of_the_first(tmp_path):
    """By ARP without a thief, then by leasequery: the first controller is killed, and leaves its counts."""
    settings = {"probes.warmup": 0.2, "arp.duration": 2.5, "arp.spoofer": False}
    played = run(
        load("arp", {**settings, "topology.modems": 1, "topology.hosts_per_modem": 2}), tmp_path / "run"
    )
    lives = played.manifest["counters"]
    assert len(lives) == 3
    assert all(life["controller"]["packet_ins"] > 0 for life in lives)
    assert [life["engine"].get("queries_sent", 0) for life in lives] == [0, 0, 2]
    assert played.summary["packet_ins"] == lives[1]["controller"]["packet_ins"]
    assert played.summary["queries_sent"] == 0
    end = played.table("phases")["end"].iloc[0]
    assert plots.reachable(played).index[-1] + played.summary["outage_s"] < end
    assert {path.stem for path in plots.save(played)} >= {"recovery", "sequence"}
    assert isinstance(played.first_phase("events"), pd.DataFrame)
    assert played.first_phase("events")["generation"].max() == 1


def test_a_line_that_a_kill_has_cut_short_does_not_count(tmp_path):
    path = tmp_path / "controller-0.jsonl"
    path.write_text('{"at":1.0,"event":"ready"}\n{"at":2.0,"eve')
    assert read(path) == [{"at": 1.0, "event": "ready"}]
    path.write_text("")
    assert read(path) == []
