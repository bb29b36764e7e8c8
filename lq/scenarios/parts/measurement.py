"""The traffic, the reboot that it shows, and where frames are captured."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from lq.scenarios.parts.part import Part


class Probes(Part):
    """The traffic between the Internet and every subscriber (`lq.emulation.schedule`)."""

    interval: float | None = Field(
        None,
        ge=0.001,
        le=60,
        description="mean time between two probes of one host in one direction, in seconds; default: 0.05, "
        "or longer if all hosts together would exceed 5,000 probes per second; the limit is "
        "100,000 per second",
    )
    pattern: Literal["steady", "poisson", "zipf"] = Field(
        "steady",
        description="steady: each host in turn, at equal intervals; poisson: at random times; zipf: at "
        "random times, some hosts far more often than others",
    )
    exponent: float = Field(
        1.0,
        ge=0,
        le=5,
        description="exponent s of zipf: the host of rank r gets a share of the probes in proportion to "
        "1/r^s",
    )
    direction: Literal["down", "up", "both"] = Field(
        "down",
        description="down: probes go to the hosts; up: they come from the hosts; both: a host counts as "
        "back when both directions work",
    )
    warmup: float = Field(1.0, ge=0, le=600, description="seconds of traffic before the reboot")


class Reboot(Part):
    """The reboot and the time after it."""

    downtime: float = Field(
        0.0, ge=0, le=600, description="seconds between the kill of the concentrator and its new start"
    )
    timeout: float | None = Field(
        None,
        gt=0,
        le=3600,
        description="longest wait until all subscribers are back, in seconds, after modems.delay; default: "
        "10, or 180 if wan.loss is not 0",
    )
    settle: float = Field(
        1.0, ge=0, le=600, description="seconds of watching after the last subscriber is back"
    )


class Capture(Part):
    """Where frames are captured, beside the servers' interfaces, from before the first lease on."""

    nodes: tuple[str, ...] = Field(
        (),
        max_length=8,
        description="nodes that get a file NAME.pcap: host1, host2, ...; internet; network: its link to the"
        " concentrator; concentrator: its access port, with tags",
    )

    @field_validator("nodes", mode="before")
    @classmethod
    def _one_is_a_list(cls, nodes: Any) -> Any:
        return (nodes,) if isinstance(nodes, str) else nodes
