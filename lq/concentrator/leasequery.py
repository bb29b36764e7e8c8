"""Finding hosts by leasequery: who is asked about what, and what is made of the answers (section 6.5).

A query is by IP address (R5-7), once for each address while one is out (R7-5). With `ask_by`
"mac-upstream", a packet from an unlocated source makes one by its MAC address instead, if a server that
answers just now implements it (R6.5-6): the client's addresses come back, and the source must be one of
them. No answer to that at once, and the address is asked about as always.

A location is asked about again before it ends (`config.refresh`), while its packets still flow. Renewals
at the server itself are not gleaned (R4.3-1): it would end though its host has renewed, and packets be lost
until an answer is there. ACTIVE moves its end, KNOWN and UNKNOWN end it now; without an answer it ends as
it would have. What that costs is bounded: one query for each end, to one server that does not fail and has
half of its window free, sent again like any other until the location ends. That is about as often as the
host renews. Idle hosts are asked about, too: the packets of located ones pass the switch unseen by the
engine. One that is gone costs a single query, since its end no longer moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

from lq.concentrator.answers import Answer, Reader
from lq.concentrator.authorities import Authorities
from lq.concentrator.backoff import BackOff
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import (
    Abandon,
    Answered,
    Circuit,
    Drop,
    Effect,
    Location,
    RefusedAddress,
    Reply,
    Upstream,
)
from lq.concentrator.location import NOWHERE
from lq.concentrator.places import Places
from lq.concentrator.query import MAXIMUM_SOURCES, Query, Transaction
from lq.concentrator.reasons import DropReason, RefusalReason
from lq.concentrator.server_state import RESPONSIVE
from lq.concentrator.source_verification import SourceVerification
from lq.concentrator.timed_set import TimedSet
from lq.concentrator.timers import NEVER
from lq.wire import Message

Want = Callable[[IPv4Address, Upstream | None, float, list[Effect]], None]
"""How to have a further address found: address, source (of a packet from upstream), now, out."""


class LeaseQuery:
    """Mode "leasequery". `want` finds further addresses, within their limits."""

    def __init__(
        self, config: ConcentratorConfig, places: Places, verification: SourceVerification, want: Want
    ) -> None:
        self._config = config
        self._places = places
        self._verification = verification
        self._ending = places.locations.ending
        self._want = want
        self._reader = Reader(config)
        self.queries = BackOff(config)
        self._authorities = Authorities(config, self.queries.servers.values())
        self._by_mac = config.ask_by == "mac-upstream"
        # Hosts, by MAC address, all of whose addresses are located or asked about.
        self._strangers = TimedSet(config.refused_limit)

    # -- asking

    def join(self, key: int, source: Upstream | None, now: float, out: list[Effect]) -> bool:
        """Join the query about an address that is under way; return whether there is one."""
        query = self.queries.get(key)
        if query is None or query.settled:
            query = self._open_by_mac(source) if self._by_mac else None
            if query is None or source not in query.sources:
                return False
        query.demanded, query.until, query.quiet = now, NEVER, False
        query.add_source(source)
        if query.answer is not None and self._places.negative_cache.get(key, now) is None:
            self._conclude(query, now, out)  # UNKNOWN so far, and who may say more may have failed
        return True

    def begin(
        self, address: IPv4Address, source: Upstream | None, now: float, out: list[Effect]
    ) -> DropReason | None:
        """Ask about an address that nothing is known of; return why not, if there is nobody to ask."""
        if source is not None and self._by_mac:
            if self._strangers.until(_number(source.chaddr), now) is not None:
                out.append(self._verification.spoofed(source, now))
                return None
            asked = self._open_by_mac(source)
            if asked is not None:
                asked.demanded = now
                asked.add_source(source)
                return None
            if self._begin_by_mac(source, now, out):
                return None
        return self._begin_by_address(address, (source,) if source is not None else (), now, out)

    def _open_by_mac(self, source: Upstream | None) -> Query | None:
        """Return the query by a packet's MAC address that is under way."""
        query = None if source is None or not self._by_mac else self.queries.get(source.chaddr)
        return None if query is None or query.settled else query

    def hopeful(self, key: int, now: float) -> bool:
        """Whether a server can be asked by this IP address from which an answer may come."""
        return any(not server.failed for server in self._authorities.able("ip", key, now))

    def claim(self, address: IPv4Address, now: float, out: list[Effect]) -> bool:
        """Have a server asked who has the address; return whether an answer may come (R1-5)."""
        key = int(address)
        if not self.hopeful(key, now):
            return False
        query = self.queries.get(key)
        if query is None or query.settled:
            return self._begin_by_address(address, (), now, out, quiet=True) is None
        query.demanded, query.until = now, NEVER
        return True

    def _begin_by_address(
        self,
        address: IPv4Address,
        sources: tuple[Upstream, ...],
        now: float,
        out: list[Effect],
        *,
        quiet: bool = False,
    ) -> DropReason | None:
        key = int(address)
        servers, reserve = self._authorities.order(key, now)
        if not servers:
            return DropReason.UNANSWERABLE
        query = Query(key, "ip", now, address, sources=sources, reserve=reserve, quiet=quiet)
        self._replace(query)
        self.queries.ask(query, servers, now, out)
        return None

    def _begin_by_mac(self, source: Upstream, now: float, out: list[Effect]) -> bool:
        able = self._authorities.able("mac", None, now)
        able = [server for server in able if server.state is RESPONSIVE]
        if not able or not source.chaddr:
            return False
        query = Query(source.chaddr, "mac", now, htype=1, chaddr=source.chaddr, sources=(source,), once=True)
        self._replace(query)
        self.queries.ask(query, able, now, out)
        return True

    def _replace(self, query: Query) -> None:
        """End a settled query about the same, whose last answers are not here yet: they tell of before."""
        former = self.queries.get(query.key)
        if former is not None:
            self.queries.finish(former)

    # -- time

    @property
    def deadline(self) -> float:
        """When to call `wake` next."""
        return self.queries.deadline

    def wake(self, now: float, out: list[Effect]) -> None:
        """Send again what is due."""
        self.queries.wake(now, out)
        self.pump(now, out)

    def pump(self, now: float, out: list[Effect]) -> None:
        """Send what may be sent now. Call after every change."""
        queries = self.queries
        queries.pump(now, out)
        while queries.unanswered:
            self._fall_back(queries.unanswered.pop(), now, out)
            queries.pump(now, out)
        if self._ending:
            self._refresh(now, out)

    def _refresh(self, now: float, out: list[Effect]) -> None:
        """Ask again about the locations that end soon, as far as there is room for that."""
        locations, queries, ending = self._places.locations, self.queries, self._ending
        while ending:
            key = next(iter(ending))
            location, servers = locations.get(key, now), self._authorities.living(key, now)
            if location is not None and servers:
                if not queries.spare(servers[0]):
                    return
                first, *reserve = servers
                query = Query(key, "ip", now, location.address, until=location.expires, reserve=reserve)
                self._replace(query)
                queries.ask(query, (first,), now, out)
                queries.pump(now, out)
            del ending[key]

    def lapsed(self, location: Location) -> None:
        """The location has ended: whoever needs it from now on asks anew."""
        query = self.queries.get(int(location.address))
        if query is not None and query.refreshes:
            self.queries.finish(query)

    def _fall_back(self, query: Query, now: float, out: list[Effect]) -> None:
        """Nobody answered by MAC address: ask by the IP addresses of the packets that caused it."""
        places = self._places
        for source in query.sources:
            key = int(source.address)
            asked, refusal = self.queries.get(key), places.negative_cache.get(key, now)
            if asked is not None and not asked.settled:
                asked.add_source(source)
                continue
            if places.locations.get(key, now) is not None:
                self._verification.verify((source,), now, out)
                continue
            bearer = source.address, source.circuit, source.chaddr
            if refusal is not None:
                unseen = RefusedAddress(source.address, upstream=True)
                out.append(Drop(DropReason.REFUSED, *bearer, refusal.until, unseen))
                continue
            reason = self._begin_by_address(source.address, (source,), now, out)
            if reason is not None:
                out.append(Drop(reason, *bearer))

    # -- what the relay learns

    def gleaned(self, location: Location, server: IPv4Address) -> None:
        """The server leased the address just now: that is newer than any answer on its way (R1-7).

        Such an answer still shows that its server lives (R6.6-4).
        """
        address = int(location.address)
        self._strangers.discard(_number(location.chaddr))
        query = self.queries.get(address)
        if query is not None:
            self.queries.finish(query)
        for each in self.queries.servers.values():
            each.unknown.discard(address)
        self._authorities.remember(address, server)

    def left(self, address: int, circuit: Circuit, chaddr: bytes, now: float) -> None:
        """The host at this place gave the address up, or was denied it: no answer on its way revives it."""
        query = self.queries.get(address)
        if query is None:
            return
        location = self._places.locations.get(address, now)
        if query.refreshes and location is not None and location.admits(circuit, chaddr):
            self.queries.finish(query)
        elif len(query.left) < MAXIMUM_SOURCES:
            query.left += ((circuit, chaddr),)

    # -- answers

    def kind(self, message: Message) -> Reply | None:
        """Return which answer to a query the message is, None if it is none."""
        return self._reader.replies.get(message.message_type or 0)

    def answer(
        self, server: IPv4Address, message: Message, reply: Reply, now: float, out: list[Effect]
    ) -> None:
        """Take an answer (section 6.5). Raises MalformedMessage for what cannot be one."""
        queries = self.queries
        transaction = queries.match(server, message.xid)
        if transaction is None or not _fits(transaction.query, message, reply):
            out.append(Drop(DropReason.UNMATCHED))
            return
        query = transaction.query
        answer = self._reader.read(message, reply, now)
        rtt, refresh = now - transaction.sent, query.until < NEVER
        out.append(
            Answered(
                query.address, server, query.form, reply, rtt, transaction.attempts, query.client, refresh
            )
        )
        if not queries.answered(transaction, reply != "unimplemented", now, out):
            return
        if reply in ("active", "known"):
            self._authorities.remember(int(answer.address), server)
            if query.answer is None or answer.outweighs(query.answer):
                query.answer = answer
                self._accept(query, answer, now, out)
            queries.settle(query)
            return
        if reply == "unknown":
            if isinstance(query.key, int) and self._config.negative_cache:
                transaction.server.unknown.add(query.key, now + self._config.unknown_time, now)
            if query.answer is None:
                query.answer = answer
        if query.settled:
            queries.settle(query)
        elif not queries.ask_reserve(query, now, out) or query.answer is not None:
            self._conclude(query, now, out)

    def _conclude(self, query: Query, now: float, out: list[Effect]) -> None:
        """No server asked so far manages the address: refuse it, unless one may still say otherwise.

        A silent server may be the one that manages it, so then the refusal lasts no longer than it takes
        to poll that server; its answer, when it comes, still counts.
        """
        transactions: Iterable[Transaction] = query.transactions.values()
        if any(not transaction.server.failed for transaction in transactions):
            return
        undecided = bool(query.transactions)
        if not undecided:
            self.queries.finish(query)
        config, address = self._config, query.address
        if address is None:
            if query.answer is None:
                self._fall_back(query, now, out)
            else:
                self._judge_claims(query, now, out)
        elif query.answer is None:
            if not query.refreshes:
                out.append(Abandon(address))
        else:
            time = min(config.unknown_time, config.server_timer_last) if undecided else config.unknown_time
            self._places.refuse(address, RefusalReason.UNKNOWN, now + time, now, out, quiet=query.quiet)

    def _accept(self, query: Query, answer: Answer, now: float, out: list[Effect]) -> None:
        """Act on ACTIVE or KNOWN (R6.5-1, R6.5-2, R6.5-3)."""
        places, address = self._places, answer.address
        if query.address is None:
            self._accept_client(query, answer, now, out)
        elif answer.expires is None or not answer.chaddr:
            until = now + self._config.known_time
            places.refuse(address, RefusalReason.KNOWN, until, now, out, quiet=query.quiet)
        else:
            self._place(query, answer, now, out)
            if query.sources and places.locations.get(int(address), now) is not None:
                self._verification.verify(query.sources, now, out)

    def _accept_client(self, query: Query, answer: Answer, now: float, out: list[Effect]) -> None:
        """Locate a client's address, ask about its others, and judge who claimed to be that client.

        An address that is located already stays: by IP address is what counts (R5-7).
        """
        places = self._places
        for address in dict.fromkeys((answer.address, *answer.others)):
            key = int(address)
            if key in places.hosts and places.locations.get(key, now) is None:
                if address == answer.address:
                    self._place(query, answer, now, out)
                    self._spare(address, now, out)
                else:
                    self._want(address, None, now, out)
        self._judge_claims(query, now, out)

    def _spare(self, address: IPv4Address, now: float, out: list[Effect]) -> None:
        """What is located by its client need not be asked about any more, but what is out still counts."""
        open_query = self.queries.get(int(address))
        if open_query is None or open_query.settled or self._places.locations.get(int(address), now) is None:
            return
        self._verification.verify(open_query.sources, now, out)
        self.queries.settle(open_query)

    def _judge_claims(self, query: Query, now: float, out: list[Effect]) -> None:
        """The client has the addresses that are located or asked about by now, and no others."""
        if not query.sources:
            return
        config, answer = self._config, query.answer
        known = answer is not None and answer.reply != "unknown"
        until = now + (config.known_time if known else config.unknown_time)
        if answer is not None and answer.expires is not None:
            until = min(until, answer.expires)
        self._strangers.add(_number(query.chaddr), until, now)
        for source in query.sources:
            open_query = self.queries.get(int(source.address))
            if open_query is not None and not open_query.settled:
                open_query.add_source(source)
            else:
                self._verification.verify((source,), now, out)

    def _place(self, query: Query, answer: Answer, now: float, out: list[Effect]) -> None:
        """Locate the host that an answer names, if that can be done (R1-3, R5-11)."""
        expires, info = answer.expires, answer.info
        if expires is None or not answer.chaddr:
            return
        config, places = self._config, self._places
        circuit = modem = None
        if info is not None:
            circuit, modem = places.modems.circuit(info), info.remote_id
        elif query.refreshes and (known := self._still(answer, now)) is not None:
            circuit, modem = known.circuit, known.modem
        elif config.locate_by_source:
            circuit = next((each.circuit for each in query.sources if each.chaddr == answer.chaddr), None)
        if query.left and (circuit, answer.chaddr) in query.left:
            places.refuse(answer.address, RefusalReason.KNOWN, now + config.known_time, now, out)
            return
        location = Location(answer.address, answer.htype, answer.chaddr, circuit or NOWHERE, modem, expires)
        if circuit is not None:
            places.locate(location, now, out)
        elif info is not None and places.modems.foreign(info):
            places.refuse(answer.address, RefusalReason.FOREIGN_CIRCUIT, now + config.known_time, now, out)
            out.append(Drop(DropReason.FOREIGN_CIRCUIT, answer.address))
        elif modem is not None:
            places.await_modem(location, now, out)
        else:
            # A packet from the host itself may still locate it, if that is allowed.
            time = config.modem_wait if config.locate_by_source else config.known_time
            places.refuse(answer.address, RefusalReason.NO_LOCATION, now + time, now, out)

    def _still(self, answer: Answer, now: float) -> Location | None:
        """Return the location that an answer confirms without saying where it is, None if there is none."""
        location = self._places.locations.get(int(answer.address), now)
        return location if location is not None and location.chaddr == answer.chaddr else None


def _number(chaddr: bytes) -> int:
    return int.from_bytes(chaddr, "big")


def _fits(query: Query, message: Message, reply: Reply) -> bool:
    """Whether an answer that holds data is about what was asked."""
    if reply in ("unknown", "unimplemented"):
        return True
    if query.form == "ip":
        return int(message.ciaddr) == query.key
    return message.chaddr == query.chaddr
