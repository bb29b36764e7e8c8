"""Probes by a schedule, in both directions; subscribers that get none; a slow server under them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lq.emulation.schedule import popularity, schedule
from lq.experiments.spec import load
from lq.results import record
from tests.experiments.playing import play

PATTERNS = ["steady", "poisson", "zipf"]


# -- the schedule


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_seed_alone_makes_the_schedule(pattern):
    first, again, other, up = (
        schedule(pattern, 50, 0.1, 20, seed=seed, direction=direction)
        for seed, direction in ((1, "down"), (1, "down"), (2, "down"), (1, "up"))
    )
    assert (first == again).all()
    assert ((first != other).any(), (first != up).any()) == ((pattern != "steady"),) * 2


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_keeps_the_rate_and_the_order_of_time(pattern):
    rows = schedule(pattern, 20, 0.1, 100)
    assert len(rows) == 20_000
    assert (np.diff(rows["due"]) >= 0).all()
    assert rows["due"][-1] == pytest.approx(100, rel=0.05)
    assert set(rows["subscriber"]) == set(range(20))


def test_steady_is_each_in_turn():
    rows = schedule("steady", 4, 0.2, 2)
    assert list(rows["subscriber"]) == [0, 1, 2, 3] * 10
    np.testing.assert_allclose(np.diff(rows["due"]), 0.05)


def test_poisson_is_without_memory():
    rows = schedule("poisson", 10, 0.1, 500)
    gaps = np.diff(rows["due"][rows["subscriber"] == 3])
    assert gaps.mean() == pytest.approx(0.1, rel=0.1)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_zipf_has_its_shares(exponent):
    rows = schedule("zipf", 30, 0.01, 100, exponent, seed=5)
    shares = np.bincount(rows["subscriber"], minlength=30) / len(rows)
    np.testing.assert_allclose(shares, popularity(30, exponent, 5), atol=0.005)
    ranked = np.sort(popularity(30, exponent, 5))[::-1]
    np.testing.assert_allclose(ranked * np.arange(1, 31) ** exponent, ranked[0])


# -- who is back


def probes(*rows):
    table = pd.DataFrame(rows, columns=["subscriber", "direction", "sent", "received"])
    return table.assign(due=table["sent"])


def test_a_subscriber_without_probes_is_neither_back_nor_away():
    found = record.recovery_times(
        probes(
            ("back", "down", 1.1, np.nan), ("back", "down", 1.3, 1.4), ("away", "down", 1.2, np.nan),
            ("silent", "down", 0.5, np.nan), ("under way", "down", 0.9, 1.05),
        ),
        ready=1.0,
    )  # fmt: skip
    assert dict(found.dropna()) == pytest.approx({"back": 0.4, "under way": 0.05})
    assert set(found.index) == {"back", "away", "under way"}


def test_with_probes_both_ways_it_takes_both():
    found = record.recovery_times(
        probes(
            ("both", "down", 1.1, 1.2), ("both", "up", 1.1, 1.5), ("half", "down", 1.1, 1.2),
            ("half", "up", 1.1, np.nan), ("one way", "up", 1.1, 1.3),
        ),
        ready=1.0,
    )  # fmt: skip
    assert dict(found.dropna()) == pytest.approx({"both": 0.5, "one way": 0.3})
    assert set(found.index) == {"both", "half", "one way"}


def test_there_is_one_pace_for_both_directions_together():
    for direction, interval in (("down", 2.0), ("up", 2.0), ("both", 4.0)):
        many = {"topology.population": True, "topology.modems": 10_000, "probes.direction": direction}
        assert load("reboot", many).probe_interval == interval


# -- on real packets


@pytest.mark.lab
@pytest.mark.requirement("R1-5")
def test_upstream_first_the_concentrator_asks_about_the_source():
    played = play("--set", "probes.direction=up")
    summary, table = played.summary, played.run.table("probes")
    assert summary["recovered"] == summary["subscribers"] == summary["queries_sent"] == 3
    assert set(table["direction"]) == {"up"}
    asked = played.run.table("queries").set_index("address")
    back = played.run.recovery + summary["outage_s"]
    addresses = table.groupby("subscriber")["address"].first()
    for subscriber, at in back.items():
        assert asked.loc[addresses[subscriber], "answered"] < at
    assert not table["received"].between(0.2, summary["outage_s"] - 0.1).any()


@pytest.mark.lab
@pytest.mark.requirement("R5-7")
def test_hosts_that_speak_first_may_be_asked_about_by_their_mac_address():
    played = play("--set", "probes.direction=up", "--set", "concentrator.ask_by=mac-upstream")
    summary, run = played.summary, played.run
    assert summary["recovered"] == summary["queries_sent"] == 3
    assert summary["queries_per_address"] == 1.0
    queries = run.table("queries")
    by_mac = queries[queries["form"] == "mac"]
    assert len(by_mac) == 2  # the first query finds out whether the server supports leasequery, by IP address
    assert by_mac["address"].isna().all()
    assert set(by_mac["client"]) < {f"02:0a:00:00:00:0{number}" for number in (1, 2, 3)}
    assert (by_mac["reply"] == "active").all()
    assert (by_mac["answered"] - by_mac["at"]).between(0, 1).all()


@pytest.mark.lab
def test_random_moments_both_ways():
    played = play("--set", "probes.direction=both", "--set", "probes.pattern=poisson")
    summary, table = played.summary, played.run.table("probes")
    assert summary["recovered"] == summary["queries_sent"] == 3
    for direction in ("down", "up"):
        flow = table[table["direction"] == direction]
        wanted = schedule("poisson", 3, 0.05, 60, seed=1, direction=direction)[: len(flow)]
        np.testing.assert_allclose(np.diff(flow["due"]), np.diff(wanted["due"]), atol=1e-6)
        assert (flow["received"].dropna() > flow["sent"][flow["received"].notna()]).all()


@pytest.mark.lab
def test_some_subscribers_of_a_population_have_nothing_to_send():
    options = {"topology.population": True, "probes.direction": "up", "probes.pattern": "zipf"}
    options |= {"probes.interval": 5, "probes.exponent": 2, "reboot.timeout": 2}
    given = [part for key, value in options.items() for part in ("--set", f"{key}={value}")]
    played = play("--modems", "10", "--hosts-per-modem", "2", *given)
    summary, table = played.summary, played.run.table("probes")
    since = table[table["sent"] >= summary["outage_s"]]
    assert summary["subscribers"] == 20
    assert summary["unaddressed"] == 20 - since["subscriber"].nunique() > 0
    assert summary["recovered"] == 20 - summary["unaddressed"] == summary["queries_sent"]


@pytest.mark.lab
def test_behind_a_slow_server_recovery_takes_as_long_as_it_has_to_answer_all():
    """The n-th subscriber is back when the server has had the time for n answers."""
    takes, count = 0.05, 12
    options = ("--set", "topology.population=true", "--set", f"server.service_time={takes}")
    played = play("--modems", "4", "--hosts-per-modem", str(count // 4), *options)
    assert played.summary["recovered"] == count
    back = np.sort(played.run.recovery)
    assert (back >= takes * np.arange(1, count + 1) - 0.005).all(), back
    # It answers one after the other, as the wire sees it, too.
    answers = [float(at) for (at,) in played.tshark("dhcp.option.dhcp == 13", "frame.time_epoch")]
    assert len(answers) == count
    assert np.diff(answers).mean() > 0.9 * takes
