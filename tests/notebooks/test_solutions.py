"""Each notebook has a solution, which runs from top to bottom as an ordinary user and checks what it says."""

from __future__ import annotations

import re

import nbformat
import pytest

from tests import support
from tests.notebooks.running import MOST_COLUMNS, run

NOTEBOOKS = sorted((support.ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((support.ROOT / "notebooks" / "solutions").glob("*.ipynb"))

every_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


def test_every_notebook_has_one():
    assert [path.name for path in SOLUTIONS] == [path.name for path in NOTEBOOKS]


@pytest.mark.lab
@every_solution
def test_it_runs_from_top_to_bottom(path):
    run(path)


@every_solution
def test_it_solves_both_exercises_and_checks_each(path):
    notebook = nbformat.read(path, as_version=4)
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert text.startswith(f"# Solutions to {int(path.stem[:2])}. ")
    assert re.findall(r"^## Exercise (\d): ", text, re.MULTILINE) == ["1", "2"]
    assert sum("assert " in source for source in code) >= 2
    assert max(map(len, [*text.splitlines(), *"\n".join(code).splitlines()])) <= MOST_COLUMNS
    assert all(output.output_type != "error" for cell in notebook.cells for output in cell.get("outputs", []))
