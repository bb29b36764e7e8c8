"""Address assignment (RFC 2131, 4.3): one message and the time in, one reply and changed bindings out.

What may live here: the server's side of DISCOVER, REQUEST, DECLINE, RELEASE and INFORM. No I/O, no
clock. A changed binding is in `changed` until the caller has stored it, which must come before the
reply leaves.

What becomes part of a binding, and by which message. The draft wants option 82 and the vendor class "as most
recently received" (R5-9, R5-10, R6.4.2-7). Any host can send a message in another's name, and the relay
agent adds its own circuit to that, so here only a message that the client gets an answer to its lease for
counts: a REQUEST that is acknowledged. It has passed all that a lease has to pass. From

* a DISCOVER or a REQUEST that is refused nothing is kept;
* an INFORM only its time, as the client's last transaction (R6.1-1);
* a RELEASE its time and the end of the lease;
* a DECLINE its time and who it was, for the limits.

These last three count only if they do not come by another circuit than the lease's. A unicast renewal has no
option 82 and leaves the former one.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import NamedTuple

from lq.server.agent import Agent, circuit
from lq.server.bindings import NO_TIME, Binding, Bindings, State
from lq.server.config import Link, Reservation, ServerConfig
from lq.server.limits import Limits, Room
from lq.server.offers import Client, Offer, Offers
from lq.server.pools import LinkPools
from lq.server.replies import AllTerms, Replies
from lq.wire.message import ANY, Message
from lq.wire.options import MessageType, OptionCode, parse_field, pieces
from lq.wire.text import hardware_address

_log = logging.getLogger(__name__)

# Not kept among what a client sent: kept elsewhere, or of use in that one message only.
_NOT_KEPT = frozenset({50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 82, 90, 91, 92})
_NOT_RETURNED = frozenset({51, 53, 54, 56, 58, 59, 61, 82})
MOST_KEPT = 1232  # octets of the options of one binding: those of a message in one Ethernet frame
_LONGEST_IDENTIFIER = 255  # octets of a client identifier


class _Heard(NamedTuple):
    """One message, who sent it, what the relay agent says of it, on which link, and when (seconds)."""

    message: Message
    client: Client
    agent: Agent
    link: Link
    now: float


class Assigner:
    """Leases addresses of the configured subnets to clients, remembering them in `bindings`."""

    def __init__(self, config: ServerConfig, bindings: Bindings, counters: Counter[str]) -> None:
        self.config = config
        self.bindings = bindings
        self.counters = counters
        self.changed: dict[bytes, Binding] = {}
        self._server_id = config.listen.packed
        self._replies = Replies(self._server_id)
        self._terms = AllTerms(config)
        self._offers = Offers()
        self._limits = Limits(config, bindings, self._offers)
        self._reservations = {each.address.packed: each for each in config.reservations}
        self._by_client: dict[tuple[str, bytes], list[Reservation]] = {}
        for each in config.reservations:
            key = ("id", each.client_id) if each.client_id is not None else ("hardware", each.hardware_key)
            self._by_client.setdefault(key, []).append(each)
        self._pools = {link: LinkPools(link, bindings) for link in config.links}
        declined = [each for each in bindings if each.state == State.DECLINED]
        for binding in sorted(declined, key=lambda each: each.last_transaction):
            for pools in self._pools.values():
                pools.note(binding)
        self._links: dict[IPv4Address, Link | None] = {}
        self._handlers: dict[int | None, Callable[[_Heard], Message | None]] = {
            MessageType.DISCOVER: self._discover,
            MessageType.REQUEST: self._request,
            MessageType.DECLINE: self._decline,
            MessageType.RELEASE: self._release,
            MessageType.INFORM: self._inform,
        }

    def handle(self, message: Message, now: float) -> Message | None:
        """The reply to a client's message, None for silence. `now` in seconds, as in the bindings.

        The caller vouches for giaddr, and so for option 82 (lq.server.service).
        """
        handler = self._handlers.get(message.message_type)
        if handler is None:
            return self._drop("unexpected message type")
        client = Client.of(message)
        if client is None:
            return self._drop("no client identity")
        if len(client.client_id or b"") > _LONGEST_IDENTIFIER:
            return self._drop("client identifier too long")
        agent = Agent.of(message)
        link = self._link(message, agent)
        if link is None:
            return self._drop("unknown network")
        return handler(_Heard(message, client, agent, link, now))

    def _drop(self, reason: str) -> Message | None:
        self.counters[f"dropped: {reason}"] += 1
        _log.info("dropped: %s", reason)
        return None

    def _refuse(self, heard: _Heard, reason: str) -> Message:
        return self._replies.nak(heard.message, reason, heard.agent.server_id)

    def _link(self, message: Message, agent: Agent) -> Link | None:
        """The link that the relay agent names (RFC 3527), else giaddr selects it, or for unicast messages
        the client's own address (RFC 2131, 4.3.1)."""
        address = agent.link or (message.giaddr if message.giaddr != ANY else message.ciaddr)
        if address not in self._links:
            if len(self._links) > 65536:
                self._links.clear()
            self._links[address] = next(
                (link for link in self.config.links if link.subnet_of(address) is not None), None
            )
        return self._links[address]

    # -- the messages -------------------------------------------------------------------------------

    def _discover(self, heard: _Heard) -> Message | None:
        message, client, agent, link, now = heard
        for lapsed in self._offers.lapsed(now):
            self._give_back(lapsed, now)
        room = self._limits.room(client, agent.circuit, link)
        packed = self._choose(heard, room)
        if packed is None:
            return self._drop(f"{room.full} has its number of addresses" if room.full else "no free address")
        former = self._offers.to(client)
        if former is not None and former.packed != packed:
            self._offers.end(former)
            self._give_back(former, now)
        self._offers.make(Offer(packed, client, agent.circuit, link, now + self.config.offer_time))
        return self._replies.offer(message, packed, self._terms.of(packed, link), agent.server_id)

    def _choose(self, heard: _Heard, room: Room) -> bytes | None:
        """Reserved address, former address, offered address, requested address, any (RFC 2131, 4.3.1).

        Without room for more, what the client or its circuit had before and has no longer. When no address
        is left, one that was offered to who has most offers, and at last the longest declined.
        """
        message, client, agent, link, now = heard

        def available(packed: bytes) -> bool:
            return self._available(packed, client, link, now)

        def undisputed(packed: bytes) -> bool:
            free = packed not in self._reservations and self._offers.of(packed) is None
            return free and packed in self._pools[link].ranges

        wanted = [each.address.packed for each in self._reserved_for(client)]
        former = [
            each
            for each in self._bindings_of(client)
            if client.holds(each) and each.state in (State.LEASED, State.RELEASED)
        ]
        wanted += [each.packed for each in sorted(former, key=lambda each: -each.last_transaction)]
        offer = self._offers.to(client)
        wanted += [offer.packed] if offer is not None else []
        asked_for = message.options.get(OptionCode.REQUESTED_ADDRESS)
        wanted += [asked_for] if asked_for is not None else []
        chosen = next((each for each in wanted if available(each) and self._admits(room, each)), None)
        if chosen is not None:
            return chosen
        if room.full:
            return self._again(room, available, undisputed)
        chosen = self._pools[link].next(now, available)
        if chosen is None and (taken := self._offers.take_back(link, agent.circuit)) is not None:
            self.counters["offers taken back"] += 1
            self._give_back(taken, now)
            chosen = self._pools[link].next(now, available)
        return chosen if chosen is not None else self._pools[link].longest_declined(now, undisputed)

    def _again(
        self, room: Room, available: Callable[[bytes], bool], undisputed: Callable[[bytes], bool]
    ) -> bytes | None:
        """Of the addresses that are left to one without room for more, the one that ended first; else the
        one declined first."""
        found = [self.bindings.by_address[each] for each in room if each in self.bindings.by_address]
        ended = [each for each in found if available(each.packed)]
        declined = [each for each in found if each.state == State.DECLINED and undisputed(each.packed)]
        best = min(ended or declined, key=lambda each: (each.last_transaction, each.packed), default=None)
        return best.packed if best is not None else None

    def _admits(self, room: Room, packed: bytes) -> bool:
        """Whether there is room for this address; for what is reserved there always is."""
        return packed in room or packed in self._reservations

    def _request(self, heard: _Heard) -> Message | None:
        message, client, agent, link, now = heard
        server = message.options.get(OptionCode.SERVER_IDENTIFIER)
        requested = message.options.get(OptionCode.REQUESTED_ADDRESS)
        if server is not None and server not in (self._server_id, agent.server_id):
            return self._chose_another(heard)
        # What comes without a relay agent can only be a renewal.
        selecting = server is not None and message.giaddr != ANY
        packed = message.ciaddr.packed if message.ciaddr != ANY and not selecting else requested
        if packed is None or len(packed) != 4:
            return self._drop("no address requested")
        binding = self.bindings.by_address.get(packed)
        known = binding is not None and binding.state != State.DECLINED and client.holds(binding)
        if selecting and server != self._server_id and not known:
            offer = self._offers.of(packed)
            if offer is None or offer.client != client:
                # All servers bear the name that the relay agent gives: the client may mean any of them.
                return self._chose_another(heard)
        if link.subnet_of(IPv4Address(packed)) is None:
            return self._refuse(heard, "address is not on this network")
        if not selecting and not known:
            # Without a record of the client the server keeps silent; another one may know it.
            elsewhere = any(link.subnet_of(each.address) for each in self._bindings_of(client))
            if elsewhere or (binding is not None and binding.leased(now)):
                return self._refuse(heard, "address is not yours")
            return self._drop("client without a binding")
        if not self._available(packed, client, link, now):
            return self._refuse(heard, "address is not available")
        room = self._limits.room(client, agent.circuit, link)
        if not self._admits(room, packed):
            self.counters[f"refused: {room.full} has its number of addresses"] += 1
            return self._refuse(heard, "too many addresses in use")
        return self._grant(heard, packed)

    def _chose_another(self, heard: _Heard) -> Message | None:
        offer = self._offers.to(heard.client)
        if offer is not None:
            self._offers.end(offer)
            self._give_back(offer, heard.now)
        return self._drop("another server was chosen")

    def _grant(self, heard: _Heard, packed: bytes) -> Message:
        message, client, agent, link, now = heard
        terms = self._terms.of(packed, link)
        duration = terms.granted(message)
        reply = self._replies.ack(message, packed, terms, agent.server_id)
        old = self.bindings.by_address.get(packed)
        former = old if old is not None and old.state != State.DECLINED and client.holds(old) else None
        returned = {code: value for code, value in reply.options.items() if code not in _NOT_RETURNED}
        self._store(
            Binding(
                packed,
                message.htype,
                message.chaddr,
                client.client_id,
                State.LEASED,
                *duration.from_now(now),
                now,
                self._relay_info(message, former),
                _kept(message, former),
                b"".join(pieces(returned)),
            ),
            link,
        )
        offer = self._offers.of(packed)
        if offer is not None:
            self._offers.end(offer)
        if _log.isEnabledFor(logging.DEBUG):
            owner = hardware_address(message.chaddr)
            _log.debug("%s leased to %s for %d s", IPv4Address(packed), owner, duration.lease)
        return reply

    def _decline(self, heard: _Heard) -> Message | None:
        """The client found the address in use: nobody gets it for `decline_time`, if there is another."""
        message, client, agent, link, now = heard
        packed = message.options.get(OptionCode.REQUESTED_ADDRESS, b"")
        binding = self.bindings.by_address.get(packed)
        offer = self._offers.of(packed)
        offered = offer is not None and offer.client == client and offer.circuit == agent.circuit
        leased = binding is not None and client.holds(binding) and binding.leased(now)
        if leased and _elsewhere(agent, binding):
            return self._drop("declined from another circuit than the lease's")
        if not leased and not offered:
            return self._drop("declined address is not the client's")
        if offer is not None:
            self._offers.end(offer)
        who = {int(OptionCode.CLIENT_IDENTIFIER): client.hardware} if client.hardware else {}
        self._store(
            Binding(
                packed,
                state=State.DECLINED,
                expires=now + self.config.decline_time,
                last_transaction=now,
                relay_info=self._relay_info(message, binding if leased else None),
                sent=b"".join(pieces(who)),
            ),
            link,
        )
        self.counters["addresses declined"] += 1
        _log.info("%s declined by %s", IPv4Address(packed), hardware_address(message.chaddr))
        return None

    def _release(self, heard: _Heard) -> Message | None:
        """The lease ends now; the binding stays, as the most recent one of the address."""
        message, client, agent, link, now = heard
        binding = self.bindings.by_address.get(message.ciaddr.packed)
        if binding is None or not client.holds(binding) or not binding.leased(now):
            return self._drop("released address is not the client's")
        if _elsewhere(agent, binding):
            return self._drop("released from another circuit than the lease's")
        self._store(
            replace(
                binding,
                state=State.RELEASED,
                expires=now,
                renews=NO_TIME,
                rebinds=NO_TIME,
                last_transaction=now,
                template_of=None,
            ),
            link,
        )
        self.counters["leases released"] += 1
        return None

    def _inform(self, heard: _Heard) -> Message | None:
        """Options without a lease for an address that the client has by other means (RFC 2131, 4.3.5)."""
        message, client, agent, link, now = heard
        if message.ciaddr == ANY:
            return self._drop("inform without an address")
        packed = message.ciaddr.packed
        if link.subnet_of(message.ciaddr) is None:
            return self._drop("inform from an address of another network")
        binding = self.bindings.by_address.get(packed)
        leased = binding is not None and client.holds(binding) and binding.leased(now)
        if binding is not None and leased and not _elsewhere(agent, binding):
            self._store(replace(binding, last_transaction=now, template_of=None), link)
        return self._replies.informed(message, self._terms.of(packed, link), agent.server_id)

    # -- addresses ----------------------------------------------------------------------------------

    def _available(self, packed: bytes, client: Client, link: Link, now: float) -> bool:
        """Whether this client may have the address now."""
        reservation = self._reservations.get(packed)
        if reservation is not None:
            if not reservation.is_for(client.hardware, client.client_id):
                return False
            if link.subnet_of(reservation.address) is None:
                return False
        elif packed not in self._pools[link].ranges:
            return False
        offer = self._offers.of(packed)
        offered = offer is not None and offer.until > now
        if offer is not None and offered and offer.client != client:
            return False
        binding = self.bindings.by_address.get(packed)
        if binding is None or binding.expires <= now:
            return True
        if binding.state == State.DECLINED:
            return offered  # declined, and nothing else was left
        return binding.state == State.LEASED and client.holds(binding)

    def _reserved_for(self, client: Client) -> list[Reservation]:
        if not self._by_client:
            return []
        found = self._by_client.get(("id", client.client_id or b""), [])
        return found + self._by_client.get(("hardware", client.hardware), [])

    def _bindings_of(self, client: Client) -> list[Binding]:
        if client.client_id is not None:
            return self.bindings.of_client_id(client.client_id)
        return self.bindings.of_hardware(client.hardware)

    def _give_back(self, offer: Offer, now: float) -> None:
        self._pools[offer.link].give_back(offer.packed, now)

    def _store(self, binding: Binding, link: Link) -> None:
        reservation = self._reservations.get(binding.packed)
        binding.reserved = reservation is not None and reservation.is_for(binding.hardware, binding.client_id)
        self.bindings.put(binding)
        self.changed[binding.packed] = binding
        self._pools[link].note(binding)

    @staticmethod
    def _relay_info(message: Message, former: Binding | None) -> bytes | None:
        """Option 82 as a relay agent has sent it; a message without leaves the former (R5-9)."""
        relayed = message.giaddr != ANY
        received = message.options.get(OptionCode.RELAY_AGENT_INFORMATION) if relayed else None
        return received if received is not None or former is None else former.relay_info


def _elsewhere(agent: Agent, binding: Binding | None) -> bool:
    """Whether a message came by another circuit than the binding's; False where one is not known."""
    if binding is None or agent.circuit is None or binding.relay_info is None:
        return False
    return agent.circuit != circuit(binding.relay_info)


def _kept(message: Message, former: Binding | None) -> bytes:
    """What the client sent, vendor class identifier (R5-10) and the like, as an option field.

    An option that it leaves out this time is kept as it was sent before. The newest stand last; of what does
    not fit in MOST_KEPT octets together, the oldest goes.
    """
    sent = {code: value for code, value in message.options.items() if code not in _NOT_KEPT}
    field = b"".join(pieces(sent))
    if (former is None or field == former.sent) and len(field) <= MOST_KEPT:
        return field
    older = parse_field(former.sent) if former is not None else {}
    newest_first = [*sent.items(), *((code, older[code]) for code in reversed(older) if code not in sent)]
    kept: list[bytes] = []
    room = MOST_KEPT
    for code, value in newest_first:
        octets = b"".join(pieces({code: value}))
        if len(octets) <= room:
            kept.append(octets)
            room -= len(octets)
    return b"".join(reversed(kept))
