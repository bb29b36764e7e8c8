"""The parts of a specification that are about attackers in the access network: `hijack` and `starve`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from lq import yaml_file
from lq.scenarios.trials import ATTACKS, MOMENTS, Attacker, Moment, Trial, trials

DEFENCES: dict[str, dict[str, dict[str, Any]]] = {
    "hijack": {
        "topology": {"ingress_filter": False},
        "server": {
            "verify_source": False,
            "any_requester": True,
            "leases_per_circuit": 0,
            "leases_per_client": 0,
        },
        "concentrator": {
            "moves": "always",
            "verify_replies": False,
            "verify_unicast": False,
            "circuit_messages": 0,
        },
    },
    "starve": {
        "server": {"leases_per_circuit": 0, "leases_per_client": 0},
        "concentrator": {"circuit_messages": 0},
    },
}
"""What a scenario's `defences=false` sets, part by part, unless that is set by itself."""

Flood = Literal["discover", "request", "decline", "inform"]
Identities = Literal["one", "many"]
SUBSCRIBERS = 3  # hosts of `starve` with a lease and traffic, beside the attacker
FLOODS: tuple[Flood, ...] = ("discover", "request", "decline", "inform")


class Part(yaml_file.Section):
    """A part of the specification."""


class Hijack(Part):
    """The forgeries of the scenario `hijack` (`lq.scenarios.trials`)."""

    defences: bool = Field(True, description="false: every defence is off unless it is set explicitly")
    attackers: tuple[Attacker, ...] = Field(
        tuple(ATTACKS),
        min_length=1,
        max_length=len(ATTACKS),
        description="the attackers; subscriber: a host of the access network; off-path: a host of the "
        "Internet; on-path: a node between concentrator and server",
    )
    moments: tuple[Moment, ...] = Field(
        MOMENTS,
        min_length=1,
        max_length=len(MOMENTS),
        description="when the attacks take place; before: before the reboot; during: from the kill until the "
        "table is full again; after: after the reboot",
    )
    rounds: int = Field(
        5,
        ge=1,
        le=100,
        description="number of times that each attack is tried at each moment, one per second",
    )
    guesses: int = Field(
        3_000,
        ge=1,
        le=100_000,
        description="number of transaction identifiers that the off-path attacker guesses at each moment, "
        "for each of its three attacks that need one",
    )
    grace: float = Field(
        2.0,
        ge=0,
        le=60,
        description="seconds after the takeover in which lost probes count as the reboot's effect",
    )
    patience: float = Field(
        1.5,
        ge=0.1,
        le=60,
        description="seconds without any probe after which a host counts as cut off, outside hijack.grace",
    )
    move_timeout: float = Field(
        20.0,
        ge=1,
        le=600,
        description="longest wait for the honest host that moves to another modem, in seconds",
    )

    @property
    def trials(self) -> list[Trial]:
        """All that is tried, each on a victim of its own."""
        return trials(self.attackers, self.moments)

    def modems(self, behind: int) -> int:
        """Return how many it takes, with so many hosts behind each: one for each attacker, and for the rest.

        The rest are the victims and one more host, which moves.
        """
        return len(self.moments) + -(-(len(self.trials) + 1) // behind)

    @field_validator("attackers", "moments", mode="before")
    @classmethod
    def _one_is_a_list(cls, values: Any) -> Any:
        return (values,) if isinstance(values, str) else values


class Starve(Part):
    """The floods of the scenario `starve`, in turns, each with newcomers and free addresses."""

    defences: bool = Field(True, description="false: every limit is off unless it is set explicitly")
    floods: tuple[Flood, ...] = Field(
        FLOODS,
        min_length=1,
        max_length=len(FLOODS),
        description="the floods; discover: DISCOVERs; request: REQUESTs without an offer; decline: such "
        "REQUESTs, each followed by a DECLINE; inform: INFORMs, each with another option",
    )
    identities: tuple[Identities, ...] = Field(
        ("one", "many"),
        min_length=1,
        max_length=2,
        description="the clients in the flood's messages; one: the attacker's hardware address with many "
        "client identifiers (inform: the attacker itself); many: many hardware addresses",
    )
    rate: float = Field(1000.0, gt=0, le=20_000, description="messages per second of a flood")
    duration: float = Field(8.0, ge=2, le=600, description="length of each flood in seconds")
    clients: int = Field(
        4,
        ge=1,
        le=100,
        description="number of new hosts that look for a lease during each flood, each on its own circuit",
    )
    pool: int = Field(
        200, ge=20, le=5000, description="number of addresses that are free when each flood begins"
    )
    demand: float = Field(
        20.0,
        ge=0,
        le=1000,
        description="packets per second to addresses that the concentrator must ask about",
    )

    @property
    def phases(self) -> list[tuple[Flood, Identities]]:
        """The floods in order, each with whose identities."""
        return [
            (flood, who)
            for flood in self.floods
            for who in self.identities
            if flood != "inform" or who == self.identities[0]
        ]

    def modems(self, behind: int) -> int:
        """Return how many it takes: for the attacker, the subscribers, and each newcomer, one."""
        return 1 + SUBSCRIBERS + self.clients * len(self.phases)

    @field_validator("floods", "identities", mode="before")
    @classmethod
    def _one_is_a_list(cls, values: Any) -> Any:
        return (values,) if isinstance(values, str) else values
