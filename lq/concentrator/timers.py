"""Many timers, the first of which is found at once; what is set anew or cancelled leaves nothing for long.

A heap cannot give up an entry in its midst, so what is cancelled stays as a dead entry until it comes up. A
flood makes many of them: their memory stays, and one call pays for all when they come up. Here both are
bounded. When more than half of the entries and `SLACK` more are dead, the heap is set aside, and each
further change moves `_SWEPT` of its entries, the living ones into a fresh heap, until it is empty. (Without
its last entry a heap is a heap.) So there are never more than three entries for each timer and `2 * SLACK`
more, and no call does more than a constant number of steps of the heap beyond what it was called for.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", int, bytes)

NEVER = float("inf")
"""The time of what does not happen."""
LONG_AGO = float("-inf")
"""The time of what has not happened yet, before any other."""
SLACK = 1024  # dead entries that do not count
_SWEPT = 4  # entries of the heap set aside that one change moves
_DROPPED = 64  # dead entries that one call takes off the top at most


class Timers(Generic[K]):
    """At most one timer for each key; times in seconds of the caller's clock."""

    def __init__(self) -> None:
        self._entry: dict[K, tuple[float, K]] = {}  # the living ones, which are in one of the heaps
        self._heap: list[tuple[float, K]] = []
        self._aside: list[tuple[float, K]] = []

    def __len__(self) -> int:
        return len(self._entry)

    def __contains__(self, key: object) -> bool:
        return key in self._entry

    @property
    def entries(self) -> int:
        """How many entries are in memory, the dead ones included."""
        return len(self._heap) + len(self._aside)

    def get(self, key: K) -> float:
        """Return when the key's timer goes off, NEVER if it has none."""
        entry = self._entry.get(key)
        return NEVER if entry is None else entry[0]

    def set(self, key: K, when: float) -> None:
        """Have the key's timer go off then, and no other time."""
        self._entry[key] = entry = (when, key)
        heappush(self._heap, entry)
        if self._aside or len(self._heap) > 2 * len(self._entry) + SLACK:
            self._tidy()

    def cancel(self, key: K) -> bool:
        """Take the key's timer out; return whether it had one."""
        if self._entry.pop(key, None) is None:
            return False
        if self._aside or len(self._heap) > 2 * len(self._entry) + SLACK:
            self._tidy()
        return True

    @property
    def first(self) -> float:
        """When to call `pop` next, NEVER if no timer runs: not too late, though it may be too early."""
        heap = self._heap
        if heap and not self._aside:  # mostly
            entry = heap[0]
            if self._entry.get(entry[1]) is entry:
                return entry[0]
        if not self._entry:
            return NEVER
        heap = self._sooner()
        for _ in range(_DROPPED):
            if self._lives(heap[0]):
                break
            heappop(heap)
            heap = self._sooner()
        return heap[0][0]

    def pop(self, now: float) -> K | None:
        """Take out the key whose timer went off first; return None if none has.

        Or if so many dead entries were in the way that the rest is for the next call: `first` says so.
        """
        if not self._entry:
            return None
        for _ in range(_DROPPED):
            heap = self._sooner()
            if not heap or heap[0][0] > now:
                return None
            entry = heappop(heap)
            if self._lives(entry):
                del self._entry[entry[1]]
                return entry[1]
        return None

    def _lives(self, entry: tuple[float, K]) -> bool:
        return self._entry.get(entry[1]) is entry

    def _sooner(self) -> list[tuple[float, K]]:
        """Return the heap whose first entry comes sooner."""
        heap, aside = self._heap, self._aside
        return aside if aside and (not heap or aside[0] < heap[0]) else heap

    def _tidy(self) -> None:
        """Move some entries of the heap that is set aside, or set one aside."""
        aside = self._aside
        if aside:
            for _ in range(min(_SWEPT, len(aside))):
                entry = aside.pop()
                if self._lives(entry):
                    heappush(self._heap, entry)
        else:
            self._aside, self._heap = self._heap, aside
