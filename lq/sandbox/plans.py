"""Plans of programs in the lab, and their reports: dataclasses in JSON files, checked as they are read.

A plan says by its fields what a program is to do. The kinds of fields: text, numbers, bool, bytes (in
hexadecimal digits), paths, addresses, None, and tuples, dictionaries and further dataclasses of these.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

from lq import files

T = TypeVar("T")


def save(plan: Any, path: Path) -> None:
    """Write a dataclass to a file, which is there as a whole or not at all."""
    files.write(path, json.dumps(dataclasses.asdict(plan), default=_text).encode())


def load(kind: type[T], path: Path) -> T:
    """Read a dataclass of this kind. Raises ValueError with one line for what is none."""
    plan: T = checked(kind, json.loads(path.read_text()), path.name)
    return plan


def read(kind: type[T], path: Path) -> T:
    """Read the plan of the program that runs, which ends with one line and status 1 where it is none."""
    try:
        return load(kind, path)
    except ValueError as error:
        raise SystemExit(f"{error}") from None


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def checked(kind: Any, value: Any, name: str) -> Any:
    """Return what JSON said, `value`, as a value of a kind. Raises ValueError that tells `name`."""
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), value, name)
    origin, parts = _shape(kind)
    if origin is typing.Literal and value in parts:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        [kind] = [part for part in parts if part is not type(None)]
        return checked(kind, value, name)
    if origin is tuple and isinstance(value, list):
        kinds = [parts[0]] * len(value) if parts[1:] == (...,) else parts
        if len(kinds) == len(value):
            return tuple(
                checked(k, v, f"{name}[{n}]") for n, (k, v) in enumerate(zip(kinds, value, strict=True))
            )
    if origin in (dict, Mapping) and isinstance(value, dict):
        return {
            _key(parts[0], key, name): checked(parts[1], each, f"{name}.{key}") for key, each in value.items()
        }
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    if kind in (bytes, Path, IPv4Address) and isinstance(value, str):
        try:
            return bytes.fromhex(value.replace(":", "")) if kind is bytes else kind(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    raise ValueError(f"{name}: {value!r} is no {getattr(kind, '__name__', kind)}")


@functools.cache
def _shape(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what a kind is of, and its parts: asked for tens of thousands of times where a plan is long."""
    return typing.get_origin(kind), typing.get_args(kind)


def _key(kind: Any, key: str, name: str) -> Any:
    return checked(kind, int(key) if kind is int and key.lstrip("-").isdigit() else key, f"{name}: {key}")


def _dataclass(kind: type, value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{name}: {value!r} is no object")
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind)}
    for key in value:
        if key not in known:
            raise ValueError(f"{name}: there is no field {key!r}")
    for key, field in known.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if key not in value and required:
            raise ValueError(f"{name}: {key} is missing")
    return kind(**{key: checked(hints[key], each, f"{name}: {key}") for key, each in value.items()})
