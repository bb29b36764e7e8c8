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
        first = {link: link.subnets[0].network.network_address for link in config.links}
        self._places = {link: bindings.place(address.packed) for link, address in first.items()}

    def room(self, client: Client, circuit: bytes | None, link: Link) -> Room:
        """Which addresses of a link this client behind this circuit (None: not known) may have.

        A client is known by its hardware address, whatever identifiers it names, and by its identifier,
        whatever hardware addresses name it.
        """
        found, offers = self._bindings, self._offers
        full: list[tuple[str, frozenset[bytes]]] = []
        if circuit is not None and self._per_circuit:
            used, offered = found.of_circuit(self._places[link] + circuit), offers.to_circuit(link, circuit)
            if len(used) + len(offered) >= self._per_circuit:
                full.append(("circuit", _all(used, offered)))
        if client.hardware and self._per_client:
            used, offered = found.of_hardware(client.hardware), offers.to_hardware(client.hardware)
            declined = found.declined_by(client.hardware)
            if len(used) + len(declined) + len(offered) >= self._per_client:
                full.append(("client", _all(used + declined, offered)))
        if client.client_id is not None and self._per_client:
            used, offered = found.of_client_id(client.client_id), offers.to_client_id(client.client_id)
            if len(used) + len(offered) >= self._per_client:
                full.append(("client", _all(used, offered)))
        if not full:
            return ROOM
        limits = {"circuit": self._per_circuit, "client": self._per_client}
        full = [(whose, own) for whose, own in full if len(own) >= limits[whose]]
        return Room(tuple(own for _, own in full), full[0][0]) if full else ROOM


def _all(used: list[Binding], offered: Collection[bytes]) -> frozenset[bytes]:
    """What one has, each once; what is reserved for it does not count."""
    return frozenset([binding.packed for binding in used if not binding.reserved]).union(offered)
