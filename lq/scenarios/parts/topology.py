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

    figure: Literal["cable", "dsl"] = Field("cable", description="the draft's figure")
    modems: int | None = Field(
        None,
        ge=1,
        le=65000,
        description="modems; the figure's own number if not given (arp: 8); at most 1000 unless a population",
    )
    hosts_per_modem: int | None = Field(
        None,
        ge=1,
        le=250,
        description="hosts behind each modem; the figure's own numbers if not given (arp: 3)",
    )
    population: bool = Field(
        False,
        description="one process plays all modems and hosts, instead of a device and a namespace for each",
    )
    stacked_tags: bool = Field(
        False, description="two VLAN tags for each circuit; always so beyond 4,094 circuits"
    )
    access_node: str = Field(
        "dslam1", pattern="^[!-~]{1,50}$", description="the DSLAM's name in circuit-ids (dsl)"
    )
    ingress_filter: bool = Field(
        True,
        description="the router drops packets whose source cannot come from where they come (BCP 38)",
    )

    intermediate_agent: bool = Field(
        False,
        description="the DSLAM inserts option 82 into the subscribers' messages itself, and the concentrator "
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
                "agent", "only a DSLAM inserts option 82 itself: set topology.figure=dsl, or leave it out"
            )
        if (self.modems or 0) > MOST_DEVICES and not self.population:
            raise PydanticCustomError(
                "devices", "at most {most} modems are devices of their own: set topology.population=true",
                {"most": MOST_DEVICES},
            )  # fmt: skip
        receptions = (self.modems or 0) * self.subscribers
        if self.figure == "cable" and not self.population and receptions > MOST_RECEPTIONS:
            raise PydanticCustomError(
                "cable",
                "{modems} modems with {hosts} hosts are too many devices on one cable (modems times hosts: "
                "at most {most}): set topology.population=true",
                {"modems": self.modems, "hosts": self.subscribers, "most": MOST_RECEPTIONS},
            )
        if self.subscribers > MOST_SUBSCRIBERS:
            raise PydanticCustomError(
                "addresses", "the address plan has room for {most} subscribers", {"most": MOST_SUBSCRIBERS}
            )
        return self
