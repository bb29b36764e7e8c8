"""Commands on nodes: what is kept of their output, and how they end."""

from __future__ import annotations

import os
import subprocess
import time
from types import SimpleNamespace

import pytest

from lq.emulation import jobs
from lq.emulation.jobs import Jobs, Kept
from lq.errors import BadInput, RunFailed
from tests import support


def popen(command, **keywords):
    return subprocess.Popen(command, start_new_session=True, **keywords)


NODE = SimpleNamespace(name="node", popen=popen)


def never():
    return False


def test_short_output_is_kept_whole_and_long_output_is_cut_in_the_middle():
    kept = Kept(most=10)
    kept.feed(b"01234")
    assert kept.text == "01234"
    kept.feed(b"56789abcde")
    assert kept.text == "0123456789abcde"
    for _ in range(1000):
        kept.feed(b"....")
    kept.feed(b"last words")
    assert kept.text == "0123456789\n[... 4,005 characters left out ...]\nlast words"
    assert len("".join(kept._end)) < 20


def test_characters_that_come_in_parts_are_put_together_and_what_is_none_is_marked():
    kept = Kept()
    for octet in "tschüß €".encode():
        kept.feed(bytes([octet]))
    kept.feed(b"\xff\xe2\x82")
    kept.feed(b"", last=True)
    assert kept.text == "tschüß €��"


def test_a_flood_of_output_is_bounded_and_marked(monkeypatch):
    said = {"output": "", "errors": ""}

    def say(**news):
        for name, text in news.items():
            said[name] += text

    lines = 200_000
    assert Jobs().run(NODE, f"seq {lines}; echo end >&2", 60, never, say) == 0
    assert said["errors"] == "end\n"
    assert len(said["output"]) < 2 * jobs.MOST_OUTPUT + 100
    assert said["output"].startswith("1\n2\n3\n")
    assert said["output"].endswith(f"\n{lines}\n")
    assert "characters left out" in said["output"]


def test_output_comes_while_the_command_runs():
    heard = []
    answer = Jobs().run(
        NODE,
        "echo first; sleep 0.3; echo second",
        60,
        never,
        lambda output: heard.append((output, time.monotonic())),
    )
    assert answer == 0
    (first, early), (second, late) = heard
    assert (first, second) == ("first\n", "second\n")
    assert late - early > 0.2


def marked(mark):
    return subprocess.run(["pgrep", "-f", mark], stdout=subprocess.PIPE, check=False).stdout.split()


@pytest.mark.parametrize("how", ["timeout", "given up"])
def test_a_command_that_is_not_waited_for_is_killed_with_what_it_has_started(how):
    mark = f"987{os.getpid()}"
    with pytest.raises(RunFailed, match="did not end within"):
        Jobs().run(
            NODE,
            f"sleep {mark} & sleep {mark}",
            0.2 if how == "timeout" else 60,
            lambda: how == "given up",
            print,
        )
    support.wait_for(lambda: not marked(f"^sleep {mark}$"))  # a killed process takes a moment to vanish


def test_what_leaves_its_session_keeps_nobody_waiting_when_the_command_is_killed():
    mark = f"988{os.getpid()}"
    all_jobs = Jobs()
    job = all_jobs.start(NODE, f"setsid sleep {mark} & sleep 0.1; echo here")
    assert not job.wait(0.5, never)
    job.kill()
    assert not job.running
    assert job.state()["output"] == "here\n"
    (left,) = marked(f"^sleep {mark}$")
    os.kill(int(left), 9)


def test_what_leaves_its_session_and_prints_without_end_keeps_nobody_waiting_either():
    mark = f"989{os.getpid()}"
    with pytest.raises(RunFailed, match="did not end within"):
        Jobs().run(NODE, f"echo begun; setsid yes {mark} & sleep 60", 0.3, never, lambda **_: None)
    deadline = time.monotonic() + 20
    while marked(f"^yes {mark}$"):  # nobody reads it any more: the kernel ends it
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_jobs_at_a_time_and_ended_jobs_are_bounded(monkeypatch):
    monkeypatch.setattr(jobs, "MOST_RUNNING", 3)
    monkeypatch.setattr(jobs, "MOST_KEPT", 4)
    all_jobs = Jobs()
    running = [all_jobs.start(NODE, "sleep 60") for _ in range(3)]
    with pytest.raises(BadInput, match="3 commands run, and that is the most"):
        all_jobs.start(NODE, "true")
    for job in running:
        job.kill()
    for _ in range(6):
        assert all_jobs.start(NODE, "true").wait(60, never)
    assert len(all_jobs._jobs) <= 5
    with pytest.raises(RunFailed, match="job 1 is forgotten"):
        all_jobs[1]
    assert all_jobs[9].status == 0
