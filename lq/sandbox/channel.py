"""One JSON object a line, both ways, between the lab and whoever started it."""

from __future__ import annotations

import contextlib
import json
import operator
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any


def line_of(message: Mapping[str, Any]) -> bytes:
    """Return one object as it is sent. Raises ValueError for what JSON cannot say."""
    try:
        # NumPy's whole numbers are numbers, too.
        text = json.dumps(message, separators=(",", ":"), default=operator.index)
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return text.encode() + b"\n"


class Channel:
    """One end of the line. `receive` returns None when the other end is gone. Any thread may send."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._reader = end.makefile("rb")
        self._told: list[str | int] = []
        self._sending = threading.Lock()

    @classmethod
    def from_fd(cls, fd: int) -> Channel:
        """Take over an inherited file descriptor."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        """The descriptor, to wait for it among others."""
        return self._socket.fileno()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one object. Raises OSError when the other end is gone, ValueError for what JSON cannot say."""
        self.send_line(line_of(message))

    def send_line(self, line: bytes) -> None:
        """Send what `line_of` gave."""
        with self._sending:
            self._socket.sendall(line)

    def tell(self, what: str, done: int, total: int) -> None:
        """Send `{"progress": [what, done, total]}`, unless that was the latest told."""
        told: list[str | int] = [what, done, total]
        if told != self._told:
            self._told = told
            self.send({"progress": told})

    def receive(self) -> dict[str, Any] | None:
        """Wait for one object. Raises ValueError for a line that is none."""
        try:
            line = self._reader.readline()
        except (ConnectionError, ValueError):  # gone before it had read what it was sent; or closed by us
            return None
        if not line.endswith(b"\n"):  # closed, perhaps in the middle of a line
            return None
        try:
            message = json.loads(line)
        except RecursionError:
            raise ValueError("its JSON is nested too deeply") from None
        if not isinstance(message, dict):
            raise ValueError("it does not hold a JSON object")
        return message

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Receive until the other end is gone."""
        while (message := self.receive()) is not None:
            yield message

    def let_go(self) -> None:
        """Close our copy of it, in a process that was forked: the line stays up."""
        os.close(self._socket.detach())

    def close(self) -> None:
        """Hang up; whoever receives finds the other end gone."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.close()
        self._socket.close()
