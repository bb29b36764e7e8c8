"""The command line. Each command is thin: it reads options, calls the library, prints."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

import typer

from lq.cli import experiments, protocol, results, sweep
from lq.cli.shared import app, options_given
from lq.errors import BadInput, RunFailed, one_line, plain

__all__ = ["app", "experiments", "main", "protocol", "results", "sweep"]


def _fail(line: str, status: int) -> NoReturn:
    if line:  # none where the help has said all
        with contextlib.suppress(OSError):  # nowhere is left to say it: the status does
            typer.echo(f"lq: {one_line(line)}", err=True)
    sys.exit(status)


def main() -> None:
    """Run the command line; errors are one line on standard error (2: bad input, 1: it failed)."""
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # names go out as they came
    try:
        status = app(standalone_mode=False)
        _flush()
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except Exception as error:
        from lq.sandbox.lab import LabError

        if hasattr(error, "format_message"):  # the parser's own errors, whichever parser typer brings
            _fail(plain(" ".join(error.format_message().split())), 2)
        if isinstance(error, OSError) and not _takes_output():
            with contextlib.suppress(OSError):  # or Python would complain of it once more at its end
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if isinstance(error, BrokenPipeError):  # whoever read it has enough
                sys.exit(1)
            _fail(f"cannot write the output: {error.strerror}", 1)
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


def _flush() -> None:
    """Have everything written while a failure can still be told."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _takes_output() -> bool:
    """Whether standard output takes what is still to be written."""
    try:
        _flush()
    except OSError:
        return False
    return True
