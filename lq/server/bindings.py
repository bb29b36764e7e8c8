"""What the server knows of each address: its binding, found by address, hardware address or client id.

An address keeps its binding after the lease has ended, until another client gets it: leasequery asks
for the most recent user (R6.4.1-2). A `Binding` is replaced as a whole when its client is heard again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address

from lq.server.agent import circuit
from lq.wire.options import FOREVER, OptionCode, parse_field

MOST_SHARED = 4 << 20  # octets of option fields that are held once for all bindings

NO_TIME = float("-inf")
"""The time of what a binding does not have: a lease, a renewal, a transaction. It is over at any time."""


class State(IntEnum):
    """Why an address has a binding. Numbers are stored in the database."""

    LEASED = 1
    RELEASED = 2
    DECLINED = 3
    RESERVED = 4  # a reservation whose client has not come yet; never stored


@dataclass(slots=True, eq=False)
class Binding:
    """One address and its most recent client. Times are seconds of the server's clock.

    `expires` ends the lease (FOREVER for one without end), or for DECLINED the time for which the address
    is held back.
    `relay_info` is option 82 octet for octet, as it came with the REQUEST that made the lease, or with the
    last one that renewed it (R5-9, R6.4.2-7; lq.server.assign says why no other message counts). `sent` and
    `returned` are option fields in octets: what the client last sent, option 60 included (R5-10), and what
    it last got. A DECLINED address has no client; `relay_info` tells by which circuit it was declined, and
    option 61 in `sent` by which hardware address (htype first), so that both answer for it.
    `template`, `template_of` and `template_until` belong to lq.server.answer, which keeps its prepared
    answer there.
    """

    packed: bytes
    htype: int = 0
    chaddr: bytes = b""
    client_id: bytes | None = None
    state: State = State.LEASED
    expires: float = NO_TIME
    renews: float = NO_TIME
    rebinds: float = NO_TIME
    last_transaction: float = NO_TIME
    relay_info: bytes | None = None
    sent: bytes = b""
    returned: bytes = b""
    reserved: bool = False
    template: bytes = field(default=b"", repr=False)
    template_of: object = field(default=None, repr=False)
    template_until: float = field(default=FOREVER, repr=False)

    @property
    def address(self) -> IPv4Address:
        """The address bound."""
        return IPv4Address(self.packed)

    @property
    def hardware(self) -> bytes:
        """htype and hardware address as one key; empty without hardware address."""
        return bytes((self.htype,)) + self.chaddr if self.chaddr else b""

    def leased(self, now: float) -> bool:
        """Whether a lease stands now (R6.4-4)."""
        return self.state == State.LEASED and self.expires > now

    def belongs_to(self, hardware: bytes, client_id: bytes | None) -> bool:
        """Whether this is the client's, by client identifier, else by hardware address (RFC 2131, 2)."""
        if client_id is not None or self.client_id is not None:
            return self.client_id == client_id
        return self.hardware == hardware != b""


class _Index:
    """Bindings by a key. Most keys have one binding, which is then stored without a list.

    `answered` says that prepared answers list all bindings of the key, so that a change of one outdates the
    others.
    """

    def __init__(self, answered: bool) -> None:
        self._found: dict[bytes, Binding | list[Binding]] = {}
        self._answered = answered

    def of(self, key: bytes) -> list[Binding]:
        found = self._found.get(key)
        if found is None:
            return []
        return found if type(found) is list else [found]  # type: ignore[list-item]

    def add(self, key: bytes, binding: Binding) -> None:
        found = self._found.setdefault(key, binding)
        if found is not binding:
            self._found[key] = self._prepared_anew([*self.of(key), binding])

    def remove(self, key: bytes, binding: Binding) -> None:
        others = self._prepared_anew([other for other in self.of(key) if other is not binding])
        if others:
            self._found[key] = others if len(others) > 1 else others[0]
        else:
            self._found.pop(key, None)

    def _prepared_anew(self, bindings: list[Binding]) -> list[Binding]:
        if self._answered:
            for binding in bindings:
                binding.template_of = None
        return bindings


def _anywhere(packed: bytes) -> bytes:
    """Say of every address that it is of the same link."""
    return b""


class Bindings:
    """All bindings in memory. A change goes through `put`, so that the indexes agree.

    `place` gives a few octets that tell the link of a packed address from the others: circuits of different
    links are different, whatever their identifiers.
    """

    def __init__(self, bindings: Iterable[Binding] = (), place: Callable[[bytes], bytes] = _anywhere) -> None:
        self.by_address: dict[bytes, Binding] = {}
        self.place = place
        self._by_hardware = _Index(answered=True)
        self._by_client_id = _Index(answered=True)
        self._by_circuit = _Index(answered=False)
        self._declined_by = _Index(answered=False)
        self._shared: dict[bytes, bytes] = {}
        self._octets_shared = 0
        for binding in bindings:
            self.put(binding)

    def __len__(self) -> int:
        return len(self.by_address)

    def __iter__(self) -> Iterator[Binding]:
        return iter(self.by_address.values())

    def get(self, address: IPv4Address) -> Binding | None:
        """The binding of an address."""
        return self.by_address.get(address.packed)

    def of_hardware(self, hardware: bytes) -> list[Binding]:
        """Bindings whose most recent client has this key (htype, then hardware address); do not change."""
        return self._by_hardware.of(hardware)

    def of_client_id(self, client_id: bytes) -> list[Binding]:
        """Bindings whose most recent client has this client identifier; do not change."""
        return self._by_client_id.of(client_id)

    def of_circuit(self, key: bytes) -> list[Binding]:
        """Bindings last used, or declined, by this circuit (place, then circuit); do not change."""
        return self._by_circuit.of(key)

    def declined_by(self, hardware: bytes) -> list[Binding]:
        """Bindings of addresses that this hardware address has declined; do not change."""
        return self._declined_by.of(hardware)

    def put(self, binding: Binding) -> None:
        """Take in a binding, in place of the former one of its address."""
        if binding.sent or binding.returned:
            binding.sent, binding.returned = self._one_copy(binding.sent), self._one_copy(binding.returned)
        old = self.by_address.get(binding.packed)
        if old is not None:
            self._in_each(old, _Index.remove)
        self.by_address[binding.packed] = binding
        self._in_each(binding, _Index.add)

    def remove(self, binding: Binding) -> None:
        """Forget a binding."""
        del self.by_address[binding.packed]
        self._in_each(binding, _Index.remove)

    def _in_each(self, binding: Binding, do: Callable[[_Index, bytes, Binding], None]) -> None:
        """Add a binding to, or remove it from, each index that it has a key of."""
        if binding.chaddr:
            do(self._by_hardware, bytes((binding.htype,)) + binding.chaddr, binding)
        if binding.client_id is not None:
            do(self._by_client_id, binding.client_id, binding)
        came_by = circuit(binding.relay_info)
        if came_by is not None:
            do(self._by_circuit, self.place(binding.packed) + came_by, binding)
        if binding.state is State.DECLINED and binding.sent:
            do(self._declined_by, declined_by(binding), binding)

    def _one_copy(self, octets: bytes) -> bytes:
        """Return the one copy of these octets: a million clients send and get much the same options."""
        found = self._shared.get(octets)
        if found is not None:
            return found
        if self._octets_shared + len(octets) > MOST_SHARED or len(self._shared) >= 65536:
            self._shared.clear()
            self._octets_shared = 0
        self._shared[octets] = octets
        self._octets_shared += len(octets)
        return octets


def declined_by(binding: Binding) -> bytes:
    """Return the hardware address (htype first) that declined a DECLINED address; empty if not known."""
    return parse_field(binding.sent).get(OptionCode.CLIENT_IDENTIFIER, b"")
