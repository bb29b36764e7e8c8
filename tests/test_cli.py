"""The command line as a contract: exit status, one line for an error, help for everything."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import typer

from lq import cli
from tests import support


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "rebot"], ["unknown scenario", "rebot"]),
        (["run", "reboot", "--topology", "ring"], ["topology.figure", "cable"]),
        (["run", "reboot", "--set", "probes.intervall=1"], ["probes.interval"]),
        (["run", "reboot", "--set", "foo=1"], ["unknown key 'foo'", "--explain"]),
        (["run", "reboot", "--set", "probes.interval"], ["KEY=VALUE"]),
        (["run", "reboot", "--modems", "0"], ["modems"]),
        (["run", "reboot", "--modems", "x"], ["modems"]),
        (["run", "reboot", "--seed", "-1"], ["seed"]),
        (["run", "reboot", "--out", "/proc/nothing/here"], ["cannot write", "--out"]),
        (["run"], ["scenario"]),
        (["frobnicate"], ["frobnicate"]),
        (["run", "reboot", "--frobnicate"], ["--frobnicate"]),
        (["show"], ["Missing argument", "cable", "dsl"]),
        (["show", "ring"], ["cable"]),
        (["plot", "/nowhere"], ["/nowhere", "not the directory of a finished run"]),
        (["serve", "/nowhere.yaml"], ["/nowhere.yaml"]),
        (["query", "198.18.0.1", "--giaddr", "127.0.0.1"], ["exactly one", "address"]),
        (["query", "here", "--giaddr", "127.0.0.1", "--address", "198.18.0.1"], ["here"]),
        (["query", "127.0.0.1", "--giaddr", "127.0.0.1", "--mac", "xyz"], ["xyz"]),
        (["query", "127.0.0.1", "--giaddr", "127.0.0.1", "--mac", "1", "--dialect", "q"], ["q", "rfc4388"]),
        (["bench", "servr"], ["servr", "server"]),
        (["conform"], ["--server", "--peer"]),
        (["conform", "--peer", "nobody"], ["nobody", "builtin", "dhcpd"]),
        (["conform", "--server", "127.0.0.1", "--row", "R9-9"], ["R9-9"]),
        (["conform", "--peer", "builtin", "--report", "report.doc"], ["report.doc", ".html"]),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, words):
    done = support.run([*support.LQ, *arguments])
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word.lower() in done.stderr.lower() for word in words), done.stderr


def test_an_out_directory_in_use_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("mine")
    done = support.run([*support.LQ, "run", "reboot", "--out", str(tmp_path)])
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert os.listdir(tmp_path) == ["precious"]


def test_a_missing_tool_is_one_line_that_names_it(tmp_path):
    """Without Open vSwitch in the path the run fails, and says what is missing."""
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(support.ROOT)}
    command = [sys.executable, "-m", "lq", "run", "reboot", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "lq doctor" in done.stderr


@pytest.mark.parametrize("command", typer.main.get_command(cli.app).commands)
def test_help_fits_the_terminal_and_is_wrapped_evenly(command):
    done = support.run(["env", "COLUMNS=80", *support.LQ, command, "--help"])
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert command in lines[1]
    assert len(lines) > 5
    assert all(len(line) <= 80 for line in lines)
    told = list(itertools.takewhile(lambda line: not line.startswith("╭"), lines[2:]))
    for line, following in itertools.pairwise(map(str.strip, told)):
        if line and following:
            assert len(f" {line} {following.split()[0]} ") > 80, line  # the word had no room there


def test_explain_lists_every_field():
    from lq.experiments.spec import fields

    done = support.run([*support.LQ, "run", "reboot", "--explain"])
    assert done.returncode == 0
    assert all(name in done.stdout for name in fields())


@pytest.mark.lab
def test_doctor_is_content_with_this_machine():
    done = support.run([*support.LQ, "doctor", "--json"])
    checks = json.loads(done.stdout)
    assert done.returncode == 0, checks
    assert all(check["ok"] for check in checks if check["needed"])


@pytest.mark.lab
def test_conform_judges_the_built_in_server(tmp_path):
    rows = ["R5-3", "R6.4-4", "R6.4.2-7"]
    command = [*support.LQ, "conform", "--peer", "builtin", "--dialect", "rfc4388", "--json"]
    command += [word for row in rows for word in ("--row", row)]
    done = support.run([*command, "--report", str(tmp_path / "report.html")])
    assert done.returncode == 0, done.stderr
    judged = json.loads(done.stdout)
    assert [row["id"] for row in judged] == rows
    assert all({"id", "level", "verdict", "evidence"} <= set(row) for row in judged)
    assert {row["verdict"] for row in judged} == {"pass"}
    assert "R6.4.2-7" in (tmp_path / "report.html").read_text()


@pytest.mark.lab
def test_the_shell_is_a_mininet_prompt_in_the_live_lab(tmp_path):
    script = "nodes\ninternet ping -c1 -W2 host2\nhost1 ip -4 addr show\nexit\n"
    done = subprocess.run(
        support.as_ordinary_user([*support.LQ, "shell", "cable"]),
        input=script,
        cwd=support.ROOT,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(support.ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mininet>" in done.stdout
    printed = done.stderr  # Mininet speaks there
    assert "cable cmts host1 host2 host3 internet modem1 modem2 network server" in printed
    assert " 0% packet loss" in printed
    assert "inet 198.18." in printed
    assert "Traceback" not in printed


# -- interrupts, and output that goes nowhere


QUERY = ["query", "127.0.0.1", "--giaddr", "127.0.0.1", "--address", "127.0.0.1", "--port", "40067"]


@pytest.mark.parametrize("skip", [1, 2, 5, 20, 60, 150, 220])
def test_an_interrupt_while_all_is_still_loaded_is_one_line(skip, tmp_path):
    """The moments are counted in modules that have been loaded, so that no machine is too slow for them.

    The first is right after the first of ours, `lq` itself aside: before that nothing of ours runs.
    """
    program = f"import lq.__main__, sys; sys.argv[1:] = {QUERY}; lq.__main__.main()"
    command = [sys.executable, "-W", "ignore", "-X", "importtime", "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(support.ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        ours = 0
        for line in process.stderr:
            ours += 1 if ours or line.rstrip().endswith("lq.__main__") else 0
            if ours >= skip:
                break
        process.send_signal(signal.SIGINT)
        rest = [line for line in process.stderr if not line.startswith("import time:")]
        assert process.wait() == 130
    assert [line for line in rest if line.strip()] == ["lq: interrupted\n"]


def test_a_command_that_is_to_ignore_interrupts_does(tmp_path):
    command = [*support.LQ, "show", "cable", "--out", str(tmp_path / "cable.svg")]
    script = "trap '' INT; exec \"$@\""
    with subprocess.Popen(["sh", "-c", script, "sh", *command], cwd=support.ROOT) as process:
        for _ in range(10):
            time.sleep(0.05)
            process.send_signal(signal.SIGINT)
        assert process.wait() == 0


PRINTING = {
    "--version": ["--version"],
    "explain": ["run", "--explain"],
    "doctor --json": ["doctor", "--json"],
    "show": ["show", "cable", "--out", "cable.svg"],
    "query --json": [*QUERY, "--attempts", "1", "--timeout", "0.01", "--json"],
    "bad input": ["run", "rebot"],
}


@pytest.mark.parametrize("name", PRINTING)
def test_output_that_cannot_be_written_is_one_line_and_no_success(name, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(support.ROOT)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*support.LQ, *PRINTING[name]], cwd=tmp_path, env=environment, stdout=full,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == (2 if name == "bad input" else 1)
    assert len(done.stderr.splitlines()) == 1
    assert ("No space left on device" in done.stderr) == (name != "bad input")


@pytest.mark.parametrize("name", ["explain", "bad input"])
def test_a_reader_that_has_enough_or_nobody_to_complain_to_is_no_traceback(name, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(support.ROOT)}
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [*support.LQ, *PRINTING[name]], cwd=tmp_path, env=environment, stdout=theirs, stderr=subprocess.PIPE,
        text=True, check=False,
    )  # fmt: skip
    os.close(theirs)
    assert (done.returncode, done.stderr == "") in [(1, True), (2, False)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*support.LQ, "run", "rebot"], cwd=tmp_path, env=environment, stderr=full, check=False
        )
    assert done.returncode == 2
