"""What the DHCP servers of a live network have bound, read from the files in which they keep it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lq.emulation.dhcp_servers import DhcpServer
from lq.errors import BadInput
from lq.server import importer
from lq.server.bindings import NO_TIME, Binding
from lq.server.storage import Storage, StorageError
from lq.wire import RelayInfo

_COPIES = 5  # attempts to copy what a server is writing


def rows(server: DhcpServer, kind: str) -> list[dict[str, Any]]:
    """Return a server's bindings by address; times in seconds from now, None where there is none.

    Raises BadInput for a kind of server whose file is not read.
    """
    return [{"server": server.name, **_row(binding)} for binding in read(server, kind)]


def read(server: DhcpServer, kind: str) -> list[Binding]:
    """Return a server's bindings by address. Raises BadInput for a kind of server whose file is not read."""
    if kind == "builtin":
        found = _stored(server.database)
    elif kind == "dhcpd":
        found = _journal(server.dhcpd_leases)
    else:
        raise BadInput(f"the bindings of {kind} are not read: use server.kind=builtin or dhcpd")
    return sorted(found, key=lambda binding: binding.packed)


def _stored(database: Path) -> list[Binding]:
    """Read a copy of the built-in server's data base, which it has for itself.

    A copy made while the server folds its log into the file may not fit together, and is made again.
    """
    for _ in range(_COPIES - 1):
        with contextlib.suppress(StorageError):
            return list(_copied(database))
    return list(_copied(database))


def _copied(database: Path) -> Iterator[Binding]:
    with tempfile.TemporaryDirectory(dir=database.parent) as directory:
        copy = Path(directory, database.name)
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):  # no log beside it after an orderly end
                shutil.copy(f"{database}{suffix}", f"{copy}{suffix}")
        with contextlib.closing(Storage(copy)) as storage:
            yield from storage.load()


def _journal(file: Path) -> list[Binding]:
    """Read dhcpd's lease file up to its last whole entry: it may be writing one."""
    entries, end, _ = file.read_text(encoding="latin-1").rpartition("\n}")
    return importer.read(entries + end, time.time()).bindings


def _row(binding: Binding) -> dict[str, Any]:
    info = RelayInfo() if binding.relay_info is None else RelayInfo.decode(binding.relay_info)
    return {
        "address": str(binding.address),
        "state": binding.state.name.lower(),
        "chaddr": binding.chaddr.hex(":"),
        "client_id": _hexadecimal(binding.client_id, ":"),
        "expires_in": _from_now(binding.expires),
        "last_transaction": _from_now(binding.last_transaction),
        "circuit_id": _hexadecimal(info.circuit_id),
        "remote_id": _hexadecimal(info.remote_id, ":"),
    }


def _hexadecimal(octets: bytes | None, between: str = "") -> str | None:
    if octets is None:
        return None
    return octets.hex(between) if between else octets.hex()


def _from_now(moment: float) -> float | None:
    return None if moment == NO_TIME else moment - time.time()
