"""The table `load`: what a run's processes have used of processors and memory over time.

It has a row for each process and sample: `at` (seconds since the reboot), `process`
(`controller`, `switch`, or a server's name), `cpu_s` (processor seconds since the sampling began, those of
its forerunners that were killed included) and `memory` (octets resident). The load between two samples is the
difference of their `cpu_s` by that of their `at`: 1 is a core. What a process used between its last sample
and a kill is not seen.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

COLUMNS = ["at", "process", "cpu_s", "memory"]


def tabulate(file: Path, zero: float) -> pd.DataFrame:
    """Return what was sampled as a table; `zero` is the moment of the reboot on the monotonic clock."""
    lines = file.read_text().splitlines() if file.exists() else []
    table = pd.DataFrame([json.loads(line) for line in lines], columns=COLUMNS)
    table["at"] -= zero
    typed: pd.DataFrame = table.astype({"at": float, "cpu_s": float, "memory": int})
    return typed


def between(table: pd.DataFrame, process: str, start: float, end: float) -> float:
    """Return a process's load between two moments, by the first and the last sample within: 1 is a core.

    NaN where there are no two samples.
    """
    within = table[(table["process"] == process) & table["at"].between(start, end)]
    if len(within) < 2:
        return float("nan")
    first, last = within.iloc[0], within.iloc[-1]
    return float((last["cpu_s"] - first["cpu_s"]) / (last["at"] - first["at"]))
