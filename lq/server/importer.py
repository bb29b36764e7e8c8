"""Leases of ISC dhcpd, read from its lease file: `lq serve CONFIG --import-leases FILE`.

The file is a journal: of several entries of one address the last one counts (dhcpd.leases(5)). Read
are the times, the state, hardware address, client identifier, vendor class and option 82 with all its
sub-options; other statements are passed over. Files of dhcpd 2 and of OpenBSD's dhcpd, which have no
`binding state`, are read, too.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from lq import files
from lq.errors import BadInput
from lq.server import lease_file
from lq.server.bindings import NEVER, Binding, State
from lq.server.clock import Clock
from lq.server.config import load
from lq.server.lease_file import Declaration, Statement
from lq.server.schema import Over
from lq.server.storage import Storage
from lq.wire.options import FOREVER

MOST_OCTETS = 256 << 20  # of a lease file
_STATES = {
    "active": State.LEASED,
    "bootp": State.LEASED,
    "reserved": State.LEASED,
    "released": State.RELEASED,
    "expired": State.RELEASED,
    "free": State.RELEASED,
    "backup": State.RELEASED,
    "reset": State.RELEASED,
    "abandoned": State.DECLINED,
}
_WITHOUT_END = ("bootp", "reserved")
# What dhcpd begins an empty lease file with, and what nobody writes into a configuration.
_SIGNS = ("authoring-byte-order", "server-duid", "failover")


class LeaseFileError(BadInput):
    """The lease file cannot be read; the message names its line."""


@dataclass
class Leases:
    """What a lease file has: a binding for each address, and a line for each lease with a bad value."""

    by_address: dict[str, Binding] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    is_one: bool = False

    @property
    def bindings(self) -> list[Binding]:
        """The bindings, in the order of the file."""
        return list(self.by_address.values())


@dataclass(frozen=True)
class Imported:
    """What became of the leases: how many are `stored`, or `older` than the database's; lines on the rest."""

    stored: int
    older: int
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = f"{self.stored} bindings imported"
        if self.older:
            said += f", {self.older} left alone because the database has as new ones or newer"
        if self.left_out:
            said += f", {len(self.left_out)} left out"
        return "\n".join((*self.left_out, said))


def read(text: str, now: float, name: str = "lease file") -> Leases:
    """The leases of a file's text, which is decoded as latin-1; `now`, in seconds, tells which have ended.

    Raises LeaseFileError if the text ends within a lease.
    """
    leases = Leases()
    try:
        for declaration in lease_file.declarations(text):
            match declaration.words:
                case ["lease", address] if declaration.body is not None:
                    leases.is_one = True
                    _take(leases, address, declaration, now, name)
                case [first, *_] if first in _SIGNS:
                    leases.is_one = True
    except lease_file.CutShort as error:
        raise LeaseFileError(f"{name}:{error.line}: {error}") from None
    return leases


def _take(leases: Leases, address: str, declaration: Declaration, now: float, name: str) -> None:
    # A bad entry is no reason to go back to an earlier one, which it has superseded.
    leases.by_address.pop(address, None)
    leases.bad.pop(address, None)
    reading = _Lease(now)
    line = declaration.line
    try:
        packed = IPv4Address(address).packed
        for statement in declaration.body or ():
            line = statement.line
            reading.take(statement)
        line = declaration.line
        leases.by_address[address] = reading.binding(packed)
    except ValueError as error:
        leases.bad[address] = f"{name}:{line}: lease {address} is left out: {error}"


class _Lease:
    """The statements of one lease, and what they say together."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._state: State | None = None
        self._standing = False  # a lease that may go without an end
        self._abandoned = False
        self._starts = self._transaction = NEVER
        self._relay_info = b""
        self._kept = Binding(b"", expires=NEVER)

    def take(self, statement: Statement) -> None:
        """Take in a statement. Raises ValueError if its value is bad."""
        match statement.words:
            case ["starts", *when]:
                self._starts = lease_file.moment(when)
            case ["ends", *when]:
                self._kept.expires = lease_file.moment(when)
            case ["cltt", *when]:
                self._transaction = lease_file.moment(when)
            case ["binding", "state", name]:
                if name not in _STATES:
                    raise ValueError(f"{name!r} is not a binding state")
                self._state = _STATES[name]
                self._standing |= name in _WITHOUT_END
            case ["abandoned"]:
                self._abandoned = True
            case ["bootp" | "dynamic-bootp" | "reserved"]:
                self._standing = True
            case ["hardware", kind]:
                self._kept.htype, self._kept.chaddr = lease_file.htype(kind), b""
            case ["hardware", kind, chaddr]:
                self._kept.htype = lease_file.htype(kind)
                self._kept.chaddr = lease_file.octets(chaddr, most=16)
            case ["uid", value]:
                self._kept.client_id = lease_file.octets(value)
            case ["option", name, value] if name.startswith("agent."):
                self._relay_info += lease_file.sub_option(name.removeprefix("agent."), value)
            case ["set", "vendor-class-identifier", "=", value]:
                vendor = lease_file.octets(value)
                self._kept.sent = bytes((60, len(vendor))) + vendor
            case ["starts" | "ends" | "cltt" | "binding" | "hardware" | "uid", *_]:
                raise ValueError(f"{' '.join(statement.words)!r} cannot be read")

    def binding(self, packed: bytes) -> Binding:
        """The binding of the lease. Raises ValueError if the statements do not go together."""
        binding = self._kept
        binding.packed = packed
        binding.state = self._state if self._state is not None else self._by_its_end()
        if self._standing and binding.expires == NEVER:
            binding.expires = FOREVER
        binding.last_transaction = self._starts if self._transaction == NEVER else self._transaction
        if len(self._relay_info) > 255:
            raise ValueError(f"option 82 of {len(self._relay_info)} octets does not fit into a message")
        binding.relay_info = self._relay_info or None
        if binding.state == State.LEASED:
            if binding.expires == NEVER:
                raise ValueError("it is active and does not have an end")
            begin = max(self._starts, 0.0)
            binding.renews = begin + (binding.expires - begin) / 2
            binding.rebinds = begin + (binding.expires - begin) * 7 / 8
        elif binding.state == State.RELEASED:
            binding.expires = min(binding.expires, self._now)  # an address that is free is free now
        else:
            binding.htype, binding.chaddr, binding.client_id = 0, b"", None  # nobody's, as after a DECLINE
        return binding

    def _by_its_end(self) -> State:
        """The state where none is written (dhcpd 2, OpenBSD)."""
        if self._abandoned:
            return State.DECLINED
        endless = self._standing and self._kept.expires == NEVER
        return State.LEASED if endless or self._kept.expires > self._now else State.RELEASED


def fill(config_path: Path | str, leases: Path | str) -> Imported:
    """Store dhcpd's leases for the server of this configuration; what became of them.

    Of an address the newer transaction stays, whichever of the two it is in. Raises BadInput if the
    configuration, the lease file or the database cannot be used.
    """
    config = load(config_path)
    try:
        text = files.read(leases, MOST_OCTETS).decode("latin-1")
    except BadInput as error:
        raise LeaseFileError(str(error)) from None
    with closing(Storage(config.database)) as storage:
        clock = Clock(storage.last)
        now = clock()
        found = read(text, now, str(leases))
        if not found.is_one:
            raise LeaseFileError(f"{leases} holds no lease: name a lease file of ISC dhcpd")
        storage.begin(clock.moment)
        # By a clock that is wrong a lease could be newer than any. It may not take an address from another.
        past = [each for each in found.bindings if each.last_transaction <= now]
        ahead = [each for each in found.bindings if each.last_transaction > now]
        stored = storage.commit(past, Over.OLDER) + storage.commit(ahead, Over.NOTHING)
        return Imported(stored, len(found.by_address) - stored, tuple(found.bad.values()))
