"""Runs and sweeps for the tests of reports: written number by number, with all that a report reads."""

from __future__ import annotations

import json
import shutil

from lq.experiments.sweep import sweep
from lq.progress import silent
from lq.results.finished_run import Run
from lq.results.finished_sweep import PLAN, Sweep, plan_of
from tests.written import write_run

MANIFEST = {
    "versions": {"leasequery-lab": "0.1.0", "numpy": "2.0.0", "os-ken": None},
    "python": "3.11.2",
    "kernel": "6.18.44",
    "machine": "x86_64",
    "processors": 2,
    "openvswitch": "3.1.0",
    "datapath": "dummy",
    "datapath_meaning": "Open vSwitch's user-space datapath",
    "servers": {"builtin": "0.1.0"},
    "clients": {"udhcpc (BusyBox)": "1.35.0"},
    "commit": "0123456789ab",
    "started": "2026-11-25T18:49:47+00:00",
    "seed": 1,
}
NUMBERS = {
    "scenario": "reboot", "topology": "cable", "backend": "mininet", "server": "builtin", "seed": 1,
    "recovery_p50_s": 0.0183, "recovery_max_s": 0.4, "queries_resent": 0, "server_cpu_s": 0.25,
    "queries_per_s": 1.5,
}  # fmt: skip


def finished(directory, back=(0.0, 0.2, 0.4), *, numbers=None, manifest=None, **how) -> Run:
    """Write a finished run; `numbers` are added to its summary."""
    run = write_run(directory, back=list(back), **how)
    summary = {**NUMBERS, "subscribers": len(back), "recovered": len(back), "queries_sent": len(back)}
    summary |= {**json.loads((directory / "summary.json").read_text()), **(numbers or {})}
    summary["run_dir"] = str(directory)
    (directory / "summary.json").write_text(json.dumps(summary))
    (directory / "manifest.json").write_text(json.dumps(MANIFEST if manifest is None else manifest))
    return run


def swept(directory, plan: Sweep, source: Run):
    """Write a finished sweep, each run of which is a copy of `source` with its own specification."""
    points = plan.points()
    directory.mkdir()
    (directory / PLAN).write_bytes(plan_of(points))
    for number, point in enumerate(points):
        run = shutil.copytree(source.directory, directory / "runs" / point.name)
        (run / "spec.yaml").write_text(json.dumps(point.spec.model_dump(mode="json")))
        summary = json.loads((run / "summary.json").read_text())
        summary["recovery_p50_s"] = 0.01 * (number + 1)
        (run / "summary.json").write_text(json.dumps(summary))
    return sweep(plan, directory, progress=silent)
