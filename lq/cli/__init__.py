"""The command line. Each command is thin: it reads options, calls the library, prints."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from lq import stdio
from lq.cli import experiments, protocol, results, sweep
from lq.cli.shared import app, options_given
from lq.errors import BadInput, RunFailed, one_line

__all__ = ["app", "experiments", "main", "protocol", "results", "sweep"]


def _fail(line: str, status: int) -> NoReturn:
    typer.echo(f"lq: {one_line(line)}", err=True)
    sys.exit(status)


def main() -> None:
    """Run the command line; errors are one line on standard error (2: bad input, 1: it failed)."""
    stdio.ensure()
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # as they came, names go out
    try:
        status = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except Exception as error:
        from lq.sandbox.lab import LabError

        if hasattr(error, "format_message"):  # the parser's own errors, whichever parser typer brings
            _fail(" ".join(error.format_message().split()), 2)
        if options_given["debug"]:
            raise
        if isinstance(error, BadInput):
            _fail(str(error), 2)
        if isinstance(error, (RunFailed, LabError)):
            _fail(str(error), 1)
        _fail(f"{type(error).__name__}: {error} (--debug shows where)", 1)
    if status == 130:  # which typer makes of a KeyboardInterrupt, or did not, by its version
        _fail("interrupted", 130)
    sys.exit(status if isinstance(status, int) else 0)
