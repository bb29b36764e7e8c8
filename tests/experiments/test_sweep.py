"""Sweeps: grids, going on after an interruption, failures apart. The runs are real and small."""

import json
import os
import shutil
import signal
import subprocess
import time

import pandas as pd
import pytest

from lq.errors import BadInput, RunFailed
from lq.experiments import sweep as sweeping
from lq.experiments.sweep import sweep
from lq.results.finished_sweep import Sweep, aggregate
from lq.sandbox.sealed_lab import LabError
from tests import support

QUICK = {"topology.modems": 1, "topology.hosts_per_modem": 1, "probes.warmup": 0.2, "reboot.settle": 0.1}
TWO = Sweep("reboot", {**QUICK, "reboot.timeout": 2}, {"concentrator.mode": ["leasequery", "glean-only"]})


def test_a_grid_is_every_combination_and_repeats_have_seeds_of_their_own():
    what = Sweep("reboot", {"seed": 7}, {"topology.modems": [1, 2], "probes.interval": [0.1, 0.2]}, repeats=3)
    points = what.points()
    assert len(points) == 12
    assert [p.name for p in points][:4] == ["0001-1", "0001-2", "0001-3", "0002-1"]
    assert {p.spec.seed for p in points if p.number == 4} == {7, 8, 9}
    assert points[-1].settings == {"topology.modems": 2, "probes.interval": 0.2}
    assert points[-1].spec.topology.modems == 2


def test_the_values_of_a_grid_are_those_of_the_specification():
    what = Sweep("reboot", {}, {"wan.rate": ["1e6", 1e7], "topology.modems": ["2"], "wan.delay": [0]})
    settings = [point.settings for point in what.points()]
    assert [each["wan.rate"] for each in settings] == [1e6, 1e7]
    assert {key: type(value) for key, value in settings[0].items()} == {
        "wan.rate": float,
        "topology.modems": int,
        "wan.delay": float,
    }


def test_a_key_is_either_swept_or_set():
    with pytest.raises(BadInput, match=r"wan\.delay"):
        Sweep("reboot", {"wan.delay": 1}, {"wan.delay": [0, 2]}).points()


@pytest.mark.parametrize(
    ("grid", "repeats", "complaint"),
    [
        ({"topology.modems": [0]}, 1, "topology.modems"),
        ({"nonsense": [1]}, 1, "nonsense"),
        ({"seed": [1, 2]}, 2, "seed"),
        ({"seed": [1]}, 0, "repeat"),
        ({"topology.": [1]}, 1, "topology."),
        ({"topology": [1]}, 1, "topology"),
    ],
)
def test_bad_grids_are_refused_before_anything_runs(grid, repeats, complaint, tmp_path):
    with pytest.raises(BadInput, match=complaint):
        sweep(Sweep("reboot", {}, grid, repeats), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(BadInput, match="not empty"):
        sweep(TWO, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("where", ["/dev/null/there", "no\0name"])
def test_a_directory_that_cannot_be_made_is_named_with_the_fix(where):
    with pytest.raises(BadInput, match=r"cannot write to .*; name a directory of yours"):
        sweep(Sweep("reboot", {}, {"wan.delay": [0]}), where)


@pytest.mark.lab
def test_a_sweep_goes_on_where_it_was_interrupted(tmp_path):
    directory = tmp_path / "sweep"
    told: list[tuple[str, int, int]] = []
    first = sweep(TWO, directory, progress=lambda *what: told.append(what))
    assert (told[0], told[-1]) == (("runs", 0, 2), ("runs", 2, 2))
    assert not first.failures
    assert list(first.table["concentrator.mode"]) == ["leasequery", "glean-only"]
    assert list(first.table["recovered"]) == [1, 0]
    assert list(first.table["queries_sent"]) == [1, 0]

    kept = (directory / "runs/0001-1/summary.json").stat().st_mtime_ns
    (directory / "runs/0002-1/summary.json").unlink()  # as if it had been killed in the middle
    again = sweep(TWO, directory)
    assert not again.failures
    assert (directory / "runs/0001-1/summary.json").stat().st_mtime_ns == kept
    assert list(again.table["recovered"]) == [1, 0]
    pd.testing.assert_frame_equal(pd.read_parquet(directory / "table.parquet"), again.table)
    done = support.run(sweep_command(directory, "--grid", "seed=1"))
    assert done.returncode == 2
    assert done.stderr == f"lq: {directory} holds another sweep: give --out a new directory\n"


def test_what_fails_is_kept_apart_and_tried_again(tmp_path, monkeypatch):
    def fail(spec, directory, progress, opened):
        directory.mkdir(parents=True)
        (directory / "trace").write_text("left by the failure")
        raise RunFailed("no such luck")

    monkeypatch.setattr(sweeping, "run", fail)
    directory = tmp_path / "sweep"
    done = sweep(TWO, directory)
    assert done.failures == {"0001-1": "no such luck", "0002-1": "no such luck"}
    assert len(done.table) == 0
    assert (directory / "failed/0002-1/trace").read_text() == "left by the failure"
    assert (directory / "failed/0002-1/error.txt").read_text() == "no such luck\n"
    assert not list((directory / "runs").iterdir())
    shutil.rmtree(directory / "failed/0001-1")
    assert set(sweep(TWO, directory).failures) == {"0001-1", "0002-1"}


@pytest.mark.parametrize(
    ("error", "line", "traceback"),
    [
        (LabError("no namespaces"), "no namespaces", False),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device", True),
        (ValueError("two\nlines"), "ValueError: two lines", True),
    ],
)
def test_whatever_fails_does_not_keep_the_others_from_running(tmp_path, monkeypatch, error, line, traceback):
    def fail_first(spec, directory, progress, opened):
        directory.mkdir(parents=True)
        if spec.concentrator.mode == "leasequery":
            raise error
        summary = {"recovered": 0, "outage_s": 1.0, "valid": True, "invalid_reasons": []}
        (directory / "summary.json").write_text(json.dumps(summary))

    monkeypatch.setattr(sweeping, "run", fail_first)
    done = sweep(TWO, tmp_path / "sweep", workers=1)
    assert done.failures == {"0001-1": line}
    assert list(done.table["point"]) == [2]
    written = (tmp_path / "sweep/failed/0001-1/error.txt").read_text()
    assert written.splitlines()[0] == line
    assert ("Traceback" in written and "fail_first" in written) is traceback


def test_what_concerns_every_point_ends_the_sweep(tmp_path, monkeypatch):
    begun = []

    def refuse(spec, directory, progress, opened):
        begun.append(directory.name)
        raise BadInput("not installed: ovs-vswitchd")

    monkeypatch.setattr(sweeping, "run", refuse)
    with pytest.raises(BadInput, match="ovs-vswitchd"):
        sweep(TWO, tmp_path / "sweep", workers=1)
    assert begun[0] == "0001-1"
    assert not (tmp_path / "sweep/going").exists()
    assert not (tmp_path / "sweep/failed").exists()


def sweep_command(directory, *options):
    quick = [part for key, value in QUICK.items() for part in ("--set", f"{key}={value}")]
    return [*support.LQ, "sweep", "reboot", *options, *quick, "--out", str(directory), "--json"]


def test_a_key_given_twice_is_refused(tmp_path):
    done = support.run(sweep_command(tmp_path / "s", "--grid", "seed=1,2", "--grid", "seed=3"))
    assert done.returncode == 2
    assert done.stderr == "lq: --grid seed is given twice: write all its values into one --grid\n"
    assert not (tmp_path / "s").exists()


@pytest.mark.lab
def test_after_an_interrupt_nothing_goes_on_and_the_same_command_resumes(tmp_path):
    directory, mark = tmp_path / "sweep", f"LQ_TEST_MARK={tmp_path}"
    command = sweep_command(directory, "--grid", "wan.limit=1e2,2e2", "--workers", "1")
    environment = {**os.environ, "PYTHONPATH": str(support.ROOT), "LQ_TEST_MARK": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not (directory / "runs/0001-1/raw").exists():  # then the first lab opens
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == "lq: interrupted\n"
    assert support.descendants_marked(mark) == []
    assert [path.name for path in (directory / "runs").iterdir()] == ["0001-1"]
    assert not (directory / "runs/0001-1/summary.json").exists()
    assert {path.name for path in directory.iterdir()} == {"runs", "sweep.yaml"}

    done = support.run(command)
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(json.loads(done.stdout)["table"])
    assert list(table["wan.limit"]) == [100, 200]


def test_medians_over_repeats():
    table = pd.DataFrame(
        {"rate": [1, 1, 1, 2], "load": [3.0, 1.0, 2.0, None], "valid": [True, False, True, True]}
    )
    found = aggregate(table, ["rate"], "load")
    assert found["median"][0] == 2.0
    assert list(found["count"]) == [3, 0]
    assert list(found["invalid"]) == [1, 0]
