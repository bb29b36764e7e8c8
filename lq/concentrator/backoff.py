"""When a query may be sent, and when again (section 6.6). No message is read here.

The states of a server, and the steps between them, are in `lq.concentrator.server_state`. This module follows
them. docs/backoff.md tells the whole.

* A query whose server has no room for it waits: first come, first served. A full queue gives up the query
  that has waited longest. A query that no packet has asked for during `demand_time` is given up.
* A query that is to be sent once (`Query.once`) is given up at the moment when it would be sent again.
* A query about a location that is about to end (`Query.refreshes`) is nobody's demand. It does not wait, it
  takes half of the window at most (`spare`), and it is not sent to a server that is silent.
* The answer to a query that is over may still come. It shows that its server lives, and nothing else
  (R6.6-4). The last `_MOST_LATE` such queries are known.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from random import Random

from lq.concentrator.composer import Composer
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Abandon, Effect, QueryInfo, ToServer
from lq.concentrator.query import Key, QueriedServer, Query, Transaction
from lq.concentrator.server_state import ALLOWS, NEXT, RESPONSIVE, SILENT, Happening
from lq.concentrator.timed_set import TimedSet
from lq.concentrator.timers import NEVER, Timers

_MOST_LATE = 1024


class BackOff:
    """All queries under way. Methods append what is to be done to `out`."""

    def __init__(self, config: ConcentratorConfig) -> None:
        self._config = config
        self._compose = Composer(config).octets
        self._random = Random(config.seed)
        self._by_key: dict[Key, Query] = {}
        self._by_xid: dict[int, Transaction] = {}
        self._late: OrderedDict[int, Transaction] = OrderedDict()  # sent, and over without an answer
        self._intervals = _doubling(config.retry_first, config.retry_last)
        self._timers: Timers[int] = Timers()  # of the transactions on the wire, by xid
        self.servers = {
            address: QueriedServer(address, TimedSet(config.refused_limit))
            for address in config.queried_servers
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

    def ask(self, query: Query, servers: Iterable[QueriedServer], now: float, out: list[Effect]) -> None:
        """Begin a query that is not under way yet, at these servers."""
        self._by_key[query.key] = query
        self._extend(query, servers, now, out)

    def spare(self, server: QueriedServer) -> bool:
        """Whether a query that nobody waits for may be sent now: half of the window is for the others."""
        if server.waiting or server.failed:
            return False
        if ALLOWS[server.state].window:
            return len(server.outstanding) < max(1, self._config.window // 2)
        return not server.outstanding

    def match(self, server: IPv4Address, xid: int) -> Transaction | None:
        """Return the transaction that an answer from this server with this xid belongs to."""
        transaction = self._by_xid.get(xid) or self._late.get(xid)
        return (
            transaction
            if transaction is not None and transaction.server.address == server and transaction.attempts
            else None
        )

    def answered(self, transaction: Transaction, supported: bool, now: float, out: list[Effect]) -> bool:
        """Take an answered transaction out; `supported` unless the answer was UNIMPLEMENTED (R6.6-4, R6.5-6).

        Return whether the query still wants what the answer says.
        """
        server = transaction.server
        wanted = transaction.query.transactions.pop(server, None) is not None
        self._remove(transaction)
        if supported:
            if server.state is SILENT:
                for poll in server.outstanding.values():  # the answer was a late one to another query
                    self._start_timer(poll, now)
            server.state = NEXT[server.state, Happening.ANSWER]
            server.timer = now + self._config.server_timer
            server.interval = 0.0
            server.failed = False
            server.owes = bool(server.outstanding)
            return wanted
        if server.state is not SILENT:
            server.owes = bool(server.outstanding)
        form = transaction.query.form
        server.unimplemented.add(form)
        for other in [each for each in server.waiting.values() if each.query.form == form]:
            self._give_up(other, out)
        return wanted

    def ask_reserve(self, query: Query, now: float, out: list[Effect]) -> bool:
        """Ask the servers held in reserve; return whether there were any (R6.2-8)."""
        reserve, query.reserve = query.reserve, ()
        self._extend(query, reserve, now, out)
        return bool(query.transactions)

    def finish(self, query: Query) -> None:
        """End a query: no more of it is sent, and an answer to it counts for its server alone.

        What is on the wire stays in the window until it is answered, or its timer goes off.
        """
        self.settle(query)
        query.transactions.clear()
        self._close(query)

    def settle(self, query: Query) -> None:
        """A query has its answer: send no more of it, but listen to what is still out (R6.7-1)."""
        query.settled = True
        for transaction in [*query.transactions.values()] if query.transactions else ():
            if transaction.xid in transaction.server.waiting:
                self._end(transaction)
        if not query.transactions:
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

    def _server_timer(self, server: QueriedServer, now: float, out: list[Effect]) -> None:
        """The server's timer goes off (R6.6-3, R6.6-6)."""
        server.timer = NEVER
        former = server.state
        server.state = NEXT[former, Happening.TIMER_ASKED if server.owes else Happening.TIMER_NOT_ASKED]
        if former is SILENT:
            self._poll(server, now, out)
        elif server.state is SILENT:
            self._fall_silent(server, now, out)
        if server.failed:
            self._ask_others(server, now, out)

    def _poll(self, server: QueriedServer, now: float, out: list[Effect]) -> None:
        """A silent server did not answer: send the query that is out again, unless nobody needs it."""
        server.failed = server.failed or bool(server.outstanding)
        for transaction in list(server.outstanding.values()):
            if transaction.query.refreshes or self._stale(transaction, now):
                self._give_up(transaction, out)
            else:
                self._send(transaction, now, out)

    def _fall_silent(self, server: QueriedServer, now: float, out: list[Effect]) -> None:
        """Take all queries but one off the wire (R6.6-6): by IP address if there is one (R5-4)."""
        server.failed = True
        server.interval = self._config.server_timer
        for transaction in list(server.outstanding.values()):
            query = transaction.query
            self._timers.cancel(transaction.xid)
            transaction.backed_off = 0
            if query.once or query.settled or query.refreshes:
                self._give_up(transaction, out)
        out_still = list(server.outstanding.values())
        survivor = max(
            out_still, key=lambda each: (each.query.form == "ip", each.query.demanded), default=None
        )
        for transaction in out_still:
            if transaction is not survivor:
                self._wait(transaction, out)
        if server.outstanding:
            server.timer = max(now, server.last_sent + server.interval)

    def _ask_others(self, server: QueriedServer, now: float, out: list[Effect]) -> None:
        """The server fails: ask those held in reserve about all that it was asked (R4.4-1)."""
        for transaction in [*server.outstanding.values(), *server.waiting.values()]:
            if transaction.query.reserve and not transaction.query.settled:
                self.ask_reserve(transaction.query, now, out)

    def _query_timer(self, transaction: Transaction, now: float, out: list[Effect]) -> None:
        """A query's own timer goes off (R6.6-1, R6.6-5)."""
        query = transaction.query
        if query.once or self._stale(transaction, now):
            self._give_up(transaction, out)
            return
        self._send(transaction, now, out)
        if query.reserve and not query.refreshes:  # the authority is slow: ask the others too
            self.ask_reserve(query, now, out)

    # -- in and out of the queue and the window

    def _extend(self, query: Query, servers: Iterable[QueriedServer], now: float, out: list[Effect]) -> None:
        for server in servers:
            xid = self._random.getrandbits(32)
            while xid in self._by_xid or xid in self._late:
                xid = self._random.getrandbits(32)
            transaction = Transaction(query, server, xid)
            query.transactions[server] = transaction
            self._by_xid[xid] = transaction
            room = len(server.outstanding) < self._config.window
            if room and not server.waiting and server.state is RESPONSIVE:
                self._put_on_wire(transaction, now, out)
            else:
                self._wait(transaction, out)

    def _wait(self, transaction: Transaction, out: list[Effect]) -> None:
        server = transaction.server
        server.outstanding.pop(transaction.xid, None)
        if len(server.waiting) >= self._config.waiting_limit:
            self._give_up(next(iter(server.waiting.values())), out)
        server.waiting[transaction.xid] = transaction

    def _pump(self, server: QueriedServer, now: float, out: list[Effect]) -> None:
        waiting, outstanding = server.waiting, server.outstanding
        while waiting:
            if len(outstanding) >= (self._config.window if ALLOWS[server.state].window else 1):
                return
            if server.state is SILENT and now < server.last_sent + server.interval:
                server.timer = server.last_sent + server.interval
                return
            transaction = next(iter(waiting.values()))
            if self._stale(transaction, now):
                self._give_up(transaction, out)
                continue
            del waiting[transaction.xid]
            self._put_on_wire(transaction, now, out)

    def _put_on_wire(self, transaction: Transaction, now: float, out: list[Effect]) -> None:
        server = transaction.server
        if not server.owes and server.state is not SILENT:
            server.timer = now + self._config.server_timer
        server.owes = True
        server.outstanding[transaction.xid] = transaction
        self._send(transaction, now, out)

    def _send(self, transaction: Transaction, now: float, out: list[Effect]) -> None:
        server, query, config = transaction.server, transaction.query, self._config
        transaction.attempts += 1
        transaction.sent = server.last_sent = now
        if ALLOWS[server.state].own_timers:
            self._start_timer(transaction, now)
        else:
            server.interval = min(max(2 * server.interval, config.server_timer), config.server_timer_last)
            server.timer = now + server.interval
        info = QueryInfo(query.address, query.form, transaction.attempts, query.client, query.refreshes)
        out.append(ToServer(server.address, self._compose(query, transaction.xid), info))

    def _start_timer(self, transaction: Transaction, now: float) -> None:
        intervals = self._intervals
        self._timers.set(transaction.xid, now + intervals[min(transaction.backed_off, len(intervals) - 1)])
        transaction.backed_off += 1

    def _stale(self, transaction: Transaction, now: float) -> bool:
        """Whether it need not be sent again: its query is settled, or nobody asks for it any more."""
        query = transaction.query
        return query.settled or query.until <= now or query.demanded + self._config.demand_time < now

    def _give_up(self, transaction: Transaction, out: list[Effect]) -> None:
        query = transaction.query
        self._end(transaction)
        if not query.transactions:
            self._close(query)
            if not query.settled and not query.refreshes:
                if query.address is None and query.sources:
                    self.unanswered.append(query)
                elif query.address is not None:
                    out.append(Abandon(query.address))

    def _end(self, transaction: Transaction) -> None:
        """Take a transaction out without an answer; if it was sent, that may come yet."""
        transaction.query.transactions.pop(transaction.server, None)
        self._remove(transaction)
        if transaction.attempts:
            if len(self._late) >= _MOST_LATE:
                self._late.popitem(last=False)
            self._late[transaction.xid] = transaction

    def _remove(self, transaction: Transaction) -> None:
        xid, server = transaction.xid, transaction.server
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
