"""The running server's log: lines on standard error, bounded in number so that nobody can flood it."""

from __future__ import annotations

import logging
import sys

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
            record.msg, record.args = f"{record.getMessage()} ({self._left_out} lines before left out)", None
            self._left_out = 0
        return True


def set_up(level: str) -> None:
    """Write what is at least of this level, one of LEVELS, on standard error.

    `warning`: queries refused as no query of the three forms (R6.3-2), and what is wrong with the stored
    bindings; `info`: all messages dropped; `debug`: every lease, too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Bounded())
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=level.upper(), handlers=[handler]
    )
