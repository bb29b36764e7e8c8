"""Stable storage of bindings: SQLite with a write-ahead log, synced at every commit.

What `commit` has returned from survives SIGKILL and a power cut. One commit takes any number of
bindings, so that all clients heard since the last one share a single sync (group commit).

Damage is noticed: each row has a checksum, `tally` knows how many there are (lq.server.schema), and the log
is read before SQLite reads it (lq.server.log_file). `tally.closed` tells a database that has no log from one
that has lost it: in the database file it is 0 from before the first commit until all of the log is folded in.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from lq.errors import BadInput
from lq.server import log_file, rows, schema
from lq.server.bindings import Binding
from lq.server.clock import Moment
from lq.server.faults import cannot_write
from lq.server.hold import Hold
from lq.server.schema import Over

_MEMORY = ":memory:"


class StorageError(BadInput):
    """The database cannot be used; the message is one line that says what to do."""


class Storage:
    """The database file at `path`, made if it does not exist; held by this process alone.

    `last` is the moment of the last commit, None if none was noted. Raises StorageError if the file or its
    log is damaged, another program's, in use, or cannot be read or written. It is then left as it is.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.last: Moment | None = None
        self._log = Path(f"{self.path}-wal")
        self._kept_log = Path(f"{self.path}-wal-kept")
        self._clock: Callable[[], Moment] | None = None
        self._begun = False
        self._closed = False  # whether `tally.closed` is known to be 1
        self._connection: sqlite3.Connection | None = None
        self._hold: Hold | None = None
        try:
            has_log = self._take_hold()
            self._connection = sqlite3.connect(self.path, isolation_level=None, timeout=0)
            self._prepare(has_log)
        except (sqlite3.Error, ValueError) as error:
            self.close()
            raise self._refusal(error) from None
        except StorageError:
            self.close()
            raise

    def _take_hold(self) -> bool:
        """Hold the file, then look at the log: whether there is one."""
        if str(self.path) == _MEMORY:
            return False
        try:
            self._hold = Hold(self.path)
            if self._kept_log.exists() and not self._log.exists():  # killed in the midst of `close`
                self._kept_log.rename(self._log)
            has_log = log_file.check(self._log)
        except BlockingIOError:
            raise self._in_use() from None
        except OSError as error:
            raise StorageError(cannot_write(self.path, error)) from None
        except log_file.DamagedLog as error:
            raise StorageError(
                f"{self._log}, the log of {self.path}, is damaged ({error}): "
                "restore a copy of both or name another file"
            ) from None
        if has_log and not self._hold.size():
            raise StorageError(
                f"{self.path} is empty, but its log {self._log} is not: restore a copy of both, or remove "
                "the log to start anew"
            )
        return has_log

    def _in_use(self) -> StorageError:
        return StorageError(f"{self.path} is in use: stop the other server or name another database")

    def _refusal(self, error: Exception) -> StorageError:
        said = str(error)
        if "locked" in said:
            return self._in_use()
        writing = any(sign in said for sign in ("readonly", "unable to open", "full", "disk I/O"))
        if writing and isinstance(error, sqlite3.Error):
            return StorageError(cannot_write(self.path, error))
        return StorageError(
            f"{self.path} is damaged or not a database ({said}): restore a copy or name another file"
        )

    def _prepare(self, has_log: bool) -> None:
        database = self._database
        run = database.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA synchronous = FULL")  # sync the log at each commit, not only at checkpoints
        run("PRAGMA cache_spill = OFF")  # write a page once a commit: lq.server.log_file relies on it
        tables = run("SELECT count(*) FROM sqlite_master").fetchone()[0]  # reads the file's header first
        identity = run("PRAGMA application_id").fetchone()[0]
        version = run("PRAGMA user_version").fetchone()[0]
        if tables and identity != schema.APPLICATION_ID:
            raise StorageError(f"{self.path} is another program's database: name another file")
        if tables and version not in (1, schema.VERSION):
            raise StorageError(
                f"{self.path} belongs to another version ({version}) of this server: use that version or "
                "name another file"
            )
        run("PRAGMA journal_mode = WAL")
        run("BEGIN IMMEDIATE")
        if not tables:
            schema.create(database)
        elif version == 1:
            schema.from_version_1(database)
        run("COMMIT")
        if not tables and self._hold is not None:
            directory = os.open(self.path.resolve().parent, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)
        if not schema.is_ours(database):
            raise ValueError("its tables are not as this server made them")
        tally = run("SELECT closed, clock, uptime, boot, checksum FROM tally").fetchall()
        if len(tally) != 1:
            raise ValueError(f"its tally has {len(tally)} rows")
        closed, *noted = tally[0]
        self.last = Moment.stored(*noted)
        self._closed = closed == 1
        if not self._closed and not has_log:
            raise StorageError(
                f"{self.path} was not closed in order, and its log {self._log} is missing, with the latest "
                "acknowledged leases: put the log back, restore a copy of both, or accept the loss with "
                f"sqlite3 {self.path} 'UPDATE tally SET closed = 1'"
            )

    def load(self) -> Iterator[Binding]:
        """All bindings stored. Raises StorageError if the file proves damaged."""
        try:
            schema.check(self._database)
            reader = rows.Reader()
            for row in self._database.execute("SELECT * FROM bindings"):
                yield reader.binding(row)
            count, total = self._database.execute("SELECT bindings, total FROM tally").fetchone()
            if reader.count != count:
                raise ValueError(f"it has {reader.count} bindings, and {count} were stored")
            if reader.total != total:
                raise ValueError("its bindings are not the ones that were stored last")
        except (sqlite3.Error, ValueError, OverflowError) as error:
            raise self._refusal(error) from None

    def begin(self, clock: Callable[[], Moment] | None = None) -> None:
        """Make ready for commits, each of which notes the moment by `clock`.

        Raises StorageError if the file cannot be written.
        """
        self._clock = clock
        try:
            self._set_closed(0)
            self._fold_log()  # the mark is to be in the database itself, where it outlives the log
        except sqlite3.Error as error:
            self._undo()
            raise self._refusal(error) from None
        self._begun = True

    def commit(self, bindings: Iterable[Binding], over: Over = Over.ANY) -> int:
        """Store the bindings and return once they are safe; how many.

        `over` tells which bindings of the same addresses they replace. Raises StorageError if they cannot be
        stored; then none is.
        """
        if not self._begun:
            self.begin(self._clock)
        run = self._database.execute
        try:
            run("BEGIN")
            rows_of = map(rows.from_binding, bindings)
            stored = max(
                0, self._database.executemany(over.value, rows_of).rowcount
            )  # -1 where there were none
            if self._clock is not None:
                moment = self._clock()
                run(
                    "UPDATE tally SET clock = ?, uptime = ?, boot = ?, checksum = ?",
                    (*moment, moment.checksum()),
                )
            run("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise StorageError(cannot_write(self.path, error)) from None
        except (struct.error, TypeError):
            self._undo()
            raise
        return stored

    def close(self) -> None:
        """Close the file; the log is folded into it."""
        if self._begun:
            self._begun = False
            try:
                self._fold_log()  # then the mark goes where the log begins, and needs no room on the disk
                self._set_closed(1)
            except sqlite3.Error:
                self._undo()
        if self._connection is not None:
            # SQLite takes away a log that is folded in. Without the mark the next start would miss it.
            keep_log = not self._closed and self._hold is not None and _has_octets(self._log)
            if keep_log:
                self._log.rename(self._kept_log)
            self._connection.close()
            self._connection = None
            if keep_log:
                self._kept_log.rename(self._log)
        if self._hold is not None:
            self._hold.close()

    __del__ = close  # else SQLite would do it, and without the mark

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._connection is not None, "the storage is closed"
        return self._connection

    def _set_closed(self, closed: int) -> None:
        run = self._database.execute
        run("BEGIN IMMEDIATE")
        run("UPDATE tally SET closed = ?", (closed,))
        run("COMMIT")
        self._closed = closed == 1

    def _fold_log(self) -> None:
        busy, pages, done = self._database.execute("PRAGMA wal_checkpoint").fetchone()
        if busy or pages != done:
            raise sqlite3.OperationalError(f"disk I/O error: {done} of {pages} pages of the log were stored")

    def _undo(self) -> None:
        with suppress(sqlite3.Error):
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")


def _has_octets(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
