"""How many addresses one circuit and one client may use up.

An address counts for the circuit and the client that used it last, whether the lease still runs or not, and
so does one that was declined or is offered. Who has used up its number gets no further address, but may
have again what it had before. So the count needs no clock, follows from the bindings (also after a restart),
and one circuit or client never takes more of a pool than its number, even by leasing and releasing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lq.server.bindings import Binding, Bindings
from lq.server.config import Link, ServerConfig
from lq.server.offers import Client, Offers


@dataclass(frozen=True, slots=True)
class Room:
    """What one client may have: any address, or only those that it and its circuit had before.

    `own` has a set of packed addresses for each limit reached, `full` says whose the first of these is.
    """

    own: tuple[frozenset[bytes], ...] = ()
    full: str = ""

    def __contains__(self, packed: object) -> bool:
        return all(packed in each for each in self.own)

    def __iter__(self) -> Iterator[bytes]:
        """The addresses left where a limit is reached."""
        return iter(frozenset.intersection(*self.own))


ROOM = Room()


class Limits:
    """The limits `leases_per_circuit` and `leases_per_client` of a configuration, over bindings and offers.

    The work for a message is in proportion to the limits, whatever the number of bindings.
    """

    def __init__(self, config: ServerConfig, bindings: Bindings, offers: Offers) -> None:
        self._per_circuit, self._per_client = config.leases_per_circuit, config.leases_per_client
        self._bindings, self._offers = bindings, offers

    def room(self, client: Client, circuit: bytes | None, link: Link) -> Room:
        """Which addresses of a link this client behind this circuit (None: not known) may have."""
        full: list[tuple[frozenset[bytes], str]] = []
        if circuit is not None and self._per_circuit:
            place = self._bindings.place(link.subnets[0].network.network_address.packed)
            used = self._bindings.of_circuit(place + circuit)
            offered = self._offers.to_circuit(link, circuit)
            full += _full("circuit", self._per_circuit, used, offered)
        if self._per_client:
            for found, offered in self._of_client(client):
                full += _full("client", self._per_client, found, offered)
        return Room(tuple(own for own, _ in full), full[0][1]) if full else ROOM

    def _of_client(self, client: Client) -> Iterator[tuple[list[Binding], Collection[bytes]]]:
        """By hardware address, whatever identifiers it names; by identifier, whatever address names it."""
        if client.hardware:
            declined = self._bindings.declined_by(client.hardware)
            used = self._bindings.of_hardware(client.hardware)
            yield used + declined if declined else used, self._offers.to_hardware(client.hardware)
        if client.client_id is not None:
            of_client_id = self._bindings.of_client_id(client.client_id)
            yield of_client_id, self._offers.to_client_id(client.client_id)


def _full(
    whose: str, limit: int, used: list[Binding], offered: Collection[bytes]
) -> list[tuple[frozenset[bytes], str]]:
    """What one has, if that is as much as it may have. What is reserved for it does not count."""
    if len(used) + len(offered) < limit:
        return []
    own = frozenset([binding.packed for binding in used if not binding.reserved]).union(offered)
    return [(own, whose)] if len(own) >= limit else []
