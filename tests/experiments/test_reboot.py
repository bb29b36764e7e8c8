"""`lq run reboot` as an ordinary user: the network, the reboot, the recovery, and everything written down."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pandas as pd
import pytest
import yaml

from lq import reports
from lq.experiments.spec import Spec
from tests import support
from tests.experiments.playing import Played, play

pytestmark = pytest.mark.lab

KEYS = [
    "scenario",
    "topology",
    "backend",
    "server",
    "controller",
    "seed",
    "subscribers",
    "recovered",
    "recovery_p50_s",
    "recovery_p99_s",
    "recovery_max_s",
    "outage_s",
    "queries_sent",
    "queries_resent",
    "queries_per_address",
    "replies_active",
    "replies_known",
    "replies_unknown",
    "replies_unimplemented",
    "packet_ins",
    "probes_sent",
    "probes_delivered",
    "server_cpu_s",
    "controller_cpu_s",
    "valid",
    "invalid_reasons",
    "run_dir",
]


@pytest.fixture(scope="module")
def figure() -> Played:
    return play(figures=True)


@pytest.fixture(scope="module")
def glean_only() -> Played:
    return play("--set", "concentrator.mode=glean-only", "--set", "reboot.timeout=4")


@pytest.mark.kernel
@pytest.mark.requirement("R7-5")
def test_everybody_is_back_after_one_query_each(figure):
    summary = figure.summary
    assert summary["recovered"] == summary["subscribers"] == 3
    assert summary["queries_sent"] == summary["replies_active"] == 3
    assert summary["queries_per_address"] == 1.0
    assert summary["queries_resent"] == 0
    assert 0 < summary["recovery_p50_s"] <= summary["recovery_p99_s"] <= summary["recovery_max_s"] < 10


def test_without_leasequery_nobody_is_back(glean_only):
    """R4.3-1: what was gleaned did not survive."""
    assert glean_only.summary["subscribers"] == 3
    assert glean_only.summary["recovered"] == 0
    assert glean_only.summary["recovery_max_s"] is None
    assert glean_only.summary["queries_sent"] == 0
    assert glean_only.summary["probes_sent"] > 100
    assert glean_only.summary["probes_delivered"] == 0
    assert glean_only.tshark("dhcp.option.dhcp == 10", "frame.number") == []


def test_before_the_reboot_gleaning_was_enough(figure, glean_only):
    """Asked was only whether an address that a client requests is another's (R1-5): it was nobody's yet."""
    for played in (figure, glean_only):
        probes = played.run.table("probes")
        before = probes[(probes["sent"] < -0.1) & (probes["sent"] > probes["sent"].min() + 0.2)]
        assert len(before) > 10
        assert before["received"].notna().all()
        events = played.run.table("events")
        gleaned = events[(events["generation"] == 0) & (events["event"] == "permit")]
        assert gleaned["address"].nunique() == 3
        answers = events[(events["generation"] == 0) & (events["event"] == "answered")].to_dict("records")
        assert [answer["reply"] for answer in answers] == (["known"] * 3 if played is figure else [])


def test_the_summary_has_its_keys_and_agrees_with_the_files(figure):
    assert set(KEYS) <= set(figure.summary)
    assert figure.summary == figure.run.summary
    assert figure.summary["valid"] is (not figure.summary["invalid_reasons"])
    assert len(figure.run.recovery.dropna()) == 3
    assert figure.run.recovery.max() == pytest.approx(figure.summary["recovery_max_s"])
    assert yaml.safe_load((figure.run.directory / "spec.yaml").read_text())["topology"]["figure"] == "cable"
    assert figure.run.spec == Spec()
    manifest = figure.run.manifest
    assert manifest["versions"]["ryu"] == "4.34"
    assert manifest["fidelity"]["udp_drops"] == manifest["fidelity"]["capture_drops"] == 0
    watched = {"server", "starting controller", "controller", "switch"}
    assert set(manifest["fidelity"]["processes"]) == watched


@pytest.mark.kernel
def test_the_tables_tell_the_story_in_order(figure):
    queries, events, probes = (figure.run.table(name) for name in ("queries", "events", "probes"))
    outage = figure.summary["outage_s"]
    assert (queries["at"] >= outage - 0.1).all()
    assert (queries["answered"] > queries["at"]).all()
    assert (queries["reply"] == "active").all()
    assert (queries["attempt"] == 1).all()
    again = events[(events["generation"] == 1) & (events["event"] == "permit")]
    first = probes[probes["received"] > outage].groupby("address")["received"].min()
    for address, query in queries.set_index("address").iterrows():
        permitted = again.loc[again["address"] == address, "at"].min()
        assert query["at"] < query["answered"] <= permitted < first[address]
    # Nothing passes while there is no controller.
    assert not probes["received"].between(0.2, outage - 0.1).any()


@pytest.mark.kernel
def test_the_capture_decodes_without_complaint(figure):
    messages = figure.tshark("udp.port == 67", "dhcp.option.dhcp")
    kinds = pd.Series([kind for (kind,) in messages]).value_counts()
    assert kinds.to_dict() == {"1": 3, "2": 3, "3": 3, "5": 3, "10": 6, "11": 3, "13": 3}
    assert figure.tshark("_ws.malformed", "frame.number") == []
    severe = figure.tshark("_ws.expert.severity >= 0x600000", "_ws.expert.message")  # warning, error
    assert severe == []


@pytest.mark.requirement("R6.2-1")
@pytest.mark.requirement("R6.2-2")
@pytest.mark.requirement("R6.2-4")
def test_the_queries_on_the_wire(figure):
    fields = ("ip.src", "ip.dst", "dhcp.ip.relay", "dhcp.ip.client", "dhcp.hw.len", "dhcp.hw.type")
    fields += ("dhcp.hw.addr", "dhcp.option.type", "dhcp.option.request_list_item", "udp.length")
    queries = figure.tshark("dhcp.option.dhcp == 10", *fields)
    addresses = set(figure.run.table("queries")["address"])
    assert len(queries) == 6  # whose each address is: before its lease nobody's, and after the reboot
    assert {query[3] for query in queries[:3]} == {query[3] for query in queries[3:]} == addresses
    for source, destination, giaddr, _, hlen, htype, chaddr, options, requested, length in queries:
        assert (source, destination, giaddr) == ("198.18.0.1", "198.19.1.2", "198.18.0.1")
        assert (int(hlen), int(htype, 0), chaddr) == (0, 0, "")
        assert "61" not in options.split(",")
        assert {"51", "82"} <= set(requested.split(","))
        assert int(length) >= 308


def test_the_switch_refused_nothing(figure, glean_only):
    for played in (figure, glean_only):
        assert "switch_error" not in set(played.run.table("events")["event"])


def test_the_figures_are_drawn(figure):
    drawn = {
        path.suffix for path in (figure.run.directory / "figures").iterdir() if path.stat().st_size > 1000
    }
    assert drawn == {".png", ".svg"}


def test_a_larger_cable():
    summary = play("--modems", "8", "--hosts-per-modem", "3").summary
    assert summary["recovered"] == summary["subscribers"] == 24
    assert summary["queries_per_address"] == 1.0
    assert summary["queries_resent"] == 0


def test_a_specification_file_repeats_a_run(figure):
    """The spec.yaml of a run is itself a specification."""
    home = support.private_directory()
    path = home / "spec.yaml"
    path.write_text((figure.run.directory / "spec.yaml").read_text())
    path.chmod(0o644)
    command = [*support.LQ, "run", str(path), "--json", "--out", str(home / "run")]
    done = support.run(support.as_ordinary_user(command), home=home)
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    same = ("subscribers", "recovered", "queries_sent", "queries_resent", "replies_active", "seed")
    assert {key: again[key] for key in same} == {key: figure.summary[key] for key in same}
    assert Path(again["run_dir"]) == home / "run"


def test_a_real_run_has_a_report_and_can_be_compared(figure, glean_only, tmp_path):
    """In its report is what came of it and no path of this machine, be the run valid or not."""
    runs = [figure.run, glean_only.run]
    page = reports.write([runs[0].directory], tmp_path / "report.html").read_text()
    assert page.count("<svg") == 5
    assert "3 of 3 subscribers came back after the reboot" in page
    assert "<pre>lq run reboot</pre>" in page
    private = [str(Path.home()), str(support.ROOT), str(runs[0].directory.parent), socket.gethostname()]
    if runs[0].summary["valid"]:  # reasons may quote anything
        assert [text for text in private if len(text) > 3 and text in page] == []
    found = reports.compare([run.directory for run in runs])
    assert set(found.settings) == {"concentrator.mode", "reboot.timeout"}
    assert found.numbers["recovered"] == [3.0, 0.0]
    assert {path.name for path in found.save(tmp_path / "out")} >= {"recovery.svg", "comparison.html"}
