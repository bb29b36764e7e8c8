"""`lq run` as an ordinary user, and what it leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lq.experiments.run import Run
from tests import support


@dataclass
class Played:
    """What a user has of a run: the standard output, and the directory."""

    summary: dict
    run: Run

    def tshark(self, display_filter: str, *fields: str) -> list[list[str]]:
        return support.tshark(self.run.directory / "server.pcap", display_filter, *fields)


def play(*options: str, scenario: str = "reboot") -> Played:
    """Run a scenario from the command line, as an ordinary user."""
    home = support.private_directory()
    command = [*support.LQ, "run", scenario, "--json", "--out", str(home / "run")]
    done = support.run(support.as_ordinary_user([*command, *options]), home=home)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    return Played(json.loads(done.stdout), Run(home / "run"))
