"""Programs of a run: when they count as being there."""

from __future__ import annotations

import sys

import pytest

from lq.emulation.processes import Programs, end
from lq.errors import RunFailed


@pytest.fixture
def program(tmp_path):
    """Return a function that starts a line of Python; what it prints is in the log at once."""
    started = []

    def start(code: str):
        programs = Programs(tmp_path)
        process = programs.launch("it", [sys.executable, "-u", "-c", f"import time; {code}"])
        started.append(process)
        return programs, process

    yield start
    for process in started:
        end(process)


def test_only_a_whole_line_counts(program):
    programs, process = program(
        "print('not ready'); print('ready', end=''); time.sleep(0.2); print('', 1.5); time.sleep(60)"
    )
    assert programs.await_line("it", process) == "ready 1.5\n"


def test_what_ends_before_tells_why(program):
    programs, process = program("print('ready', end=''); print(' or not: no disk', end='')")
    with pytest.raises(RunFailed, match="the it did not come up: ready or not: no disk"):
        programs.await_line("it", process)
