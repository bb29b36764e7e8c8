"""Which figure of the draft, and how large."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lq.scenarios.parts.part import Part

MOST_DEVICES = 1000  # modems that are bridges of their own
MOST_RECEPTIONS = 50_000  # modems times hosts of such a cable: each frame for a host reaches every modem
MOST_SUBSCRIBERS = 65_000  # of 198.18.0.0/16, with some to spare


class Topology(Part):
    """Which figure, and how large."""

    figure: Literal["cable", "dsl"] = Field(
        "cable", description="the figure of the draft that the network follows"
    )
    modems: int | None = Field(
        None,
        ge=1,
        le=65000,
        description="number of modems; default: the figure's own number (arp: 8); at most 1,000 unless "
        "topology.population=true",
    )
    hosts_per_modem: int | None = Field(
        None,
        ge=1,
        le=250,
        description="number of hosts behind each modem; default: the figure's own numbers (arp: 3)",
    )
    population: bool = Field(
        False,
        description="one process plays all modems and hosts; false: each is a device or a network namespace"
        " of its own",
    )
    stacked_tags: bool = Field(
        False, description="each circuit has two VLAN tags; above 4,094 circuits this is always the case"
    )
    access_node: str = Field(
        "dslam1", pattern="^[!-~]{1,50}$", description="name of the DSLAM in the circuit-ids (dsl)"
    )
    ingress_filter: bool = Field(
        True,
        description="the router drops packets whose source address does not belong to the network they come"
        " from (BCP 38)",
    )

    intermediate_agent: bool = Field(
        False,
        description="the DSLAM inserts option 82 into the subscribers' messages, and the concentrator "
        "trusts it (dsl; TR-101, RFC 3046)",
    )

    @property
    def subscribers(self) -> int:
        """How many hosts there are."""
        if self.modems is None and self.hosts_per_modem is None:
            return 3
        return (2 if self.modems is None else self.modems) * (self.hosts_per_modem or 1)

    @model_validator(mode="after")
    def _fits(self) -> Topology:
        if self.intermediate_agent and self.figure != "dsl":
            raise PydanticCustomError(
                "agent", ("only a DSLAM can insert option 82: set topology.figure=dsl, or leave this out")
            )
        if (self.modems or 0) > MOST_DEVICES and not self.population:
            raise PydanticCustomError(
                "devices", ("at most {most} modems can be devices of their own: set "
"topology.population=true"),
                {"most": MOST_DEVICES},
            )  # fmt: skip
        receptions = (self.modems or 0) * self.subscribers
        if self.figure == "cable" and not self.population and receptions > MOST_RECEPTIONS:
            raise PydanticCustomError(
                "cable",
                (
                    "{modems} modems with {hosts} hosts are too many devices on one cable (modems"
                    " times hosts may be {most} at most): set topology.population=true"
                ),
                {"modems": self.modems, "hosts": self.subscribers, "most": MOST_RECEPTIONS},
            )
        if self.subscribers > MOST_SUBSCRIBERS:
            raise PydanticCustomError(
                "addresses", "the address plan has room for {most} subscribers", {"most": MOST_SUBSCRIBERS}
            )
        return self
