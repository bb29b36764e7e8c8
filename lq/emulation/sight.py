"""What a live lab shows of itself, inside: one look gives one consistent picture of one moment.

It follows what the present controller writes down, a piece at a time, and keeps of it what holds now and the
newest messages: its memory is bounded by what the controller itself keeps, however long it is not looked at.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from lq.emulation.knowledge import Knowledge, State
from lq.emulation.network import Emulation

MOST_MESSAGES = 64  # kept; all are counted
MOST_HOSTS = 600  # told of one by one; all are counted
_PIECE = 1 << 20  # octets of a record taken in at a time


class Follower:
    """One controller's record, followed: what it knows, and the newest queries and answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.knowledge = Knowledge()
        self.ready_at: float | None = None
        self.queries = self.answers = 0  # all transmissions since this controller began
        self.messages: deque[dict[str, Any]] = deque(maxlen=MOST_MESSAGES)
        self._offset = 0

    def look(self) -> None:
        """Take in what was written since the last look, as far as it was written then."""
        try:
            record = self.path.open("rb")
        except FileNotFoundError:  # not begun
            return
        with record:
            end = self.path.stat().st_size
            while self._offset < end:
                record.seek(self._offset)
                piece = record.read(min(_PIECE, end - self._offset))
                whole = piece[: piece.rfind(b"\n") + 1]
                if not whole:  # a line that is being written
                    return
                self._offset += len(whole)
                self._take([json.loads(line) for line in whole.splitlines()])

    def _take(self, lines: list[dict[str, Any]]) -> None:
        self.knowledge.feed(lines)
        for line in lines:
            match line["event"]:
                case "ready":
                    self.ready_at = self.ready_at or float(line["at"])
                case "query":
                    self.queries += 1
                    self.messages.append({**line, "number": self.queries + self.answers})
                case "answered":
                    self.answers += 1
                    self.messages.append({**line, "number": self.queries + self.answers})
        if lines:
            self.knowledge.forget(lines[-1]["at"])


class Sight:
    """Looks at a network. `reached(within)` says of which subscribers a probe arrived lately."""

    def __init__(
        self,
        network: Emulation,
        runs: Callable[[], Mapping[str, bool]],
        reached: Callable[[float], Mapping[str, bool]],
    ) -> None:
        self._network, self._runs, self._reached = network, runs, reached
        self._looking = threading.Lock()
        self._record = Follower(Path())

    @contextlib.contextmanager
    def look(self) -> Iterator[tuple[Knowledge, float]]:
        """Give what the concentrator knows, and the time: none of it while it is down."""
        with self._looking:
            record, now = self._follow(self._network.control.up)
            yield record.knowledge, now

    def _follow(self, up: bool) -> tuple[Follower, float]:
        if not up:
            return Follower(Path()), time.monotonic()
        path = self._network.control.record_file
        if path != self._record.path:  # a new controller knows nothing
            self._record = Follower(path)
        self._record.look()
        return self._record, time.monotonic()

    def view(self, most: int, within: float) -> dict[str, Any]:
        """Return what a picture shows: JSON, times in seconds.

        figure, name (the concentrator's), concentrator (down, starting, up: it holds the switch),
        rebooted (ever), since (the reboot, or the start without one; None where not known), outage (from the
        kill until the new controller held the switch), servers (name: runs), modems (name: circuit),
        hosts (name, address, state, reached within so many seconds, modem; the first MOST_HOSTS),
        counts (of all hosts by state, and `reached`), queries and answers (in number, since the controller
        began), messages (the newest `most`: number, since, kind, server, about, reply, attempt).
        """
        runs = dict(self._runs())
        up = runs.pop("concentrator")  # first: what is then known of the hosts is of a controller that ran
        leases = self._network.subscribers.leases()
        reached = self._reached(within)
        with self._looking:
            record, now = self._follow(up)
            hosts = [
                (name, address, record.knowledge.of(address, now), up and reached.get(name, False))
                for name, address in leases.items()
            ]
            kill, ready = self._network.control.latest_kill(up), record.ready_at
            zero = ready if kill is None else kill
            newest = list(record.messages)[::-1][: max(0, most)][::-1]
            messages = [self._message(line, zero, leases) for line in newest]
            counts = dict.fromkeys(get_args(State), 0)
            for _, _, state, _ in hosts:
                counts[state] += 1
            return {
                "figure": self._network.spec.topology.figure,
                "name": self._network.concentrator.name,
                "concentrator": "down" if not up else "starting" if ready is None else "up",
                "rebooted": kill is not None,
                "since": None if zero is None else now - zero,
                "outage": ready - kill if kill is not None and ready is not None else None,
                "servers": runs,
                "hosts": [(*host, self._modem_of(host[0])) for host in hosts[:MOST_HOSTS]],
                "modems": self._modems(),
                "counts": {**counts, "reached": sum(host[3] for host in hosts)},
                "queries": record.queries,
                "answers": record.answers,
                "messages": messages,
            }

    def _message(
        self, line: Mapping[str, Any], zero: float | None, leases: Mapping[str, str | None]
    ) -> dict[str, Any]:
        server = next((s.name for s in self._network.servers if str(s.place.address) == line["server"]), "")
        address = line.get("address")
        host = next((name for name, leased in leases.items() if address and leased == address), None)
        return {
            "number": line["number"],
            "since": None if zero is None else line["at"] - zero,
            "kind": line["event"],
            "server": server or line["server"],
            "about": host or address or line.get("client") or line["form"],
            "reply": line.get("reply"),
            "attempt": line.get("attempt"),
        }

    def _modem_of(self, host: str) -> str:
        return "" if self._network.figure.population else self._network.modem_of(host)

    def _modems(self) -> dict[str, str]:
        """Return each modem's circuit as its tags are written, by the modem's name."""
        places = self._network.figure.modem_places
        if self._network.figure.population:
            return {}
        return {f"modem{n}": ".".join(map(str, place.tags)) for n, place in enumerate(places, 1)}
