"""One run from the outside: a directory, a sealed lab, the stage in it, then tables and a summary."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from lq import files, yaml_file
from lq.errors import BadInput, RunFailed, shown
from lq.experiments import comparison, directories, fidelity, findings, record, tables
from lq.experiments import spec as specification
from lq.experiments.spec import Spec
from lq.sandbox import tools
from lq.sandbox.lab import Lab
from lq.sandbox.switch import datapath_type

Progress = Callable[[str, int, int], None]
MOST_OF_SUMMARY, MOST_OF_MANIFEST = 1 << 20, 16 << 20  # octets
MOST_PHASES = 1000
_PACKAGES = ("leasequery-lab", "mininet", "ryu", "os-ken", "eventlet", "scapy", "pandas", "numpy", "pyarrow")
_PEERS = {"dhcpd": ["dhcpd", "--version"], "dnsmasq": ["dnsmasq", "--version"]}
_DATAPATHS = {
    "system": "Open vSwitch's kernel datapath",
    "dummy": "Open vSwitch's user-space datapath; no bridge has a port of its own on the host",
}


class Run:
    """A finished run: a directory of files, and ways to read them. Nothing here starts anything.

    The files may be anybody's: what cannot be read raises BadInput, which names the file.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        if not files.exists(self.directory / "summary.json"):
            raise BadInput(f"{self.directory} is not the directory of a finished run: it has no summary.json")

    @property
    def spec(self) -> Spec:
        """The specification that was run."""
        return specification.read(yaml_file.load(self.directory / "spec.yaml"))

    @property
    def summary(self) -> dict[str, Any]:
        """The summary (DESIGN: the same keys for all scenarios)."""
        path = self.directory / "summary.json"
        return _checked(files.read_object(path, MOST_OF_SUMMARY), path)

    @property
    def manifest(self) -> dict[str, Any]:
        """Where the run comes from: versions, kernel, datapath, and how far it may be believed."""
        return files.read_object(self.directory / "manifest.json", MOST_OF_MANIFEST)

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the tables `events`, `queries`, `probes`, `phases`, `load`; times in seconds.

        They count from the reboot. Some scenarios have more: `lq.experiments.findings`,
        `lq.experiments.comparison`.
        """
        path = self.directory / f"{name}.parquet"
        table = tables.read(path, tables.COLUMNS.get(name, {}))
        if name == "phases" and not 0 < len(table) <= MOST_PHASES:
            raise BadInput(f"{path} is damaged: it has {len(table)} phases, and not 1 to {MOST_PHASES}")
        return table

    def first_phase(self, name: str) -> pd.DataFrame:
        """Return the rows of `queries`, `probes` or `events` up to the first phase's end.

        The summary's usual keys are about these: what comes later is another reboot's.
        """
        table, end = self.table(name), self.table("phases")["end"].iloc[0]
        rows: pd.DataFrame = table[table["due" if name == "probes" else "at"] < end]
        return rows

    @property
    def rebooted(self) -> bool:
        """Whether the concentrator rebooted in the first phase (`lq.experiments.record.rebooted`)."""
        return bool(record.rebooted(self.table("phases")).iloc[0])

    @property
    def recovery(self) -> pd.Series:
        """Seconds from the new controller's taking over to each subscriber's first delivered probe.

        In the first phase; NaN for who was not back by its end. Empty if there was no reboot in it, or nobody
        was sent a probe since.
        """
        probes = self.first_phase("probes")
        return record.recovery_times(probes if self.rebooted else probes.iloc[:0], self.summary["outage_s"])


def run(
    spec: Spec,
    out: Path | None = None,
    progress: Progress = lambda *_: None,
    *,
    opened: Callable[[Lab], object] = lambda _: None,
) -> Run:
    """Play `spec` in a sealed lab and return the finished run.

    `out` is the run's directory: new or empty; by default one below `runs/` is made. `opened` is called
    with each lab as it opens, so that another thread can end it. Raises
    BadInput when it cannot be used, LabError when no lab can be had here, RunFailed when the
    emulation did not come up.
    """
    check_tools()
    if spec.scenario == "servers":
        comparison.check()
    directory = prepare_directory(out, spec)
    files.write(directory / "spec.yaml", yaml_file.dump(spec.model_dump(mode="json")).encode())
    if spec.scenario == "servers":
        play = functools.partial(run, opened=opened)
        manifest, summary = comparison.compare(spec, directory, play, progress)
        files.write(directory / "manifest.json", json.dumps(manifest, indent=1).encode())
        files.write(directory / "summary.json", json.dumps(summary, indent=1).encode())
        return Run(directory)
    for part in ("raw", "logs"):
        (directory / part).mkdir()
    started = datetime.datetime.now(datetime.timezone.utc)
    result = _play(spec, directory, progress, opened)

    progress("tables", 0, 1)
    found = record.tabulate(directory, result)
    found |= findings.tabulate(spec, directory, result, found)
    for name, table in found.items():
        files.write(directory / f"{name}.parquet", table.to_parquet(index=False))
    windows = record.recovery_windows(found["probes"], found["phases"])
    observed = {
        **result["observed"],
        "attacks": [a for phase in result["phases"] for a in phase["attacks"]],
        "faults": record.faults(directory),
    }
    reasons = fidelity.judge(observed, found["probes"], spec.probe_interval, windows)
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
        **findings.summarize(spec, result, found),
        "valid": not reasons,
        "invalid_reasons": reasons,
        "run_dir": str(directory),
    }
    files.write(directory / "manifest.json", json.dumps(manifest, indent=1).encode())
    files.write(directory / "summary.json", json.dumps(summary, indent=1).encode())
    progress("tables", 1, 1)
    return Run(directory)


def shell(spec: Spec) -> int:
    """Bring the network up, with leases, and give a Mininet prompt in it; return its exit status."""
    check_tools()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for what runs at the prompt
    try:
        with Lab("lq.experiments.prompt", log=None) as lab:
            lab.channel.send({"spec": spec.model_dump(mode="json")})
            return lab.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def check_tools() -> None:
    """Raise BadInput when a tool that every lab needs is not installed."""
    if missing := tools.missing():
        raise BadInput(f"not installed: {', '.join(missing)}; `lq doctor` names the package of each")


def _play(spec: Spec, directory: Path, progress: Progress, opened: Callable[[Lab], object]) -> dict[str, Any]:
    """Run the stage in a lab of its own; return its result."""
    with Lab("lq.experiments.stage", log=directory / "logs" / "stage.log", directory=directory) as lab:
        opened(lab)
        try:
            lab.channel.send({"spec": spec.model_dump(mode="json"), "run_dir": str(directory)})
            for message in lab.channel:
                if "progress" in message:
                    progress(*message["progress"])
                elif "error" in message:
                    raise RunFailed(f"{message['error']} (logs: {directory / 'logs'})")
                else:
                    return dict(message["result"])
        except OSError:  # it hung up while we spoke; its exit status says why
            pass
        lab.wait()
        raise RunFailed(f"the lab ended early: {lab.last_words()} (logs: {directory / 'logs'})")


def prepare_directory(out: Path | None, spec: Spec) -> Path:
    """Make the run's directory. Raises BadInput with the reason and the fix."""
    if out is None:
        out = directories.unused(f"{spec.scenario}-{spec.topology.figure}")
    return directories.prepare(out)


def provenance(spec: Spec) -> dict[str, Any]:
    """Return versions of what takes part: this package and its libraries, programs, the switch, the kernel.

    `servers` and `clients` give versions by name, None where a program does not say; a population leases
    without a client. `datapath_meaning` explains Open vSwitch's name of its datapath.
    """
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    kind, datapath = spec.server.kind, datapath_type()
    clients = {} if spec.topology.population else {"udhcpc (BusyBox)": _version(["udhcpc", "--help"])}
    return {
        "versions": versions,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "openvswitch": _version(["ovs-vswitchd", "--version"]),
        "datapath": datapath,
        "datapath_meaning": _DATAPATHS[datapath],
        "servers": {kind: _version(_PEERS[kind]) if kind in _PEERS else versions[_PACKAGES[0]]},
        "clients": clients,
        "commit": _commit(),
    }


def _version(command: list[str]) -> str | None:
    """Return the first version that a program's words have in them, None if it is not there."""
    program = tools.find(command[0])
    if program is None:
        return None
    done = subprocess.run(
        [program, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    found = re.search(r"\d+(\.\d+)+(-P\d+)?", done.stdout)
    return found.group() if found else None


def _commit() -> str | None:
    """Return the source tree's commit, with a `+` when changed since; None for an installed package."""
    tree = Path(__file__).resolve().parents[2]
    if not (tree / ".git").exists():
        return None
    command = ["git", "-C", str(tree), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:
        return None


def _checked(summary: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a summary in which all that every run has is what it should be."""
    reasons = summary.get("invalid_reasons")
    if not isinstance(reasons, list) or not all(isinstance(reason, str) for reason in reasons):
        raise BadInput(f"{path} is damaged: its invalid_reasons are no list of texts")
    if not isinstance(summary.get("valid"), bool):
        raise BadInput(f"{path} is damaged: valid is neither true nor false")
    outage = summary.get("outage_s")
    if isinstance(outage, bool) or not isinstance(outage, int | float) or not 0 <= outage <= tables.MOST_TIME:
        raise BadInput(f"{path} is damaged: outage_s is no number of seconds")
    for key, value in summary.items():
        one = value is None or isinstance(value, str | int | float) or key == "invalid_reasons"
        if not one or (isinstance(value, int) and value.bit_length() > 63):
            raise BadInput(f"{path} is damaged: {shown(key)} is {shown(value)}")
    return summary
