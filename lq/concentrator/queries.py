"""When a query may be sent, and when again (section 6.6). No message is read here.

A server is in one of three states:

* **responsive**: its timer runs (R6.6-4). At most `window` queries are out, each with a timer of its
  own that doubles from `retry_first` to `retry_last` (R6.6-5); more wait in a queue. Any ACTIVE, KNOWN
  or UNKNOWN starts the server's timer anew; so does the first query after that, because silence
  counts only while something is asked. It counts on if another server has the answer meanwhile.
* **silent**: the timer is expired and it is not known that the server supports leasequery: none of its
  answers has come yet, or the timer went off while queries were out. Then all but one are taken off
  the wire (R6.6-6), and the one polls: at once if the server was never asked, else `server_timer` after
  the last packet, then at intervals that double up to `server_timer_last`. So, with the defaults, never
  more than one packet in 10 s and, while there is something to ask, never less than one in a minute
  (R6.6-2, R6.6-3).
* **resting**: the timer expired after all was answered. One query may be out (R6.6-3), but with its
  own timer from `retry_first`, since the server is known to support leasequery. If the server's timer goes
  off again, it is silent.

What is taken off the wire, or finds the window full, waits: first come, first served. A full
queue gives up the one that has waited longest; each takes about 700 octets of memory. A query that
nobody has asked for during `demand_time` is given up; so is one that is to be sent once, when it would
be sent again. A query about a location that is about to end (`Query.refreshes`) does not wait, and takes
half of the window at most (`spare`): it is nobody's demand. A silent server is not asked so at all.

What was sent about a query that is over, or was given up, may still be answered. Such an answer shows that
its server lives, and nothing else (R6.6-4); of the last `_MOST_LATE` of them that is known.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from random import Random
from typing import Final, Literal

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Abandon, Effect, QueryForm, QueryInfo, ToServer
from lq.concentrator.query import Composer, Key, Query
from lq.concentrator.timed_set import TimedSet
from lq.concentrator.timers import LONG_AGO, NEVER, Timers

_MOST_LATE = 1024


State = Literal["silent", "resting", "responsive"]
"""See the module's text."""
SILENT: Final = "silent"
RESTING: Final = "resting"
RESPONSIVE: Final = "responsive"


@dataclass(slots=True, eq=False)
class Server:
    """What is known of a server; `timer` is when its timer goes off (or, silent, when to poll)."""

    address: IPv4Address
    unknown: TimedSet  # addresses about which it said UNKNOWN (R6.5-5)
    state: State = SILENT
    timer: float = NEVER
    interval: float = 0.0  # silent: at least so long from the last packet to the next
    failed: bool = False  # silent, and not just not asked yet: others had better be asked too
    owes: bool = False  # it was asked, and no answer has come since that could have been the one
    last_sent: float = LONG_AGO
    outstanding: dict[int, Leg] = field(default_factory=dict)  # by xid
    waiting: OrderedDict[int, Leg] = field(default_factory=OrderedDict)  # (its first is found at once)
    unimplemented: set[QueryForm] = field(default_factory=set)  # (R6.5-6)


@dataclass(slots=True, eq=False)
class Leg:
    """One query's side to one server. xid stays on resending.

    `backed_off` is how often its own timer has doubled since it was last put on the wire.
    """

    query: Query
    server: Server
    xid: int
    attempts: int = 0
    sent: float = LONG_AGO
    backed_off: int = 0


class Queries:
    """All queries under way. Methods append what is to be done to `out`."""

    def __init__(self, config: ConcentratorConfig) -> None:
        self._config = config
        self._compose = Composer(config).octets
        self._random = Random(config.seed)
        self._by_key: dict[Key, Query] = {}
        self._by_xid: dict[int, Leg] = {}
        self._late: OrderedDict[int, Leg] = OrderedDict()  # sent, and over without an answer
        self._intervals = _doubling(config.retry_first, config.retry_last)
        self._timers: Timers[int] = Timers()  # of the legs on the wire, by xid
        self.servers = {
            address: Server(address, TimedSet(config.refused_limit)) for address in config.queried_servers
        }
        self.unanswered: list[Query] = []  # given up with sources that wait: the caller takes them out

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Query]:
        return iter(self._by_key.values())

    def get(self, key: Key) -> Query | None:
        """Return the query about this address or client, None if none is under way."""
        return self._by_key.get(key)

    # -- what the engine tells

    def ask(self, query: Query, servers: Iterable[Server], now: float, out: list[Effect]) -> None:
        """Begin a query that is not under way yet, at these servers."""
        self._by_key[query.key] = query
        self._extend(query, servers, now, out)

    def spare(self, server: Server) -> bool:
        """Whether a query that nobody waits for may be sent now: half of the window is for the others."""
        if server.waiting or server.failed:
            return False
        if server.state is RESPONSIVE:
            return len(server.outstanding) < max(1, self._config.window // 2)
        return not server.outstanding

    def match(self, server: IPv4Address, xid: int) -> Leg | None:
        """Return the leg that an answer from this server with this xid belongs to."""
        leg = self._by_xid.get(xid) or self._late.get(xid)
        return leg if leg is not None and leg.server.address == server and leg.attempts else None

    def answered(self, leg: Leg, supported: bool, now: float, out: list[Effect]) -> bool:
        """Take an answered leg out; `supported` unless the answer was UNIMPLEMENTED (R6.6-4, R6.5-6).

        Return whether the query still wants what the answer says.
        """
        server = leg.server
        wanted = leg.query.legs.pop(server, None) is not None
        self._remove(leg)
        if supported:
            if server.state is SILENT:
                for poll in server.outstanding.values():  # the answer was a late one to another query
                    self._start_timer(poll, now)
            server.state = RESPONSIVE
            server.timer = now + self._config.server_timer
            server.interval = 0.0
            server.failed = False
            server.owes = bool(server.outstanding)
            return wanted
        if server.state is not SILENT:
            server.owes = bool(server.outstanding)
        form = leg.query.form
        server.unimplemented.add(form)
        for other in [each for each in server.waiting.values() if each.query.form == form]:
            self._give_up(other, out)
        return wanted

    def ask_reserve(self, query: Query, now: float, out: list[Effect]) -> bool:
        """Ask the servers held in reserve; return whether there were any (R6.2-8)."""
        reserve, query.reserve = query.reserve, ()
        self._extend(query, reserve, now, out)
        return bool(query.legs)

    def finish(self, query: Query) -> None:
        """End a query: no more of it is sent, and an answer to it counts for its server alone.

        What is on the wire stays in the window until it is answered, or its timer goes off.
        """
        self.settle(query)
        query.legs.clear()
        self._close(query)

    def settle(self, query: Query) -> None:
        """A query has its answer: send no more of it, but listen to what is still out (R6.7-1)."""
        query.settled = True
        for leg in [*query.legs.values()] if query.legs else ():
            if leg.xid in leg.server.waiting:
                self._end(leg)
        if not query.legs:
            self._close(query)

    def pump(self, now: float, out: list[Effect]) -> None:
        """Send what the servers' states allow to send now. Call after every change."""
        for server in self.servers.values():
            if server.waiting:
                self._pump(server, now, out)

    # -- time

    @property
    def deadline(self) -> float:
        """When to call `wake` next."""
        first = self._timers.first
        for server in self.servers.values():
            first = min(first, server.timer)
        return first

    def wake(self, now: float, out: list[Effect]) -> None:
        """Let the timers go off that are due: the servers' first, since they take queries off the wire."""
        for server in self.servers.values():
            if server.timer <= now:
                self._server_timer(server, now, out)
        while (xid := self._timers.pop(now)) is not None:
            self._query_timer(self._by_xid[xid], now, out)
        self.pump(now, out)

    def _server_timer(self, server: Server, now: float, out: list[Effect]) -> None:
        """The server's timer goes off (R6.6-3, R6.6-6)."""
        config = self._config
        server.timer = NEVER
        if server.state is SILENT:
            server.failed = server.failed or bool(server.outstanding)
            for leg in list(server.outstanding.values()):
                if leg.query.refreshes or self._stale(leg, now):
                    self._give_up(leg, out)
                else:
                    self._send(leg, now, out)
        elif not server.owes:
            server.state = RESTING
        else:
            server.state = SILENT
            server.failed = True
            server.interval = config.server_timer
            legs = list(server.outstanding.values())
            for leg in legs:
                self._timers.cancel(leg.xid)
                leg.backed_off = 0
                if leg.query.once or leg.query.settled or leg.query.refreshes:
                    self._give_up(leg, out)
            # By IP address if there is one: that is what every server answers (R5-4).
            legs = list(server.outstanding.values())
            survivor = max(legs, key=lambda leg: (leg.query.form == "ip", leg.query.demanded), default=None)
            for leg in legs:
                if leg is not survivor:
                    self._wait(leg, out)
            if server.outstanding:
                server.timer = max(now, server.last_sent + server.interval)
        if server.failed:
            self._ask_others(server, now, out)

    def _ask_others(self, server: Server, now: float, out: list[Effect]) -> None:
        """The server fails: ask those held in reserve about all that it was asked (R4.4-1)."""
        for leg in [*server.outstanding.values(), *server.waiting.values()]:
            if leg.query.reserve and not leg.query.settled:
                self.ask_reserve(leg.query, now, out)

    def _query_timer(self, leg: Leg, now: float, out: list[Effect]) -> None:
        """A query's own timer goes off (R6.6-1, R6.6-5)."""
        query = leg.query
        if query.once or self._stale(leg, now):
            self._give_up(leg, out)
            return
        self._send(leg, now, out)
        if query.reserve and not query.refreshes:  # the authority is slow: ask the others too
            self.ask_reserve(query, now, out)

    # -- in and out of the queue and the window

    def _extend(self, query: Query, servers: Iterable[Server], now: float, out: list[Effect]) -> None:
        for server in servers:
            xid = self._random.getrandbits(32)
            while xid in self._by_xid or xid in self._late:
                xid = self._random.getrandbits(32)
            leg = Leg(query, server, xid)
            query.legs[server] = leg
            self._by_xid[xid] = leg
            room = len(server.outstanding) < self._config.window
            if room and not server.waiting and server.state is RESPONSIVE:
                self._put_on_wire(leg, now, out)
            else:
                self._wait(leg, out)

    def _wait(self, leg: Leg, out: list[Effect]) -> None:
        server = leg.server
        server.outstanding.pop(leg.xid, None)
        if len(server.waiting) >= self._config.waiting_limit:
            self._give_up(next(iter(server.waiting.values())), out)
        server.waiting[leg.xid] = leg

    def _pump(self, server: Server, now: float, out: list[Effect]) -> None:
        waiting, outstanding = server.waiting, server.outstanding
        while waiting:
            if server.state is RESPONSIVE:
                if len(outstanding) >= self._config.window:
                    return
            elif outstanding:
                return
            elif server.state is SILENT and now < server.last_sent + server.interval:
                server.timer = server.last_sent + server.interval
                return
            leg = next(iter(waiting.values()))
            if self._stale(leg, now):
                self._give_up(leg, out)
                continue
            del waiting[leg.xid]
            self._put_on_wire(leg, now, out)

    def _put_on_wire(self, leg: Leg, now: float, out: list[Effect]) -> None:
        server = leg.server
        if not server.owes and server.state is not SILENT:
            server.timer = now + self._config.server_timer
        server.owes = True
        server.outstanding[leg.xid] = leg
        self._send(leg, now, out)

    def _send(self, leg: Leg, now: float, out: list[Effect]) -> None:
        server, query, config = leg.server, leg.query, self._config
        leg.attempts += 1
        leg.sent = server.last_sent = now
        refresh = query.until < NEVER
        if server.state is SILENT:
            server.interval = min(max(2 * server.interval, config.server_timer), config.server_timer_last)
            server.timer = now + server.interval
        else:
            self._start_timer(leg, now)
        info = QueryInfo(query.address, query.form, leg.attempts, query.client, refresh)
        out.append(ToServer(server.address, self._compose(query, leg.xid), info))

    def _start_timer(self, leg: Leg, now: float) -> None:
        intervals = self._intervals
        self._timers.set(leg.xid, now + intervals[min(leg.backed_off, len(intervals) - 1)])
        leg.backed_off += 1

    def _stale(self, leg: Leg, now: float) -> bool:
        """Whether the leg need not be sent again: its query is settled, or nobody asks for it any more."""
        query = leg.query
        return query.settled or query.until <= now or query.demanded + self._config.demand_time < now

    def _give_up(self, leg: Leg, out: list[Effect]) -> None:
        query = leg.query
        self._end(leg)
        if not query.legs:
            self._close(query)
            if not query.settled and not query.refreshes:
                if query.address is None and query.sources:
                    self.unanswered.append(query)
                elif query.address is not None:
                    out.append(Abandon(query.address))

    def _end(self, leg: Leg) -> None:
        """Take a leg out without an answer; if it was sent, that may come yet."""
        leg.query.legs.pop(leg.server, None)
        self._remove(leg)
        if leg.attempts:
            if len(self._late) >= _MOST_LATE:
                self._late.popitem(last=False)
            self._late[leg.xid] = leg

    def _remove(self, leg: Leg) -> None:
        xid, server = leg.xid, leg.server
        self._timers.cancel(xid)
        server.outstanding.pop(xid, None)
        server.waiting.pop(xid, None)
        if self._by_xid.pop(xid, None) is None:
            self._late.pop(xid, None)

    def _close(self, query: Query) -> None:
        """The query is under way no more; another one about the same may be."""
        if self._by_key.get(query.key) is query:
            del self._by_key[query.key]


def _doubling(first: float, last: float) -> list[float]:
    """Return the intervals of a back-off, the last of which stands for all that follow."""
    intervals = [first]
    while intervals[-1] < last:
        intervals.append(min(2 * intervals[-1], last))
    return intervals
