"""`lq bench fidelity`: does a run know when it was starved? Healthy runs and starved ones in turns.

A starved run is the same as a healthy one, but beside busy processes pinned to each core; they stop by
themselves. Healthy runs are to be valid, starved ones not (`lq.results.validity`). A machine that has
other work makes the healthy ones invalid, too: that is what the verdict is for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator

from lq.bench.cases import Case, case, median
from lq.bench.program import Tell
from lq.emulation.processes import end, python
from lq.experiments import directories
from lq.experiments.run import run as play
from lq.experiments.spec import Spec
from lq.progress import silent
from lq.results.finished_run import Run

GOAL = 1.0
LONGEST = 120.0  # seconds after which a busy process ends in any case


def run(runs: int = 20, busy: int = 1, tell: Tell = lambda *_: None) -> Case:
    """Judge so many healthy and so many starved reboots; the result as `lq bench NAME --json` has it.

    `busy` is the number of busy processes for each core. Samples have `valid`, `reasons`, `outage_s`,
    `recovery_p50_s`, and `processes`, what each one got of the processors (`lq.results.validity`).
    """
    healthy: list[Case] = []
    starved: list[Case] = []
    for number in range(runs):
        tell("runs", 2 * number, 2 * runs)
        healthy.append(sample(number + 1))
        tell("runs", 2 * number + 1, 2 * runs)
        with starving(busy):
            starved.append(sample(number + 1))
    tell("runs", 2 * runs, 2 * runs)
    valid, flagged = (
        sum(each["valid"] is wanted for each in samples)
        for samples, wanted in ((healthy, True), (starved, False))
    )
    result = case("healthy runs valid", "runs", float(valid), float(runs), GOAL, "healthy runs")
    cases = [case("starved runs flagged", "runs", float(flagged), float(runs), GOAL, "starved runs")]
    for what, key in (("outage", "outage_s"), ("recovery", "recovery_p50_s")):
        ours, peer = median(starved, key), median(healthy, key)
        cases.append(case(f"median {what}, starved", "s", ours, peer, None, "healthy runs"))
    return result | {"cases": cases, "samples": healthy, "starved_samples": starved}


def sample(seed: int) -> Case:
    """Run one reboot of the cable figure; return what it says of itself."""
    with directories.temporary("fidelity") as directory:
        played: Run = play(Spec(seed=seed), directory / "run", silent)
        summary, observed = played.summary, played.manifest["fidelity"]
    return {
        "valid": summary["valid"],
        "reasons": summary["invalid_reasons"],
        "outage_s": summary["outage_s"],
        "recovery_p50_s": summary["recovery_p50_s"],
        "processes": observed["processes"],
    }


@contextlib.contextmanager
def starving(busy: int = 1) -> Iterator[None]:
    """Keep `busy` processes busy on each core of this process for the length of a `with` block.

    Each has a session of its own. Linux shares processors among sessions first (autogroup): those of one
    session would have the weight of one process, on all cores together.
    """
    cores = [core for core in sorted(os.sched_getaffinity(0)) for _ in range(busy)]
    rivals = [
        subprocess.Popen(python("lq.bench.busy", str(core), str(LONGEST)), start_new_session=True)
        for core in cores
    ]
    try:
        yield
    finally:
        for rival in rivals:
            end(rival, signal.SIGKILL)
