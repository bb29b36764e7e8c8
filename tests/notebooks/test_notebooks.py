"""Every notebook runs from top to bottom, as an ordinary user; its own assertions check what it says."""

from __future__ import annotations

import sys

import pytest

from tests import support

NOTEBOOKS = sorted((support.ROOT / "notebooks").glob("*.ipynb"))
EXECUTE = """
import sys, nbformat, nbclient
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
pictures = sum("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))
print("pictures", pictures)
"""


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["reboot"]


@pytest.mark.lab
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path):
    home = support.private_directory()
    command = [sys.executable, "-W", "ignore", "-c", EXECUTE, str(path)]
    done = support.run(support.as_ordinary_user(command), home=home)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) >= 2
