"""Errors that a person is to read: one line that names the fix, and no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import ValidationError


class BadInput(Exception):
    """What was asked for cannot be done as asked (exit status 2)."""


class RunFailed(Exception):
    """The request was fine, but carrying it out failed (exit status 1)."""


def first_problem(error: ValidationError, known: Iterable[str] = ()) -> str:
    """Return the first problem of a validation as one line, with a guess for a misspelt key."""
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return unknown("key", name, known)
    said: str = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{name}: {said} (got {problem['input']!r})" if name else said


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return "unknown KIND NAME", with the nearest known name."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"unknown {kind} {name!r}" + (f": did you mean {near[0]!r}?" if near else "")
