"""Virtual time on a page: actions at times, carried out in order."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Clock:
    """A schedule of actions; `now` in seconds moves from one to the next."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._order = count()  # actions of the same time happen in the order of their entry
        self._schedule: list[tuple[float, int, Callable[[], object]]] = []

    def at(self, when: float, action: Callable[[], object]) -> None:
        """Do this at that time; a time that has passed means now."""
        heapq.heappush(self._schedule, (max(when, self.now), next(self._order), action))

    def after(self, delay: float, action: Callable[[], object]) -> None:
        """Do this in so many seconds."""
        self.at(self.now + delay, action)

    @property
    def next(self) -> float | None:
        """When the next action is due, None if there is none."""
        return self._schedule[0][0] if self._schedule else None

    def run(self, until: float) -> None:
        """Carry out what is due up to and including that time; then that is the time."""
        while self._schedule and self._schedule[0][0] <= until:
            self.now, _, action = heapq.heappop(self._schedule)
            action()
        self.now = max(self.now, until)
