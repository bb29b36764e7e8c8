"""Where no lab can be opened, everything that wants one says the same one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests import support

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed"),
]
FORBID = "echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "
LIVE = """
from lq import Lab
try:
    Lab()
except Exception as error:
    raise SystemExit(f"lq: {error}")
"""


@pytest.mark.parametrize(
    "command",
    [
        [*support.LQ, "run", "reboot"],
        [*support.LQ, "conform", "--peer", "builtin"],
        [*support.LQ, "shell", "cable"],
        [*support.LQ, "bench", "lab", "--quick"],
        [sys.executable, "-c", LIVE],
    ],
    ids=["run", "conform", "shell", "bench", "Lab"],
)
def test_the_reason_is_one_line(tmp_path, command):
    forbidden = ["unshare", "--user", "--map-root-user", "sh", "-c", f'{FORBID} "$@"', "sh", *command]
    done = subprocess.run(
        forbidden, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env={**os.environ, "PYTHONPATH": str(support.ROOT)}, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    said = done.stdout.splitlines()
    (line,) = (line for line in said if line.startswith("lq: "))
    assert line.endswith("(`lq doctor` says more)")
    assert "cannot create namespaces" in line
    assert "cannot create namespaces" not in "".join(part for part in said if part != line)
    assert "Traceback" not in done.stdout
    assert not list(tmp_path.glob("runs/live-*"))
