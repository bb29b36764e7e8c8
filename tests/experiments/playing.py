"""`lq run` as an ordinary user, and what it leaves."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from lq.experiments.run import Run
from tests import support


@dataclass
class Played:
    """What a user has of a run: the standard output, and the directory."""

    summary: dict
    run: Run

    def tshark(self, display_filter: str, *fields: str) -> list[list[str]]:
        command = [
            "tshark",
            "-r",
            str(self.run.directory / "server.pcap"),
            "-Y",
            display_filter,
            "-T",
            "fields",
        ]
        for field in fields:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]


def play(*options: str, scenario: str = "reboot") -> Played:
    """Run a scenario from the command line, as an ordinary user."""
    home = support.private_directory()
    command = [*support.LQ, "run", scenario, "--json", "--out", str(home / "run")]
    done = support.run(support.as_ordinary_user([*command, *options]), home=home)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    return Played(json.loads(done.stdout), Run(home / "run"))
