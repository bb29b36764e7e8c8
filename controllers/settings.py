"""What a controller process is told when it starts: one JSON file, named in the environment."""

from __future__ import annotations

import json
import os
import random
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

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

    A flood in one direction then leaves the others their share. The defaults are several times what the
    controller manages, so that they bind in a flood only and never in a recovery.
    """

    downstream: int = 20_000  # for addresses whose location is unknown
    upstream: int = 20_000  # from sources that are not verified
    control: int = 20_000  # DHCP, ARP, the modems' registrations


def draw_life(seed: int, generation: int) -> int:
    """Return the number of one life of a concentrator: another for each start, the same in each such run."""
    return random.Random(f"{seed} {generation}").getrandbits(32)


@dataclass(frozen=True)
class Settings:
    """The concentrator's configuration: where it is, whom it asks, how its bridge is wired.

    `engine` holds further fields of `lq.concentrator.config.ConcentratorConfig` by name. With a
    `life` (see `draw_life`) the modems are solicited to register (`lq.wire.registration`); without,
    `modems` says where they are. With `stacked_tags` a circuit is two VLAN tags, else one.
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
        """Read the file."""
        raw = json.loads(path.read_text())
        raw["giaddr"] = IPv4Address(raw["giaddr"])
        raw["networks"] = tuple(IPv4Network(network) for network in raw["networks"])
        raw["servers"] = tuple(IPv4Address(server) for server in raw["servers"])
        raw["uplink_address"] = IPv4Address(raw["uplink_address"])
        raw["modems"] = tuple(Modem(modem["mac"], tuple(modem["tags"])) for modem in raw["modems"])
        raw["record"] = Path(raw["record"])
        raw["listen"] = (raw["listen"][0], raw["listen"][1])
        raw["rates"] = Rates(**raw["rates"])
        return cls(**raw)

    @classmethod
    def of_this_process(cls) -> Settings:
        """Read the file that the environment names."""
        return cls.load(Path(os.environ[VARIABLE]))
