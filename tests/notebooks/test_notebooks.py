"""Every notebook runs as an ordinary user, says the truth, and is committed fit to be read."""

from __future__ import annotations

import re

import nbformat
import pytest

from tests import support
from tests.notebooks.running import CLAIMS, MOST_COLUMNS, run

NOTEBOOKS = sorted((support.ROOT / "notebooks").glob("*.ipynb"))
OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:work|home|root|tmp|Users|var|usr)/|https?://(?!github|datatracker)")

IN_VIRTUAL_TIME = ("zip(cases.items()", "zip(arrived.items()")  # figures that show no run at all

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_all_seven_are_there():
    assert [path.stem for path in NOTEBOOKS] == [
        "01-the-figures",
        "02-reboot",
        "03-denial-of-service",
        "04-back-off",
        "05-arp-or-leasequery",
        "06-servers",
        "07-whom-to-believe",
    ]


@pytest.mark.lab
@every_notebook
def test_it_runs_from_top_to_bottom_and_its_claims_hold(path):
    assert (CLAIMS / f"{path.stem}.py").exists()
    assert run(path, CLAIMS) >= 2


@every_notebook
def test_it_asks_explains_claims_and_sets_two_exercises(path):
    notebook = nbformat.read(path, as_version=4)
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert text.startswith(f"# {int(path.stem[:2])}. ")
    assert "**Question.**" in text
    assert re.search(r"\*\*Theory\*\* \(draft-ietf-dhc-leasequery-03, sections? \d", text)
    assert "## What one should see" in text
    assert re.findall(r"^(\d)\. ", text.partition("## Exercises")[2], re.MULTILINE) == ["1", "2"]
    assert code.count("assert ") >= 3
    assert "make it big" in code
    assert max(map(len, [*text.splitlines(), *code.splitlines()])) <= MOST_COLUMNS


@every_notebook
def test_what_its_claims_quote_is_in_its_text(path):
    """So that a claim does not outlive the sentence that it is about."""
    notebook = nbformat.read(path, as_version=4)
    text = _words("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown"))
    quoted = re.findall(r'^# .*?"(.+?)"', (CLAIMS / f"{path.stem}.py").read_text(), re.MULTILINE)
    assert quoted
    for quotation in quoted:
        for part in quotation.split("..."):
            assert _words(part).strip(" .") in text, quotation


def test_figures_drawn_by_hand_are_marked():
    """What shows runs says which of them are not valid: functions of `plots` do so by themselves."""
    for path in (*NOTEBOOKS, *NOTEBOOKS[0].parent.glob("solutions/*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            drawn = cell.cell_type == "code" and "canvas(None" in cell.source
            if drawn and not any(name in cell.source for name in IN_VIRTUAL_TIME):
                assert ".mark(" in cell.source, f"{path.name}, {cell.id}"


def _words(text: str) -> str:
    return " ".join(re.sub(r"[*`]", "", text).split()).lower()


@every_notebook
def test_its_outputs_are_committed_and_fit_to_be_read(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    for output in outputs:
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        shown = output.get("text", "") + output.get("data", {}).get("text/plain", "")
        assert not OF_A_MACHINE.search(shown), shown
        assert shown.count("\n") < 45
        assert "application/vnd.jupyter.widget-view+json" not in output.get(
            "data", {}
        )  # not without a kernel
