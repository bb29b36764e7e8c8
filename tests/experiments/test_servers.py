"""The built-in server and ISC dhcpd under the same reboot."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from lq.errors import BadInput
from lq.experiments import comparison
from lq.experiments.provenance import provenance
from lq.experiments.run import run
from lq.experiments.spec import load
from lq.results.finished_run import Run
from lq.sandbox.tools import find
from lq.scenarios import servers
from tests import support

KINDS = tuple(servers.SCENARIO.comparison.variants)
BOTH = ("recovery", "queries", "packets", "delivered")  # figures that show both runs


@pytest.mark.lab
@pytest.mark.skipif(find("dhcpd") is None, reason="ISC dhcpd is not installed")
def test_both_answer_every_query_of_the_same_reboot(tmp_path):
    finished = run(load("servers", {"probes.warmup": 0.2, "reboot.settle": 0.2}), tmp_path / "run")
    table = pd.read_parquet(finished.directory / "servers.parquet").set_index("server")
    assert list(table.index) == ["builtin", "dhcpd"]
    assert (table["recovered"] == 3).all()
    assert (table["replies_active"] == 3).all()
    assert (table["queries_per_address"] == 1.0).all()
    summary = finished.summary
    assert summary["scenario"] == "servers"
    assert summary["dhcpd_recovered"] == summary["recovered"] == 3
    assert summary["dhcpd_recovery_max_s"] == table.loc["dhcpd", "recovery_max_s"]
    inside = {kind: Run(finished.directory / kind) for kind in KINDS}
    assert summary["recovery_max_s"] == inside["builtin"].summary["recovery_max_s"]
    assert len(finished.table("probes")) == len(inside["builtin"].table("probes"))
    assert inside["dhcpd"].spec == finished.spec.model_copy(
        update={"scenario": "reboot", "server": inside["dhcpd"].spec.server}
    )
    manifest = finished.manifest
    assert manifest["fidelity"]["valid"] == summary["valid"]
    assert manifest["fidelity"]["reasons"] == summary["invalid_reasons"]
    assert manifest["servers"].keys() == manifest["counters"].keys() == set(KINDS)
    for kind, each in inside.items():
        assert manifest["fidelity"][kind] == each.manifest["fidelity"]

    done = support.run([*support.LQ, "plot", str(finished.directory)])
    assert done.returncode == 0, done.stderr
    figures = {path.stem: path.read_text() for path in finished.directory.glob("figures/*.svg")}
    assert all(kind in figures[name] for kind in KINDS for name in BOTH)
    assert {"sequence-builtin", "sequence-dhcpd"} | set(BOTH) == figures.keys()


def test_one_manifest_for_both_says_what_either_lacks():
    runs = {
        kind: {
            **{"kernel": "6", "servers": {kind: version}, "counters": {"queries": 3}},
            "fidelity": {"valid": valid, "reasons": [] if valid else ["late"], "udp_drops": 0},
        }
        for kind, version, valid in (("builtin", "0.1", True), ("dhcpd", "4.4.3-P1", False))
    }
    both = comparison.put_together(runs, ["dhcpd: late"])
    assert both["servers"] == {"builtin": "0.1", "dhcpd": "4.4.3-P1"}
    assert both["kernel"] == "6"
    assert both["fidelity"] == {
        "valid": False,
        "reasons": ["dhcpd: late"],
        "builtin": runs["builtin"]["fidelity"],
        "dhcpd": runs["dhcpd"]["fidelity"],
    }


@pytest.mark.parametrize("kind", ["builtin", "dhcpd", "dnsmasq"])
def test_the_manifest_names_the_programs_that_take_part(kind):
    found = provenance(load("reboot", {"server.kind": kind}))
    [(name, version)] = found["servers"].items()
    assert name == kind
    if kind == "builtin" or find(kind):
        assert re.fullmatch(r"\d+(\.\d+)+(-P\d+)?", version)
    else:
        assert version is None
    assert re.fullmatch(r"\d+(\.\d+)+", found["versions"]["scapy"])
    assert "Open vSwitch" in found["datapath_meaning"]
    assert re.fullmatch(r"\d+(\.\d+)+", found["clients"]["udhcpc (BusyBox)"])
    assert provenance(load("reboot", {"topology.population": True}))["clients"] == {}


def test_without_the_peer_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(servers, "find", lambda _: None)
    with pytest.raises(BadInput, match="apt-get install") as caught:
        run(load("servers", {}), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_scenarios_are_offered():
    done = support.run([*support.LQ, "run", "nothing"])
    assert done.returncode == 2
    for name in ("backoff", "failover", "arp", "servers"):
        assert name in done.stderr
