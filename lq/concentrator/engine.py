"""The access concentrator: composes relay, location table, negative cache and the way to find hosts.

Who asks, and what becomes of it:

* a packet goes downstream to an address without a location: find it (R5-1); the switch lost a location
  that the table has: permit again; the address is refused or out of range: drop.
* a packet comes upstream from an unverified source (R1-5): if the address is located, the source must
  match, else it is spoofed; if not, find it, and the source must match. Who spoofs an address does not
  disturb its owner: the answer locates the owner, whoever made us ask.
* the relay gleans (R1-7): that counts more than any answer still on its way.

Hosts are found by leasequery, or for comparison by broadcast ARP or not at all (`config.mode`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from typing import Any

from lq.concentrator import gleaning
from lq.concentrator.arp import ArpSearches
from lq.concentrator.claims import Claims
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import (
    Abandon,
    Answered,
    ArpReply,
    BroadcastArp,
    Circuit,
    Downstream,
    Drop,
    Effect,
    Event,
    FromClient,
    FromLocated,
    FromServer,
    ModemRegistered,
    PassOn,
    Permit,
    Probe,
    Refuse,
    ToClient,
    ToServer,
    Upstream,
    Withdraw,
)
from lq.concentrator.exchanges import wanted
from lq.concentrator.gleaning import Gleaning
from lq.concentrator.leasequery import LeaseQuery
from lq.concentrator.places import Places
from lq.concentrator.quota import Quota
from lq.concentrator.relay import Relay
from lq.concentrator.source_verification import SourceVerification
from lq.concentrator.timers import NEVER
from lq.wire import SERVER_PORT, MalformedMessage, Message, MessageType

REASONS = {
    "out-of-range": "the address is none of a host on the attached access networks (R6.2-7, R7-4)",
    "spoofed": "the source does not match the address's location (R1-5)",
    "refused": "the address is in the negative cache (R7-3)",
    "query-limit": "the circuit, or the network side, has used up its share of queries",
    "unlocated": "the location is unknown and no way to find it is in use",
    "unanswerable": "no server answers this form of query about this address (R6.5-5, R6.5-6)",
    "arp-contradiction": "an answer by ARP that contradicts the address's location (R4.1-1)",
    "arp-unasked": "an answer by ARP that nobody asked for, or a second one",
    "rogue-server": "a server's message from the access side",
    "not-a-client's": "a message type from the access side that no client sends",
    "spoofed-giaddr": "giaddr set by a client",
    "spoofed-option-82": "option 82 set by a client, or by an access node that is not trusted",
    "spoofed-unicast": "a host's message to a server itself that the host may not send",
    "two-addresses": "a client's message that names two addresses",
    "message-limit": "the circuit has used up its share of DHCP messages",
    "moved": "a client's message about an address that another circuit has",
    "hops": "passed too many relays",
    "unknown-server": "from none of the configured servers",
    "server-port": "from a server's address, but not from port 67",
    "unasked-reply": "a reply that answers no open request, or one that was answered",
    "foreign-circuit": "an answer with option 82 that this concentrator cannot have written",
    "unmatched": "an answer to no query under way",
    "malformed": "a message that cannot be read, or cannot be passed on",
    "not-a-reply": "a relayed message that is no reply to us",
    "no-circuit": "a reply whose client's circuit is unknown",
}
"""Why packets and messages are dropped."""

_NAMES: dict[type[Any], str] = {
    Permit: "permits",
    ToClient: "returned",
    BroadcastArp: "arp_requests",
    Probe: "arp_probes",
    PassOn: "passed_on",
    Withdraw: "withdrawals",
    Refuse: "refusals",
    Abandon: "abandoned",
}
_NETWORK_SIDE = "network"
_CLAIMING = frozenset({MessageType.REQUEST, MessageType.DECLINE, MessageType.RELEASE})


class Concentrator:
    """The engine: `handle` events, `wake` at `deadline`, carry out the effects that come back, in order.

    `now` never goes back from call to call. `locations`, `negative_cache`, `queries` and `modems` are for
    display (`queries` is empty unless the mode is "leasequery"). `counters` counts `queries_sent` (first
    transmissions), `queries_resent`, `replies_active` and so on; by themselves what refreshes locations,
    `queries_refresh` (all transmissions), `refresh_active` and so on; `arp_requests`, `dropped_REASON`;
    `permits`, `withdrawals`, `refusals`, `abandoned`; and of DHCP `relayed` (to servers), `returned` (to
    clients), `gleaned`.
    """

    def __init__(self, config: ConcentratorConfig) -> None:
        self.config = config
        self.counters: Counter[str] = Counter()
        self._places = Places(config)
        self.locations = self._places.locations
        self.negative_cache = self._places.negative_cache
        self.modems = self._places.modems
        self._verification = SourceVerification(config, self.locations)
        self._leasequery = LeaseQuery(config, self._places, self._verification, self._want)
        self.queries = self._leasequery.queries
        self._arp = ArpSearches(config, self._places, self._verification)
        finders: dict[str, LeaseQuery | ArpSearches] = {"leasequery": self._leasequery, "arp": self._arp}
        self._finder = finders.get(config.mode)
        self._relay = Relay(config, self.modems)
        leased = None if self._finder is None else self._finder.gleaned
        self._gleaning = Gleaning(self._places, self._leasequery, leased, self.counters)
        asking = self._leasequery if config.mode == "leasequery" else None
        self._claims = Claims(config, self._places, asking, self._pass_on)
        self._known_servers = {*config.servers, *config.queried_servers}
        self._circuit_quota = Quota(config.circuit_queries, config.quota_interval)
        self._network_quota = Quota(config.network_queries, config.quota_interval)
        self._message_quota = Quota(config.circuit_messages, config.quota_interval)
        self._handlers: dict[type[Any], Callable[[Any, float, list[Effect]], None]] = {
            Downstream: self._downstream,
            Upstream: self._upstream,
            FromServer: self._from_server,
            FromClient: self._from_client,
            FromLocated: self._from_located,
            ModemRegistered: self._places.modem_registered,
            ArpReply: self._arp_reply,
        }

    # -- what the caller does

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event in; return what is to be done."""
        out: list[Effect] = []
        self._handlers[type(event)](event, now, out)
        if self._claims.waiting:
            self._claims.settle(tuple(out), now, out)
        self._leasequery.pump(now, out)
        self._count(out)
        return out

    @property
    def deadline(self) -> float | None:
        """When to call `wake`, None if there is nothing to wait for."""
        first = self.locations.deadline
        if self._claims.waiting:
            first = min(first, self._claims.deadline)
        if self._finder is not None:
            found = self._finder.deadline
            first = found if found < first else first
        return None if first == NEVER else first

    def wake(self, now: float) -> list[Effect]:
        """Do what is due: expire locations, ask again. Calling it early does no harm."""
        out: list[Effect] = []
        for location in self.locations.expire(now):
            self._leasequery.lapsed(location)
            out.append(Withdraw(location))
        if self._finder is not None:
            self._finder.wake(now, out)
        self._claims.wake(now, out)
        self._claims.settle(tuple(out), now, out)
        self._leasequery.pump(now, out)
        self._count(out)
        return out

    def _count(self, out: Iterable[Effect]) -> None:
        counters = self.counters
        for effect in out:
            counters[_NAMES.get(type(effect)) or _name(effect)] += 1

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
            # A flow for each would be without end: who tries many uses up the circuit's share.
            until = self._circuit_quota.take(event.circuit, now)
            if until is None:
                out.append(self._verification.spoofed(event, now))
            else:
                out.append(Drop("query-limit", event.address, event.circuit, event.chaddr, until))

    def _want(self, address: IPv4Address, source: Upstream | None, now: float, out: list[Effect]) -> None:
        """Find an unlocated address, unless it is being found, or may not be looked for."""
        key, finder = int(address), self._finder
        inside = key in self._places.hosts
        if inside and finder is not None and finder.join(key, source, now, out):
            return
        reason, until = self._obstacle(key, source, now) if inside else ("out-of-range", None)
        if reason is None:
            waiting = self._places.awaiting.get(key, now)
            if waiting is not None:  # all is known but its modem's circuit: asking again is no use
                self._places.await_modem(waiting, now, out)
                return
            reason = "unlocated" if finder is None else finder.begin(address, source, now, out)
        if reason is not None:
            circuit, chaddr = (None, None) if source is None else (source.circuit, source.chaddr)
            out.append(Drop(reason, address, circuit, chaddr, until))

    def _obstacle(self, key: int, source: Upstream | None, now: float) -> tuple[str | None, float | None]:
        """Return why the address must not be asked about now, and until when."""
        refusal = self.negative_cache.get(key, now)
        if refusal is not None:
            return "refused", refusal.until
        if self._finder is None:
            return None, None
        if source is None:
            until_share = self._network_quota.take(_NETWORK_SIDE, now)
        else:
            until_share = self._circuit_quota.take(source.circuit, now)
        return (None, None) if until_share is None else ("query-limit", until_share)

    # -- DHCP

    def _from_server(self, event: FromServer, now: float, out: list[Effect]) -> None:
        """A server's answer to a query, or its reply to a client."""
        message, server = event.message, event.server
        if event.port != SERVER_PORT and self.config.verify_replies:
            out.append(Drop("server-port"))
            return
        reply = self._leasequery.kind(message)
        try:
            if reply is not None:
                self._leasequery.answer(server, message, reply, now, out)
            elif server in self._known_servers:
                self._gleaning.learn(self._relay.from_server(server, message, now, out), server, now, out)
            else:
                out.append(Drop("unknown-server"))
        except MalformedMessage:
            out.append(Drop("malformed"))

    def _from_client(self, event: FromClient, now: float, out: list[Effect]) -> None:
        """A client's broadcast message: passed on, once it is known whose the address is that it names."""
        circuit, message = event.circuit, event.message
        until = self._message_quota.take(circuit, now)
        if until is not None:
            out.append(Drop("message-limit", None, circuit, message.chaddr, until))
            return
        try:
            obstacle = self._relay.obstacle(circuit, message)
        except MalformedMessage:
            obstacle = "malformed"
        if obstacle is not None:
            out.append(Drop(obstacle, None, circuit, message.chaddr))
        elif message.message_type in _CLAIMING and int(wanted(message)):
            self._claims.take(circuit, message, wanted(message), now, out)
        else:
            self._pass_on(circuit, message, now, out)

    def _pass_on(self, circuit: Circuit, message: Message, now: float, out: list[Effect]) -> None:
        try:
            gleaned = self._relay.pass_on(circuit, message, now, out)
        except MalformedMessage:
            out.append(Drop("malformed", None, circuit, message.chaddr))
            return
        self._gleaning.left(gleaned, now, out)

    def _from_located(self, event: FromLocated, now: float, out: list[Effect]) -> None:
        """A RELEASE is unicast (RFC 2131, 4.4.4). So are renewals, which are not gleaned (R4.3-1)."""
        address, message = event.address, event.message
        location = self.locations.get(int(address), now)
        if self.config.verify_unicast:
            until = None if location is None else self._message_quota.take(location.circuit, now)
            obstacle = self._relay.unicast_obstacle(location, message) if until is None else "message-limit"
            if obstacle is not None:
                circuit = None if location is None else location.circuit
                out.append(Drop(obstacle, None, circuit, message.chaddr, until))
                return
        out.append(PassOn(address))
        self._gleaning.left(gleaning.from_located(message, location), now, out)

    def _arp_reply(self, event: ArpReply, now: float, out: list[Effect]) -> None:
        """A host's answer by ARP: to a probe of ours, or in mode "arp" to a search."""
        if not self._claims.reply(event, now, out):
            if self._finder is self._arp:
                self._arp.reply(event, now, out)
            else:
                out.append(Drop("arp-unasked", None, event.circuit, event.chaddr))


def _name(effect: Effect) -> str:
    """Return what an effect counts as that has no name by its type alone."""
    if isinstance(effect, ToServer):
        if effect.query is None:
            return "relayed"
        if effect.query.refresh:
            return "queries_refresh"
        return "queries_sent" if effect.query.attempt == 1 else "queries_resent"
    if isinstance(effect, Answered):
        return ("refresh_" if effect.refresh else "replies_") + effect.reply
    return "dropped_" + effect.reason if isinstance(effect, Drop) else type(effect).__name__
