"""The built-in server and ISC dhcpd under the same reboot."""

from __future__ import annotations

import pandas as pd
import pytest

from lq.errors import BadInput
from lq.experiments import comparison
from lq.experiments.run import Run, run
from lq.experiments.spec import load
from lq.sandbox.tools import find
from tests import support


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
    inside = {kind: Run(finished.directory / kind) for kind in comparison.KINDS}
    assert summary["recovery_max_s"] == inside["builtin"].summary["recovery_max_s"]
    assert len(finished.table("probes")) == len(inside["builtin"].table("probes"))
    assert inside["dhcpd"].spec == finished.spec.model_copy(
        update={"scenario": "reboot", "server": inside["dhcpd"].spec.server}
    )


def test_without_the_peer_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "find", lambda _: None)
    with pytest.raises(BadInput, match="apt-get install") as caught:
        run(load("servers", {}), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_scenarios_are_offered():
    done = support.run([*support.LQ, "run", "nothing"])
    assert done.returncode == 2
    for name in ("backoff", "failover", "arp", "servers"):
        assert name in done.stderr
