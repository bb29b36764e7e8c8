"""Stable storage of bindings: SQLite with a write-ahead log, synced at every commit.

What `commit` has returned from survives SIGKILL and a power cut. One commit takes any number of
bindings, so that all clients heard since the last one share a single sync (group commit).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from lq.errors import BadInput
from lq.server.bindings import NEVER, Binding, State
from lq.wire.options import parse_field

APPLICATION_ID = 0x6C710001  # "lq", so that another program's database is recognised
VERSION = 1

_TABLE = """
CREATE TABLE bindings (
    address INTEGER PRIMARY KEY,
    htype INTEGER NOT NULL, chaddr BLOB NOT NULL, client_id BLOB,
    state INTEGER NOT NULL,
    expires REAL, renews REAL, rebinds REAL, last_transaction REAL,
    relay_info BLOB, sent BLOB NOT NULL, returned BLOB NOT NULL
)
"""

# What the server writes into the columns. SQLite itself keeps any type in any column.
_TIME = (float, type(None))
_OCTETS = (bytes, type(None))
_TYPES = ((int,), (int,), (bytes,), _OCTETS, (int,), _TIME, _TIME, _TIME, _TIME, _OCTETS, (bytes,), (bytes,))
_STORED = {int(state): state for state in State if state != State.RESERVED}


def _check_types(address: object, types: tuple[type, ...]) -> None:
    """Raise ValueError unless each value of a row has a type of its column."""
    if not all(found in fitting for found, fitting in zip(types, _TYPES, strict=True)):
        raise ValueError(f"the row of address {address!r} has a value of the wrong type")


class _OptionFields:
    """Checks that octets can be read as options; each kind once, as a million clients send much the same."""

    def __init__(self) -> None:
        self._good = {b""}

    def check(self, octets: bytes) -> None:
        if octets in self._good:
            return
        parse_field(octets)
        if len(self._good) >= 65536:
            self._good.clear()
        self._good.add(octets)


class StorageError(BadInput):
    """The database cannot be used; the message is one line that says what to do."""


class Storage:
    """The database file at `path`, made if it does not exist; held by this process alone.

    Raises StorageError if the file is damaged, another program's, in use, or cannot be written. Such
    a file is left as it is.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self._database = sqlite3.connect(self.path, isolation_level=None, timeout=0)
        except sqlite3.Error as error:
            raise StorageError(f"cannot open the database {self.path}: {error}") from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            raise self._refusal(error) from None
        except StorageError:
            self._database.close()
            raise

    def _refusal(self, error: sqlite3.Error) -> StorageError:
        if "locked" in str(error):
            return StorageError(f"{self.path} is in use: stop the other server or name another database")
        if "readonly" in str(error) or "unable to open" in str(error):
            return StorageError(f"cannot write {self.path}: {error}; name a file in a writable directory")
        return StorageError(
            f"{self.path} is damaged or no database ({error}): restore a copy or name another file"
        )

    def _prepare(self) -> None:
        run = self._database.execute
        tables = run("SELECT count(*) FROM sqlite_master").fetchone()[0]  # reads the file's header first
        identity = run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0]
        if tables and identity != (APPLICATION_ID, VERSION):
            raise StorageError(f"{self.path} is another program's database: name another file")
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")  # sync the log at each commit, not only at checkpoints
        run("BEGIN IMMEDIATE")  # takes the lock now, so that a second server fails at its start
        if not tables:
            run(_TABLE)
            run(f"PRAGMA application_id = {APPLICATION_ID}")
            run(f"PRAGMA user_version = {VERSION}")
        run("COMMIT")
        if not tables:
            directory = os.open(self.path.resolve().parent, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)

    def load(self) -> Iterator[Binding]:
        """All bindings stored. Raises StorageError if the file proves damaged."""
        try:
            check = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if check != "ok":
                raise sqlite3.DatabaseError(check.splitlines()[-1])
            option_fields, fitting = _OptionFields(), set()
            for row in self._database.execute("SELECT * FROM bindings"):
                (address, htype, chaddr, client_id, state, expires, renews, rebinds, last, *octets) = row
                types = tuple(map(type, row))
                if types not in fitting:
                    _check_types(address, types)
                    fitting.add(types)
                if htype > 255 or htype < 0 or len(chaddr) > 16:
                    raise ValueError(f"the row of address {address} has no hardware address that fits")
                option_fields.check(row[10])
                option_fields.check(row[11])
                if None in row[5:9]:
                    times = (NEVER if time is None else time for time in row[5:9])
                    expires, renews, rebinds, last = times
                yield Binding(
                    address.to_bytes(4, "big"),
                    htype,
                    chaddr,
                    client_id,
                    _STORED[state],
                    expires,
                    renews,
                    rebinds,
                    last,
                    *octets,
                )
        except (sqlite3.Error, KeyError, ValueError, OverflowError) as error:
            raise self._refusal(sqlite3.DatabaseError(str(error))) from None

    def commit(self, bindings: Iterable[Binding]) -> None:
        """Store the bindings and return once they are safe. Raises StorageError if that fails."""
        try:
            self._database.execute("BEGIN")
            self._database.executemany(
                "REPLACE INTO bindings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, bindings)
            )
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"cannot write {self.path}: {error}; is the disk full?") from None

    def close(self) -> None:
        """Close the file; the log is folded into it."""
        self._database.close()


def _row(binding: Binding) -> tuple[object, ...]:
    times = (binding.expires, binding.renews, binding.rebinds, binding.last_transaction)
    return (
        int.from_bytes(binding.packed, "big"),
        binding.htype,
        binding.chaddr,
        binding.client_id,
        int(binding.state),
        *(None if time == NEVER else time for time in times),
        binding.relay_info,
        binding.sent,
        binding.returned,
    )
