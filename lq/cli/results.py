"""Commands around what runs have left: plot, report, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lq.cli.shared import app

Finished = Annotated[
    list[Path], typer.Argument(help="Directories of finished runs or sweeps.", metavar="RUN_OR_SWEEP...")
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
    from lq.experiments.run import Run
    from lq.plots import paper

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
