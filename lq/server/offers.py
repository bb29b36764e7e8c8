"""Addresses offered and not yet taken: held in memory for a short time, never stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator
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
    """One address held for a client behind `circuit` (None: not known), until a time in seconds."""

    packed: bytes
    client: Client
    circuit: bytes | None
    link: Link
    until: float


Addresses = dict[bytes, Offer]
"""Offers by packed address, the oldest first."""


class _Holders:
    """Offers by who holds them."""

    def __init__(self) -> None:
        self._held: dict[bytes | None, Addresses] = {}

    def of(self, holder: bytes | None) -> Addresses:
        return self._held.get(holder, {})

    def add(self, holder: bytes | None, offer: Offer) -> int:
        """How many the holder has now."""
        held = self._held.setdefault(holder, {})
        held[offer.packed] = offer
        return len(held)

    def remove(self, holder: bytes | None, offer: Offer) -> int:
        """How many are left to the holder."""
        held = self._held[holder]
        del held[offer.packed]
        if not held:
            del self._held[holder]
        return len(held)


class _Ranked(_Holders):
    """Offers by who holds them. The one who holds most is found without a search."""

    def __init__(self) -> None:
        super().__init__()
        self._ranks: list[dict[bytes | None, None]] = [{}]  # the holders of n offers stand at n

    def add(self, holder: bytes | None, offer: Offer) -> int:
        count = super().add(holder, offer)
        if count == len(self._ranks):
            self._ranks.append({})
        self._ranks[count - 1].pop(holder, None)
        self._ranks[count][holder] = None
        return count

    def remove(self, holder: bytes | None, offer: Offer) -> int:
        count = super().remove(holder, offer)
        del self._ranks[count + 1][holder]
        if count:
            self._ranks[count][holder] = None
        while len(self._ranks) > 1 and not self._ranks[-1]:
            self._ranks.pop()
        return count

    @property
    def greatest(self) -> Addresses:
        """The offers of one who holds most."""
        return self._held[next(iter(self._ranks[-1]))] if self._held else {}


class Offers:
    """The offers that stand: one for a client, one for an address, so never more than the pools have.

    A holder is a circuit of a link, or all clients of a link together whose circuit is not known.
    """

    def __init__(self) -> None:
        self._of_address: dict[bytes, Offer] = {}  # the oldest first, as all are held equally long
        self._to_client: dict[Client, Offer] = {}
        self._on_link: dict[Link, _Ranked] = {}
        self._to_hardware = _Holders()
        self._to_client_id = _Holders()

    def __len__(self) -> int:
        return len(self._of_address)

    def of(self, packed: bytes) -> Offer | None:
        """The offer of an address."""
        return self._of_address.get(packed)

    def to(self, client: Client) -> Offer | None:
        """The offer to a client."""
        return self._to_client.get(client)

    def to_circuit(self, link: Link, circuit: bytes | None) -> Collection[bytes]:
        """The addresses offered to clients of a circuit."""
        holders = self._on_link.get(link)
        return holders.of(circuit) if holders is not None else ()

    def to_hardware(self, hardware: bytes) -> Collection[bytes]:
        """The addresses offered to a hardware address, whatever client identifiers it named."""
        return self._to_hardware.of(hardware)

    def to_client_id(self, client_id: bytes) -> Collection[bytes]:
        """The addresses offered to a client identifier, from whatever hardware addresses."""
        return self._to_client_id.of(client_id)

    def make(self, offer: Offer) -> None:
        """Note an offer; an older one of the same address is replaced."""
        former = self._of_address.get(offer.packed)
        if former is not None:
            self.end(former)
        self._of_address[offer.packed] = offer
        self._to_client[offer.client] = offer
        if offer.link not in self._on_link:
            self._on_link[offer.link] = _Ranked()
        self._on_link[offer.link].add(offer.circuit, offer)
        if offer.client.hardware:
            self._to_hardware.add(offer.client.hardware, offer)
        if offer.client.client_id is not None:
            self._to_client_id.add(offer.client.client_id, offer)

    def end(self, offer: Offer) -> None:
        """The offer was taken, declined or withdrawn."""
        del self._of_address[offer.packed]
        if self._to_client.get(offer.client) is offer:
            del self._to_client[offer.client]
        self._on_link[offer.link].remove(offer.circuit, offer)
        if offer.client.hardware:
            self._to_hardware.remove(offer.client.hardware, offer)
        if offer.client.client_id is not None:
            self._to_client_id.remove(offer.client.client_id, offer)

    def lapsed(self, now: float) -> Iterator[Offer]:
        """End the offers whose time is over, and yield them."""
        while self._of_address:
            oldest = next(iter(self._of_address.values()))
            if oldest.until > now:
                return
            self.end(oldest)
            yield oldest

    def take_back(self, link: Link, circuit: bytes | None) -> Offer | None:
        """End an offer on this link for the good of a client behind `circuit`, when no address is left.

        The oldest one of who holds most, and two more than this circuit at least. Clients of no known circuit
        cannot be told apart, so among these the oldest gives way: who takes up its offer at once has it. None
        if no offer has to give way.
        """
        holders = self._on_link.get(link)
        most = holders.greatest if holders is not None else None
        if not holders or not most:
            return None
        own = holders.of(circuit)
        oldest = next(iter(most.values()))
        alike = circuit is None and oldest.circuit is None
        if len(most) < len(own) + 2 and not alike:
            return None
        self.end(oldest)
        return oldest
