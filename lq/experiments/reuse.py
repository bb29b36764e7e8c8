"""What there is already: finished runs below `runs/` of the same specification, by the same code."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path

from lq import files
from lq.errors import BadInput
from lq.experiments import directories
from lq.experiments.provenance import source
from lq.results.finished_run import MOST_OF_SUMMARY, manifest


def find(spec: bytes) -> tuple[Path, str] | None:
    """Return the directory of the newest finished run of a specification, and a line that says which it is.

    `spec` is what `spec.yaml` holds. A valid run comes before one that is not. None without any.
    """
    code, doubtful = source(), None
    for directory in directories.holding("spec.yaml"):
        with contextlib.suppress(BadInput):  # damaged, or not ours to read
            if not directories.finished(directory) or not files.holds(directory / "spec.yaml", spec):
                continue
            if manifest(directory).get("source") != code:
                continue
            summary = files.read_object(directory / "summary.json", MOST_OF_SUMMARY)
            if summary.get("valid") is True:
                return directory, _told(directory, "")
            doubtful = doubtful or directory
    return (doubtful, _told(doubtful, ", which is not valid")) if doubtful else None


def _told(directory: Path, doubt: str) -> str:
    moment = datetime.datetime.fromtimestamp((directory / "summary.json").stat().st_mtime)
    return f"Not run again: taken from {directory}, finished {moment:%Y-%m-%d %H:%M}{doubt}."
