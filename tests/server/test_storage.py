"""Stable storage: what comes back, and which files are refused untouched."""

import sqlite3
from ipaddress import IPv4Address

import pytest

from lq.server.bindings import NEVER, Binding, State
from lq.server.storage import Storage, StorageError

from .helpers import mac


def fields(binding):
    return tuple(
        getattr(binding, name) for name in Binding.__slots__ if not name.startswith(("template", "reserved"))
    )


SOME = [
    Binding(
        bytes((198, 18, 0, 10)),
        1,
        mac(1),
        b"\0id",
        State.LEASED,
        10.5,
        5.5,
        7.5,
        1.5,
        b"\1\1a",
        b"<\1x",
        b"\3\0",
    ),
    Binding(bytes((198, 18, 0, 11)), 6, bytes(16), None, State.RELEASED, 3.0, last_transaction=3.0),
    Binding(bytes((255, 255, 255, 255)), state=State.DECLINED, expires=99.0),
]


def test_bindings_come_back_as_they_were(tmp_path):
    path = tmp_path / "bindings.sqlite"
    storage = Storage(path)
    storage.commit(SOME)
    storage.commit([SOME[1]])
    storage.close()
    again = Storage(path)
    assert sorted(map(fields, again.load())) == sorted(map(fields, SOME))
    again.close()


def test_commits_are_synced_and_logged_ahead(tmp_path):
    storage = Storage(tmp_path / "bindings.sqlite")
    assert storage._database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert storage._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    storage.close()


def test_a_second_server_is_refused(tmp_path):
    storage = Storage(tmp_path / "bindings.sqlite")
    storage.commit(SOME)
    with pytest.raises(StorageError, match="in use"):
        Storage(tmp_path / "bindings.sqlite")
    storage.close()


def foreign(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bindings (x)")
    other.commit()
    other.close()


def newer(path):
    Storage(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 2")
    other.close()


def text(path):
    path.write_text("lease 198.18.0.10 {\n}\n" * 100)


def damaged(path):
    storage = Storage(path)
    storage.commit(Binding(number.to_bytes(4, "big"), sent=bytes(200)) for number in range(2000))
    storage.close()
    octets = bytearray(path.read_bytes())
    octets[5 * 4096 : 9 * 4096] = bytes(4 * 4096)
    path.write_bytes(octets)


def wrong_values(path):
    Storage(path).close()
    other = sqlite3.connect(path)
    other.execute("INSERT INTO bindings VALUES (1, 1, 'x', NULL, 77, 1, 1, 1, 1, NULL, x'', x'')")
    other.commit()
    other.close()


@pytest.mark.parametrize("spoil", [foreign, newer, text, damaged, wrong_values])
def test_damaged_and_foreign_files_are_refused_and_left_as_they_are(tmp_path, spoil):
    path = tmp_path / "bindings.sqlite"
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another") as raised:
        list(Storage(path).load())
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == before


GOOD = {
    "address": "3323068426",
    "htype": "1",
    "chaddr": "x'020000000001'",
    "client_id": "x'00'",
    "state": "1",
    **dict.fromkeys(("expires", "renews", "rebinds", "last_transaction"), "1.5"),
    "relay_info": "NULL",
    "sent": "x'3c0161'",
    "returned": "x''",
}


def stored_by_hand(path, **values):
    Storage(path).close()
    other = sqlite3.connect(path)
    other.execute(f"INSERT INTO bindings VALUES ({', '.join((GOOD | values).values())})")
    other.commit()
    other.close()
    storage = Storage(path)
    try:
        return list(storage.load())
    finally:
        storage.close()


def test_what_fits_is_taken_by_hand_too(tmp_path):
    (binding,) = stored_by_hand(tmp_path / "b", expires="NULL", client_id="NULL", renews="7")
    assert (binding.address, binding.expires, binding.client_id) == (IPv4Address("198.18.0.10"), NEVER, None)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("address", "4294967296"),
        ("address", "-1"),
        ("htype", "'ethernet'"),
        ("htype", "256"),
        ("chaddr", "'02:00:00:00:00:01'"),
        ("chaddr", "zeroblob(17)"),
        ("client_id", "'text'"),
        ("client_id", "5"),
        ("state", "4"),
        ("state", "'leased'"),
        ("expires", "'tomorrow'"),
        ("renews", "x'00'"),
        ("last_transaction", "'never'"),
        ("relay_info", "'port'"),
        ("sent", "'docsis'"),
        ("sent", "x'3cff61'"),
        ("returned", "x'03'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_one_line(tmp_path, column, value):
    path = tmp_path / "bindings.sqlite"
    with pytest.raises(StorageError, match="restore a copy") as raised:
        stored_by_hand(path, **{column: value})
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_directory_that_cannot_hold_the_file_is_named(tmp_path):
    with pytest.raises(StorageError, match="missing"):
        Storage(tmp_path / "missing" / "bindings.sqlite")
