"""One run from the outside: a directory, a sealed lab, the stage in it, then tables and a summary."""

from __future__ import annotations

import datetime
import functools
import json
import signal
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lq import files, yaml_file
from lq.errors import BadInput, RunFailed, expect
from lq.experiments import comparison, directories
from lq.experiments import reuse as reusing
from lq.experiments.provenance import provenance
from lq.experiments.spec import Spec
from lq.progress import Progress, showing
from lq.results import record, validity
from lq.results.evidence import Evidence
from lq.results.finished_run import Run
from lq.sandbox import tools
from lq.sandbox.sealed_lab import SealedLab

__all__ = ["Run", "check_tools", "prepare_directory", "run", "shell"]


def run(
    spec: Spec,
    out: Path | str | None = None,
    progress: Progress | None = None,
    *,
    reuse: bool = False,
    opened: Callable[[SealedLab], object] = lambda _: None,
) -> Run:
    """Play `spec` in a sealed lab and return the finished run.

    `out` is the run's directory, new or empty; by default one below `runs/` is made. If a run is in it, be it
    finished or interrupted, it is left alone, and the first free of `out-2`, `out-3` and so on is taken. So a
    notebook's cell can be run again, after an edit, too. With `reuse` a finished run of the same
    specification (the same seed) by the same code is returned, if there is one below `runs/`; a printed line
    says which.
    `progress` is told how it goes; by default that is shown, and `lq.progress.silent` shows nothing. `opened`
    is called with each lab as it opens, so that another thread can end it.

    A run that is interrupted or fails leaves its directory with a file `unfinished.txt` that says so.
    Raises BadInput when it cannot be used, LabError when no lab can be had here, RunFailed when the
    emulation did not come up.
    """
    expect(spec, Spec, "what is run", 'write run(load("reboot"))')
    expect(out or "", (str, Path), "the run's directory", 'write its name, such as "runs/first"')
    content = yaml_file.dump(spec.model_dump(mode="json")).encode()
    if reuse and (found := reusing.find(content)):
        there, line = found
        print(line)
        return Run(there)
    check_tools()
    if spec.definition.comparison is not None:
        spec.definition.comparison.check()
    directory = prepare_directory(out, spec)
    with showing(progress, spec.scenario) as tell, directories.unfinished(directory):
        files.write(directory / "spec.yaml", content)
        found_out = _measure if spec.definition.comparison is None else _compare
        manifest, summary = found_out(spec, directory, tell, opened)
        files.write(directory / "manifest.json", json.dumps(manifest, indent=1).encode())
        files.write(directory / "summary.json", json.dumps(summary, indent=1).encode())
    return Run(directory)


Outcome = tuple[dict[str, Any], dict[str, Any]]
"""The manifest and the summary."""


def _compare(
    spec: Spec, directory: Path, progress: Progress, opened: Callable[[SealedLab], object]
) -> Outcome:
    """Play what is compared, one after the other."""
    wanted = spec.definition.comparison
    assert wanted is not None
    return comparison.compare(wanted, spec, directory, functools.partial(run, opened=opened), progress)


def _attacks(spec: Spec, phases: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the attacks' reports, and what each had to outlast where that is the concentrator's reboot."""
    return [
        {**attack, "outlast": phase["ready"]} if spec.definition.attacked else attack
        for phase in phases
        for attack in phase["attacks"]
    ]


def _measure(
    spec: Spec, directory: Path, progress: Progress, opened: Callable[[SealedLab], object]
) -> Outcome:
    """Run one experiment, and write its tables."""
    for part in ("raw", "logs"):
        (directory / part).mkdir()
    started = datetime.datetime.now(datetime.timezone.utc)
    result = _play(spec, directory, progress, opened)

    progress("tables", 0, 1)
    found = record.tabulate(directory, result)
    found |= spec.definition.further_tables(spec, Evidence(directory, result, found))
    for name, table in found.items():
        files.write(directory / f"{name}.parquet", table.to_parquet(index=False))
    windows = record.recovery_windows(found["probes"], found["phases"])
    observed = {
        **result["observed"],
        "attacks": _attacks(spec, result["phases"]),
        "faults": record.faults(directory),
    }
    reasons = validity.judge(observed, found["probes"], spec.probe_interval, windows)
    counters = record.controller_counters(directory)
    manifest = {
        **provenance(spec),
        "wan": observed.pop("wan_emulator"),
        "started": started.isoformat(timespec="seconds"),
        "seed": spec.seed,
        "fidelity": {"valid": not reasons, "reasons": reasons, **observed},
        "counters": counters,
    }
    summary = {
        **record.summarize(spec, result, found, counters),
        **spec.definition.further_keys(spec, Evidence(directory, result, found)),
        "valid": not reasons,
        "invalid_reasons": reasons,
        "run_dir": str(directory),
    }
    progress("tables", 1, 1)
    return manifest, summary


def shell(spec: Spec) -> int:
    """Bring the network up, with leases, and give a Mininet prompt in it; return its exit status."""
    check_tools()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for what runs at the prompt
    try:
        with SealedLab("lq.emulation.programs.prompt", log=None) as lab:
            for _ in lab.exchange({"spec": spec.model_dump(mode="json")}):
                pass  # it talks to the terminal
            return lab.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def check_tools() -> None:
    """Raise BadInput when a tool that every lab needs is not installed."""
    if missing := tools.missing():
        raise BadInput(f"not installed: {', '.join(missing)}; `lq doctor` names the package of each")


def _play(
    spec: Spec, directory: Path, progress: Progress, opened: Callable[[SealedLab], object]
) -> dict[str, Any]:
    """Run the stage in a lab of its own; return its result."""
    with SealedLab(
        "lq.emulation.programs.stage", log=directory / "logs" / "stage.log", directory=directory
    ) as lab:
        opened(lab)
        for message in lab.exchange({"spec": spec.model_dump(mode="json"), "run_dir": str(directory)}):
            if "progress" in message:
                progress(*message["progress"])
            elif "error" in message:
                raise RunFailed(f"{message['error']} (logs: {directory / 'logs'})")
            else:
                return dict(message["result"])
        raise RunFailed(f"the lab ended early: {lab.last_words()} (logs: {directory / 'logs'})")


def prepare_directory(out: Path | str | None, spec: Spec) -> Path:
    """Make the run's directory. Raises BadInput with the reason and the fix."""
    if out is None:
        return directories.prepare(directories.unused(f"{spec.scenario}-{spec.topology.figure}"))
    there = any(files.exists(Path(out) / name) for name in ("spec.yaml", directories.UNFINISHED))
    return directories.prepare(directories.beside(Path(out)) if there else Path(out))
