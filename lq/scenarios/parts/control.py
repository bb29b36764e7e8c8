"""The concentrator and its control software, and the modems that register with it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from lq.scenarios.parts.part import Part

MOST_QUERIES = 1_000_000_000


class Modems(Part):
    """How the concentrator learns which modem is on which circuit."""

    registration: Literal["frames", "told"] = Field(
        "frames", description="the modems register with each new concentrator, or it is told beforehand"
    )
    delay: float = Field(
        0.0, ge=0, le=3600, description="seconds from the concentrator's coming up to the modems' registering"
    )


class Controller(Part):
    """The concentrator's control software."""

    framework: Literal["ryu", "os-ken"] = Field("ryu", description="controller framework")


class Concentrator(Part):
    """How the concentrator behaves."""

    mode: Literal["leasequery", "glean-only", "arp"] = Field(
        "leasequery",
        description="how lost locations are found again: by asking the server, not at all, by broadcast ARP",
    )
    ask_by: Literal["address", "mac-upstream"] = Field(
        "address",
        description="what queries are about: IP addresses; or, of an unknown host upstream, its MAC address",
    )
    window: int = Field(100, ge=1, le=10000, description="queries outstanding to a server at most (6.6)")
    retry_first: float = Field(
        1.0, ge=0.01, le=60, description="seconds until a query is sent again; doubles"
    )
    retry_last: float = Field(60.0, ge=0.01, le=600, description="seconds between two transmissions at most")
    server_timer: float = Field(
        10.0, ge=0.1, le=60, description="seconds of a server's silence until only one query polls it (6.6)"
    )
    negative_cache: bool = Field(True, description="remember KNOWN and UNKNOWN (R7-3)")
    ciaddr_restriction: bool = Field(
        True, description="ask only about the attached access networks, not about all routed here (R7-4)"
    )
    known_time: float = Field(300.0, ge=0.1, le=86400, description="seconds that KNOWN is cached (6.5)")
    unknown_time: float = Field(300.0, ge=0.1, le=86400, description="seconds that UNKNOWN is cached (6.5)")
    refresh: bool = Field(
        True,
        description="ask again before a location ends, since renewals at the server are not gleaned (R4.3-1)",
    )
    admit_reserved: bool = Field(
        False, description="KNOWN with the R flag of draft-03 counts as a lease (R6.5-3)"
    )
    circuit_queries: int = Field(
        50,
        ge=0,
        le=MOST_QUERIES,
        description="queries that one circuit may cause in a quota interval; 0: any number",
    )
    network_queries: int = Field(
        0,
        ge=0,
        le=MOST_QUERIES,
        description="queries that the network side may cause in a quota interval; 0: any number",
    )
    quota_interval: float = Field(10.0, ge=0.1, le=3600, description="seconds of a quota interval")
    circuit_messages: int | None = Field(
        None,
        ge=0,
        le=MOST_QUERIES,
        description="DHCP messages of one circuit that are passed on in a quota interval; 0: any number; if "
        "not given 100, or 20 for each host of a modem if that is more",
    )
    moves: Literal["when-gone", "always", "never"] = Field(
        "when-gone",
        description="when a client may take over an address that another circuit has: when the host there no "
        "longer answers ARP, always, or not before its lease has ended (R1-5)",
    )
    verify_replies: bool = Field(
        True, description="believe a server's reply only as the answer to an open request of a client"
    )
    verify_unicast: bool = Field(
        True, description="let hosts send to a server only what they may say, and only for themselves"
    )
    trusted_circuits: tuple[str, ...] = Field(
        (),
        max_length=4094,
        description="circuits whose access node inserts option 82 itself, by their tags (17 or 2.17), or all",
    )

    @field_validator("trusted_circuits", mode="before")
    @classmethod
    def _one_is_a_list(cls, circuits: Any) -> Any:
        return [str(each) for each in (circuits if isinstance(circuits, list | tuple) else (circuits,))]
