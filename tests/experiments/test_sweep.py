"""Sweeps: grids, going on after an interruption, failures apart. The runs are real and small."""

import shutil

import pandas as pd
import pytest

from lq.errors import BadInput, RunFailed
from lq.experiments import sweep as sweeping
from lq.experiments.sweep import Sweep, aggregate, sweep

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


@pytest.mark.parametrize(
    ("grid", "repeats", "complaint"),
    [
        ({"topology.modems": [0]}, 1, "topology.modems"),
        ({"nonsense": [1]}, 1, "nonsense"),
        ({"seed": [1, 2]}, 2, "seed"),
        ({"seed": [1]}, 0, "repeat"),
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
    assert (directory / "runs/0001-1/summary.json").stat().st_mtime_ns == kept
    assert list(again.table["recovered"]) == [1, 0]
    pd.testing.assert_frame_equal(pd.read_parquet(directory / "table.parquet"), again.table)
    with pytest.raises(BadInput, match="another sweep"):
        sweep(Sweep("reboot", QUICK, TWO.grid), directory)


def test_what_fails_is_kept_apart_and_tried_again(tmp_path, monkeypatch):
    def fail(spec, directory):
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


def test_medians_over_repeats():
    table = pd.DataFrame(
        {"rate": [1, 1, 1, 2], "load": [3.0, 1.0, 2.0, None], "valid": [True, False, True, True]}
    )
    found = aggregate(table, ["rate"], "load")
    assert found["median"][0] == 2.0
    assert list(found["count"]) == [3, 0]
    assert list(found["invalid"]) == [1, 0]
