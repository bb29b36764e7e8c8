"""The command `lq sweep`: a grid of runs and its table."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from lq.cli.shared import AsJson, app, print_rows
from lq.errors import BadInput

_SHOWN = ("recovered", "recovery_p50_s", "recovery_max_s", "queries_per_address", "queries_resent")


@app.command()
def sweep(
    scenario: Annotated[
        str, typer.Argument(help="Name of a scenario, or a .yaml file with a specification.")
    ],
    grid: Annotated[
        list[str],
        typer.Option(
            "--grid", help="A field and its values; see `lq run --explain`. Repeatable.", metavar="KEY=A,B,C"
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Set a field to the same value in all runs. Repeatable.", metavar="KEY=VALUE"
        ),
    ] = None,
    topology: Annotated[str | None, typer.Option(help="Figure of the draft: cable or dsl.")] = None,
    repeat: Annotated[int, typer.Option(help="Number of runs at each point, each with its own seed.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Number of labs that run at the same time; default: one for two cores.", metavar="N", min=1
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a dask scheduler; it spreads the runs over machines that share this disk."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first repeat.")] = None,
    out: Annotated[
        Path,
        typer.Option(help="Directory of the sweep; an interrupted sweep continues in it.", metavar="DIR"),
    ] = Path("runs/sweep"),
    as_json: AsJson = False,
) -> None:
    """Run a grid of experiments with repeats, and collect them in one tidy table.

    Finished runs are not repeated, so the same command continues an interrupted sweep.
    """
    from lq.experiments import spec as specification
    from lq.experiments import sweep as sweeping
    from lq.results.finished_sweep import holds_another

    common: dict[str, Any] = dict(specification.parse_setting(text) for text in settings or [])
    if topology is not None:
        common["topology.figure"] = topology
    if seed is not None:
        common["seed"] = seed
    what = sweeping.Sweep(scenario, common, _grid(grid), repeat)
    if workers is not None and scheduler is not None:
        raise BadInput(
            "--workers is for this machine, and --scheduler has its own workers: give only one of the two"
        )
    if holds_another(what, out):
        raise BadInput(f"{out} holds another sweep: give --out a new directory")
    with _executor(scheduler) as executor:
        done = sweeping.sweep(what, Path(os.path.realpath(out)), workers=workers, executor=executor)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "directory": str(done.directory),
                    "table": str(done.directory / "table.parquet"),
                    "runs": len(done.table),
                    "invalid": int((~done.table["valid"].astype(bool)).sum()) if len(done.table) else 0,
                    "failures": done.failures,
                }
            )
        )
    else:
        _print(done, list(what.grid))
    raise typer.Exit(1 if done.failures else 0)


def _grid(texts: list[str]) -> dict[str, list[Any]]:
    axes: dict[str, list[Any]] = {}
    for name, values in map(_axis, texts):
        if name in axes:
            raise BadInput(f"--grid {name} is given twice: write all its values into one --grid")
        axes[name] = values
    return axes


def _axis(text: str) -> tuple[str, list[Any]]:
    """Take `KEY=A,B,C` apart."""
    from lq.experiments.spec import parse_setting

    name, separator, values = text.partition("=")
    if not separator or not name or not values:
        raise BadInput(f"--grid {text}: write KEY=A,B,C, for example --grid wan.delay=0,0.02,0.1")
    return name, [parse_setting(f"{name}={value}")[1] for value in values.split(",")]


@contextlib.contextmanager
def _executor(scheduler: str | None) -> Iterator[Executor | None]:
    """Connect to a dask scheduler, if there is one; None: `sweep` runs the labs here."""
    if scheduler is None:
        yield None
        return
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        raise BadInput("--scheduler needs dask: install leasequery-lab[cluster]") from None
    try:
        client = distributed.Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"--scheduler {scheduler}: no scheduler answers at this address ({error}): start it, or "
            "leave --scheduler out"
        ) from None
    with client:
        yield client.get_executor(pure=False)


def _print(done: Any, keys: list[str]) -> None:
    """Print one line for each point: medians over its repeats, with their intervals."""
    from lq.reports import words  # draws, too
    from lq.results.finished_sweep import aggregate

    console = Console()
    if len(done.table):
        columns = [aggregate(done.table, keys, key).to_dict("records") for key in _SHOWN]
        rows = []
        for measured in zip(*columns, strict=True):
            first = measured[0]
            about = [_value(first[key]) for key in keys]
            told = [_shown(key, row) for key, row in zip(_SHOWN, measured, strict=True)]
            rows.append([*about, str(first["count"]), str(first["invalid"]), *told])
        others = ["runs", "not valid", *map(words.name, _SHOWN)]
        print_rows(keys, others, rows, "Medians of the repeats (with intervals from six repeats on)")
    for name, error in done.failures.items():
        console.print(f"[bold red]failed:[/] {name}: {escape(error)}")
    console.print(f"The table is {escape(str(done.directory / 'table.parquet'))}", soft_wrap=True)


def _value(value: Any) -> str:
    return f"{value:,.10g}" if isinstance(value, float) else str(value)


def _shown(key: str, row: dict[str, Any]) -> str:
    from lq.reports import words

    if row["count"] == 0:
        return "-"
    median, low, high = (words.value(key, row[name]) for name in ("median", "low", "high"))
    return median if row["confidence"] < 0.95 else f"{median} ({low} to {high})"
