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
        description="seconds between two probes of the same host in a direction, the mean over all hosts; if "
        "not given 0.05, or what makes 5,000 probes a second for all; at most 100,000 a second for all",
    )
    pattern: Literal["steady", "poisson", "zipf"] = Field(
        "steady",
        description="each host in turn at equal distances; at random moments; or so and some hosts far more "
        "often than others",
    )
    exponent: float = Field(
        1.0, ge=0, le=5, description="of zipf: the host of rank r has a share in proportion to r^-exponent"
    )
    direction: Literal["down", "up", "both"] = Field(
        "down", description="probes to the hosts, from them, or both: then a host is back with both"
    )
    warmup: float = Field(1.0, ge=0, le=600, description="seconds of traffic before the reboot")


class Reboot(Part):
    """The reboot and the time after it."""

    downtime: float = Field(0.0, ge=0, le=600, description="seconds between the kill and the new start")
    timeout: float | None = Field(
        None,
        gt=0,
        le=3600,
        description="seconds to wait for all subscribers to be back, after modems.delay; if not given 10, "
        "or 180 with loss on the WAN",
    )
    settle: float = Field(1.0, ge=0, le=600, description="seconds to go on watching after the last came back")


class Capture(Part):
    """Where frames are captured, beside the servers' interfaces, from before the first lease on."""

    nodes: tuple[str, ...] = Field(
        (),
        max_length=8,
        description="each gets a file NAME.pcap: host1 (and so on); internet; network, what passes between "
        "it and the concentrator; concentrator, what passes its access port, with tags",
    )

    @field_validator("nodes", mode="before")
    @classmethod
    def _one_is_a_list(cls, nodes: Any) -> Any:
        return (nodes,) if isinstance(nodes, str) else nodes
