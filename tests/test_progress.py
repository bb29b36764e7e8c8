"""Progress and mistakes as they show in a notebook: run in a real kernel, and looked at in what is saved."""

from __future__ import annotations

import io
import time

import nbformat
import pytest
from nbclient import NotebookClient

from lq import progress
from tests import support

BAR = """
from lq.progress import showing, silent
import time

def work(wanted=None, ends=None):
    with showing(wanted, "reboot") as tell:
        for number in range(4):
            tell("leases", number, 4)
            time.sleep(0.12)
        if ends:
            raise ends
"""
CELLS = {
    "define": BAR,
    "done": "work()",
    "interrupted": "work(ends=KeyboardInterrupt())",
    "failed": "work(ends=ValueError('x'))",
    "silent": "work(silent)",
    "thread": "import threading; t = threading.Thread(target=work); t.start(); t.join()",
    "mistake": "from lq.experiments.spec import load\nload('reboot', {'topology.modems': 'three'})",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What each cell shows in the end, and all that was shown while it ran."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    seen: list[tuple[int, str]] = []

    class Watched(NotebookClient):
        def process_message(self, message, cell, index):
            data = message["content"].get("data", {})
            if message["header"]["msg_type"] in ("display_data", "update_display_data"):
                seen.append((index, data["text/plain"]))
            return super().process_message(message, cell, index)

    place = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(support.ROOT))
        notebook = nbformat.v4.new_notebook(cells=cells)
        Watched(notebook, allow_errors=True, resources={"metadata": {"path": str(place)}}).execute()
    return {
        name: (cell["outputs"], [text for index, text in seen if index == number])
        for number, (name, cell) in enumerate(zip(CELLS, notebook.cells, strict=True))
    }


def test_a_bar_goes_on_in_a_notebook_and_its_last_line_is_what_is_saved(shown):
    outputs, seen = shown["done"]
    assert [output["output_type"] for output in outputs] == ["display_data"]
    assert outputs[0]["data"]["text/plain"].startswith("reboot: done after ")
    assert any("leases" in text and "2/4" in text and "░" in text for text in seen)
    assert not any("\n" in text for text in seen)


@pytest.mark.parametrize("how", ["interrupted", "failed"])
def test_what_ends_early_says_so(shown, how):
    first, *_ = shown[how][0]
    assert first["data"]["text/plain"].startswith(f"reboot: {how} after ")


@pytest.mark.parametrize("how", ["silent", "thread"])
def test_nothing_is_shown_where_that_is_asked_for_or_would_show_elsewhere(shown, how):
    assert shown[how] == ([], [])


def test_a_mistake_in_a_notebook_is_one_line(shown):
    [output] = shown["mistake"][0]
    said = "\n".join(output["traceback"])
    assert said.startswith("BadInput: topology.modems: ")
    assert "\n" not in said
    assert "pydantic" not in said


def test_a_terminal_has_bars_and_a_pipe_nothing(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for file, expected in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", file)
        monkeypatch.setenv("TERM", "xterm")
        with progress.showing(None, "reboot") as tell:
            tell("leases", 2, 4)
            time.sleep(0.15)
        assert ("leases" in file.getvalue() and "2/4" in file.getvalue()) is expected


def test_a_function_of_ones_own_is_told_everything():
    told = []
    with progress.showing(lambda *what: told.append(what), "x") as tell:
        tell("leases", 1, 4)
    assert told == [("leases", 1, 4)]
