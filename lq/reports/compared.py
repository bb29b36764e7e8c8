"""Runs side by side: the settings in which they differ, their numbers with ratios, their curves together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lq import figures, files, plots
from lq.errors import BadInput
from lq.experiments.directories import making
from lq.experiments.spec import SCENARIOS
from lq.plots import together
from lq.plots.captions import caption
from lq.reports import sections, specification, words
from lq.reports.page import Column, Markup, bullets, table, tag, whole_page
from lq.results.finished_run import Run

MOST_RUNS = 12  # whose curves can be told apart
_NOT_NUMBERS = ("seed",)
_CAPTIONS = {
    "queries": "Leasequeries that each run had sent so far, with repeats.",
    "delivered": "Share of each run's probes that were delivered, by the time of sending.",
}


@dataclass(frozen=True)
class Comparison:
    """Several runs by their names; the first is what the others are held against."""

    runs: Mapping[str, Run]

    @cached_property
    def settings(self) -> dict[str, list[Any]]:
        """The settings that differ, each with its value in every run."""
        found = [specification.values(run.spec) for run in self.runs.values()]
        every = {key: [each[key] for each in found] for key in found[0]}
        return {key: values for key, values in every.items() if any(v != values[0] for v in values)}

    @cached_property
    def numbers(self) -> dict[str, list[float | None]]:
        """The numbers of the summaries that at least two runs have; times in seconds, None where none is."""
        found = [run.summary for run in self.runs.values()]
        every = {key: [_number(each.get(key)) for each in found] for summary in found for key in summary}
        return {
            key: values
            for key, values in every.items()
            if key not in _NOT_NUMBERS and sum(value is not None for value in values) > 1
        }

    @cached_property
    def warnings(self) -> list[str]:
        """Why the runs cannot be compared, or are not to be believed, in words; empty if all is well."""
        scenarios = {name: run.spec.scenario for name, run in self.runs.items()}
        lines = []
        if len(set(scenarios.values())) > 1:
            told = ", ".join(f"{name} is {scenario}" for name, scenario in scenarios.items())
            lines.append(f"not comparable: the scenarios ask different questions ({told})")
        for name, run in self.runs.items():
            summary = run.summary
            if not summary["valid"]:
                reasons = "; ".join(summary["invalid_reasons"][: sections.MOST_REASONS])
                lines.append(words.text(f"not valid: {name}: {reasons}", 900))
        return lines

    @property
    def comparable(self) -> bool:
        """Whether the runs are of one scenario."""
        return len({run.spec.scenario for run in self.runs.values()}) == 1

    def ratio(self, key: str, number: int) -> str:
        """Return a run's number over the first run's, `-` where there is none."""
        first, value = self.numbers[key][0], self.numbers[key][number]
        if not first or value is None or not math.isfinite(value / first):
            return "-"
        ratio = value / first
        return f"{ratio:,.0f}" if abs(ratio) >= 100 else f"{ratio:.3g}"

    def figures(self) -> dict[str, Figure]:
        """Draw the curves of all runs together; none if they are not comparable."""
        if not self.comparable:
            return {}
        rebooted = {name: run for name, run in self.runs.items() if run.rebooted}
        drawn: dict[str, Figure] = {}
        if rebooted:
            drawn["recovery"] = plots.recovery_curve(list(rebooted.values()), list(rebooted))
        drawn["queries"] = together.queries_so_far(self.runs)
        return drawn | {"delivered": together.delivered_shares(self.runs)}

    def as_dict(self) -> dict[str, Any]:
        """Return all that is in the tables, for JSON."""
        return {
            "runs": list(self.runs),
            "comparable": self.comparable,
            "valid": [run.summary["valid"] for run in self.runs.values()],
            "warnings": self.warnings,
            "settings": self.settings,
            "numbers": self.numbers,
        }

    def save(self, directory: Path) -> list[Path]:
        """Write the figures and `comparison.html` into a directory; return the files."""
        content = self._page()  # before anything is written
        with making(directory):
            tree = files.Tree(directory)
        written = figures.save(self.figures(), directory)
        return [*written, tree.write("comparison.html", content)]

    def _page(self) -> bytes:
        scenario = next(iter(self.runs.values())).spec.scenario
        parts: list[str] = [tag("h1", f"{len(self.runs)} runs of {scenario}" if self.comparable else "Runs")]
        if self.comparable:
            parts.append(tag("p", SCENARIOS[scenario], class_="faint"))
        if self.warnings:
            parts.append(
                tag("div", tag("strong", "Mind this:"), bullets(self.warnings), class_="verdict bad")
            )
        names = [words.text(name, 60) for name in self.runs]
        parts += [tag("h2", "Settings that differ"), self._settings(names), tag("h2", "Figures")]
        if not self.comparable:
            parts.append(tag("p", "There are no common curves, because the scenarios differ."))
        parts += sections.shown_figures(self.figures(), "f", captions=_caption)
        parts += [tag("h2", "Numbers"), self._numbers(names)]
        return whole_page("Comparison of runs", *parts)

    def _settings(self, names: Sequence[str]) -> Markup:
        rows = [(key, *map(words.setting, values)) for key, values in self.settings.items()]
        if not rows:
            return tag("p", "None: the runs are repeats of each other.")
        return table([Column("setting"), *map(Column, names)], rows, "Settings that differ between the runs")

    def _numbers(self, names: Sequence[str]) -> Markup:
        columns = [Column("measured"), *(Column(name, number=True) for name in names)]
        rows = [
            (words.name(key), *(self.cell(key, number) for number in range(len(names))))
            for key in self.numbers
        ]
        return table(columns, rows, f"Numbers of the first phase; in brackets the ratio to {names[0]}")

    def cell(self, key: str, number: int) -> str:
        """Return a run's number with its unit, and the ratio to the first run's where that says something."""
        value = self.numbers[key][number]
        told = words.value(key, int(value) if value is not None and value == int(value) else value)
        ratio = self.ratio(key, number) if number else "-"
        return told if ratio == "-" else f"{told} ({ratio})"


def compare(directories: Sequence[Path | str]) -> Comparison:
    """Return runs side by side. Raises BadInput for fewer than two, or more than `MOST_RUNS`."""
    if not 2 <= len(directories) <= MOST_RUNS:
        raise BadInput(f"compare 2 to {MOST_RUNS} runs (got {len(directories)})")
    found = [Run(directory) for directory in directories]
    return Comparison(dict(zip(_names(found), found, strict=True)))


def _names(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: its directory's, and a number where several have the same."""
    plain = [words.text(run.directory.resolve().name, 60) for run in runs]
    return [
        f"{name} ({number})" if plain.count(name) > 1 else name for number, name in enumerate(plain, start=1)
    ]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _caption(name: str) -> str:
    return _CAPTIONS.get(name) or caption(name)
