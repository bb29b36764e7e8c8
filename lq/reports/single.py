"""The report of one run: verdict, figures, numbers, specification, where it comes from, how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lq import plots
from lq.experiments.spec import SCENARIOS
from lq.plots.canvas import seconds
from lq.reports import sections, specification, words
from lq.reports.page import Column, Markup, table, tag
from lq.results.finished_run import Run

MOST_YAML = 1 << 16  # characters
MOST_PHASES = 8  # in a table
MOST_ROWS = 100  # of a table
_ELSEWHERE = ("scenario", "topology", "backend", "seed", "valid", "invalid_reasons", "run_dir", "verdict")
_PHASES = (
    *("start", "ready", "end", "subscribers", "reached", "queries_sent", "queries_resent"),
    *("subscriber_queries", "inside_queries", "outside_queries", "attack_packets", "probes_sent"),
    *("probes_delivered", "server_cpu_s", "controller_cpu_s", "switch_cpu_s"),
)


def title(run: Run) -> str:
    """Return what heads a run's section."""
    spec = run.spec
    return f"{spec.scenario} on {spec.topology.figure}, {spec.topology.subscribers:,} subscribers"


def section(run: Run, number: int, *, several: bool) -> Markup:
    """Return a run's section of a report. Raises BadInput that names the file which cannot be used."""
    spec, summary = run.spec, run.summary
    said = [sections.sentence(line) for line in outcome(summary)]
    if isinstance(summary.get("verdict"), str):
        said.append(sections.sentence(summary["verdict"]))
    yaml = specification.whole(run.directory, MOST_YAML)
    command = specification.command(spec)
    parts: list[str] = [
        *([tag("h2", f"{number}. {title(run)}")] if several else []),
        tag("p", SCENARIOS[spec.scenario], class_="faint"),
        sections.verdict(summary["valid"], said, summary["invalid_reasons"]),
        tag("h3", "Figures"),
        *sections.shown_figures(plots.of_run(run), f"f{number}"),
        tag("h3", "Numbers"),
        _numbers(summary),
        *_phases(run.table("phases")),
        *_servers(run),
        tag("h3", "Specification"),
        sections.differences(spec),
        tag("h3", "Origin"),
        sections.provenance(run.manifest, [("run", words.text(run.directory.resolve().name, 100))]),
        tag("h3", "How to repeat it"),
    ]
    if command is not None:
        parts += [tag("p", "This command repeats the run:"), tag("pre", command)]
    parts += [
        tag("p", "`lq run spec.yaml` does the same, with this file as spec.yaml:"),
        tag("pre", yaml, class_="yaml"),
    ]
    return tag("section", *parts, id=sections.anchor(number), class_="own" if several else "only")


def outcome(summary: Mapping[str, Any]) -> list[str]:
    """Return in words what came of the first reboot; nothing where there was none."""
    back, everybody = summary.get("recovered"), summary.get("subscribers")
    if not isinstance(back, int) or not isinstance(everybody, int):
        return []
    half, last = summary.get("recovery_p50_s"), summary.get("recovery_max_s")
    line = f"{back:,} of {everybody:,} subscribers came back after the reboot"
    if isinstance(half, float) and isinstance(last, float):
        line += f", half of them within {seconds(half)}, the last after {seconds(last)}"
    lines = [line]
    sent, again = summary.get("queries_sent"), summary.get("queries_resent")
    if isinstance(sent, int) and isinstance(again, int):
        lines.append(f"the concentrator sent {sent:,} leasequeries and repeated {again:,}")
    return lines


def _numbers(summary: Mapping[str, Any]) -> Markup:
    rows = [
        (words.name(key), words.value(key, found))
        for key, found in list(summary.items())[:500]
        if key not in _ELSEWHERE
    ]
    return table([Column("measured"), Column("value", number=True)], rows, "Numbers of the first phase")


def _phases(phases: pd.DataFrame) -> Sequence[str]:
    if len(phases) < 2:
        return []
    some = phases.iloc[:MOST_PHASES]
    columns = [Column("phase"), *(Column(words.text(name, 40), number=True) for name in some["phase"])]
    rows = [
        (_PHASE_NAMES.get(key, words.name(key)), *(_phase_value(key, found) for found in some[key]))
        for key in _PHASES
        if key in some
    ]
    what = "Phases in order"
    if len(phases) > MOST_PHASES:
        what += f"; the first {MOST_PHASES} of {len(phases)}"
    return [table(columns, rows, what)]


_PHASE_NAMES = {"start": "begins at", "ready": "takeover at", "end": "ends at"}


def _phase_value(key: str, found: Any) -> str:
    if key in _PHASE_NAMES:
        return seconds(float(found))
    plain = found.item() if hasattr(found, "item") else found
    return words.value(key, plain)


def _servers(run: Run) -> Sequence[str]:
    comparison = run.spec.definition.comparison
    if comparison is None:
        return []
    rows = run.table(run.spec.scenario).iloc[:MOST_ROWS].to_dict("records")
    columns = [
        Column("measured"),
        *(Column(words.text(row[comparison.part], 40), number=True) for row in rows),
    ]
    keys = [str(key) for key in rows[0] if key != comparison.part]
    told = [(words.name(key), *(words.value(key, row[key]) for row in rows)) for key in keys]
    return [table(columns, told, "The servers side by side")]
