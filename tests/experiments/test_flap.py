"""Several reboots in a row: each is a phase, and what they cost adds up."""

from __future__ import annotations

import pandas as pd
import pytest

from lq.errors import BadInput
from lq.experiments.run import run
from lq.experiments.spec import load
from lq.results.evidence import Evidence
from lq.scenarios.flap import SCENARIO
from tests import support


@pytest.mark.parametrize(
    "settings", [{"flap.reboots": 1}, {"flap.reboots": 101}, {"flap.interval": 0}, {"flap.interval": 601}]
)
def test_what_cannot_be_is_refused(settings):
    [name] = settings
    with pytest.raises(BadInput, match=name):
        load("flap", settings)


def evidence(tmp_path, received: dict[str, list[float]]) -> Evidence:
    """Two reboots, at 0 and 10, each ready a second later; a probe each half second to each host."""
    phases = [
        {"phase": "reboot 1", "start": 0.0, "ready": 1.0, "end": 10.0},
        {"phase": "reboot 2", "start": 10.0, "ready": 11.0, "end": 20.0},
    ]
    probes = [
        {"subscriber": name, "direction": "down", "due": due, "sent": due, "received": due if came else None}
        for name, (first, second) in received.items()
        for due in (number / 2 for number in range(40))
        for came in [first <= due < 10 or second <= due]
    ]
    counts = {"subscribers": len(received), "subscriber_queries": 3, "queries_resent": 2}
    tables = {
        "phases": pd.DataFrame([{**phase, **counts} for phase in phases]),
        "probes": pd.DataFrame(probes).astype({"received": float}),
    }
    return Evidence(tmp_path, {"killed": 0.0}, tables)


def test_outages_and_queries_add_up(tmp_path):
    """One is back after 2 s and 3 s, one after 4 s twice, one not after the first, and 5 s after the next."""
    spec = load("flap")
    came = {"host1": [2.0, 13.0], "host2": [4.0, 14.0], "host3": [10.0, 15.0]}
    found = SCENARIO.further_keys(spec, evidence(tmp_path, came))
    assert list(found) == [key.name for key in SCENARIO.keys]
    assert found["reboots"] == 2
    assert found["queries_per_subscriber_all"] == 2.0
    assert found["queries_resent_all"] == 4
    assert (found["outage_sum_p50_s"], found["outage_sum_max_s"]) == (8.0, 15.0)
    assert found["cut_short_share"] == pytest.approx(1 / 3)
    assert "33 % were not back before the next reboot" in found["verdict"]


@pytest.mark.lab
def test_each_reboot_is_a_phase(tmp_path):
    settings = {"flap.reboots": 3, "flap.interval": 2.0 * support.SLOWER, "probes.warmup": 0.2}
    finished = run(load("flap", settings), tmp_path / "run")
    phases = finished.table("phases")
    assert list(phases["phase"]) == ["reboot 1", "reboot 2", "reboot 3"]
    assert (phases["ready"] > phases["start"]).all()
    assert (phases["reached"] == 3).all()
    summary = finished.summary
    assert summary["queries_per_subscriber_all"] == 3.0
    assert summary["cut_short_share"] == 0.0
    assert summary["outage_sum_max_s"] >= (phases["ready"] - phases["start"]).sum()
