"""What people get wrong at first: each is one line that names the fix, and no library's words."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lq import drawing, plots
from lq.errors import BadInput
from lq.experiments.run import run
from lq.experiments.spec import load
from lq.experiments.sweep import sweep
from lq.results.finished_run import Run
from lq.results.finished_sweep import Sweep, aggregate
from tests import support

TABLE = pd.DataFrame(
    {"point": [1], "repeat": [1], "wan.delay": [0.0], "scenario": ["reboot"], "recovery_max_s": [1.0]}
).assign(valid=True)
GRID = {"wan.delay": [0]}


def points(settings, grid, repeats=1):
    return Sweep("reboot", settings, grid, repeats).points()


def of_a_run(directory, name):
    directory.mkdir(exist_ok=True)
    (directory / "summary.json").write_text(json.dumps({"valid": True, "invalid_reasons": [], "outage_s": 1}))
    (directory / "probes.parquet").touch()
    return Run(directory).table(name)


MISTAKES = {
    "a wrong scenario": (lambda _: load("rebot"), "'rebot': did you mean 'reboot'"),
    "no scenario": (lambda _: load(None), 'give its name, such as "reboot"'),
    "a file that is missing": (lambda _: load(Path("no.yaml")), "cannot read no.yaml: No such file"),
    "a string for a number": (
        lambda _: load("reboot", {"wan.delay": "20ms"}),
        "wan.delay: use a number",
    ),
    "a word for a count": (
        lambda _: load("reboot", {"topology.modems": "three"}),
        "use a whole number",
    ),
    "half a modem": (lambda _: load("reboot", {"topology.modems": 2.5}), "use a whole number (got 2.5)"),
    "less than nothing": (lambda _: load("reboot", {"wan.delay": -1}), "wan.delay: use at least 0 (got -1)"),
    "too much": (lambda _: load("reboot", {"wan.delay": 11}), "wan.delay: use at most 10 (got 11)"),
    "endless": (lambda _: load("reboot", {"wan.delay": float("inf")}), "use a finite number (got inf)"),
    "a switch": (lambda _: load("reboot", {"topology.population": "maybe"}), "use true or false (got 'may"),
    "a misspelt setting": (lambda _: load("reboot", {"wan.dely": 1}), "did you mean 'wan.delay'?"),
    "a setting without its group": (
        lambda _: load("reboot", {"modems": 3}),
        "did you mean 'topology.modems'?",
    ),
    "a misspelt choice": (
        lambda _: load("reboot", {"server.kind": "dhcp"}),
        "use 'builtin', 'dhcpd' or 'dnsmasq': did you mean 'dhcpd'? (got 'dhcp')",
    ),
    "a wrong host": (lambda _: load("reboot", {"capture.nodes": "host9"}), "host1 to host3"),
    "settings as text": (
        lambda _: load("reboot", "wan.delay=1"),
        'write names with values, such as {"wan.delay": 0.02}',
    ),
    "a name that is none": (lambda _: load("reboot", {3: 4}), 'write it as "wan.delay"'),
    "a scalar in a grid": (lambda _: points({}, {"wan.delay": 0.1}), "write a list, [0.1]"),
    "text in a grid": (lambda _: points({}, {"server.kind": "dhcpd"}), "write a list, ['dhcpd']"),
    "an empty list": (lambda _: points({}, {"wan.delay": []}), "has no values"),
    "a grid that is none": (lambda _: points({}, ["wan.delay"]), 'write {"wan.delay": [0, 0.05]}'),
    "no common settings": (lambda _: points(None, GRID), "what all runs share is None"),
    "repeats as text": (lambda _: points({}, GRID, "3"), "use a whole number"),
    "a sweep of a name": (lambda _: sweep("reboot", "x"), 'write sweep(Sweep("reboot"'),
    "workers as text": (lambda _: sweep(Sweep("reboot", {}, GRID), "x", workers="two"), "use a whole number"),
    "a run of a name": (lambda _: run("reboot"), 'write run(load("reboot"))'),
    "a directory that is none": (lambda _: run(load("reboot"), 3), 'such as "runs/first"'),
    "no run there": (lambda _: Run("nowhere"), "not the directory of a finished run"),
    "a wrong table": (lambda tmp: of_a_run(tmp, "prbes"), "did you mean 'probes'?"),
    "a wrong column": (
        lambda _: aggregate(TABLE, ["wan.dely"], "recovery_max_s"),
        "did you mean 'wan.delay'?",
    ),
    "a wrong axis": (lambda _: plots.medians(TABLE, "wan.delay", "recovery_max"), "mean 'recovery_max_s'?"),
    "a wrong key": (lambda _: plots.categories(TABLE, "recovery_max_s", "delay"), "mean 'wan.delay'?"),
    "a run for a table": (lambda _: plots.heat_map(3, "a", "b", "c"), "give the table of a sweep"),
    "a list for a run": (lambda _: plots.sequence_chart([]), "give a run, as run(...)"),
    "a wrong figure": (lambda _: drawing.picture("ring"), "unknown topology 'ring' (topologies: cable, dsl)"),
    "a count as text": (lambda _: drawing.picture("cable", "three"), "modems: use a whole number"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_python_is_one_line_that_names_the_fix(mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, words = MISTAKES[mistake]
    with pytest.raises(BadInput) as caught:
        make(tmp_path)
    [line] = caught.value._render_traceback_()
    assert line == f"BadInput: {caught.value}"
    assert words in line
    assert "\n" not in line
    for internal in ("pydantic", "Input should", "parse", "instance of", "0x7"):
        assert internal not in line
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run reboot --modems three", "--modems': use a whole number"),
        ("run reboot --set wan.delay=20ms", "wan.delay: use a number"),
        ("run reboot --server dhcp", "did you mean 'dhcpd'?"),
        ("run reboot dos", "dos"),
        ("run reboot --topologi dsl", "--topology"),
        ("rn reboot", "run"),
        ("sweep reboot --grid wan.delay", "write KEY=A,B,C"),
        ("sweep reboot --grid wan.dely=1,2", "did you mean 'wan.delay'?"),
        ("query foo", "set --giaddr to an address of this machine"),
        ("query 127.0.0.1 --giaddr 127.0.0.1 --address 127.0.0.1 --timeout inf", "use at most 3600"),
        ("query 127.0.0.1 --giaddr 127.0.0.1 --address 127.0.0.1 --timeout nan", "use at most 3600"),
        ("query 127.0.0.1 --giaddr 127.0.0.1 --address 127.0.0.1 --timeout -1", "use at least 0.01"),
        ("conform --server 127.0.0.1 --patience nan", "use at most 86400"),
        ("conform --peer builtin --port 1067", "--port is only for a running server"),
        ("conform --peer builtin --giaddr 127.0.0.1", "--giaddr is only for a running server"),
        ("conform --peer builtin --row R9-9", "R9-9"),
        ("lab --port 99999", "use at most 65535"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_that_names_the_fix(arguments, words):
    done = support.run([*support.LQ, *arguments.split()])
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert words in done.stderr
    assert "Input should" not in done.stderr


def test_lq_alone_shows_the_help_and_nothing_else():
    done = support.run(support.LQ)
    assert done.returncode == 2
    assert "Usage" in done.stdout
    assert done.stderr == ""


def test_the_version():
    from lq import __version__

    done = support.run([*support.LQ, "--version"])
    assert (done.returncode, done.stdout, done.stderr) == (0, f"lq {__version__}\n", "")
