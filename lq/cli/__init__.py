"""The command line. Each command is thin: it reads options, calls the library and prints."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import Any, NoReturn

import typer

from lq import stdio
from lq.cli import experiments, protocol, results, sweep
from lq.cli.shared import app, options_given
from lq.errors import BadInput, RunFailed, one_line, plain

__all__ = ["app", "experiments", "main", "protocol", "results", "sweep"]


def _fail(line: str, status: int) -> NoReturn:
    if line:  # empty if the help has said everything
        try:
            typer.echo(f"lq: {one_line(line)}", err=True)
        except OSError:  # standard error is gone, so only the status can tell
            _silence(2)
    sys.exit(status)


def _silence(number: int) -> None:
    """Point a descriptor at /dev/null. Otherwise Python would fail again when it flushes at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


class _OutputError(OSError):
    """Standard output does not take any more."""


class _Output(io.FileIO):
    """Standard output. Its failures have a type of their own, so that they differ from those of files."""

    def write(self, octets: Any, /) -> int:
        try:
            return super().write(octets)
        except OSError as error:
            raise _OutputError(error.errno, error.strerror) from None


def main() -> None:
    """Run the command line; errors are one line on standard error (2: bad input, 1: it failed)."""
    stdio.ensure()
    output = io.BufferedWriter(_Output(1, "wb", closefd=False))
    sys.stdout = io.TextIOWrapper(  # file names that are not UTF-8 pass unchanged
        output, sys.stdout.encoding, "surrogateescape", line_buffering=sys.stdout.isatty()
    )
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()  # a failure can still be reported here
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except SystemExit:  # the parser ends like this when the reader of standard output is gone
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        _silence(1)
        raise
    except _OutputError as error:
        _silence(1)
        # A broken pipe is not an error: its reader needs no more.
        _fail("" if error.errno == errno.EPIPE else f"cannot write the output: {error.strerror}", 1)
    except Exception as error:
        from lq.sandbox.sealed_lab import LabError

        if hasattr(error, "format_message"):  # an error of the parser, whichever one typer uses
            _fail(plain(" ".join(error.format_message().split())), 2)
        if options_given["debug"]:
            raise
        if isinstance(error, BadInput):
            _fail(str(error), 2)
        if isinstance(error, (RunFailed, LabError)):
            _fail(str(error), 1)
        _fail(f"{type(error).__name__}: {error} (use --debug to see where)", 1)
    if status == 130:  # some versions of typer turn a KeyboardInterrupt into this status
        _fail("interrupted", 130)
    sys.exit(status if isinstance(status, int) else 0)
