"""What can be chosen of `hijack`, and how large a network that takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from lq.scenarios import adversaries
from lq.scenarios.parts.common import Common
from lq.scenarios.parts.part import Part, one_is_a_list
from lq.scenarios.scenario import Settings
from lq.scenarios.trials import ATTACKS, MOMENTS, Attacker, Moment, Trial, trials

UNDEFENDED: Settings = {
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
}
"""What `hijack.defences=false` sets, part by part, unless that is set by itself."""


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
        description="when the attacks take place; before: before the reboot; during: from the kill until "
        "the table is full again; after: after the reboot",
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

    _lists = field_validator("attackers", "moments", mode="before")(one_is_a_list)


def sizes(raw: Mapping[str, Any]) -> Settings:
    """Return the size that all trials take, three hosts behind each modem."""
    return adversaries.sizes(raw, "hijack", Hijack, 3, UNDEFENDED)


def refuses(spec: Common, options: Hijack) -> str | None:
    """Hosts are nodes, and each victim is sent something all the time."""
    if problem := adversaries.no_nodes(spec):
        return problem
    if spec.probes.direction == "up" or spec.probes.pattern != "steady":
        return (
            "hijack watches the probes to each victim: set probes.pattern=steady and "
            "probes.direction=down or both"
        )
    return adversaries.too_few_modems(spec, options)
