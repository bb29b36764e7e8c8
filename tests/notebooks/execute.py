"""Run notebooks from top to bottom, each in a kernel of its own.

    python -m tests.notebooks.execute [--write] [--in=DIRECTORY] [--claims=DIRECTORY] NOTEBOOK...

`--write` keeps the outputs in the files, as they are committed: without what needs a running kernel (live
widgets; their still pictures stay) and without the times of execution. `--in` says where they run, and so
where their experiments' files go. `--claims` names a directory with a program for each notebook, `NAME.py`,
which runs in its kernel at the end. It asserts what the notebook's text says and its own cells do not. Ends
at the first cell that fails.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import nbclient
import nbformat

_LIVE = "application/vnd.jupyter.widget-view+json"


def execute(path: Path, write: bool, place: str, claims: Path | None) -> int:
    """Run one notebook; return how many pictures it shows."""
    notebook = nbformat.read(path, as_version=4)
    own = notebook.cells[:]
    if claims is not None and (program := claims / f"{path.stem}.py").exists():
        notebook.cells.append(nbformat.v4.new_code_cell(program.read_text()))
    nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": place}},
    ).execute()
    notebook.cells = own
    outputs = [output for cell in own for output in cell.get("outputs", [])]
    if write:
        for cell in own:
            if "outputs" in cell:
                cell.outputs = [output for output in cell.outputs if not needs_kernel(output)]
            cell.metadata.pop("execution", None)
        notebook.metadata["language_info"] = {"name": "python"}  # not the version that happened to run it
        nbformat.write(notebook, path)
    return sum("image/png" in output.get("data", {}) for output in outputs)


def needs_kernel(output: nbformat.NotebookNode) -> bool:
    """Whether an output is a live widget, or what hides its still picture while it lives."""
    data = output.get("data", {})
    return _LIVE in data or "class='lq-beside'" in data.get("text/html", "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--in", dest="place", default=".")
    parser.add_argument("--claims", type=Path)
    parser.add_argument("notebooks", nargs="+", type=Path)
    options = parser.parse_args()
    for path in options.notebooks:
        start = time.monotonic()
        pictures = execute(path, options.write, options.place, options.claims)
        print(f"{path.stem}: {pictures} pictures, {time.monotonic() - start:.0f} s", flush=True)
