"""What the server knows of each address: its binding, found by address, hardware address or client id.

An address keeps its binding after the lease has ended, until another client gets it: leasequery asks
for the most recent user (R6.4.1-2). A `Binding` is replaced as a whole when its client is heard again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address

from lq.wire.options import FOREVER

NEVER = float("-inf")


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
    `relay_info` is option 82 as last received, octet for octet (R5-9). `sent` and `returned` are option
    fields in octets: what the client last sent, option 60 included (R5-10), and what it last got.
    `template`, `template_of` and `template_until` belong to lq.server.answer, which keeps its prepared
    answer there.
    """

    packed: bytes
    htype: int = 0
    chaddr: bytes = b""
    client_id: bytes | None = None
    state: State = State.LEASED
    expires: float = NEVER
    renews: float = NEVER
    rebinds: float = NEVER
    last_transaction: float = NEVER
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


class _ByClient:
    """Bindings by a key of the client. Most clients have one, which is then stored without a list."""

    def __init__(self) -> None:
        self._found: dict[bytes, Binding | list[Binding]] = {}

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

    @staticmethod
    def _prepared_anew(bindings: list[Binding]) -> list[Binding]:
        # A prepared answer lists all addresses of its client, so a change of one outdates the others.
        for binding in bindings:
            binding.template_of = None
        return bindings


class Bindings:
    """All bindings in memory. A change goes through `put`, so that the three indexes agree."""

    def __init__(self, bindings: Iterable[Binding] = ()) -> None:
        self.by_address: dict[bytes, Binding] = {}
        self._by_hardware = _ByClient()
        self._by_client_id = _ByClient()
        self._shared: dict[bytes, bytes] = {}
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

    def put(self, binding: Binding) -> None:
        """Take in a binding, in place of the former one of its address."""
        if binding.sent or binding.returned:
            binding.sent, binding.returned = self._one_copy(binding.sent), self._one_copy(binding.returned)
        old = self.by_address.get(binding.packed)
        if old is not None:
            self._unlink(old)
        self.by_address[binding.packed] = binding
        if binding.chaddr:
            self._by_hardware.add(binding.hardware, binding)
        if binding.client_id is not None:
            self._by_client_id.add(binding.client_id, binding)

    def remove(self, binding: Binding) -> None:
        """Forget a binding."""
        del self.by_address[binding.packed]
        self._unlink(binding)

    def _unlink(self, binding: Binding) -> None:
        if binding.chaddr:
            self._by_hardware.remove(binding.hardware, binding)
        if binding.client_id is not None:
            self._by_client_id.remove(binding.client_id, binding)

    def _one_copy(self, octets: bytes) -> bytes:
        # A million clients send and get much the same options; memory holds each kind once.
        if octets not in self._shared and len(self._shared) >= 65536:
            self._shared.clear()
        return self._shared.setdefault(octets, octets)
