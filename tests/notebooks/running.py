"""What the tests of notebooks and of solutions share."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests import support

CLAIMS = Path(__file__).parent / "claims"
MOST_COLUMNS = 110


def run(path: Path, claims: Path | None = None) -> int:
    """Run a notebook, and its claims in `claims`, as an ordinary user in an empty directory.

    Returns the number of its pictures.
    """
    home = support.private_directory()
    command = [sys.executable, "-W", "ignore", "-m", "tests.notebooks.execute"]
    command += [f"--in={home}", *([f"--claims={claims}"] if claims else []), str(path)]
    done = support.run(support.as_ordinary_user(command), home=home)
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.search(r"(\d+) pictures", done.stdout)
    assert found is not None
    return int(found[1])
