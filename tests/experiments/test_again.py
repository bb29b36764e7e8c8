"""A run that is asked for again takes a fresh directory or, with `reuse`, what there is; and interrupts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lq.errors import BadInput, RunFailed
from lq.experiments import directories, provenance, reuse
from lq.experiments import sweep as sweeping
from lq.experiments.run import prepare_directory, run
from lq.experiments.spec import load
from lq.experiments.sweep import sweep
from lq.progress import silent
from lq.results.finished_run import Run
from lq.results.finished_sweep import Finished, Sweep, plan_of
from tests import support

QUICK = {"topology.modems": 1, "topology.hosts_per_modem": 1, "probes.warmup": 0.2, "reboot.settle": 0.1}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with one finished run in `runs/first`, made there."""
    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        run(load("reboot", QUICK), Path("runs/first"), silent)
    return place


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """A copy of it to work in."""
    shutil.copytree(place, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.lab
def test_a_cell_that_is_run_again_takes_a_fresh_directory_and_leaves_the_first_alone(here):
    before = (here / "runs/first/summary.json").read_bytes()
    second = run(load("reboot", QUICK | {"reboot.timeout": 3}), "runs/first", silent)
    assert second.directory == here / "runs/first-2"
    assert second.spec.timeout == 3
    assert (here / "runs/first/summary.json").read_bytes() == before
    assert Run("runs/first").summary["recovered"] == second.summary["recovered"] == 1
    assert not (second.directory / directories.UNFINISHED).exists()


@pytest.mark.lab
def test_reuse_returns_the_finished_run_of_the_same_specification_and_says_so(here, capsys):
    found = run(load("reboot", QUICK), "runs/second", reuse=True)
    assert found.directory == Path("runs/first")
    assert capsys.readouterr().out.startswith("Not run again: taken from runs/first, finished 20")
    assert not (here / "runs/second").exists()


@pytest.mark.lab
def test_only_the_same_specification_by_the_same_code_is_taken(here):
    content = Path("runs/first/spec.yaml").read_bytes()
    assert reuse.find(content)[0] == Path("runs/first")
    assert reuse.find(content.replace(b"seed: 1", b"seed: 2")) is None
    manifest = json.loads(Path("runs/first/manifest.json").read_text())
    assert manifest["source"] == provenance.source()
    Path("runs/first/manifest.json").write_text(json.dumps(manifest | {"source": "0" * 16}))
    assert reuse.find(content) is None


@pytest.mark.lab
def test_a_valid_run_is_taken_before_a_newer_one_that_is_not(here):
    content = Path("runs/first/spec.yaml").read_bytes()
    for name, valid, age in (("old", True, 200), ("new", False, 100)):
        copy = here / "runs/notebook" / name
        shutil.copytree("runs/first", copy)
        summary = json.loads((copy / "summary.json").read_text())
        reasons = [] if valid else ["the machine was busy"]
        (copy / "summary.json").write_text(json.dumps(summary | {"valid": valid, "invalid_reasons": reasons}))
        os.utime(copy / "spec.yaml", (time.time() - age,) * 2)
    shutil.rmtree("runs/first")
    assert reuse.find(content)[0] == Path("runs/notebook/old")
    shutil.rmtree("runs/notebook/old")
    found, line = reuse.find(content)
    assert found == Path("runs/notebook/new")
    assert line.endswith(", which is not valid.")


@pytest.mark.lab
def test_what_is_damaged_or_unfinished_is_not_taken(here):
    content = Path("runs/first/spec.yaml").read_bytes()
    Path("runs/first", directories.UNFINISHED).write_text("It was interrupted.")
    assert reuse.find(content) is None
    with pytest.raises(BadInput, match="it was interrupted, or goes on"):
        Run("runs/first")
    Path("runs/first", directories.UNFINISHED).unlink()
    Path("runs/first/summary.json").write_text("{")
    assert reuse.find(content) is None
    shutil.rmtree("runs/first")
    os.mkfifo(Path("runs") / "spec.yaml")
    Path("runs/first").mkdir()
    os.mkfifo("runs/first/spec.yaml")
    assert reuse.find(content) is None


def test_the_search_looks_at_so_much_and_no_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(directories, "MOST_LOOKED_AT", 10)
    for number in range(30):
        Path("runs", str(number)).mkdir(parents=True)
        Path("runs", str(number), "spec.yaml").touch()
    assert len(directories.holding("spec.yaml")) == 10
    Path("runs/a/b/c/d").mkdir(parents=True)
    monkeypatch.setattr(directories, "MOST_LOOKED_AT", 1000)
    for deep in ("runs/a/b/c/spec.yaml", "runs/a/b/c/d/spec.yaml"):
        Path(deep).touch()
    assert Path("runs/a/b/c") in directories.holding("spec.yaml")
    assert Path("runs/a/b/c/d") not in directories.holding("spec.yaml")


def test_what_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        run(load("reboot", QUICK), tmp_path, silent)
    assert os.listdir(tmp_path) == ["precious"]


PROGRAM = """
from lq.experiments.run import run
from lq.experiments.spec import load
run(load("reboot", {"topology.modems": 1}), "runs/cell")
"""


@pytest.mark.lab
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_marked_and_the_cell_can_be_run_again(tmp_path, how):
    environment = {**os.environ, "PYTHONPATH": str(support.ROOT)}
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "runs/cell/logs/stage.log").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(how)
        process.wait()
    left = tmp_path / "runs/cell"
    said = (left / directories.UNFINISHED).read_text()
    assert "Its files are not complete." in said
    assert ("interrupted" in said) == (how == signal.SIGINT)
    assert not directories.finished(left)
    with pytest.raises(BadInput, match="it was interrupted, or goes on"):
        Run(left)
    assert prepare_directory(left, load("reboot", QUICK)) == tmp_path / "runs/cell-2"


def test_a_run_that_fails_says_why_in_its_directory(tmp_path):
    with pytest.raises(RunFailed), directories.unfinished(tmp_path):
        raise RunFailed("no lease for host3")
    assert "no lease for host3" in (tmp_path / directories.UNFINISHED).read_text()


@pytest.mark.lab
def test_a_sweep_that_is_edited_takes_a_fresh_directory_and_reuse_finds_it(here, capsys):
    what = Sweep("reboot", QUICK, {"concentrator.window": [1]})
    shutil.copytree("runs/first", "runs/cell/runs/0001-1")
    Path("runs/cell/sweep.yaml").write_bytes(plan_of(what.points()))
    first = sweep(what, "runs/cell", progress=silent)
    edited = Sweep("reboot", QUICK, {"concentrator.window": [2]})
    second = sweep(edited, "runs/cell", progress=silent)
    assert [first.directory, second.directory] == [Path("runs/cell"), Path("runs/cell-2")]
    written = (second.directory / "runs/0001-1/summary.json").stat().st_mtime_ns
    assert sweep(edited, "runs/cell", progress=silent).directory == second.directory
    assert sweep(edited, reuse=True, progress=silent).directory == second.directory
    assert capsys.readouterr().out == "Goes on with what there is in runs/cell-2.\n"
    assert (second.directory / "runs/0001-1/summary.json").stat().st_mtime_ns == written
    manifest = second.directory / "runs/0001-1/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"source": "another"}))
    assert sweeping._there(plan_of(edited.points())) is None


# -- marks on figures drawn by hand


def doubtful(directory, *reasons):
    directory.mkdir(parents=True)
    summary = {"valid": not reasons, "invalid_reasons": list(reasons), "outage_s": 1.0}
    (directory / "summary.json").write_text(json.dumps(summary))
    return Run(directory)


def words(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_a_valid_run_leaves_a_figure_as_it_is(tmp_path):
    figure = Figure()
    figure.subplots()
    assert doubtful(tmp_path / "good").mark(figure) is figure
    assert words(figure) == []


def test_figures_drawn_by_hand_are_marked_with_the_reasons_of_all_runs_in_them(tmp_path):
    figure = Figure()
    left, _ = figure.subplots(1, 2)
    doubtful(tmp_path / "with", "probes were late").mark(figure)
    doubtful(tmp_path / "without", "the switch starved", "a clock jumped").mark(left)
    reasons, *across = words(figure)
    assert reasons.splitlines() == [
        "not valid (with): probes were late",
        "not valid (without): the switch starved; a clock jumped",
    ]
    assert across == ["NOT VALID", "NOT VALID"]  # on both axes


def test_the_axes_that_pandas_and_pyplot_draw_can_be_marked_too(tmp_path):
    run = doubtful(tmp_path / "run", "probes were late")
    drawn = pd.Series([1, 2]).plot()
    assert run.mark(drawn) is drawn
    assert "not valid (run): probes were late" in words(drawn.figure)
    plt.close("all")
    with pytest.raises(BadInput, match="no axes yet"):
        run.mark(Figure())


def test_a_sweeps_mark_names_the_first_runs_and_counts_the_others():
    rows = [
        {"valid": n == 0, "invalid_reasons": f"reason {n}", "run_dir": f"runs/000{n}-1"} for n in range(6)
    ]
    figure = Figure()
    figure.subplots()
    Finished(Path("runs/x"), pd.DataFrame(rows), {}).mark(figure)
    assert words(figure)[0].splitlines() == [
        "not valid: 5 of 6 runs",
        "0001-1: reason 1",
        "0002-1: reason 2",
        "0003-1: reason 3",
        "and 2 more: see invalid_reasons in the table",
    ]
    clean = Figure()
    clean.subplots()
    Finished(Path("runs/x"), pd.DataFrame(rows[:1]), {}).mark(clean)
    Finished(Path("runs/x"), pd.DataFrame(), {"0001-1": "failed"}).mark(clean)
    assert words(clean) == []
