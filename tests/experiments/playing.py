"""`lq run` as an ordinary user, and what it leaves."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from lq.results.finished_run import Run
from tests import support


@dataclass
class Played:
    """What a user has of a run: the standard output, and the directory."""

    summary: dict
    run: Run

    def tshark(self, display_filter: str, *fields: str) -> list[list[str]]:
        return support.tshark(self.run.directory / "server.pcap", display_filter, *fields)


def play(*options: str, scenario: str = "reboot", figures: bool = False) -> Played:
    """Run a scenario from the command line, as an ordinary user."""
    return begin(*options, scenario=scenario, figures=figures)()


def begin(*options: str, scenario: str = "reboot", figures: bool = False) -> Callable[[], Played]:
    """Start what `play` does; return a function that waits for its end. It is killed when the tests end."""
    home = support.private_directory()
    command = [*support.LQ, "run", scenario, "--json", "--out", str(home / "run")]
    command += [] if figures else ["--no-figures"]
    process = subprocess.Popen(
        support.as_ordinary_user([*command, *options]),
        cwd=support.ROOT,
        env={**os.environ, "PYTHONPATH": str(support.ROOT), "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.kill)

    def played() -> Played:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert len(output.splitlines()) == 1
        return Played(json.loads(output), Run(home / "run"))

    return played
