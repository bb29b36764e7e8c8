"""A subscriber that floods with DHCP: who else gets a lease, with the limits and without."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lq.errors import BadInput
from lq.experiments.run import run
from lq.experiments.spec import load
from lq.plots import lease_curve
from lq.results.evidence import Evidence
from lq.results.finished_run import Run
from lq.scenarios import starve

QUICK = {
    "probes.warmup": 0.2,
    "starve.duration": 6,
    "starve.clients": 3,
    "starve.pool": 100,
    "starve.rate": 500,
}


def play(directory, **settings) -> Run:
    chosen = {name.replace("__", "."): value for name, value in settings.items()}
    return run(load("starve", {**QUICK, **chosen}), directory / "run")


@pytest.mark.lab
@pytest.mark.parametrize(
    ("topology", "floods"), [("cable", ["discover", "request"]), ("dsl", ["decline", "inform"])]
)
def test_by_default_every_newcomer_gets_a_lease_and_memory_is_bounded(tmp_path, topology, floods):
    """Each figure bears half of the floods, as each flood takes ten seconds: they differ in circuits only."""
    finished = play(tmp_path, topology__figure=topology, starve__floods=floods)
    summary, table = finished.summary, finished.table("clients")
    assert summary["clients"] == len(table) == 3 * len(finished.spec.starve.phases)
    assert (summary["clients_served"], summary["clients_starving"]) == (1.0, 0), table.to_string()
    assert summary["leasequery_unanswered"] == 0
    for process in ("server", "controller"):
        assert 0 < summary[f"{process}_memory_before"] <= summary[f"{process}_memory_bound"]
        assert summary[f"{process}_memory_max"] <= summary[f"{process}_memory_bound"]
    phases = [f"{flood} {who}" for flood in floods for who in ("one", "many")]
    assert list(finished.table("phases")["phase"]) == [name for name in phases if name != "inform many"]
    assert lease_curve(finished).axes[0].get_legend()


@pytest.mark.lab
def test_without_the_limits_one_subscriber_takes_all_that_there_is(tmp_path):
    finished = play(tmp_path, starve__defences=False, starve__identities="many")
    summary, table = finished.summary, finished.table("clients")
    served = table.assign(served=table["leased"].notna()).groupby("phase")["served"].sum()
    assert served["request many"] == 0
    assert summary["clients_starving"] >= 3
    assert summary["clients_served"] == served.sum() / 12 <= 0.75
    assert "3 in request many" in summary["verdict"]


def test_the_limits_go_together_unless_one_is_set_by_itself():
    off = load("starve", {"starve.defences": False, "server.leases_per_client": 5})
    assert (off.concentrator.circuit_messages, off.server.leases_per_circuit) == (0, 0)
    assert off.server.leases_per_client == 5
    assert load("starve", {}).server.leases_per_client == 8


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"topology.population": True}, "topology.population=false"),
        ({"topology.modems": 5}, "topology.modems"),
        ({"server.count": 2}, "server.count=1"),
        ({"server.kind": "dnsmasq"}, "server.kind=builtin"),
        ({"starve.floods": "rain"}, "starve.floods"),
        ({"starve.rate": 1e9}, "starve.rate"),
    ],
)
def test_what_cannot_be_flooded_is_one_line(settings, word):
    with pytest.raises(BadInput) as refused:
        load("starve", settings)
    assert "\n" not in str(refused.value)
    assert word in str(refused.value)


def test_who_was_served_is_counted_and_waits_are_of_those(tmp_path):
    clients = [
        {"phase": "discover one", "client": "host5", "started": 11.0, "leased": 11.5},
        {"phase": "discover one", "client": "host6", "started": 12.0, "leased": 13.5},
        {"phase": "request one", "client": "host7", "started": 20.0, "leased": None},
    ]
    spec, result = load("starve", {}), {"killed": 10.0, "clients": clients}
    table = starve.SCENARIO.further_tables(spec, Evidence(tmp_path, result, {}))["clients"]
    assert table["started"].tolist() == [1.0, 2.0, 10.0]
    queries = pd.DataFrame(
        {
            "address": ["a", "a", "b", "between"],
            "at": [1.0, 2.0, 1.0, 11.5],
            "answered": [2.5, 2.5, np.nan, 19.0],
        }
    )
    memory = [("server", -1.0, 5), ("server", 1.0, 9), ("server", 2.0, 7), ("controller", 1.0, 3)]
    load_table = pd.DataFrame(memory, columns=["process", "at", "memory"])
    floods = pd.DataFrame(
        {"phase": ["discover one", "request one"], "start": [0.0, 12.0], "end": [11.0, 20.0]}
    )
    tables = {"clients": table, "queries": queries, "load": load_table, "phases": floods}
    found = starve.SCENARIO.further_keys(spec, Evidence(tmp_path, result, tables))
    assert list(found) == [key.name for key in starve.SCENARIO.keys]
    assert list(table) == [column.name for column in starve.CLIENTS]
    assert (found["clients"], found["clients_starving"]) == (3, 1)
    assert found["clients_served"] == pytest.approx(2 / 3)
    assert (found["lease_wait_p50_s"], found["lease_wait_max_s"]) == (1.0, 1.5)
    assert (found["leasequery_p99_s"], found["leasequery_unanswered"]) == (1.5, 1)
    assert [found[f"server_memory_{key}"] for key in ("before", "after", "max")] == [5, 7, 9]
    assert found["server_memory_bound"] == 5 + starve.SERVER_GROWTH
    assert "2 of 3 newcomers got a lease (without: 1 in request one)" in found["verdict"]
