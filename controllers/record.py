"""What the controller saw and did, one JSON object a line.

Lines wait until `flush`, which writes them with one system call. The application flushes before it sends
what they tell of: a kill loses nothing that has had an effect.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

_TRUTH = ("false", "true")
MOST_TOLD = 20  # faults of a kind of which a record tells; all are counted
COUNTED = 1.0  # seconds between two lines of counters at least
_encode = json.JSONEncoder(default=str, separators=(",", ":")).encode


class Recorder:
    """Appends to a file. Every line has `at`, the monotonic clock in seconds, and `event`.

    The three lines of each recovery, `query`, `answered` and `permit`, are put together by hand: the same
    text as from `write`, in a fifth of the time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lines: list[str] = []
        self._counted: tuple[dict[str, int], ...] = ({}, {})
        self._count_at = 0.0

    def write(self, event: str, at: float | None = None, **fields: Any) -> None:
        """Add a line; values that JSON does not know are written as text."""
        self._lines.append(_encode({"at": time.monotonic() if at is None else at, "event": event, **fields}))

    def query(
        self,
        at: float,
        server: str,
        address: IPv4Address | None,
        form: str,
        attempt: int,
        client: bytes | None = None,
        refresh: bool = False,
    ) -> None:
        """Add the line of a query to a server; `form`, `refresh` as in `lq.concentrator.events`."""
        self._lines.append(
            f'{{"at":{at!r},"event":"query","server":"{server}",{_subject(address, client)},"form":"{form}",'
            f'"attempt":{attempt},"refresh":{_TRUTH[refresh]}}}'
        )

    def answered(
        self,
        at: float,
        address: IPv4Address | None,
        server: str,
        form: str,
        reply: str,
        rtt: float,
        attempts: int,
        client: bytes | None = None,
        refresh: bool = False,
    ) -> None:
        """Add the line of an answer; `rtt` in seconds since the query's latest transmission."""
        self._lines.append(
            f'{{"at":{at!r},"event":"answered",{_subject(address, client)},"server":"{server}",'
            f'"form":"{form}","reply":"{reply}","rtt":{rtt!r},"attempts":{attempts},'
            f'"refresh":{_TRUTH[refresh]}}}'
        )

    def permit(self, at: float, address: IPv4Address, tags: tuple[int, ...], expires: float) -> None:
        """Add the line of a location that is forwarded for until it expires."""
        circuit = ",".join(map(str, tags))
        self._lines.append(
            f'{{"at":{at!r},"event":"permit","address":"{_text(address)}","tags":[{circuit}],'
            f'"expires":{expires!r}}}'
        )

    def counters(self, at: float, controller: Mapping[str, int], engine: Mapping[str, int]) -> None:
        """Add the line of what was counted so far, if it has changed: at most one line in `COUNTED` seconds.

        So a controller that is killed leaves its counts, too.
        """
        if at < self._count_at:
            return
        counted = (dict(controller), dict(engine))
        if counted != self._counted:
            self._counted, self._count_at = counted, at + COUNTED
            self.write("counters", at, controller=counted[0], engine=counted[1])

    def flush(self) -> None:
        """Write the lines that wait."""
        if self._lines:
            lines, self._lines = self._lines, []
            lines.append("")
            os.write(self._fd, "\n".join(lines).encode())


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines written so far; a last one that a kill has cut short does not count."""
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def _subject(address: IPv4Address | None, client: bytes | None) -> str:
    """What is asked about, as two fields: an address, or a client's octets."""
    if address is not None:
        return f'"address":"{_text(address)}","client":null'
    return '"address":null,"client":' + ("null" if client is None else f'"{client.hex(":")}"')


def _text(address: IPv4Address) -> str:
    """str(address), sooner."""
    number = int(address)
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
