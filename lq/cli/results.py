"""Commands around what runs have left: plot, report, compare, gallery."""

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
        typer.Option("--format", help="png, svg or pdf; several, with commas or repeated.", metavar="KIND"),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Width and height in inches, 3.5x2.2 say; letters stay readable.", metavar="WxH"),
    ] = None,
    dpi: Annotated[int | None, typer.Option(help="Dots per inch of a PNG; 150 if not given.")] = None,
) -> None:
    """Draw the figures of finished runs and sweeps, by default as PNG and SVG.

    With --size a figure that cannot be read in that size is left out, and a line says so.
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
            typer.echo(f"lq: {name} does not fit into {size} inches, and is left out", err=True)


@app.command()
def report(
    run_dirs: Finished,
    out: Annotated[
        Path | None,
        typer.Option(help="The report's file; by default report.html in the directory.", metavar="FILE"),
    ] = None,
) -> None:
    """Write a report of finished runs and sweeps: one HTML file that needs nothing else.

    It has the verdict, figures, numbers, specification, where all comes from, and how to repeat it.
    """
    from lq import reports

    typer.echo(reports.write(run_dirs, out))


@app.command()
def compare(
    run_dirs: Annotated[
        list[Path], typer.Argument(help="Directories of finished runs, two at least.", metavar="RUN")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write the figures and comparison.html there.", metavar="DIR"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold runs against each other: settings that differ, numbers with their ratios, and curves.

    The first run is what the others are held against.
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
    """Print the tables; of many runs two at a time beside the first, so that lines stay short."""
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
        console.print("No setting differs: the runs repeat each other.")
    for line in found.warnings:
        console.print(f"[bold red]{escape(line)}[/]", soft_wrap=True)


@app.command()
def gallery(
    out: Annotated[
        Path, typer.Option(help="The documentation's directory, in a source tree.", metavar="DIR")
    ] = Path("docs"),
    runs: Annotated[Path, typer.Option(help="Where the runs are kept.", metavar="DIR")] = Path(
        "runs/gallery"
    ),
) -> None:
    """Make the documentation's pictures and reports anew, from runs of some minutes; valid ones only."""
    from lq.reports import gallery as made

    for path in made.make(out, runs):
        typer.echo(path)
