"""Bindings to store, and a store to put them into and to read again."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lq.server.bindings import Binding, State
from lq.server.storage import Storage

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


def load(path):
    with contextlib.closing(Storage(path)) as storage:
        return sorted(map(fields, storage.load()))


def lease(number, moment=0.0):
    return Binding(
        (0xC6120000 + number).to_bytes(4, "big"), 1, mac(number), expires=9e9, last_transaction=moment
    )


def files(path):
    return {
        name: Path(f"{path}{name}").read_bytes() for name in ("", "-wal") if Path(f"{path}{name}").exists()
    }


def put(path, found):
    for name in ("", "-wal", "-wal-kept"):
        Path(f"{path}{name}").unlink(missing_ok=True)
    for name, octets in found.items():
        Path(f"{path}{name}").write_bytes(octets)
