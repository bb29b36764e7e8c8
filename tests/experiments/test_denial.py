"""Attacks on the real network: what they make the concentrator ask, with and without its defences."""

import json

import pandas as pd
import pytest

from lq.experiments.run import run
from lq.experiments.spec import load
from lq.results import phases
from lq.results.finished_run import Run
from lq.scenarios import claim
from tests import support

pytestmark = pytest.mark.lab
SECONDS = 4 * support.SLOWER  # a controller has to come up meanwhile
QUICK = {"probes.warmup": 0.2, "attack.duration": SECONDS, "attack.rate": 1000, "attack.addresses": 300}


def play(directory, scenario, **settings):
    spec = load(scenario, {**QUICK, **{name.replace("__", "."): value for name, value in settings.items()}})
    return run(spec, directory / "run")


@pytest.mark.kernel
@pytest.mark.requirement("R7-3")
@pytest.mark.requirement("R7-5")
def test_a_scan_within_the_range_costs_one_query_for_each_address(tmp_path):
    summary = play(tmp_path, "dos").summary
    assert summary["recovered"] == summary["subscribers"] == 3
    assert summary["attack_packets"] == 1000 * SECONDS
    assert summary["attack_addresses"] == 300
    assert summary["queries_per_subscriber"] == 1.0
    assert summary["inside_queries"] == 297  # each address of the cycle but the subscribers' own
    assert summary["inside_queries_most"] == 1
    assert 3 <= summary["attack_delivered"] <= 1000 * SECONDS / 300 * 3 + 3  # the subscribers' own addresses
    assert summary["packet_ins"] < 1000  # once refused, the switch drops them
    assert summary["negative_entries"] == 297


@pytest.mark.requirement("R7-3")
def test_without_the_negative_cache_the_same_address_is_asked_about_again_and_again(tmp_path):
    summary = play(tmp_path, "dos", concentrator__negative_cache=False).summary
    assert summary["recovered"] == 3
    assert summary["inside_queries_most"] > 1  # with it at most one; how many more is the machine's speed
    assert summary["inside_queries"] > 297
    assert summary["negative_entries"] == 0


@pytest.mark.requirement("R6.5-2")
def test_once_the_negative_time_is_over_it_is_asked_again(tmp_path):
    """A query when the attack begins, and one for each negative time that it lasts."""
    duration, known_time, addresses = 3, 0.5, 197
    settings = {"attack__duration": duration, "attack__rate": 4000, "attack__addresses": addresses + 3}
    finished = play(
        tmp_path, "dos", attack__during_reboot=False, concentrator__known_time=known_time, **settings
    )
    expected, summary = duration / known_time + 1, finished.summary
    assert 0.5 * expected < summary["inside_queries"] / addresses <= expected
    assert summary["inside_queries_most"] <= expected
    queries = finished.table("queries")
    apart = queries[queries["attempt"] == 1].groupby("address")["at"].diff().dropna()
    assert apart.min() >= known_time
    [report] = finished.manifest["fidelity"]["attacks"]
    assert report["packets"] == summary["attack_packets"]
    assert report["rate"] == 4000


@pytest.mark.requirement("R6.2-7")
@pytest.mark.requirement("R7-4")
@pytest.mark.parametrize("restriction", [True, False])
def test_the_ciaddr_restriction_decides_about_addresses_out_of_range(tmp_path, restriction):
    finished = play(
        tmp_path, "dos", attack__pattern="out-of-range", concentrator__ciaddr_restriction=restriction
    )
    summary = finished.summary
    assert summary["recovered"] == 3
    assert summary["queries_per_subscriber"] == 1.0
    assert (summary["outside_queries"], summary["replies_unknown"]) == ((0, 0) if restriction else (300, 300))
    assert summary["negative_entries"] == (0 if restriction else 300)
    if restriction:
        assert summary["packet_ins"] < 20


@pytest.mark.requirement("R1-5")
def test_an_infected_host_does_not_use_up_the_queries_of_others(tmp_path):
    limited = play(tmp_path / "limited", "dos", attack__kind="spoof", concentrator__circuit_queries=50)
    free = play(tmp_path / "free", "dos", attack__kind="spoof", concentrator__circuit_queries=0)
    for finished in (limited, free):
        assert finished.summary["recovered"] == 3
        assert finished.summary["queries_per_subscriber"] == 1.0
        assert finished.summary["attack_delivered"] == 0
    assert limited.summary["inside_queries"] <= 50
    assert free.summary["inside_queries"] == 297


def test_an_attack_alone_leaves_the_concentrator_running(tmp_path):
    finished = play(tmp_path, "dos", attack__during_reboot=False)
    assert finished.table("events")["generation"].max() == 0
    assert finished.summary["outage_s"] == 0.0
    assert finished.summary["queries_per_subscriber"] == 0.0
    assert finished.summary["inside_queries_most"] == 1


@pytest.mark.requirement("R7-5")
@pytest.mark.parametrize("topology", [pytest.param("cable", marks=pytest.mark.kernel), "dsl"])
def test_the_claim_of_the_draft(tmp_path, topology):
    """On a busy machine the attack may be over before the concentrator is back; then again, and longer."""
    for seconds in (3, 15, 60):
        out = tmp_path / f"claim-{seconds}"
        settings = ["--set", f"attack.duration={seconds * support.SLOWER}", "--set", "attack.addresses=200"]
        settings += ["--set", "probes.warmup=0.2"]
        command = [
            *support.LQ,
            "run",
            "claim",
            "--topology",
            topology,
            "--json",
            "--out",
            str(out),
            *settings,
        ]
        done = support.run(command)
        assert done.returncode == 0, done.stderr
        if "raise attack.duration" not in done.stdout:
            break
    summary = json.loads(done.stdout)
    assert summary["claim_holds"], summary["verdict"]
    assert summary["queries_per_subscriber"] == 1.0
    assert summary["outside_queries"] == 0
    assert summary["inside_queries_most"] == 1
    assert summary["undefended_queries_per_subscriber"] == 1.0
    assert summary["undefended_outside_queries"] > 0
    assert summary["undefended_inside_queries_most"] > 1  # how often, is a matter of time
    assert list(Run(out).table("phases")["phase"]) == ["defended", "undefended"]


def test_the_negative_cache_is_counted_at_the_end_of_a_phase():
    """Monotonic times are 100 more than those since the reboot."""
    events = pd.DataFrame(
        [
            {"generation": 0, "at": -5.0, "event": "refuse", "address": "198.18.0.20", "until": 900.0},
            {"generation": 1, "at": 1.0, "event": "refuse", "address": "198.18.0.21", "until": 104.0},
            {"generation": 1, "at": 1.0, "event": "refuse", "address": "198.18.0.22", "until": 900.0},
            {"generation": 1, "at": 2.0, "event": "permit", "address": "198.18.0.22"},
            {"generation": 1, "at": 2.0, "event": "refuse", "address": "198.18.0.23", "until": 103.0},
            {"generation": 1, "at": 3.5, "event": "refuse", "address": "198.18.0.23", "until": 113.5},
            {"generation": 1, "at": 6.0, "event": "refuse", "address": "198.18.0.24", "until": 900.0},
        ]
    )
    assert phases.negative_entries(events, 100.0, 3.0) == 1  # 21
    assert phases.negative_entries(events, 100.0, 5.0) == 1  # 23
    assert phases.negative_entries(events, 100.0, 7.0) == 2  # 23, 24
    assert phases.negative_entries(events.drop(columns="until"), 100.0, 7.0) == 0


def good() -> pd.DataFrame:
    row = {
        **{"start": 0.0, "end": 10.0, "subscribers": 3, "addressed": 3},
        **{"reached": 3, "queries_per_subscriber": 1.0},
        **{"outside_queries": 0, "inside_queries": 5, "inside_queries_most": 1, "queries_sent": 8},
    }
    return pd.DataFrame([{"phase": name, **row} for name in ("defended", "undefended")])


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [
        ("reached", 2, "1 subscribers did not come back"),
        ("queries_per_subscriber", 1.5, "1.50 queries for each"),
        ("outside_queries", 1, "1 queries about addresses outside"),
        ("inside_queries_most", 2, "2 queries about one address"),
    ],
)
def test_the_verdict_says_what_breaks_the_claim(column, value, word):
    table = good()
    assert claim.judge(load("claim", {}), table.to_dict("records"))["claim_holds"]
    table[column] = table[column].astype(float if isinstance(value, float) else int)
    table.loc[0, column] = value
    judged = claim.judge(load("claim", {}), table.to_dict("records"))
    assert not judged["claim_holds"]
    assert word in judged["verdict"]
