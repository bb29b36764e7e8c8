"""Standard input, output and error may be closed: whatever is opened next must not be taken for them."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from tests import support

CLOSED = [
    "".join(closed)
    for count in (1, 2, 3)
    for closed in itertools.combinations(("<&- ", ">&- ", "2>&- "), count)
]


def run(closed: str, *command: str, **options) -> subprocess.CompletedProcess:
    """Run a command with some of the three closed; the others are captured."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command],
        cwd=support.ROOT, capture_output=True, text=True, timeout=120, check=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize("closed", CLOSED)
def test_a_mistake_is_one_line_or_none(closed):
    wrong = run(closed, *support.LQ, "run", "pigeon")
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == ("2>&-" not in closed)
    assert wrong.stdout == ""


def test_a_command_whose_output_nobody_wants_works(tmp_path):
    shown = run("<&- >&- 2>&- ", *support.LQ, "show", "cable", "--out", str(tmp_path / "cable.svg"))
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")
    assert "</svg>" in (tmp_path / "cable.svg").read_text()


@pytest.mark.parametrize("module", ["lq.server", "controllers"])
def test_programs_of_ours_say_what_is_wrong_or_nothing(module, tmp_path):
    file = tmp_path / "file"
    file.write_text("not JSON")
    for closed in ("<&- >&- ", "<&- >&- 2>&- "):
        done = run(closed, sys.executable, "-W", "ignore", "-m", module, str(file))
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == ("2>&-" not in closed)
    assert file.read_text() == "not JSON"


@pytest.mark.lab
@pytest.mark.parametrize("closed", ["<&- >&- ", "<&- >&- 2>&- "])
def test_a_lab_opens_with_all_closed(closed, tmp_path):
    """From the library, too, whose user has not asked for `lq`."""
    (tmp_path / "told.py").write_text(
        "import os, sys; from lq.sandbox.channel import Channel\n"
        "print('for the log')\n"
        "fds = [os.readlink(f'/proc/self/fd/{n}') for n in range(3)]\n"
        "Channel.from_fd(int(sys.argv[1])).send({'fds': fds})"
    )
    code = (
        "import json, sys; from pathlib import Path; from lq.sandbox.sealed_lab import SealedLab\n"
        f"lab = SealedLab('told', log=Path({str(tmp_path / 'log')!r}))\n"
        f"Path({str(tmp_path / 'answer')!r}).write_text(json.dumps(lab.channel.receive())); lab.wait()"
    )
    environment = {"PYTHONPATH": f"{tmp_path}:{support.ROOT}", "PATH": "/usr/bin:/bin"}
    done = run(closed, sys.executable, "-W", "ignore", "-c", code, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    log = str(tmp_path / "log")
    assert (tmp_path / "answer").read_text() == f'{{"fds": ["/dev/null", "{log}", "{log}"]}}'
    assert (tmp_path / "log").read_text() == "for the log\n"
