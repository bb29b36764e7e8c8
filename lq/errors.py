"""Errors that a person is to read: one line that names the fix, and no traceback."""

from __future__ import annotations

import difflib
import re
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
    text = _SHORT.repr(value)
    return f"a {type(value).__name__}" if text.startswith("<") else text


_PLAIN = [
    (r"valid integer.*", "use a whole number"),
    (r"valid number.*", "use a number"),
    (r"finite number", "use a finite number"),
    (r"valid boolean.*", "use true or false"),
    (r"valid string", "use text"),
    (r"valid (tuple|list)", "use a list, such as [A, B]"),
    (r"valid dictionary.*", "this is a group of settings: set its fields instead"),
    (r"greater than or equal to (.*)", r"use at least \1"),
    (r"less than or equal to (.*)", r"use at most \1"),
    (r"greater than (.*)", r"use more than \1"),
    (r"less than (.*)", r"use less than \1"),
    (r"('.*')", r"use \1"),
]
"""How the libraries' complaints end that begin with "Input should be", and what we say."""


def plain(text: str) -> str:
    """Return what a library says of a value in plain words."""
    before, found, said = text.partition("Input should be ")
    if not found:
        return text
    said = said.removeprefix("a ")
    for pattern, words in _PLAIN:
        if re.fullmatch(pattern, said):
            return before + re.sub(pattern, words, said)
    return f"{before}use {said}"


def expect(value: object, kind: type | tuple[type, ...], name: str, fix: str) -> None:
    """Raise BadInput unless a value is of a kind: `name` says whose it is, `fix` what to write instead."""
    if not isinstance(value, kind):
        raise BadInput(f"{name} is {shown(value)}: {fix}")


def expect_columns(table: Iterable[object], names: Iterable[str]) -> None:
    """Raise BadInput with the nearest name unless a table has all columns of these names."""
    there = [str(column) for column in table]
    for name in names:
        if name not in there:
            raise BadInput(unknown("column", name, there))


def first_problem(error: ValidationError, known: Iterable[str] = ()) -> str:
    """Return the first problem of a validation as one line, with a guess for a misspelt key."""
    problem = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return unknown("key", name, known)
    message = plain(problem["msg"].removeprefix("Value error, "))
    said = message[0].lower() + message[1:]
    if problem["type"] in ("model_type", "model_attributes_type"):
        near = [key for key in known if key.endswith(f".{name}")] or [
            k for k in known if k.startswith(f"{name}.")
        ]
        said += f": did you mean {near[0]!r}?" if near else ""
    elif problem["type"] == "literal_error" and isinstance(problem["input"], str):
        choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        said += nearest(problem["input"], choices)
    return f"{name}: {said} (got {shown(problem['input'])})" if name else said


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Return "unknown KIND NAME", with the nearest known name."""
    return f"unknown {kind} {shown(name)}{nearest(name, known)}"


def nearest(name: object, known: Iterable[str]) -> str:
    """Return ": did you mean NAME?" with the nearest known name, or nothing."""
    near = difflib.get_close_matches(str(name)[:200], list(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else ""
