"""The tables of the database, and how those of an older version become those of this one.

`tally` has one row: how many bindings there are and the sum of their checksums, so that a lost row is
noticed; whether the database was closed in order; and the time of the last commit (lq.server.clock).
Triggers keep the first two, within each commit.
"""

from __future__ import annotations

import sqlite3
from enum import Enum

from lq.server import rows

APPLICATION_ID = 0x6C710001  # "lq", so that another program's database is recognised
VERSION = 2

# `tally` is first, so that its page leads each commit in the log (lq.server.log_file).
TALLY = """CREATE TABLE tally (
    bindings INTEGER NOT NULL, total INTEGER NOT NULL, closed INTEGER NOT NULL,
    clock REAL, uptime REAL, boot TEXT, checksum INTEGER
)"""
BINDINGS = """CREATE TABLE bindings (
    address INTEGER PRIMARY KEY,
    htype INTEGER NOT NULL, chaddr BLOB NOT NULL, client_id BLOB,
    state INTEGER NOT NULL,
    expires REAL NOT NULL, renews REAL NOT NULL, rebinds REAL NOT NULL, last_transaction REAL NOT NULL,
    relay_info BLOB, sent BLOB NOT NULL, returned BLOB NOT NULL, checksum INTEGER NOT NULL
)"""
ADDED = """CREATE TRIGGER added AFTER INSERT ON bindings BEGIN
    UPDATE tally SET bindings = bindings + 1, total = total + new.checksum;
END"""
CHANGED = """CREATE TRIGGER changed AFTER UPDATE ON bindings BEGIN
    UPDATE tally SET total = total + new.checksum - old.checksum;
END"""
_ALL = (
    ("table", "tally", "tally", TALLY),
    ("table", "bindings", "bindings", BINDINGS),
    ("trigger", "added", "bindings", ADDED),
    ("trigger", "changed", "bindings", CHANGED),
)

_STORE = f"INSERT INTO bindings VALUES ({', '.join('?' * len(rows.COLUMNS))}) ON CONFLICT (address)"
_ALL_COLUMNS = ", ".join(f"{column} = excluded.{column}" for column in rows.COLUMNS[1:])


class Over(Enum):
    """What a binding is stored over, where its address has one already."""

    ANY = f"{_STORE} DO UPDATE SET {_ALL_COLUMNS}"
    OLDER = f"{ANY} WHERE excluded.last_transaction > bindings.last_transaction"
    ENDED = (  # or the client's own
        f"{ANY} WHERE bindings.chaddr = excluded.chaddr OR bindings.expires <= excluded.last_transaction"
    )
    NOTHING = f"{_STORE} DO NOTHING"


def create(database: sqlite3.Connection) -> None:
    """Make the tables, within the caller's transaction."""
    for *_, statement in _ALL:
        database.execute(statement)
    database.execute("INSERT INTO tally (bindings, total, closed) VALUES (0, 0, 1)")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {VERSION}")


def is_ours(database: sqlite3.Connection) -> bool:
    """Whether the tables and triggers of this version are there, to the letter."""
    found = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return all(made in found for made in _ALL)


def from_version_1(database: sqlite3.Connection) -> None:
    """Take over the rows of version 1, which had no checksums, within the caller's transaction.

    Raises ValueError or sqlite3.Error if one is damaged.
    """
    reader = rows.Reader()
    check(database)
    database.execute("ALTER TABLE bindings RENAME TO version_1")
    create(database)
    found = database.execute("SELECT * FROM version_1")
    database.executemany(
        Over.ANY.value, (rows.from_binding(reader.binding_of_version_1(row)) for row in found)
    )
    database.execute("DROP TABLE version_1")


def check(database: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if SQLite finds the file damaged."""
    said = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said != "ok":
        raise sqlite3.DatabaseError(said.splitlines()[-1])
