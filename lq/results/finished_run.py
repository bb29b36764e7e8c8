"""A finished run: a directory of files, and ways to read them. Nothing here starts anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from lq import files, yaml_file
from lq.errors import BadInput, expect, shown, unknown
from lq.experiments import directories
from lq.experiments import spec as specification
from lq.experiments.spec import Spec
from lq.results import record, tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Drawn = TypeVar("Drawn", bound="Figure | Axes")
MOST_PHASES = 1000
MOST_OF_SUMMARY, MOST_OF_MANIFEST = 1 << 20, 16 << 20  # octets


class Run:
    """A finished run: a directory of files, and ways to read them. Nothing here starts anything.

    The files may be anybody's: what cannot be read raises BadInput, which names the file.
    """

    def __init__(self, directory: Path | str) -> None:
        expect(directory, (str, Path), "a run's directory", 'write its name, such as "runs/first"')
        self.directory = Path(directory)
        if not directories.finished(self.directory):
            there = files.exists(self.directory / directories.UNFINISHED)
            why = "it was interrupted, or goes on" if there else "it has no summary.json"
            raise BadInput(f"{self.directory} is not the directory of a finished run: {why}")

    @property
    def spec(self) -> Spec:
        """The specification that was run."""
        return specification.read(yaml_file.load(self.directory / "spec.yaml"))

    @property
    def summary(self) -> dict[str, Any]:
        """The summary: the same keys for all scenarios, and those of this one."""
        path = self.directory / "summary.json"
        return _checked(files.read_object(path, MOST_OF_SUMMARY), path)

    @property
    def manifest(self) -> dict[str, Any]:
        """Where the run comes from: versions, kernel, datapath, and how far it may be believed."""
        return manifest(self.directory)

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the tables `events`, `queries`, `probes`, `phases`, `load`; times in seconds.

        They count from the reboot. Some scenarios have more (`lq.scenarios`).
        """
        expect(name, str, "a table's name", 'write it as "probes"')
        path = self.directory / f"{name}.parquet"
        if not files.exists(path):
            there = sorted(each.stem for each in self.directory.glob("*.parquet"))
            said = f"{self.directory} has no {path.name}"  # known: another scenario's, or it is lost
            said = said if name in tables.COLUMNS else unknown("table", name, there)
            raise BadInput(f"{said} (there is: {', '.join(there)})")
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
        """Whether the concentrator rebooted in the first phase (`lq.results.record.rebooted`)."""
        return bool(record.rebooted(self.table("phases")).iloc[0])

    def mark(self, figure: Drawn) -> Drawn:
        """Write on a figure drawn by hand that this run is not valid, and why; return the figure.

        `figure` is one of matplotlib, or an axes of it. Nothing is written if the run is valid.
        """
        from lq import figures  # matplotlib takes long to import

        summary = self.summary
        if not summary["valid"]:
            figures.mark(
                figure, [f"not valid ({self.directory.name}): {'; '.join(summary['invalid_reasons'])}"]
            )
        return figure

    @property
    def recovery(self) -> pd.Series:
        """Seconds from the new controller's taking over to each subscriber's first delivered probe.

        In the first phase; NaN for who was not back by its end. Empty if there was no reboot in it, or nobody
        was sent a probe since.
        """
        probes = self.first_phase("probes")
        return record.recovery_times(probes if self.rebooted else probes.iloc[:0], self.summary["outage_s"])


def manifest(directory: Path) -> dict[str, Any]:
    """Return what a run's manifest says. Raises BadInput."""
    return files.read_object(directory / "manifest.json", MOST_OF_MANIFEST)


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
