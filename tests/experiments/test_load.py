"""Load over time: what the sampler sees of real processes, and what follows from a table of it."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import pandas as pd
import pytest

from lq.emulation.monitor import Monitor
from lq.results.load import COLUMNS, between, tabulate

BUSY = """
import time
end = time.process_time() + 0.2
while time.process_time() < end:
    pass
print(flush=True)
"""


def start(code: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", code + "\ninput()"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_the_work_of_one_that_was_killed_and_of_its_successor_adds_up(tmp_path):
    begin = time.monotonic()
    idle = start("")
    processes = {"worker": start("input()\n" + BUSY), "idle": idle, "nobody": None}
    load = Monitor(tmp_path / "load.jsonl", lambda: dict(processes), interval=0.02)
    load.start()
    for _ in range(2):
        worker = processes["worker"]
        assert worker.stdin is not None
        worker.stdin.write(b"\n")
        worker.stdin.flush()
        assert worker.stdout is not None
        worker.stdout.readline()
        time.sleep(0.2)  # for a sample
        end(worker)
        processes["worker"] = start("input()\n" + BUSY)
    load.stop()
    end(idle)
    end(processes["worker"])
    table = tabulate(tmp_path / "load.jsonl", begin)
    assert list(table.columns) == COLUMNS
    assert set(table["process"]) == {"worker", "idle"}
    assert table["memory"].max() > 1 << 20
    assert table["memory"].min() > 0
    assert table["at"].between(0, time.monotonic() - begin).all()
    worker, other = (table[table["process"] == name]["cpu_s"] for name in ("worker", "idle"))
    assert worker.is_monotonic_increasing
    assert worker.iloc[0] == other.iloc[0] == 0
    assert worker.iloc[-1] >= 0.38  # twice 0.2, by a clock of hundredths
    assert other.iloc[-1] < 0.2


def test_load_is_work_by_time_between_the_samples_within():
    table = pd.DataFrame(
        {
            "at": [0.0, 0.0, 1.0, 2.0, 3.0, 4.0],
            "process": ["server", *["controller"] * 5],
            "cpu_s": [9.0, 0.0, 1.0, 1.5, 1.6, 9.0],
            "memory": [1] * 6,
        }
    )
    assert between(table, "controller", 0.5, 3.5) == pytest.approx(0.3)
    assert math.isnan(between(table, "controller", 3.5, 4.5))
    assert math.isnan(between(table, "server", 0.0, 4.0))


def test_a_run_without_samples_has_an_empty_table(tmp_path):
    assert list(tabulate(tmp_path / "none", 0.0).columns) == COLUMNS
