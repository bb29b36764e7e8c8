"""A sweep through a dask scheduler: a worker process on the loopback runs the labs."""

import json

import pandas as pd
import pytest

from tests import support

distributed = pytest.importorskip("distributed", reason="needs dask: the extra `cluster`")
pytestmark = pytest.mark.lab
GRID = ["--grid", "concentrator.mode=leasequery,glean-only"]
QUICK = ["topology.modems=1", "topology.hosts_per_modem=1", "probes.warmup=0.2", "reboot.settle=0.1"]
SETTINGS = [part for setting in (*QUICK, "reboot.timeout=2") for part in ("--set", setting)]


def test_a_scheduler_s_workers_run_the_sweep(tmp_path):
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=tmp_path,
    ) as cluster:
        out = ["--out", str(tmp_path / "sweep"), "--json"]
        command = [*support.LQ, "sweep", "reboot", *GRID, *SETTINGS, *out]
        done = support.run([*command, "--scheduler", cluster.scheduler_address])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"] == 2
    table = pd.read_parquet(tmp_path / "sweep" / "table.parquet")
    assert list(table["recovered"]) == [1, 0]


def test_where_no_scheduler_answers_one_line_says_so(tmp_path):
    command = [*support.LQ, "sweep", "reboot", *GRID, "--out", str(tmp_path / "sweep")]
    done = support.run([*command, "--scheduler", "tcp://127.0.0.1:9"])
    assert done.returncode == 2
    assert "no scheduler answers" in done.stderr.splitlines()[-1]
