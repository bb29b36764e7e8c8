"""Leases of a minute, past their ends: no packet is lost though no renewal is gleaned (R4.3-1)."""

from __future__ import annotations

import pytest

from tests.experiments.playing import play

pytestmark = pytest.mark.lab
LEASE = 60


@pytest.mark.requirement("R4.3-1")
def test_no_probe_is_lost_when_the_leases_that_were_known_at_the_reboot_have_ended():
    played = play("--set", f"server.lease_time={LEASE}", "--set", f"reboot.settle={LEASE + 2}")
    summary, table = played.summary, played.run.table
    assert summary["recovered"] == summary["subscribers"] == 3
    assert summary["queries_sent"] == summary["replies_active"] == 3, "refreshing is counted by itself"
    assert summary["queries_per_address"] == 1.0
    assert summary["queries_refresh"] >= 3
    queries, events, probes = table("queries"), table("events"), table("probes")
    refresh = queries[queries["refresh"]]
    first = queries[~queries["refresh"]].groupby("address")["at"].min()
    assert set(refresh["address"]) == set(first.index)
    assert (refresh["reply"] == "active").all()
    assert table("phases")["queries_refresh"].iloc[0] == len(refresh)
    # Each of them outlived the end that the first answer told of, without an interruption.
    latest = probes.groupby("address")["received"].max()
    assert (latest > first + LEASE).all()
    assert "withdraw" not in set(events[events["at"] > 0]["event"])
    back = summary["outage_s"] + summary["recovery_max_s"]
    assert probes[probes["sent"] > back]["received"].notna().all()
