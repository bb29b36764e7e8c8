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
def plot(run_dirs: Finished) -> None:
    """Draw the figures of finished runs and sweeps, as PNG and SVG."""
    from lq import files, plots
    from lq.experiments.run import Run

    for run_dir in run_dirs:
        is_sweep = files.exists(run_dir / "table.parquet")
        for path in plots.save_sweep(run_dir) if is_sweep else plots.save(Run(run_dir)):
            typer.echo(path)


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
