"""A set whose members leave it by themselves: addresses, as numbers, each until a time in seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator


class TimedSet:
    """Numbers, each for a time; at most `limit` of them. When it is full, the one entered first makes room.

    All entries of one set last about equally long, so the first entered is the first to end.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._until: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return iter(self._until.items())

    def add(self, number: int, until: float, now: float) -> None:
        """Enter a number, or enter it anew."""
        entries = self._until
        entries.pop(number, None)
        for _ in range(2):  # more go than come, and no call pays for all that ended in a long quiet time
            if not entries:
                break
            first = next(iter(entries))
            if entries[first] > now and len(entries) < self._limit:
                break
            del entries[first]
        entries[number] = until

    def until(self, number: int, now: float) -> float | None:
        """Return when the number's time ends, None if it is not here or its time is over."""
        until = self._until.get(number)
        return until if until is not None and until > now else None

    def discard(self, number: int) -> None:
        """Forget a number."""
        self._until.pop(number, None)
