"""Flows that drop something for a while: which the switch holds, and when the controller takes each out."""

from __future__ import annotations

from controllers.flows import Temporary
from lq.concentrator.timers import Timers


class Temporaries:
    """At most `limit` such flows, each known by what deletes it.

    When there are so many, no more are added: what they would have dropped comes to the controller, which
    drops it. Whoever floods with ever other addresses gains nothing else by it, and no flow of the others
    has to go. Each takes about 500 octets of memory here, and some 700 in the switch.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ends: Timers[bytes] = Timers()

    def __len__(self) -> int:
        return len(self._ends)

    def full_for(self, flow: Temporary) -> bool:
        """Whether a flow would be one too many: it is not to be added."""
        return len(self._ends) >= self._limit and flow[1] not in self._ends

    def add(self, flow: Temporary, until: float) -> list[bytes]:
        """Return what makes the switch hold a flow until then; nothing if it does."""
        message, delete = flow
        if self._ends.get(delete) == until:
            return []
        self._ends.set(delete, until)
        return [message]

    def remove(self, flow: Temporary) -> list[bytes]:
        """Return what takes a flow out of the switch now; nothing if it is not there."""
        return [flow[1]] if self._ends.cancel(flow[1]) else []

    @property
    def deadline(self) -> float:
        """When to call `ended` next."""
        return self._ends.first

    def ended(self, now: float) -> list[bytes]:
        """Return what takes out the flows whose time is over."""
        deletes = []
        while (delete := self._ends.pop(now)) is not None:
            deletes.append(delete)
        return deletes
