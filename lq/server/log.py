"""The running server's log: lines on standard error, bounded in number so that nobody can flood it.

The service never waits for who reads them.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import time

LEVELS = ("error", "warning", "info", "debug")
PER_SECOND = 20


class Bounded(logging.Filter):
    """Lets through so many lines a second; the next one says how many were left out."""

    def __init__(self, per_second: int = PER_SECOND) -> None:
        super().__init__()
        self._per_second = per_second
        self._second = 0
        self._passed = 0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is written."""
        second = int(record.created)
        if second != self._second:
            self._second, self._passed = second, 0
        if self._passed >= self._per_second:
            self._left_out += 1
            return False
        self._passed += 1
        if self._left_out:
            record.msg, record.args = (
                f"{record.getMessage()} ({self._left_out} lines before this were left out)",
                None,
            )
            self._left_out = 0
        return True


class Output:
    """Text for standard error that never waits for who reads it: what finds no room is left out and counted.

    A pipe or terminal is opened a second time for this, since not to wait is a property of an opened file,
    and the one that was inherited is shared with the parent. `lost` counts the lines left out.
    """

    def __init__(self, descriptor: int = 2) -> None:
        self.lost = 0
        self._untold = 0
        self._own = _without_waiting(descriptor)
        self._descriptor = descriptor if self._own is None else self._own
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def write(self, text: str, patience: float = 0.0) -> None:
        """Write lines, waiting `patience` seconds at most in all for somebody to read."""
        deadline = time.monotonic() + patience
        for line in text.splitlines():
            told = f" ({self._untold} lines before this were not read)" if self._untold else ""
            if self._put(f"{line}{told}\n".encode(errors="replace"), deadline):
                self._untold = 0
            else:
                self.lost += 1
                self._untold += 1

    def _put(self, octets: bytes, deadline: float) -> bool:
        for start in range(0, len(octets), _ATOMIC):
            piece = octets[start : start + _ATOMIC]
            if not self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return False
            try:
                if os.write(self._descriptor, piece) < len(piece):
                    return False
            except OSError:  # no room after all, or nobody will ever read it
                return False
        return True

    def close(self) -> None:
        """Close what was opened for this."""
        if self._own is not None:
            os.close(self._own)


_ATOMIC = select.PIPE_BUF  # octets that a pipe takes whole or not at all


def _without_waiting(descriptor: int) -> int | None:
    """Open the pipe or terminal of a descriptor anew; None for what never waits, and what cannot be opened.

    A file is shared instead, since each opening has a position of its own. For what cannot be opened, such
    as a socket, it has to do that it says it has room before each line.
    """
    try:
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)):
            return None
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None


class _Lines(logging.Handler):
    """The log's lines on an Output."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or leave it out."""
        self._output.write(self.format(record))


def set_up(level: str) -> Output:
    """Write what is at least of this level, one of LEVELS, on standard error; return what writes there.

    `warning`: queries refused as no query of the three forms (R6.3-2), and what is wrong with the stored
    bindings; `info`: all messages dropped; `debug`: every lease, too.
    """
    output = Output()
    handler = _Lines(output)
    handler.addFilter(Bounded())
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=level.upper(), handlers=[handler]
    )
    return output
