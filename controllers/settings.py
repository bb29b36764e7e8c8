"""What a controller process is told when it starts: one JSON file, named in the environment."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from lq.concentrator.config import ConcentratorConfig
from lq.wire import dialect

VARIABLE = "LQ_CONCENTRATOR"
FRAMEWORKS = {"ryu": "ryu", "os-ken": "os_ken"}  # by name, with their packages


@dataclass(frozen=True)
class Modem:
    """A modem's place: its hardware address (the remote-id) and its circuit's VLAN tags, outer first."""

    mac: str
    tags: tuple[int, ...]


@dataclass(frozen=True)
class Rates:
    """How many packets a second the switch may hand to the controller, each kind on its own; 0: any number.

    As many as in a second may come at once. 20,000 is more than the controller locates (some 16,000 hosts a
    second on two cores), so no recovery meets it. 5,000 is what 3,000 subscribers that lease at once do not
    meet either, and leaves most of the processors to the other kinds.

    Who sends what floods has a share of that one rate with the flood; the other kinds pass as far as the
    processors go. On two busy cores, of 25 messages a second of each kind, amid 50,000 packets a second of
    one: ARP requests left 99 % of DHCP and registrations, and two thirds of ARP; DHCP left 99 % of
    registrations and ARP, and 60 % of DHCP; unverified sources left 99 % of everything (their circuit's share
    of queries ends that flood after some 200 packets); a scan, which takes half the controller's time, left
    70 % or more, and nothing of what also has to be asked about, since queries wait for their turn.

    No meter helps against frames that all differ, in their hardware addresses, say: each costs the switch an
    entry of its cache, and at 50,000 a second on one port half of what comes by that port is lost.
    """

    downstream: int = 20_000  # for addresses whose location is unknown
    upstream: int = 20_000  # from sources that are not verified
    dhcp: int = 5_000  # from clients
    arp: int = 5_000  # requests from hosts
    devices: int = 20_000  # the network's own: the modems' registrations, the router's ARP


def draw_life(seed: int, generation: int) -> int:
    """Return the number of one life of a concentrator: another for each start, the same in each such run."""
    return random.Random(f"{seed} {generation}").getrandbits(32)


@dataclass(frozen=True)
class Settings:
    """The concentrator's configuration: where it is, whom it asks, how its bridge is wired.

    `engine` holds further fields of `lq.concentrator.config.ConcentratorConfig` by name, as JSON has them:
    the dialect by its name, addresses and networks as text. With a `life` (see `draw_life`) the modems are
    solicited to register (`lq.wire.registration`); without, `modems` says where they are. With
    `stacked_tags` a circuit is two VLAN tags, else one.
    """

    giaddr: IPv4Address
    networks: tuple[IPv4Network, ...]
    servers: tuple[IPv4Address, ...]
    uplink_address: IPv4Address
    wiring: dict[str, Any]
    modems: tuple[Modem, ...]
    record: Path
    framework: str = "ryu"
    listen: tuple[str, int] = ("127.0.0.1", 6653)
    life: int | None = None
    stacked_tags: bool = False
    rates: Rates = Rates()
    engine: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file."""
        path.write_text(json.dumps(asdict(self), default=str, indent=1))

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read the file. Raises ValueError, with one line, for what a concentrator cannot be told."""
        raw = json.loads(path.read_text())
        raw["giaddr"] = IPv4Address(raw["giaddr"])
        raw["networks"] = tuple(IPv4Network(network) for network in raw["networks"])
        raw["servers"] = _addresses(raw["servers"])
        raw["uplink_address"] = IPv4Address(raw["uplink_address"])
        raw["modems"] = tuple(Modem(modem["mac"], tuple(modem["tags"])) for modem in raw["modems"])
        raw["record"] = Path(raw["record"])
        raw["listen"] = (raw["listen"][0], raw["listen"][1])
        raw["rates"] = Rates(**raw["rates"])
        settings = cls(**raw)
        settings.concentrator  # noqa: B018 - what is wrong with it is to be said here
        return settings

    @classmethod
    def of_this_process(cls) -> Settings:
        """Read the file that the environment names."""
        return cls.load(Path(os.environ[VARIABLE]))

    @cached_property
    def concentrator(self) -> ConcentratorConfig:
        """How the concentrator behaves. Raises ValueError, with one line, if `engine` says it wrongly."""
        parsed: dict[str, Any] = {name: getattr(self, name) for name in ("giaddr", "networks", "servers")}
        parsed["access_ports"] = (self.wiring["access"],)
        parsed["circuit_tags"] = 2 if self.stacked_tags else 1
        defaults = {each.name: each.default for each in fields(ConcentratorConfig) if each.name not in parsed}
        for name, value in self.engine.items():
            if name not in defaults:
                raise ValueError(f"engine.{name}: there is no such field")
            try:
                parsed[name] = _PARSERS[name](value) if name in _PARSERS else _like(defaults[name], value)
            except (TypeError, ValueError) as error:
                raise ValueError(f"engine.{name}: {error} (got {value!r})") from None
        return ConcentratorConfig(**parsed)


def _addresses(values: list[str]) -> tuple[IPv4Address, ...]:
    return tuple(map(IPv4Address, values))


def _authorities(pairs: list[tuple[str, list[str]]]) -> tuple[Any, ...]:
    return tuple((IPv4Network(network), _addresses(servers)) for network, servers in pairs)


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "dialect": dialect,
    "leasequery_servers": _addresses,
    "authorities": _authorities,
    "trusted_circuits": lambda names: tuple(_like("", name) for name in names),
    "requested_options": lambda codes: tuple(_like(0, code) for code in codes),
}


def _like(default: Any, value: Any) -> Any:
    """Return a value of the kind that a field's default is of; a seed is None by default."""
    kinds = {float: (int, float), type(None): (int, type(None))}.get(type(default), (type(default),))
    if not isinstance(value, kinds) or isinstance(value, bool) is not isinstance(default, bool):
        raise TypeError(f"a value of type {kinds[0].__name__} is wanted")
    return value
