"""How the way to the servers is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lq.scenarios.parts.part import Part


class Wan(Part):
    """The way from the network to each server, the same in both directions (`topologies.wan`)."""

    delay: float = Field(0.0, ge=0, le=10, description="delay in each direction, in seconds")
    jitter: float = Field(
        0.0,
        ge=0,
        le=10,
        description="largest deviation from the delay, in seconds; uniformly distributed; at most wan.delay",
    )
    loss: float = Field(0.0, ge=0, lt=1, description="share of the packets that are lost, in each direction")
    duplication: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the packets that are duplicated, in each direction; the copy comes at once",
    )
    reordering: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the packets that skip the delay and overtake the others, in each direction; "
        "needs wan.delay",
    )
    rate: float = Field(
        0.0, ge=0, le=1e10, description="rate in each direction, in bits per second; 0: no limit"
    )
    limit: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="number of packets that may be under way in each direction; more are dropped",
    )
    emulator: Literal["auto", "netem", "user-space"] = Field(
        "auto",
        description="netem: the kernel's; user-space: a delay line outside the kernel; auto: netem if the "
        "kernel has it and its random choices follow the seed, else user-space",
    )

    @model_validator(mode="after")
    def _fits(self) -> Wan:
        if self.jitter > self.delay:
            raise PydanticCustomError(
                "jitter",
                ("jitter is larger than the delay of {delay} s: lower wan.jitter or raise wan.delay"),
                {"delay": self.delay},
            )
        if self.reordering and not self.delay:
            raise PydanticCustomError(
                "reordering",
                "a reordered packet skips the delay, so there must be a delay: set wan.delay",
            )
        return self
