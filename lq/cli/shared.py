"""The application, the options that several commands share, and the printed tables."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lq import __version__

if TYPE_CHECKING:
    from lq.experiments.spec import Setting


_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Application(typer.Typer):
    """Wraps the help of commands for the terminal; typer would keep the lines of a docstring."""

    def command(self, name: str | None = None, **keywords: Any) -> Callable[[_Command], _Command]:
        def described(function: _Command) -> _Command:
            paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
            said = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
            return super(_Application, self).command(name, help=said, **keywords)(function)

        return described


app = _Application(
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
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[  # eager: also without a command
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    options_given["debug"] = debug


def finite(value: float) -> float:
    """Refuse infinity and NaN, which Python reads as numbers of seconds."""
    if not math.isfinite(value):
        raise typer.BadParameter("use a finite number")
    return value


# -- options that several commands share

Modems = Annotated[
    int | None, typer.Option(help="Number of modems; default: 2, as in the figure.", metavar="M")
]
HostsPerModem = Annotated[
    int | None,
    typer.Option(help="Number of hosts behind each modem; default: as in the figure.", metavar="H"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and no table.")]
Out = Annotated[Path | None, typer.Option(help="Directory for the files; new or empty.", metavar="DIR")]


# -- printed tables


MOST_WIDTH = 10_000  # columns


def print_rows(
    named: Sequence[str], others: Sequence[str], rows: Sequence[Sequence[str]], title: str = ""
) -> None:
    """Print rows as a table. If the terminal is too narrow, print them one below the other.

    The first columns (`named`) identify a row, the `others` hold its values; `-` stands for no value.
    """
    console = Console()
    table = Table(title=title or None, show_edge=False)
    for number, heading in enumerate((*named, *others)):
        table.add_column(heading, justify="left" if number < len(named) else "right")
    for row in rows:
        table.add_row(*row)
    wide = console.options.update(max_width=MOST_WIDTH)
    if Measurement.get(console, wide, table).maximum <= console.width:
        console.print(table)
        return
    if title:
        console.print(f"[italic]{title}[/]")
    for row in rows:
        about = [cell if len(named) == 1 else f"{key} {cell}" for key, cell in zip(named, row, strict=False)]
        console.print(f"[bold]{', '.join(about)}[/]")
        cells = Table.grid(padding=(0, 2))
        for heading, cell in zip(others, row[len(named) :], strict=True):
            if cell != "-":
                cells.add_row(f"  {heading}", cell)
        console.print(cells)


def print_summary(summary: dict[str, Any]) -> None:
    """Print a run's summary as a table, and the reasons if it is not valid."""
    from lq.reports import words  # draws, too

    table = Table(title=f"{summary['scenario']} on {summary['topology']}", show_header=False)
    table.add_column(style="cyan", overflow="fold")
    table.add_column(justify="right", overflow="fold")
    for key, value in summary.items():
        if key not in ("scenario", "topology", "invalid_reasons", "run_dir", "verdict"):
            table.add_row(words.name(key), escape(words.value(key, value)))
    console = Console()
    console.print(table)
    if "verdict" in summary:
        console.print(f"[bold]{escape(summary['verdict'])}[/]")
    for reason in summary["invalid_reasons"]:
        console.print(f"[bold red]not valid:[/] {escape(reason)}")
    console.print(f"All files are in {escape(summary['run_dir'])}", soft_wrap=True)


def print_benchmark(result: dict[str, Any]) -> None:
    """Print a benchmark's cases, each beside the program that it is compared with."""
    rows = []
    for case in [result, *result["cases"]]:
        ours, peer, ratio, goal, limit = (
            "-" if case.get(key) is None else f"{case[key]:,.3g}" if case[key] < 100 else f"{case[key]:,.0f}"
            for key in ("ours", "peer", "ratio", "goal", "limit")
        )
        if "limit" in case:  # a bound of the measured value; a goal is a bound of the ratio
            goal = f"at most {limit} {case['unit']}: {'met' if case['met'] else '[bold red]not met[/]'}"
        beside = case.get("peer_name") or "-"
        there = peer if peer == "-" else f"{peer} {case['unit']}"
        rows.append((case["name"], f"{ours} {case['unit']}", beside, there, ratio, goal))
    print_rows(["measured"], ["ours", "beside", "there", "ratio", "goal"], rows)
    for case in [result, *result["cases"]]:
        for reason in case.get("invalid_reasons", ()):
            Console().print(f"[bold red]not valid:[/] {escape(case['name'])}: {escape(reason)}")


def print_checks(checks: list[Any]) -> None:
    """Print the checks of this machine, and the fix for each that fails."""
    table = Table(show_edge=False)
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        mark = "[green]yes[/]" if check.ok else ("[bold red]NO[/]" if check.needed else "[yellow]no[/]")
        table.add_row(mark, check.name, escape(check.found))
    console = Console()
    console.print(table)
    if lacking := [check for check in checks if not check.ok]:
        console.print("\nHow to fix it:")
        for check in lacking:
            # Unwrapped, so that it can be copied.
            console.print(f"  {check.name}: {escape(check.fix)}", soft_wrap=True)


def print_scenarios(questions: dict[str, str]) -> None:
    """Print the scenarios, each with its question."""
    table = Table(show_edge=False)
    table.add_column("scenario", style="cyan", no_wrap=True)
    table.add_column("question")
    for name, question in questions.items():
        table.add_row(name, question)
    Console().print(table)


def print_settings(settings: Mapping[str, Setting]) -> None:
    """Print each field with its default and its values, and below it its meaning."""
    console = Console()
    console.print(
        "\nEach setting has a line with its name, its default and its values. The line below tells its "
        "meaning.\n"
    )
    for name, setting in settings.items():
        default = json.dumps(setting.default).strip('"').replace("null", "not set")
        line = Text.assemble((name, "cyan"), f" = {default}   ", (f"({setting.values})", "dim"))
        console.print(line, overflow="fold")
        console.print(Padding(Text(setting.meaning), (0, 0, 0, 4)))
