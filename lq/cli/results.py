"""Commands about finished runs: plot, report, compare, gallery."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lq.cli.shared import AsJson, app

if TYPE_CHECKING:
    from lq.reports import Comparison

_BESIDE = 2  # runs beside the first in a table

Finished = Annotated[
    list[Path], typer.Argument(help="Directories of finished runs or sweeps.", metavar="RUN_OR_SWEEP")
]


@app.command()
def plot(
    run_dirs: Finished,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="Format: png, svg or pdf. Separate several with commas, or repeat the option.",
            metavar="KIND",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Width and height in inches, such as 3.5x2.2; the letters keep their size.", metavar="WxH"
        ),
    ] = None,
    dpi: Annotated[
        int | None, typer.Option(help="Resolution of a PNG in dots per inch; default: 150.")
    ] = None,
) -> None:
    """Draw the figures of finished runs and sweeps; default: PNG and SVG.

    With --size, a figure that is not legible in that size is left out, and a line says so.
    """
    from lq import plots, reports
    from lq.plots import paper
    from lq.results.finished_run import Run

    wanted = paper.read(kinds or [], size, dpi)
    for run_dir in run_dirs:
        is_sweep = reports.is_sweep(run_dir)
        drawn = plots.of_sweep(run_dir) if is_sweep else plots.of_run(Run(run_dir))
        written, left_out = paper.save(drawn, run_dir, wanted)
        for path in written:
            typer.echo(path)
        for name in left_out:
            typer.echo(
                f"lq: {name} is left out: it does not fit into {size} inches; use a larger --size", err=True
            )


@app.command()
def report(
    run_dirs: Finished,
    out: Annotated[
        Path | None,
        typer.Option(help="File of the report; default: report.html in the directory.", metavar="FILE"),
    ] = None,
) -> None:
    """Write a report of finished runs and sweeps: one HTML file that needs no other file.

    The report holds the verdict, the figures, the numbers, the specification, the versions, and the command
    that repeats the run.
    """
    from lq import reports

    typer.echo(reports.write(run_dirs, out))


@app.command()
def compare(
    run_dirs: Annotated[
        list[Path], typer.Argument(help="Directories of at least two finished runs.", metavar="RUN")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for the figures and comparison.html.", metavar="DIR"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs: the settings that differ, the numbers with their ratios, and the curves.

    Ratios are relative to the first run.
    """
    from lq import reports

    found = reports.compare(run_dirs)
    written = found.save(out) if out is not None else []
    if as_json:
        typer.echo(json.dumps({**found.as_dict(), "files": list(map(str, written))}))
        return
    _print(found)
    for path in written:
        typer.echo(path)


def _print(found: Comparison) -> None:
    """Print the tables. Each shows the first run and two others, so that lines stay short."""
    from lq.reports import words

    console, names = Console(), list(found.runs)
    others = range(1, len(names))
    for start in others[::_BESIDE]:
        some = [0, *others[start - 1 :][:_BESIDE]]
        for title, rows in (
            ("settings that differ", {key: list(map(words.setting, v)) for key, v in found.settings.items()}),
            (
                f"numbers (ratio to {names[0]})",
                {words.name(key): [found.cell(key, n) for n in range(len(names))] for key in found.numbers},
            ),
        ):
            table = Table(title=escape(title), show_edge=False, title_justify="left")
            table.add_column("", overflow="fold", style="cyan")
            for number in some:
                table.add_column(escape(names[number]), justify="right", overflow="fold")
            for name, cells in rows.items():
                table.add_row(escape(name), *(escape(cells[number]) for number in some))
            if rows:
                console.print(table)
    if not found.settings:
        console.print("No setting differs: the runs are repeats of each other.")
    for line in found.warnings:
        console.print(f"[bold red]{escape(line)}[/]", soft_wrap=True)


@app.command()
def gallery(
    out: Annotated[
        Path, typer.Option(help="Directory of the documentation in a source tree.", metavar="DIR")
    ] = Path("docs"),
    runs: Annotated[Path, typer.Option(help="Directory of the runs.", metavar="DIR")] = Path("runs/gallery"),
) -> None:
    """Make the documentation's pictures and reports again, from valid runs only. It takes some minutes."""
    from lq.reports import gallery as made

    for path in made.make(out, runs):
        typer.echo(path)
