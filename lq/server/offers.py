"""Addresses offered and not yet taken: held in memory for a short time, never stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lq.server.bindings import Binding
from lq.server.config import Link
from lq.wire.message import Message
from lq.wire.options import OptionCode


class Client(NamedTuple):
    """Who sent a message (RFC 2131, 2: by client identifier, else by hardware address).

    `hardware` is htype and hardware address as one key, empty without hardware address.
    """

    hardware: bytes
    client_id: bytes | None

    @classmethod
    def of(cls, message: Message) -> Client | None:
        """The client of a message, None if it tells neither identifier nor hardware address."""
        client_id = message.options.get(OptionCode.CLIENT_IDENTIFIER) or None
        if client_id is None and not message.chaddr:
            return None
        return cls(bytes((message.htype,)) + message.chaddr if message.chaddr else b"", client_id)

    def holds(self, binding: Binding) -> bool:
        """Whether this client is the most recent one of the binding."""
        return binding.belongs_to(self.hardware, self.client_id)


@dataclass(frozen=True, slots=True)
class Offer:
    """One address held for one client until a time in seconds."""

    packed: bytes
    client: Client
    link: Link
    until: float


class Offers:
    """The offers that stand: one for a client, one for an address."""

    def __init__(self) -> None:
        self._of_address: dict[bytes, Offer] = {}  # the oldest first, as all are held equally long
        self._to_client: dict[Client, Offer] = {}

    def of(self, packed: bytes) -> Offer | None:
        """The offer of an address."""
        return self._of_address.get(packed)

    def to(self, client: Client) -> Offer | None:
        """The offer to a client."""
        return self._to_client.get(client)

    def make(self, offer: Offer) -> None:
        """Note an offer; an older one of the same address is replaced."""
        former = self._of_address.get(offer.packed)
        if former is not None:
            self.end(former)
        self._of_address[offer.packed] = offer
        self._to_client[offer.client] = offer

    def end(self, offer: Offer) -> None:
        """The offer was taken, declined or withdrawn."""
        del self._of_address[offer.packed]
        if self._to_client.get(offer.client) is offer:
            del self._to_client[offer.client]

    def lapsed(self, now: float) -> Iterator[Offer]:
        """End the offers whose time is over, and yield them."""
        while self._of_address:
            oldest = next(iter(self._of_address.values()))
            if oldest.until > now:
                return
            self.end(oldest)
            yield oldest
