"""The access concentrator: composes relay, location table, negative cache and queries.

Who asks, and what becomes of it:

* a packet goes downstream to an address without a location: query (R5-1); the switch lost a location
  that the table has: permit again; the address is refused or out of range: drop.
* a packet comes upstream from an unverified source (R1-5): if the address is located, the source must
  match, else it is spoofed; if not, query, and the answer must match. Who spoofs an address does not
  disturb its owner: the answer locates the owner, whoever made us ask.
* the relay gleans (R1-7): that counts more than any answer still on its way.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from lq.concentrator.answers import Answer, Reader
from lq.concentrator.circuit_id import circuit_id_format
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import (
    Abandon,
    Answered,
    Ask,
    Circuit,
    Downstream,
    Drop,
    Effect,
    Event,
    FromClient,
    FromServer,
    Location,
    ModemRegistered,
    Permit,
    QueryForm,
    Refuse,
    Reply,
    ToClient,
    ToServer,
    Upstream,
    Withdraw,
)
from lq.concentrator.location import NOWHERE, Awaiting, Locations
from lq.concentrator.modems import Modems
from lq.concentrator.queries import NEVER, Leg, Queries, Server
from lq.concentrator.query import Query
from lq.concentrator.quota import Quota
from lq.concentrator.refused import Refusal, Refused
from lq.concentrator.relay import Gleaned, Relay
from lq.wire import MalformedMessage, Message

REASONS = {
    "out-of-range": "the address is none of a host on the attached access networks (R6.2-7, R7-4)",
    "spoofed": "the source does not match the address's location (R1-5)",
    "refused": "the address is in the negative cache (R7-3)",
    "query-limit": "the circuit, or the network side, has used up its share of queries",
    "unlocated": "the location is unknown and leasequery is off",
    "unanswerable": "no server answers this form of query about this address (R6.5-5, R6.5-6)",
    "rogue-server": "a server's message from the access side",
    "not-a-client's": "a message type from the access side that no client sends",
    "spoofed-giaddr": "giaddr set by a client",
    "spoofed-option-82": "option 82 set by a client",
    "hops": "passed too many relays",
    "unknown-server": "from none of the configured servers",
    "unmatched": "an answer to no query under way",
    "malformed": "options that cannot be read",
    "not-a-reply": "a relayed message that is no reply to us",
    "no-circuit": "a reply whose client's circuit is unknown",
}
"""Why packets and messages are dropped."""

_NAMES: dict[type[Any], str] = {
    ToClient: "returned",
    Permit: "permits",
    Withdraw: "withdrawals",
    Refuse: "refusals",
    Abandon: "abandoned",
}
_MAXIMUM_SOURCES = 8  # that wait for the same address's answer
_NETWORK_SIDE = "network"


class Concentrator:
    """The engine: `handle` events, `wake` at `deadline`, carry out the effects that come back, in order.

    `now` never goes back from call to call. `locations`, `refused`, `queries` and `modems` are for display.
    `counters` counts `queries_sent` (first transmissions), `queries_resent`, `replies_active` and so on,
    `dropped_REASON`; `permits`, `withdrawals`, `refusals`, `abandoned`; and of DHCP `relayed` (to servers),
    `returned` (to clients), `gleaned`.
    """

    def __init__(self, config: ConcentratorConfig) -> None:
        self.config = config
        self.counters: Counter[str] = Counter()
        self.locations = Locations()
        self.refused = Refused(config.refused_limit)
        self.queries = Queries(config)
        self.modems = Modems(circuit_id_format(config))
        self._awaiting = Awaiting(config.refused_limit)
        self._relay = Relay(config, self.modems)
        self._reader = Reader(config)
        self._known_servers = {*config.servers, *config.queried_servers}
        self._authority: OrderedDict[int, IPv4Address] = OrderedDict()
        self._circuit_quota = Quota(config.circuit_queries, config.quota_interval)
        self._network_quota = Quota(config.network_queries, config.quota_interval)
        self._ranges = [
            (int(network.network_address), int(network.netmask), network.prefixlen < 31)
            for network in config.networks
        ]
        self._giaddr = int(config.giaddr)
        self._handlers: dict[type[Any], Callable[[Any, float, list[Effect]], None]] = {
            Downstream: self._downstream,
            Upstream: self._upstream,
            FromServer: self._from_server,
            FromClient: self._from_client,
            ModemRegistered: self._modem_registered,
            Ask: self._ask,
        }

    # -- what the caller does

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event in; return what is to be done."""
        out: list[Effect] = []
        self._handlers[type(event)](event, now, out)
        self.queries.pump(now, out)
        self._count(out)
        return out

    @property
    def deadline(self) -> float | None:
        """When to call `wake`, None if there is nothing to wait for."""
        first = self.queries.deadline
        expiry = self.locations.next_expiry
        if expiry is not None and expiry < first:
            return expiry
        return None if first == NEVER else first

    def wake(self, now: float) -> list[Effect]:
        """Do what is due: expire locations, send queries again. Calling it early does no harm."""
        out: list[Effect] = [Withdraw(location) for location in self.locations.expire(now)]
        self.queries.wake(now, out)
        self._count(out)
        return out

    def _count(self, out: Iterable[Effect]) -> None:
        counters = self.counters
        for effect in out:
            if isinstance(effect, ToServer):
                if effect.query is None:
                    counters["relayed"] += 1
                else:
                    counters["queries_sent" if effect.query.attempt == 1 else "queries_resent"] += 1
            elif isinstance(effect, Answered):
                counters["replies_" + effect.reply] += 1
            elif isinstance(effect, Drop):
                counters["dropped_" + effect.reason] += 1
            else:
                counters[_NAMES[type(effect)]] += 1

    # -- packets

    def _downstream(self, event: Downstream, now: float, out: list[Effect]) -> None:
        """A packet for an address that the switch does not know (R5-1, R1-4)."""
        address = event.address
        location = self.locations.get(int(address), now)
        if location is not None:
            out.append(Permit(location))  # the switch lost it, or this packet came before it had it
        else:
            self._want(address, None, now, out)

    def _upstream(self, event: Upstream, now: float, out: list[Effect]) -> None:
        """A packet from a source that the switch has not verified (R1-5)."""
        location = self.locations.get(int(event.address), now)
        if location is None:
            self._want(event.address, event, now, out)
        elif location.admits(event.circuit, event.chaddr):
            out.append(Permit(location))
        else:
            out.append(self._spoofed(event.address, event.circuit, event.chaddr, now))

    def _spoofed(self, address: IPv4Address, circuit: Circuit, chaddr: bytes, now: float) -> Drop:
        return Drop("spoofed", address, circuit, chaddr, now + self.config.drop_time)

    def _in_range(self, address: int) -> bool:
        """Whether a host on the attached networks may have the address (R6.2-7, R7-4)."""
        if address == self._giaddr:
            return False
        for network, mask, has_broadcast in self._ranges:
            if address & mask == network:
                host = address & ~mask
                return not has_broadcast or 0 < host < ~mask & 0xFFFFFFFF
        return False

    def _want(self, address: IPv4Address, source: Upstream | None, now: float, out: list[Effect]) -> None:
        """Ask about an unlocated address, once while one query is out (R5-1, R7-5)."""
        key = int(address)
        query = self.queries.get(key)
        if query is not None and not query.settled:
            query.demanded = now
            self._add_source(query, source)
            if query.answer is not None and self.refused.get(key, now) is None:
                self._conclude(query, now, out)  # UNKNOWN so far, and who may say more may have failed
            return
        reason, until = self._obstacle(key, source, now)
        location = self._awaiting.get(key, now) if reason is None else None
        if location is not None:  # all is known but its modem's circuit: asking again is no use
            self._await_modem(location, now, out)
            return
        if reason is None:
            servers, reserve = self._servers_for(key, "ip", now)
            if servers:
                if query is not None:
                    self.queries.finish(query)
                query = Query(key, "ip", now, address, reserve=reserve)
                self._add_source(query, source)
                self.queries.ask(query, servers, now, out)
                return
            reason = "unanswerable" if self.config.leasequery else "unlocated"
        if source is None:
            out.append(Drop(reason, address, None, None, until))
        else:
            out.append(Drop(reason, address, source.circuit, source.chaddr, until))

    def _obstacle(self, key: int, source: Upstream | None, now: float) -> tuple[str | None, float | None]:
        """Return why the address must not be asked about now, and until when."""
        if not self._in_range(key):
            return "out-of-range", None
        refusal = self.refused.get(key, now)
        if refusal is not None:
            return "refused", refusal.until
        if not self.config.leasequery:
            return None, None
        if source is None:
            until_share = self._network_quota.take(_NETWORK_SIDE, now)
        else:
            until_share = self._circuit_quota.take(source.circuit, now)
        return (None, None) if until_share is None else ("query-limit", until_share)

    @staticmethod
    def _add_source(query: Query, source: Upstream | None) -> None:
        if source is not None and len(query.sources) < _MAXIMUM_SOURCES:
            place = (source.circuit, source.chaddr)
            if place not in query.sources:
                query.sources += (place,)

    def _servers_for(
        self, key: int | None, form: QueryForm, now: float
    ) -> tuple[Sequence[Server], Sequence[Server]]:
        """Return whom to ask now, and whom if these do not help (R6.2-8).

        That is the server known to be authoritative for the address, and all others in reserve; or
        all, if none is known or the known one is silent. Not those that said UNKNOWN lately (R6.5-5)
        or do not implement the form (R6.5-6).
        """
        able = [
            server
            for server in self.queries.servers.values()
            if form not in server.unimplemented and (key is None or server.unknown.until(key, now) is None)
        ]
        if key is None or len(able) < 2:
            return able, ()
        authorities = self._authorities(key)
        first = [server for server in able if server.address in authorities and not server.failed]
        return (first, [server for server in able if server not in first]) if first else (able, ())

    def _authorities(self, key: int) -> tuple[IPv4Address, ...]:
        learnt = self._authority.get(key)
        if learnt is not None:
            return (learnt,)
        for network, servers in self.config.authorities:
            if key & int(network.netmask) == int(network.network_address):
                return servers
        return ()

    def _ask(self, event: Ask, now: float, out: list[Effect]) -> None:
        """A query by MAC address or by client identifier (R6.2-5, R6.2-6); no packet causes one (R5-7)."""
        if bool(event.chaddr) == bool(event.client_id):
            raise ValueError("ask by chaddr or by client_id: give exactly one of them")
        form: QueryForm = "mac" if event.chaddr else "client-id"
        key = (form, event.htype if event.chaddr else 0, event.chaddr or event.client_id)
        query = self.queries.get(key)
        if query is not None and not query.settled:
            query.demanded = now
            return
        servers, _ = self._servers_for(None, form, now)
        if not servers:
            out.append(Drop("unanswerable" if self.config.leasequery else "unlocated"))
            return
        if query is not None:
            self.queries.finish(query)
        query = Query(key, form, now, htype=key[1], chaddr=event.chaddr, client_id=event.client_id)
        self.queries.ask(query, servers, now, out)

    # -- the servers' answers

    def _from_server(self, event: FromServer, now: float, out: list[Effect]) -> None:
        message, server = event.message, event.server
        reply = self._reader.replies.get(message.message_type or 0)
        try:
            if reply is not None:
                self._answer(server, message, reply, now, out)
            elif server in self._known_servers:
                self._learn(self._relay.from_server(message, now, out), server, now, out)
            else:
                out.append(Drop("unknown-server"))
        except MalformedMessage:
            out.append(Drop("malformed"))

    def _answer(
        self, server: IPv4Address, message: Message, reply: Reply, now: float, out: list[Effect]
    ) -> None:
        """A reply to a query (section 6.5)."""
        leg = self.queries.match(server, message.xid)
        if leg is None or not self._fits(leg.query, message, reply):
            out.append(Drop("unmatched"))
            return
        answer = self._reader.read(message, reply, now)
        query = leg.query
        out.append(Answered(query.address, server, query.form, reply, now - leg.sent, leg.attempts))
        self.queries.answered(leg, reply != "unimplemented", now, out)
        if reply in ("active", "known"):
            self._remember_authority(int(answer.address), server)
            if answer.outweighs(query.answer):
                query.answer = answer
                self._accept(query, answer, now, out)
            self.queries.settle(query)
            return
        if reply == "unknown":
            if isinstance(query.key, int):
                leg.server.unknown.add(query.key, now + self.config.unknown_time, now)
            if query.answer is None:
                query.answer = answer
        if query.settled:
            self.queries.settle(query)
        elif not self.queries.ask_reserve(query, now, out) or query.answer is not None:
            self._conclude(query, now, out)

    @staticmethod
    def _fits(query: Query, message: Message, reply: Reply) -> bool:
        """Whether an answer that holds data is about what was asked."""
        if reply in ("unknown", "unimplemented"):
            return True
        if query.form == "ip":
            return message.ciaddr == query.address
        return query.form == "client-id" or message.chaddr == query.chaddr

    def _conclude(self, query: Query, now: float, out: list[Effect]) -> None:
        """No server asked so far manages the address: refuse it, unless one may still say otherwise.

        A silent server may be the one that manages it, so then the refusal lasts no longer than it takes
        to poll that server; its answer, when it comes, still counts.
        """
        legs: Iterable[Leg] = query.legs.values()
        if any(not leg.server.failed for leg in legs):
            return
        address = query.address
        undecided = bool(query.legs)
        if not undecided:
            self.queries.finish(query)
        if address is None:
            return
        if query.answer is None:
            out.append(Abandon(address))
            return
        config = self.config
        time = min(config.unknown_time, config.server_timer_last) if undecided else config.unknown_time
        self._refuse(address, "unknown", now + time, now, out)

    def _accept(self, query: Query, answer: Answer, now: float, out: list[Effect]) -> None:
        """Act on ACTIVE or KNOWN (R6.5-1, R6.5-2, R6.5-3)."""
        address = answer.address
        if not self._in_range(int(address)):
            return
        if query.form != "ip":
            if self.locations.get(int(address), now) is None:
                self._place(query, answer, now, out)
            for other in answer.others:
                if other != address and self.locations.get(int(other), now) is None:
                    self._want(other, None, now, out)
        elif answer.expires is None or not answer.chaddr:
            self._refuse(address, "known", now + self.config.known_time, now, out)
        else:
            self._place(query, answer, now, out)
            location = self.locations.get(int(address), now)
            for circuit, chaddr in query.sources:
                if location is not None and not location.admits(circuit, chaddr):
                    out.append(self._spoofed(address, circuit, chaddr, now))

    def _place(self, query: Query, answer: Answer, now: float, out: list[Effect]) -> None:
        """Locate the host that an answer names, if that can be done (R1-3, R5-11)."""
        if answer.expires is None or not answer.chaddr:
            return
        info = answer.info
        circuit = None if info is None else self.modems.circuit(info)
        modem = None if info is None else info.remote_id
        if info is None and self.config.locate_by_source:
            circuit = next((place for place, chaddr in query.sources if chaddr == answer.chaddr), None)
        location = Location(
            answer.address, answer.htype, answer.chaddr, circuit or NOWHERE, modem, answer.expires
        )
        if circuit is not None:
            self._locate(location, now, out)
        elif modem is not None:
            self._await_modem(location, now, out)
        else:
            # A packet from the host itself may still locate it, if that is allowed.
            time = self.config.modem_wait if self.config.locate_by_source else self.config.known_time
            self._refuse(answer.address, "no-location", now + time, now, out)

    def _await_modem(self, location: Location, now: float, out: list[Effect]) -> None:
        self._refuse(location.address, "modem-absent", now + self.config.modem_wait, now, out)
        self._awaiting.put(location)

    def _remember_authority(self, address: int, server: IPv4Address) -> None:
        """This server manages the address (R6.5-4); of no use unless there are several."""
        if len(self.queries.servers) < 2:
            return
        self._authority.pop(address, None)
        if len(self._authority) >= self.config.refused_limit:
            self._authority.popitem(last=False)
        self._authority[address] = server

    # -- locations

    def _locate(self, location: Location, now: float, out: list[Effect]) -> None:
        """The host is here from now on."""
        address = int(location.address)
        self.refused.discard(address)
        self._awaiting.remove(address)
        former = self.locations.put(location)
        if former is not None:
            out.append(Withdraw(former))
        out.append(Permit(location))

    def _refuse(self, address: IPv4Address, reason: str, until: float, now: float, out: list[Effect]) -> None:
        """The address is not to be used, and not to be asked about, until then (R7-3)."""
        former = self.locations.remove(int(address))
        if former is not None:
            out.append(Withdraw(former))
        self._awaiting.remove(int(address))
        self.refused.add(Refusal(int(address), until, reason), now)
        out.append(Refuse(address, until, reason))

    def _from_client(self, event: FromClient, now: float, out: list[Effect]) -> None:
        """A client's message: passed on, unless it gives up an address that is another's."""
        message = event.message
        gleaned = self._relay.from_client(event.circuit, message, out)
        if gleaned is None:
            return
        location = self.locations.get(int(gleaned.address), now)
        if location is not None and not location.admits(gleaned.circuit, gleaned.chaddr):
            out[:] = [self._spoofed(gleaned.address, gleaned.circuit, gleaned.chaddr, now)]
            return
        self._forget(gleaned, now, out)

    def _learn(self, gleaned: Gleaned | None, server: IPv4Address, now: float, out: list[Effect]) -> None:
        """Use what a relayed reply says (R1-7); it is newer than any answer on its way."""
        if gleaned is None:
            return
        if gleaned.location is None:
            self._forget(gleaned, now, out)
        elif self._in_range(int(gleaned.address)):
            query = self.queries.get(int(gleaned.address))
            if query is not None:
                self.queries.finish(query)
            for each in self.queries.servers.values():
                each.unknown.discard(int(gleaned.address))
            self.counters["gleaned"] += 1
            self._remember_authority(int(gleaned.address), server)
            self._locate(gleaned.location, now, out)

    def _forget(self, gleaned: Gleaned, now: float, out: list[Effect]) -> None:
        """RELEASE, DECLINE or NAK: the host at this place no longer has the address.

        Only its own place counts: nobody loses an address because another asks for it.
        """
        location = self.locations.get(int(gleaned.address), now)
        if location is not None and location.admits(gleaned.circuit, gleaned.chaddr):
            self.locations.remove(int(gleaned.address))
            out.append(Withdraw(location))

    def _modem_registered(self, event: ModemRegistered, now: float, out: list[Effect]) -> None:
        """A modem came up, or moved: its hosts are where it is now, and no others are (R1-3)."""
        modem, circuit = event.modem, event.circuit
        if not self.modems.register(modem, circuit):
            return
        for location in self.locations.at(circuit):
            if location.modem is not None and location.modem != modem:
                self._await_modem(location, now, out)
        for location in [*self.locations.at(modem), *self._awaiting.take(modem, now)]:
            if location.expires > now and (location.circuit != circuit):
                self._locate(replace(location, circuit=circuit), now, out)
