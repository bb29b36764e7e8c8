"""What the concentrator knows of each address, read from what its controller wrote down.

An address is `asking` while it is being asked about, `located` or `refused` as long as that holds, and
`unknown` otherwise. A controller that starts anew knows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

MOST_REFUSED = (
    65_536  # remembered; a controller's own negative cache has as many entries unless set otherwise
)
_FEW = 1000  # addresses that are not worth a clean-up
State = Literal["unknown", "asking", "located", "refused"]


class Known(NamedTuple):
    """What holds for an address, from `since` to `until` (monotonic clock, seconds), as recorded."""

    state: State
    since: float
    until: float
    detail: Mapping[str, Any]


class Knowledge:
    """The concentrator's memory as its record tells it: feed it the lines, ask for any moment after."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._kept = 0

    def feed(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take in further lines of a record, in order."""
        for line in lines:
            at, address = line["at"], line.get("address") or ""  # a query need not be about an address
            match line["event"]:
                case "started":
                    self._known.clear()
                case "permit":
                    self._known[address] = Known("located", at, line["expires"], line)
                case "refuse":
                    self._known[address] = Known("refused", at, line["until"], line)
                case "query" if address and not self._holds(address, at):
                    self._known[address] = Known("asking", at, float("inf"), line)
                case "withdraw" | "abandon" if address in self._known:
                    del self._known[address]

    def forget(self, now: float) -> None:
        """Drop what no longer holds, once that may be half of all, and refused addresses beyond MOST_REFUSED.

        A scan leaves an address behind with each packet. As in the controller, those that end first go.
        """
        if len(self._known) <= 2 * self._kept + _FEW:
            return
        refused = sorted(known.until for _, known in self.items("refused", now))
        last = refused[-MOST_REFUSED] if len(refused) > MOST_REFUSED else now
        self._known = {
            address: known
            for address, known in self._known.items()
            if known.until > now and (known.state != "refused" or known.until >= last)
        }
        self._kept = len(self._known)

    def _holds(self, address: str, now: float) -> bool:
        known = self._known.get(address)
        return known is not None and known.state == "located" and known.until > now

    def of(self, address: str | None, now: float) -> State:
        """Return what the concentrator knows of an address now."""
        known = self._known.get(address) if address is not None else None
        return known.state if known is not None and known.until > now else "unknown"

    def items(self, state: State, now: float) -> Iterable[tuple[str, Known]]:
        """Go through all addresses that are in a state now."""
        return [(a, k) for a, k in self._known.items() if k.state == state and k.until > now]
