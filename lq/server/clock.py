"""The server's clock: seconds since the epoch that never go back, not even over a restart.

Leases end by it. So each commit notes the time, and a restart goes on from there: by the time that has really
passed if the machine has been up since, else by the system clock, unless that is behind.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from lq.clocks import time_of_day_ahead
from lq.server.bindings import Binding, State

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_TRIFLE = 1.0  # seconds; less is how clocks are kept right, and nobody needs to know
_LONG = 3600.0  # seconds without a commit; longer, and a clock set forward is to be thought of


class Moment(NamedTuple):
    """A time by the clock, and by the machine: seconds since it was started, and which start that was."""

    time: float
    uptime: float = 0.0
    boot: str = ""

    def checksum(self) -> int:
        """The checksum that is stored beside it."""
        return crc32(struct.pack("<dd", self.time, self.uptime) + self.boot.encode())

    @classmethod
    def stored(cls, time: object, uptime: object, boot: object, checksum: object) -> Moment | None:
        """The moment of the last commit as the database has it; None if none was noted.

        Raises ValueError if it is damaged.
        """
        if time is uptime is boot is checksum is None:
            return None
        if isinstance(time, float) and isinstance(uptime, float) and isinstance(boot, str):
            moment = cls(time, uptime, boot)
            if moment.checksum() == checksum:
                return moment
        raise ValueError("the time of the last commit does not match its checksum")


def present() -> Moment:
    """The present moment by the system clock."""
    boot = ""
    with suppress(OSError):
        boot = _BOOT.read_text().strip()
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    return Moment(time.monotonic() + time_of_day_ahead(), uptime, boot)


class Clock:
    """The server's clock. It goes on from `last`, the moment of the last commit, if there was one.

    `said` is a line on what the system clock does otherwise, empty if it does not. `now` and `monotonic` are
    for tests.
    """

    def __init__(
        self,
        last: Moment | None = None,
        now: Callable[[], Moment] = present,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        started, begun = monotonic(), now()
        self.said = ""
        self._last = last.time if last is not None else -math.inf
        self._monotonic = monotonic
        self._boot = begun.boot
        self._uptime_ahead = begun.uptime - started
        self._ahead = self._begin(last, begun) - started

    def _begin(self, last: Moment | None, now: Moment) -> float:
        if last is None:
            return now.time
        same_boot = bool(last.boot) and last.boot == now.boot and now.uptime >= last.uptime
        own = last.time + (now.uptime - last.uptime if same_boot else 0.0)
        behind = own - now.time
        if behind > _TRIFLE:
            self.said = (
                f"the system clock is {span(behind)} behind the clock of the leases: it was set back; the "
                "leases' clock continues from the last commit, and each lease keeps its remaining time"
            )
            return own
        if same_boot and -behind > _TRIFLE:
            self.said = (
                f"the system clock is {span(-behind)} ahead of the clock of the leases: it was set forward; "
                "the leases' clock advances by the time that has passed, and each lease keeps its remaining "
                "time"
            )
            return own
        if -behind > _LONG:
            self.said = (
                f"by the system clock, the last commit was {span(-behind)} ago, and the server trusts this; "
                "if the clock is wrong, stop the server, set the clock, and start the server again"
            )
        return max(now.time, last.time)

    def __call__(self) -> float:
        """The time now."""
        return self._monotonic() + self._ahead

    def told(self, bindings: Iterable[Binding]) -> str:
        """`said`, and how many leases have ended between the last commit and now."""
        now = self()
        ended = sum(self._last < each.expires <= now and each.state == State.LEASED for each in bindings)
        return f"{self.said} ({ended} leases have ended since then)"

    def moment(self) -> Moment:
        """The present moment, to be noted by a commit."""
        monotonic = self._monotonic()
        return Moment(monotonic + self._ahead, monotonic + self._uptime_ahead, self._boot)


def span(seconds: float) -> str:
    """A length of time in its largest unit."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
