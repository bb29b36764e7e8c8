"""How the way to the servers is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lq.scenarios.parts.part import Part


class Wan(Part):
    """The way from the network to each server, the same in both directions (`topologies.wan`)."""

    delay: float = Field(0.0, ge=0, le=10, description="seconds one way")
    jitter: float = Field(
        0.0, ge=0, le=10, description="seconds more or less than that, uniform; at most the delay"
    )
    loss: float = Field(0.0, ge=0, lt=1, description="share of the packets that is lost, in each direction")
    duplication: float = Field(
        0.0, ge=0, le=1, description="share of the packets, in each direction, of which a copy comes at once"
    )
    reordering: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the packets, in each direction, that leaves at once, ahead of those that wait "
        "for the delay; needs a delay",
    )
    rate: float = Field(0.0, ge=0, le=1e10, description="bits a second; 0: any")
    limit: int = Field(1000, ge=1, le=1_000_000, description="packets under way; more are dropped")
    emulator: Literal["auto", "netem", "user-space"] = Field(
        "auto",
        description="the kernel's netem or a delay line in user space; auto: netem, where what is left to "
        "chance follows the seed with it",
    )

    @model_validator(mode="after")
    def _fits(self) -> Wan:
        if self.jitter > self.delay:
            raise PydanticCustomError(
                "jitter", "jitter is more than the delay, {delay} s", {"delay": self.delay}
            )
        if self.reordering and not self.delay:
            raise PydanticCustomError(
                "reordering",
                "a reordered packet leaves at once, ahead of those that wait for the delay: give wan.delay",
            )
        return self
