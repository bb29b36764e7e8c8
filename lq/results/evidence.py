"""What a run has left, for its scenario to make something of: the stage's result, and the tables so far."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from lq.results import messages, record
from lq.scenarios.parts.common import Common
from topologies import plan

Table: TypeAlias = pd.DataFrame
Column: TypeAlias = pd.Series


@dataclass(frozen=True)
class Evidence:
    """A run's directory, its `result` (`lq.scenarios.outcome.Result` as JSON), and its tables by name.

    Every time in a table is in seconds since the reboot; `result` has moments of the network's clock.
    """

    run_dir: Path
    result: Mapping[str, Any]
    tables: Mapping[str, Table]

    def since_reboot(self, moment: float | None) -> float | None:
        """Return a moment of the network's clock in seconds since the reboot, the tables' time zero."""
        return None if moment is None else float(moment) - float(self.result["killed"])

    @property
    def phases(self) -> list[dict[str, Any]]:
        """The rows of the table `phases`."""
        return _rows(self.tables["phases"])

    @property
    def reboots(self) -> list[dict[str, Any]]:
        """The same of those phases in which a new controller took the switch over."""
        table = self.tables["phases"]
        return _rows(table[record.rebooted(table)])

    def recovery(self, ready: float, end: float | None = None) -> Column:
        """Return each subscriber's seconds from `ready` to its first delivered probe (NaN: none came).

        Only probes that were due before `end` count, if that is given.
        """
        probes = self.tables["probes"]
        return record.recovery_times(probes if end is None else probes[probes["due"] < end], ready)

    def reports(self, programs: str) -> Iterator[dict[str, Any]]:
        """Go through the reports that programs left whose names match a pattern such as `tap-*`."""
        for path in sorted((self.run_dir / "raw").glob(f"{programs}-report.json")):
            yield json.loads(path.read_text())

    def wire(self) -> Table:
        """Return the DHCP messages that the captures at the servers hold (`lq.results.messages`)."""
        return messages.tabulate(self.run_dir, self.result)

    @property
    def servers(self) -> list[str]:
        """The servers' names, the first one first."""
        return [place.name for place in plan.SERVERS]

    @staticmethod
    def table(rows: Sequence[Any], columns: Sequence[str] | None = None) -> Table:
        """Return rows as a table, with these columns where there may be no row."""
        made: Table = pd.DataFrame(rows, columns=None if columns is None else list(columns))
        return made

    @staticmethod
    def tags_of_modems(spec: Common) -> dict[str, tuple[int, ...]]:
        """Return the VLAN tags of each modem's circuit, outer first, by the modem's hardware address."""
        stacked = spec.topology.stacked_tags
        return {plan.modem_mac(n): plan.tags(n, stacked) for n in range(1, (spec.topology.modems or 2) + 1)}


def _rows(table: Table) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
