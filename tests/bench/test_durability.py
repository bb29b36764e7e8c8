"""The durability benchmark at a small size, and that it can tell what is lost."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address

import pytest

from lq.bench import durability
from lq.bench.durability import Flips, missing, run
from lq.bench.leaseholders import Leaseholder
from lq.bench.server import SMALL_NETWORK
from lq.server import log_file
from lq.server.rows import Reader
from lq.server.storage import Storage


@pytest.mark.lab
def test_nothing_is_lost_and_damage_is_noticed():
    told = []
    result = run(flips=40, kills=3, tell=lambda *progress: told.append(progress))
    log, lost, refused = result["cases"]
    for each in (result, log, lost, refused):
        assert {"name", "unit", "ours", "peer", "peer_name", "ratio", "goal"} <= set(each)
        assert (each["ours"], each["limit"], each["met"]) == (0, 0, True)
    for each in (result, log):
        assert sum(each["counts"].values()) == sum(each["peer_counts"].values()) == each["flips"] == 40
        assert each["counts"]["noticed"] > 0
        assert each["peer_name"] == "SQLite alone"
    assert log["peer"] > 20  # SQLite alone takes a log up to its first bad frame
    assert (lost["kills"], lost["more_kills"]) == (3, 2)
    assert lost["acknowledged"] >= 3
    assert refused["refusals"] == []
    for what, total in (("database flips", 40), ("log flips", 40), ("kills", 3)):
        assert (what, 0, total) in told
        assert (what, total, total) in told


def test_flips_of_the_same_seed_are_the_same(tmp_path):
    found = [Flips(tmp_path, bindings=50, commits=5, seed=3).judge("file", 20) for _ in range(2)]
    assert found[0] == found[1]


def test_it_would_see_what_passes_unnoticed(tmp_path, monkeypatch):
    """With no checksum that counts, the same flips change bindings silently."""

    def binding(reader, row):
        reader.count += 1
        reader.total += row[12]
        return reader._binding(row)

    flips = Flips(tmp_path, bindings=200, commits=3)
    assert flips.judge("file", 60)["silent"] == 0
    monkeypatch.setattr(Reader, "binding", binding)
    assert flips.judge("file", 60)["silent"] > 0


def test_it_would_see_a_log_that_is_believed(tmp_path, monkeypatch):
    flips = Flips(tmp_path, bindings=200, commits=10)
    assert flips.judge("log", 30)["silent"] == 0
    monkeypatch.setattr(log_file, "check", lambda path: path.exists())
    assert flips.judge("log", 30)["silent"] > 0


def test_it_would_see_a_lease_that_is_lost(tmp_path):
    given = {
        IPv4Address("198.18.1.0") + number: Leaseholder(number, SMALL_NETWORK[1]).chaddr
        for number in range(3)
    }
    with contextlib.closing(Storage(tmp_path / "b")) as storage:
        storage.commit([durability._lease(0, 0.0), durability._lease(1, 0.0)])
    assert missing(tmp_path / "b", given, tmp_path / "copy") == {IPv4Address("198.18.1.2")}
    given[IPv4Address("198.18.1.1")] = bytes(6)  # another has it now
    assert len(missing(tmp_path / "b", given, tmp_path / "copy")) == 2
