"""Tables of runs and sweeps, read from Parquet files that somebody else may have made or damaged.

A file of a kilobyte can stand for a billion rows, so what it says of itself is looked at first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lq import files
from lq.errors import BadInput, shown
from lq.results.schema import Kind

MOST_OCTETS = 4 << 30  # of a file
MOST_VALUES = 100_000_000  # of a table
MOST_COLUMNS = 1000
MOST_TEXT = 1 << 30  # octets of a column of text, each value as long as its longest
MOST_NUMBER = 1e15  # of what a figure shows, in either direction
MOST_TIME = 1e7  # seconds from the reboot: within them a figure's axis tells a millisecond

COLUMNS: dict[str, dict[str, Kind]] = {
    "events": {"at": "time", "event": "text", "generation": "number"},
    "queries": {
        "at": "time",
        "server": "text",
        "address": "text?",
        "attempt": "number",
        "answered": "time?",
        "reply": "text?",
    },
    "probes": {
        "subscriber": "text",
        "address": "text",
        "direction": "text",
        "due": "time",
        "sent": "time",
        "received": "time?",
    },
    "phases": {"phase": "text", "start": "time", "ready": "time", "end": "time"},
}
"""The columns of a run's tables without which it cannot be read."""


def read(path: Path, columns: Mapping[str, Kind]) -> pd.DataFrame:
    """Return a table that has these columns, and others. Raises BadInput that names the file."""
    with files.open_regular(path, MOST_OCTETS) as file:
        try:
            if problem := _too_large(file):
                raise BadInput(f"cannot read {path}: {problem}")
            file.seek(0)
            table: pd.DataFrame = pd.read_parquet(file)
        except BadInput:
            raise
        except MemoryError:
            raise BadInput(f"cannot read {path}: there is not enough memory for it") from None
        except Exception as error:  # whatever two libraries make of damaged octets
            raise BadInput(f"{path} is damaged: no Parquet table: {error or type(error).__name__}") from None
    names = list(table.columns)
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise BadInput(f"{path} is damaged: its columns have no names of their own")
    check(table, path, columns)
    plain: pd.DataFrame = table.reset_index(drop=True)
    return plain


def check(table: pd.DataFrame, path: Path, columns: Mapping[str, Kind]) -> None:
    """Raise BadInput, which names the file, unless a table has these columns, and in them what it should."""
    for name, kind in columns.items():
        if name not in table:
            raise BadInput(f"{path} is damaged: it has no column {shown(name)}")
        if len(table) and not _fits(table[name], kind):
            raise BadInput(
                f"{path} is damaged: the column {shown(name)} holds what is no {_WORDS[kind.rstrip('?')]}"
            )


def _too_large(file: BinaryIO) -> str:
    """Say what is too large about a table, before any of it is read."""
    found = pq.ParquetFile(file)
    metadata = found.metadata
    if metadata.num_columns > MOST_COLUMNS:
        return f"it has {metadata.num_columns:,} columns, more than {MOST_COLUMNS:,}"
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    values = sum(group.column(c).num_values for group in groups for c in range(metadata.num_columns))
    if max(values, metadata.num_rows * metadata.num_columns) > MOST_VALUES:
        return f"it has more than {MOST_VALUES:,} values"
    if sum(group.total_byte_size for group in groups) > MOST_OCTETS:
        return f"it is larger than {MOST_OCTETS:,} octets"
    leaves = [found.schema.column(number) for number in range(metadata.num_columns)]
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    if texts:  # each of a column's rows may stand for the same long text: that is kept once here
        file.seek(0)
        once = pq.ParquetFile(file, read_dictionary=texts).read(columns=texts)
        for name, column in zip(once.column_names, once.columns, strict=True):
            if sum(map(_octets, column.chunks)) > MOST_TEXT:
                return f"the text in the column {shown(name)} is too long"
    return ""


def _octets(values: Any) -> int:
    """How many octets a column of text takes, if each is as long as its longest; also of lists of text."""
    while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        values = values.values
    if pa.types.is_struct(values.type):
        return sum(map(_octets, values.flatten()))
    texts = values.dictionary if pa.types.is_dictionary(values.type) else values
    if not any(test(texts.type) for test in _TEXT):
        return 0
    return len(values) * (pc.max(pc.binary_length(texts)).as_py() or 0)


_TEXT = (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)
_WORDS = {"time": "time in seconds", "number": "number", "text": "text", "bool": "true or false"}


def _fits(column: pd.Series, kind: Kind) -> bool:
    if kind.endswith("?"):
        column = column.dropna()
    if not len(column):
        return True
    types = pd.api.types
    if kind == "bool":
        return bool(types.is_bool_dtype(column))
    if kind.startswith("text"):
        return bool(types.is_string_dtype(column)) and all(
            isinstance(value, str) for value in column.unique()
        )
    if not types.is_numeric_dtype(column) or types.is_bool_dtype(column) or types.is_complex_dtype(column):
        return False
    numbers = column.to_numpy(dtype=float, na_value=np.nan)
    most = MOST_TIME if kind.startswith("time") else MOST_NUMBER
    return bool(np.all(np.abs(numbers) <= most))  # not a number is not less, either
