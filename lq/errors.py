"""Errors that a person is to read: one line that names the fix, and no traceback."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

from pydantic import ValidationError

MOST_SHOWN = 1000  # characters of an error's line
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 60


class _OneLine(Exception):
    """Its text is one line of what a terminal can show, whatever it quotes."""

    def __str__(self) -> str:
        return one_line(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in the place of a traceback (`%tb` and `%debug` still have all of it)."""
        return [f"{type(self).__name__}: {self}"]


class BadInput(_OneLine):
    """What was asked for cannot be done as asked (exit status 2)."""


class RunFailed(_OneLine):
    """The request was fine, but carrying it out failed (exit status 1)."""


def one_line(text: str) -> str:
    """Return text as one line of at most `MOST_SHOWN` characters; what cannot be printed is escaped."""
    if len(text) > MOST_SHOWN:
        half = MOST_SHOWN // 2
        text = f"{text[:half]}...{text[-half:]}"
    text = " ".join(text.split())
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(sign: str) -> str:
    return sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")


def shown(value: object) -> str:
    """Return a value as an error quotes it: never long, however large the value."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 256:  # thousands of digits cannot even be written out
        return f"a number of {value.bit_length()} bits"
    return _SHORT.repr(value)


def first_problem(error: ValidationError, known: Iterable[str] = ()) -> str:
    """Return the first problem of a validation as one line, with a guess for a misspelt key."""
    problem = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return unknown("key", name, known)
    message = problem["msg"].removeprefix("Value error, ")
    said = message[0].lower() + message[1:]
    return f"{name}: {said} (got {shown(problem['input'])})" if name else said


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return "unknown KIND NAME", with the nearest known name."""
    near = difflib.get_close_matches(name[:200], list(known), n=1, cutoff=0.5)
    return f"unknown {kind} {shown(name)}" + (f": did you mean {near[0]!r}?" if near else "")
