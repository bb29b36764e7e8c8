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
from collections.abc import Iterable
from ipaddress import IPv4Address

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
    ExhaustedCircuit,
    FromClient,
    FromLocated,
    FromServer,
    ModemRegistered,
    MutedCircuit,
    PassOn,
    Permit,
    Probe,
    Refuse,
    RefusedAddress,
    ToClient,
    ToServer,
    Unseen,
    Upstream,
    Withdraw,
    assert_never,
)
from lq.concentrator.exchanges import wanted
from lq.concentrator.gleaning import Gleaning
from lq.concentrator.leasequery import LeaseQuery
from lq.concentrator.places import Places
from lq.concentrator.quota import Quota
from lq.concentrator.reasons import DropReason
from lq.concentrator.relay import Relay
from lq.concentrator.source_verification import SourceVerification
from lq.concentrator.timers import LONG_AGO, NEVER
from lq.wire import SERVER_PORT, MalformedMessage, Message, MessageType

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

    # -- what the caller does

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event in; return what is to be done."""
        out: list[Effect] = []
        match event:
            case FromServer():
                self._from_server(event, now, out)
            case Downstream():
                self._downstream(event, now, out)
            case Upstream():
                self._upstream(event, now, out)
            case FromClient():
                self._from_client(event, now, out)
            case FromLocated():
                self._from_located(event, now, out)
            case ArpReply():
                self._arp_reply(event, now, out)
            case ModemRegistered():
                self._places.modem_registered(event, now, out)
            case _:
                assert_never(event)
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
            counters[_name(effect)] += 1

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
                out.append(_exhausted(event.address, event, until))

    def _want(self, address: IPv4Address, source: Upstream | None, now: float, out: list[Effect]) -> None:
        """Find an unlocated address, unless it is being found, or may not be looked for."""
        key, finder = int(address), self._finder
        if key not in self._places.hosts:
            out.append(_dropped(DropReason.OUT_OF_RANGE, address, source))
            return
        if finder is not None and finder.join(key, source, now, out):
            return
        obstacle = self._obstacle(address, source, now)
        if obstacle is not None:
            out.append(obstacle)
            return
        waiting = self._places.awaiting.get(key, now)
        if waiting is not None:  # all is known but its modem's circuit: asking again is no use
            self._places.await_modem(waiting, now, out)
            return
        reason = DropReason.UNLOCATED if finder is None else finder.begin(address, source, now, out)
        if reason is not None:
            out.append(_dropped(reason, address, source))

    def _obstacle(self, address: IPv4Address, source: Upstream | None, now: float) -> Drop | None:
        """Return what happens to a packet whose address must not be asked about now, None if it may be."""
        refusal = self.negative_cache.get(int(address), now)
        if refusal is not None:
            unseen = RefusedAddress(address, upstream=source is not None)
            return _dropped(DropReason.REFUSED, address, source, refusal.until, unseen)
        if self._finder is None:
            return None
        if source is None:
            until = self._network_quota.take(_NETWORK_SIDE, now)
        else:
            until = self._circuit_quota.take(source.circuit, now)
        return None if until is None else _exhausted(address, source, until)

    # -- DHCP

    def _from_server(self, event: FromServer, now: float, out: list[Effect]) -> None:
        """A server's answer to a query, or its reply to a client."""
        message, server = event.message, event.server
        if event.port != SERVER_PORT and self.config.verify_replies:
            out.append(Drop(DropReason.SERVER_PORT))
            return
        reply = self._leasequery.kind(message)
        try:
            if reply is not None:
                self._leasequery.answer(server, message, reply, now, out)
            elif server in self._known_servers:
                self._gleaning.learn(self._relay.from_server(server, message, now, out), server, now, out)
            else:
                out.append(Drop(DropReason.UNKNOWN_SERVER))
        except MalformedMessage:
            out.append(Drop(DropReason.MALFORMED))

    def _from_client(self, event: FromClient, now: float, out: list[Effect]) -> None:
        """A client's broadcast message: passed on, once it is known whose the address is that it names."""
        circuit, message = event.circuit, event.message
        until = self._message_quota.take(circuit, now)
        if until is not None:
            out.append(_muted(circuit, message, until))
            return
        try:
            obstacle = self._relay.obstacle(circuit, message)
        except MalformedMessage:
            obstacle = DropReason.MALFORMED
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
            out.append(Drop(DropReason.MALFORMED, None, circuit, message.chaddr))
            return
        self._gleaning.left(gleaned, now, out)

    def _from_located(self, event: FromLocated, now: float, out: list[Effect]) -> None:
        """A RELEASE is unicast (RFC 2131, 4.4.4). So are renewals, which are not gleaned (R4.3-1)."""
        address, message = event.address, event.message
        location = self.locations.get(int(address), now)
        if self.config.verify_unicast:
            circuit = None if location is None else location.circuit
            until = None if circuit is None else self._message_quota.take(circuit, now)
            if circuit is not None and until is not None:
                out.append(_muted(circuit, message, until))
                return
            obstacle = self._relay.unicast_obstacle(location, message)
            if obstacle is not None:
                out.append(Drop(obstacle, None, circuit, message.chaddr))
                return
        out.append(PassOn(address))
        self._gleaning.left(gleaning.from_located(message, location), now, out)

    def _arp_reply(self, event: ArpReply, now: float, out: list[Effect]) -> None:
        """A host's answer by ARP: to a probe of ours, or in mode "arp" to a search."""
        if not self._claims.reply(event, now, out):
            if self._finder is self._arp:
                self._arp.reply(event, now, out)
            else:
                out.append(Drop(DropReason.ARP_UNASKED, None, event.circuit, event.chaddr))


def _dropped(
    reason: DropReason,
    address: IPv4Address,
    source: Upstream | None,
    until: float = LONG_AGO,
    unseen: Unseen | None = None,
) -> Drop:
    """Return the drop of a packet for the address, or from it if there is a source."""
    circuit, chaddr = (None, None) if source is None else (source.circuit, source.chaddr)
    return Drop(reason, address, circuit, chaddr, until, unseen)


def _exhausted(address: IPv4Address, source: Upstream | None, until: float) -> Drop:
    """Return the drop of a packet whose circuit, or the network side, has used up its share of queries."""
    circuit = None if source is None else source.circuit
    return _dropped(DropReason.QUERY_LIMIT, address, source, until, ExhaustedCircuit(circuit))


def _muted(circuit: Circuit, message: Message, until: float) -> Drop:
    """Return the drop of a DHCP message of a circuit that has used up its share."""
    return Drop(DropReason.MESSAGE_LIMIT, None, circuit, message.chaddr, until, MutedCircuit(circuit))


def _name(effect: Effect) -> str:
    """Return the counter of an effect."""
    match effect:
        case ToServer():
            query = effect.query
            if query is None:
                return "relayed"
            if query.refresh:
                return "queries_refresh"
            return "queries_sent" if query.attempt == 1 else "queries_resent"
        case Answered():
            return ("refresh_" if effect.refresh else "replies_") + effect.reply
        case Permit():
            return "permits"
        case Drop():
            return "dropped_" + effect.reason.value
        case Refuse():
            return "refusals"
        case Withdraw():
            return "withdrawals"
        case ToClient():
            return "returned"
        case PassOn():
            return "passed_on"
        case Probe():
            return "arp_probes"
        case BroadcastArp():
            return "arp_requests"
        case Abandon():
            return "abandoned"
        case _:
            assert_never(effect)
