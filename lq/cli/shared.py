"""The application, the options that several commands share, and what people see."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lq import __version__

if TYPE_CHECKING:
    from lq.experiments.spec import Setting

app = typer.Typer(
    help="A broadband access network in a box, to study DHCP leasequery (RFC 4388).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
options_given = {"debug": False}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lq {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
    version: Annotated[  # eager: before a command is missed
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    options_given["debug"] = debug


def finite(value: float) -> float:
    """Refuse what is no number of seconds, though Python reads it as one."""
    if not math.isfinite(value):
        raise typer.BadParameter("use a finite number")
    return value


# -- options that several commands share

Modems = Annotated[int | None, typer.Option(help="Modems; the figure's own two if not given.", metavar="M")]
HostsPerModem = Annotated[
    int | None, typer.Option(help="Hosts behind each modem; the figure's own if not given.", metavar="H")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Out = Annotated[Path | None, typer.Option(help="Directory for the files, new or empty.", metavar="DIR")]


# -- what people see


def print_summary(summary: dict[str, Any]) -> None:
    """Print a run's summary as a table, and why it is not valid if so."""
    table = Table(title=f"{summary['scenario']} on {summary['topology']}", show_header=False)
    table.add_column(style="cyan")
    table.add_column(justify="right")
    for key, value in summary.items():
        if key in ("scenario", "topology", "invalid_reasons", "run_dir", "verdict"):
            continue
        shown = "-" if value is None else str(value)
        if isinstance(value, float):
            shown = f"{value * 1000:.1f} ms" if key.startswith("recovery") else f"{value:.3g}"
        table.add_row(key.replace("_", " "), shown)
    console = Console()
    console.print(table)
    if "verdict" in summary:
        console.print(f"[bold]{summary['verdict']}[/]", soft_wrap=True)
    for reason in summary["invalid_reasons"]:
        console.print(f"[bold red]not valid:[/] {reason}")
    console.print(f"Everything is in {summary['run_dir']}", soft_wrap=True)


def print_benchmark(result: dict[str, Any]) -> None:
    """Print a benchmark's cases beside their peers."""
    table = Table(show_edge=False)
    table.add_column("measured")
    for heading in ("ours", "peer", "unit", "ratio", "goal", "beside"):
        table.add_column(heading, justify="left" if heading in ("unit", "beside") else "right")
    for case in [result, *result["cases"]]:
        ours, peer, ratio, goal, limit = (
            "-" if case.get(key) is None else f"{case[key]:,.3g}" if case[key] < 100 else f"{case[key]:,.0f}"
            for key in ("ours", "peer", "ratio", "goal", "limit")
        )
        if "limit" in case:  # of what was measured; a goal is one of the ratio
            goal = f"at most {limit} {case['unit']}: {'met' if case['met'] else '[bold red]not met[/]'}"
        table.add_row(case["name"], ours, peer, case["unit"], ratio, goal, case.get("peer_name") or "-")
    console = Console()
    console.print(table)
    for case in [result, *result["cases"]]:
        for reason in case.get("invalid_reasons", ()):
            console.print(f"[bold red]not valid:[/] {case['name']}: {reason}")


def print_checks(checks: list[Any]) -> None:
    """Print what this machine can do, and the fix for what it cannot."""
    table = Table(show_edge=False)
    for heading in ("", "what", "found", "to mend it"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        mark = "[green]yes[/]" if check.ok else ("[bold red]NO[/]" if check.needed else "[yellow]no[/]")
        table.add_row(mark, check.name, check.found, "" if check.ok else check.fix)
    Console().print(table)


def print_scenarios(questions: dict[str, str]) -> None:
    """Print the scenarios, each with its question."""
    table = Table(show_edge=False)
    table.add_column("scenario", style="cyan", no_wrap=True)
    table.add_column("question")
    for name, question in questions.items():
        table.add_row(name, question)
    Console().print(table)


def print_settings(settings: Mapping[str, Setting]) -> None:
    """Print the fields that can be set, with their values, defaults and meaning."""
    table = Table(show_edge=False)
    table.add_column("key", style="cyan", no_wrap=True)
    table.add_column("default", max_width=16, overflow="fold")
    table.add_column("values", max_width=24)
    table.add_column("meaning")
    for name, setting in settings.items():
        table.add_row(name, json.dumps(setting.default).strip('"'), setting.values, setting.meaning)
    Console().print(table)
