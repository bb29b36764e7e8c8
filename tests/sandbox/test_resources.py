"""A limit of open files that is too low is one line at once; one that is just enough is enough."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from lq.sandbox import resources
from tests import support

CODE = """
import json, resource, sys
from lq.sandbox import resources
try:
    resources.allow_open_files(*map(int, sys.argv[1:]))
except RuntimeError as error:
    print(error)
else:
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def limited(limit: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this limit of open files (soft:hard)."""
    return support.run(["prlimit", f"--nofile={limit}", "--", *command])


def test_the_soft_limit_is_raised_as_far_as_needed():
    needed = resources.open_files_needed(30, 10)
    assert 60 < needed < 4 * needed < 10_000
    most = 10_000 if resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 10_000 else 4 * needed
    for limit, reached in (
        (f"40:{most}", f"{4 * needed} {most}"),
        (f"40:{needed}", f"{needed} {needed}"),
        (f"40:{needed - 1}", f"this network needs {needed} open files, and the limit is {needed - 1}"),
        (f"{most}:{most}", f"{max(most, 4 * needed)} {most}"),
    ):
        assert limited(limit, sys.executable, "-c", CODE, "30", "10").stdout.startswith(reached)


@pytest.mark.lab
def test_a_network_beyond_the_limit_is_one_line(tmp_path):
    done = limited("64:64", *support.LQ, "run", "reboot", "--modems", "100", "--out", str(tmp_path / "run"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "open files, and the limit is 64: raise it (ulimit -Hn " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.lab
def test_a_network_at_the_limit_comes_up(tmp_path):
    """The switch holds no more than what is said to be needed: or it would spin instead of answering."""
    needed = str(resources.open_files_needed(7, 4))
    arguments = ["--modems", "2", "--hosts-per-modem", "2"]
    run = ["run", "reboot", *arguments, "--json", "--out", str(tmp_path / "run")]
    done = limited(f"{needed}:{needed}", *support.LQ, *run)
    assert done.returncode == 0, done.stderr
    assert '"recovered": 4' in done.stdout
