"""The server's configuration: YAML in, validated models out.

Every error is one line with file, line number, key and what to write instead.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterator
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BeforeValidator,
    FailFast,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from lq import yaml_file
from lq.errors import BadInput, plain, shown
from lq.server.option_values import encode_option, octets
from lq.wire.dialect import Dialect, dialect
from lq.wire.text import parse_hardware_address
from lq.yaml_file import Section, YamlError


class ConfigError(BadInput):
    """The configuration cannot be used; the message is one line that names the key and the fix."""


def _pool(value: object) -> object:
    if not isinstance(value, str):
        return value
    first, _, last = value.partition("-")
    try:
        pair = IPv4Address(first.strip()), IPv4Address((last or first).strip())
    except ValueError as error:
        raise ValueError(f"{error}: write FIRST-LAST, as in 198.18.0.10-198.18.0.250") from None
    if pair[0] > pair[1]:
        raise ValueError(f"{value} runs backwards: write the lower address first")
    return pair


def _options(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError("expected a mapping of option names to values, such as {routers: [198.18.0.1]}")
    found: dict[int, bytes] = {}
    for name, content in value.items():
        code, encoded = encode_option(name, content)
        if code in found:
            raise ValueError(f"option {code} occurs twice, with two names: keep one of the two")
        found[code] = encoded
    return found


def _hardware(value: object) -> object:
    return parse_hardware_address(value) if isinstance(value, str) else value


def _client_id(value: object) -> object:
    return octets(value) if isinstance(value, str) else value


Pool = Annotated[tuple[IPv4Address, IPv4Address], BeforeValidator(_pool)]
Options = Annotated[dict[int, bytes], BeforeValidator(_options)]
Seconds = Annotated[int, Field(gt=0, lt=2**32)]
T = TypeVar("T")
Several = Annotated[tuple[T, ...], FailFast()]
"""A list of which the first bad item is the last that is looked at: there may be a great many."""
Form = Literal["address", "hardware", "client-id"]


class Leases(Section):
    """Times and options, set for the server, a subnet or a reservation; the narrower one prevails.

    All times in seconds. `max_lease_time` bounds what a client may ask for (by default `lease_time`).
    `t1` and `t2`, renewal and rebinding, are half and seven eighths of the lease where unset.
    """

    lease_time: Seconds | None = None
    max_lease_time: Seconds | None = None
    t1: Seconds | None = None
    t2: Seconds | None = None
    options: Options = {}

    @model_validator(mode="after")
    def _times_rise(self) -> Leases:
        times = [(n, t) for n in ("t1", "t2", "lease_time") if (t := getattr(self, n)) is not None]
        for (name, time), (later_name, later) in pairwise(times):
            if time > later:
                raise ValueError(f"{name} ({time}) must not exceed {later_name} ({later})")
        return self


class Subnet(Leases):
    """A subnet and the ranges that the server hands out there."""

    network: IPv4Network
    pools: Several[Pool] = ()

    @model_validator(mode="after")
    def _pools_inside(self) -> Subnet:
        for first, last in self.pools:
            if first not in self.network or last not in self.network:
                raise ValueError(
                    f"pool {first}-{last} is not inside {self.network}: move the pool or enlarge the network"
                )
        return self


class SharedNetwork(Section):
    """Several subnets on one link: a client of any of them may get an address of each."""

    name: str
    subnets: Several[Subnet] = Field(min_length=1)


class Reservation(Leases):
    """An address kept for one client, known by hardware address or by client identifier."""

    address: IPv4Address
    hardware: Annotated[bytes | None, BeforeValidator(_hardware)] = None
    htype: int = Field(default=1, ge=0, le=255)
    client_id: Annotated[bytes | None, BeforeValidator(_client_id)] = None

    @model_validator(mode="after")
    def _has_client(self) -> Reservation:
        if not self.hardware and not self.client_id:
            raise ValueError("name the client: set hardware, client_id or both")
        return self

    @property
    def hardware_key(self) -> bytes:
        """htype and hardware address as one key; empty if the client is known by identifier alone."""
        return bytes((self.htype,)) + self.hardware if self.hardware else b""

    def is_for(self, hardware: bytes, client_id: bytes | None) -> bool:
        """Whether this client holds the reservation; a client identifier counts before hardware."""
        if self.client_id is not None:
            return self.client_id == client_id
        return self.hardware_key == hardware


class Leasequery(Section):
    """How queries are answered.

    `enabled: false` makes a server without leasequery, which drops queries in silence (R5-3). `forms`
    lists the forms answered; by address is always among them (R5-4, R5-5, R5-6). `prefer` chooses among
    several addresses of a client (R6.4.1-2). `reservation_as_active` answers ACTIVE without option 51
    for a reservation without a lease (R6.4-5). `former_client` has UNASSIGNED of RFC 4388 name the last
    client of the address and its options, as the draft's KNOWN does (R6.4.2-2). `requesters` lists the
    networks that giaddr may be in; nobody else is told who has which address.
    """

    enabled: bool = True
    forms: Several[Form] = ("address", "hardware", "client-id")
    prefer: Literal["most-recent", "longest-lease"] = "most-recent"
    reservation_as_active: bool = False
    former_client: bool = False
    requesters: Several[IPv4Network] = ()

    @field_validator("forms")
    @classmethod
    def _by_address_always(cls, forms: tuple[Form, ...]) -> tuple[Form, ...]:
        if "address" not in forms:
            raise ValueError(
                "every server with leasequery answers queries by IP address: add address (or set enabled: "
                "false)"
            )
        return forms


@dataclasses.dataclass(frozen=True, eq=False)
class Link:
    """Subnets that share one link: a shared network, or a subnet by itself."""

    name: str
    subnets: tuple[Subnet, ...]

    def subnet_of(self, address: IPv4Address) -> Subnet | None:
        """The subnet that an address lies in."""
        return next((subnet for subnet in self.subnets if address in subnet.network), None)


class ServerConfig(Leases):
    """All that one server is told.

    `listen` is the address it binds and names as server identifier; `interface` binds it to one
    device, too. `port` is its own and the relays' UDP port; clients listen one above. `offer_time` and
    `decline_time` are seconds for which an offered, or a declined, address is held back.
    `verify_source`: a message is believed only from its giaddr, or without one from its ciaddr
    (lq.server.service). `leases_per_circuit` and `leases_per_client` bound what one circuit or one client may
    use up (lq.server.limits); 0 means any number.
    `unimplemented_type` and `r_flag` replace the dialect's numbers. `service_time` makes it a slow server:
    seconds that each message takes, one after the other.
    """

    listen: IPv4Address
    interface: str | None = None
    port: int = Field(default=67, gt=0, lt=65535)
    database: Path
    dialect: Literal["rfc4388", "draft-03"] = "rfc4388"
    unimplemented_type: int | None = Field(default=None, gt=18, lt=256)
    r_flag: int | None = Field(default=None, gt=0, lt=0x8000)
    offer_time: Seconds = 60
    decline_time: Seconds = 86400
    verify_source: bool = True
    leases_per_circuit: int = Field(default=16, ge=0, lt=2**32)
    leases_per_client: int = Field(default=8, ge=0, lt=2**32)
    service_time: float = Field(default=0.0, ge=0, le=60)
    subnets: Several[Subnet] = ()
    shared_networks: Several[SharedNetwork] = ()
    reservations: Several[Reservation] = ()
    leasequery: Leasequery = Leasequery()

    @model_validator(mode="after")
    def _consistent(self) -> ServerConfig:
        if self.dialect == "rfc4388" and (self.unimplemented_type or self.r_flag):
            raise ValueError("unimplemented_type and r_flag belong to the dialect draft-03: leave them out")
        if not self.links:
            raise ValueError("the server has nothing to serve: add subnets")
        networks = sorted(subnet.network for link in self.links for subnet in link.subnets)
        for one, other in pairwise(networks):
            if one.overlaps(other):
                raise ValueError(f"subnets {one} and {other} overlap: make them disjoint")
        pools = sorted(self.pools)
        for (first, last), (start, end) in pairwise(pools):
            if start <= last:
                raise ValueError(f"pools {first}-{last} and {start}-{end} overlap: make them disjoint")
        seen: set[IPv4Address] = set()
        for each in self.reservations:
            if each.address in seen:
                raise ValueError(f"{each.address} is reserved twice: keep one of the two reservations")
            seen.add(each.address)
            place = bisect.bisect(networks, each.address, key=lambda network: network.network_address)
            if not place or each.address not in networks[place - 1]:
                raise ValueError(f"reservation {each.address} is in no subnet: add the subnet")
        return self

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The links served, each with its subnets."""
        alone = tuple(Link(str(subnet.network), (subnet,)) for subnet in self.subnets)
        return alone + tuple(Link(shared.name, shared.subnets) for shared in self.shared_networks)

    @property
    def pools(self) -> Iterator[Pool]:
        """All ranges handed out."""
        return (pool for link in self.links for subnet in link.subnets for pool in subnet.pools)

    @cached_property
    def spoken(self) -> Dialect:
        """The dialect with its configured numbers."""
        found = dialect(self.dialect)
        if self.unimplemented_type is not None:
            found = dataclasses.replace(found, unimplemented=self.unimplemented_type)
        if self.r_flag is not None:
            found = dataclasses.replace(found, r_flag=self.r_flag)
        return found


def load(path: Path | str) -> ServerConfig:
    """Read a configuration file. Raises ConfigError with one line that names line, key and fix."""
    try:
        return _validated(yaml_file.load(path))
    except BadInput as error:
        raise ConfigError(str(error)) from None


def parse(text: str, name: str = "configuration") -> ServerConfig:
    """Read a configuration from YAML text. Raises ConfigError as `load` does."""
    try:
        return _validated(yaml_file.parse(text, name))
    except YamlError as error:
        raise ConfigError(str(error)) from None


def _validated(document: yaml_file.Document) -> ServerConfig:
    if not isinstance(document.data, dict):
        raise ConfigError(f"{document.name}: expected keys such as listen, database and subnets")
    try:
        return ServerConfig.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError(_one_line(error, document)) from None


def _one_line(error: ValidationError, document: yaml_file.Document) -> str:
    problem = error.errors(include_url=False)[0]
    keys = [key for key in problem["loc"] if key not in ("function-before",)]
    message = plain(problem["msg"].removeprefix("Value error, "))
    if problem["type"] == "missing":
        message = "this key is missing: add it"
    elif problem["type"] == "extra_forbidden":
        message = "unknown key: remove it or correct its spelling"
    elif problem["type"] == "ip_v4_network":
        found = shown(problem["input"])
        message = f"{found} is not a network: write its first address and length, such as 198.18.0.0/16"
    elif problem["type"] != "value_error" and not isinstance(problem["input"], dict | list):
        message = f"{message}, found {shown(problem['input'])}"
    key = ".".join(map(str, keys))
    return document.within(keys, f"{key + ': ' if key else ''}{message}")
