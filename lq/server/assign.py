"""Address assignment (RFC 2131, 4.3): one message and the time in, one reply and changed bindings out.

What may live here: the server's side of DISCOVER, REQUEST, DECLINE, RELEASE and INFORM. No I/O, no
clock. A changed binding is in `changed` until the caller has stored it, which must come before the
reply leaves.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

from lq.server.bindings import NEVER, Binding, Bindings, State
from lq.server.config import Link, Reservation, ServerConfig
from lq.server.offers import Client, Offer, Offers
from lq.server.pools import LinkPools
from lq.server.replies import AllTerms, Replies
from lq.wire.message import ANY, Message, MessageType
from lq.wire.options import OptionCode, parse_field, pieces
from lq.wire.text import hardware_address

_log = logging.getLogger(__name__)

# Not kept among what a client sent: kept elsewhere, or of use in that one message only.
_NOT_KEPT = frozenset({50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 82, 90, 91, 92})
_NOT_RETURNED = frozenset({51, 53, 54, 56, 58, 59, 61, 82})


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
        self._reservations = {each.address.packed: each for each in config.reservations}
        self._by_client: dict[tuple[str, bytes], list[Reservation]] = {}
        for each in config.reservations:
            key = ("id", each.client_id) if each.client_id is not None else ("hardware", each.hardware_key)
            self._by_client.setdefault(key, []).append(each)
        self._pools = {link: LinkPools(link, bindings) for link in config.links}
        self._links: dict[IPv4Address, Link | None] = {}
        self._handlers: dict[int | None, Callable[[Message, Client, Link, float], Message | None]] = {
            MessageType.DISCOVER: self._discover,
            MessageType.REQUEST: self._request,
            MessageType.DECLINE: self._decline,
            MessageType.RELEASE: self._release,
            MessageType.INFORM: self._inform,
        }

    def handle(self, message: Message, now: float) -> Message | None:
        """The reply to a client's message, None for silence. `now` in seconds, as in the bindings."""
        handler = self._handlers.get(message.message_type)
        if handler is None:
            return self._drop("unexpected message type")
        client = Client.of(message)
        if client is None:
            return self._drop("no client identity")
        link = self._link(message)
        if link is None:
            return self._drop("unknown network")
        return handler(message, client, link, now)

    def _drop(self, reason: str) -> Message | None:
        self.counters[f"dropped: {reason}"] += 1
        _log.info("dropped: %s", reason)
        return None

    def _link(self, message: Message) -> Link | None:
        """giaddr selects the link, or for unicast messages the client's own address (RFC 2131, 4.3.1)."""
        address = message.giaddr if message.giaddr != ANY else message.ciaddr
        if address not in self._links:
            if len(self._links) > 65536:
                self._links.clear()
            self._links[address] = next(
                (link for link in self.config.links if link.subnet_of(address) is not None), None
            )
        return self._links[address]

    # -- the messages -------------------------------------------------------------------------------

    def _discover(self, message: Message, client: Client, link: Link, now: float) -> Message | None:
        for lapsed in self._offers.lapsed(now):
            self._give_back(lapsed)
        packed = self._choose(message, client, link, now)
        if packed is None:
            return self._drop("no free address")
        former = self._offers.to(client)
        if former is not None and former.packed != packed:
            self._offers.end(former)
            self._give_back(former)
        self._offers.make(Offer(packed, client, link, now + self.config.offer_time))
        return self._replies.offer(message, packed, self._terms.of(packed, link))

    def _choose(self, message: Message, client: Client, link: Link, now: float) -> bytes | None:
        """Reserved address, former address, offered address, requested address, any (RFC 2131, 4.3.1)."""

        def available(packed: bytes) -> bool:
            return self._available(packed, client, link, now)

        wanted = [each.address.packed for each in self._reserved_for(client)]
        former = [
            each
            for each in self._bindings_of(client)
            if client.holds(each) and each.state in (State.LEASED, State.RELEASED)
        ]
        wanted += [each.packed for each in sorted(former, key=lambda each: -each.last_transaction)]
        offer = self._offers.to(client)
        wanted += [offer.packed] if offer is not None else []
        wanted += [message.options.get(OptionCode.REQUESTED_ADDRESS, b"")]
        chosen = next((packed for packed in wanted if available(packed)), None)
        return chosen if chosen is not None else self._pools[link].next(now, available)

    def _request(self, message: Message, client: Client, link: Link, now: float) -> Message | None:
        server = message.options.get(OptionCode.SERVER_IDENTIFIER)
        requested = message.options.get(OptionCode.REQUESTED_ADDRESS)
        if server is not None and server != self._server_id:
            offer = self._offers.to(client)
            if offer is not None:
                self._offers.end(offer)
                self._give_back(offer)
            return self._drop("another server was chosen")
        selecting = server is not None
        packed = message.ciaddr.packed if message.ciaddr != ANY and not selecting else requested
        if packed is None or len(packed) != 4:
            return self._drop("no address requested")
        if link.subnet_of(IPv4Address(packed)) is None:
            return self._replies.nak(message, "address is not on this network")
        binding = self.bindings.by_address.get(packed)
        known = binding is not None and binding.state != State.DECLINED and client.holds(binding)
        if not selecting and not known:
            # Without a record of the client the server keeps silent; another one may know it.
            elsewhere = any(link.subnet_of(each.address) for each in self._bindings_of(client))
            if elsewhere or (binding is not None and binding.leased(now)):
                return self._replies.nak(message, "address is not yours")
            return self._drop("client without a binding")
        if not self._available(packed, client, link, now):
            return self._replies.nak(message, "address is not available")
        return self._grant(message, client, link, packed, now)

    def _grant(self, message: Message, client: Client, link: Link, packed: bytes, now: float) -> Message:
        terms = self._terms.of(packed, link)
        duration = terms.granted(message)
        reply = self._replies.ack(message, packed, terms)
        old = self.bindings.by_address.get(packed)
        former = old if old is not None and client.holds(old) else None
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

    def _decline(self, message: Message, client: Client, link: Link, now: float) -> Message | None:
        """The client found the address in use: nobody gets it for `decline_time`."""
        packed = message.options.get(OptionCode.REQUESTED_ADDRESS, b"")
        binding = self.bindings.by_address.get(packed)
        offer = self._offers.of(packed)
        leased = binding is not None and client.holds(binding) and binding.leased(now)
        if not leased and not (offer is not None and offer.client == client):
            return self._drop("declined address is not the client's")
        if offer is not None:
            self._offers.end(offer)
        self._store(
            Binding(
                packed,
                state=State.DECLINED,
                expires=now + self.config.decline_time,
                last_transaction=now,
                relay_info=self._relay_info(message, binding),
            ),
            link,
        )
        self.counters["addresses declined"] += 1
        _log.info("%s declined by %s", IPv4Address(packed), hardware_address(message.chaddr))
        return None

    def _release(self, message: Message, client: Client, link: Link, now: float) -> Message | None:
        """The lease ends now; the binding stays, as the most recent one of the address."""
        binding = self.bindings.by_address.get(message.ciaddr.packed)
        if binding is None or not client.holds(binding) or not binding.leased(now):
            return self._drop("released address is not the client's")
        self._store(
            replace(
                binding,
                state=State.RELEASED,
                expires=now,
                renews=NEVER,
                rebinds=NEVER,
                last_transaction=now,
                relay_info=self._relay_info(message, binding),
                template_of=None,
            ),
            link,
        )
        self.counters["leases released"] += 1
        return None

    def _inform(self, message: Message, client: Client, link: Link, now: float) -> Message | None:
        """Options without a lease for an address that the client has by other means (RFC 2131, 4.3.5)."""
        if message.ciaddr == ANY:
            return self._drop("inform without an address")
        packed = message.ciaddr.packed
        binding = self.bindings.by_address.get(packed)
        if binding is not None and client.holds(binding) and binding.state == State.LEASED:
            relay_info = self._relay_info(message, binding)
            sent = _kept(message, binding)
            self._store(
                replace(binding, last_transaction=now, relay_info=relay_info, sent=sent, template_of=None),
                link,
            )
        if link.subnet_of(message.ciaddr) is None:
            return self._drop("inform from an address of another network")
        return self._replies.informed(message, self._terms.of(packed, link))

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
        if offer is not None and offer.until > now and offer.client != client:
            return False
        binding = self.bindings.by_address.get(packed)
        if binding is None or binding.expires <= now:
            return True
        return binding.state == State.LEASED and client.holds(binding)

    def _reserved_for(self, client: Client) -> list[Reservation]:
        found = self._by_client.get(("id", client.client_id or b""), [])
        return found + self._by_client.get(("hardware", client.hardware), [])

    def _bindings_of(self, client: Client) -> list[Binding]:
        if client.client_id is not None:
            return self.bindings.of_client_id(client.client_id)
        return self.bindings.of_hardware(client.hardware)

    def _give_back(self, offer: Offer) -> None:
        self._pools[offer.link].give_back(offer.packed)

    def _store(self, binding: Binding, link: Link) -> None:
        reservation = self._reservations.get(binding.packed)
        binding.reserved = reservation is not None and reservation.is_for(binding.hardware, binding.client_id)
        self.bindings.put(binding)
        self.changed[binding.packed] = binding
        self._pools[link].note(binding)

    @staticmethod
    def _relay_info(message: Message, former: Binding | None) -> bytes | None:
        """Option 82 as last received: a unicast renewal has none and leaves the former one (R5-9)."""
        received = message.options.get(OptionCode.RELAY_AGENT_INFORMATION)
        return received if received is not None or former is None else former.relay_info


def _kept(message: Message, former: Binding | None) -> bytes:
    """What the client sent, vendor class identifier (R5-10) and the like, as an option field.

    An option that it leaves out this time is kept as it was sent before.
    """
    sent = {code: value for code, value in message.options.items() if code not in _NOT_KEPT}
    field = b"".join(pieces(sent))
    if former is None or field == former.sent:
        return field
    return b"".join(pieces(parse_field(former.sent) | sent))
