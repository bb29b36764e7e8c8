"""The concentrator and its control software, and the modems that register with it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from lq.scenarios.parts.part import Part

MOST_QUERIES = 1_000_000_000


class Modems(Part):
    """How the concentrator learns which modem is on which circuit."""

    registration: Literal["frames", "told"] = Field(
        "frames",
        description="frames: the modems register with each new concentrator; told: the concentrator is "
        "given the list at its start",
    )
    delay: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="seconds between the start of the concentrator and the registration of the modems",
    )


class Controller(Part):
    """The concentrator's control software."""

    framework: Literal["ryu", "os-ken"] = Field(
        "ryu", description="the framework that the controller is written for"
    )


class Concentrator(Part):
    """How the concentrator behaves."""

    mode: Literal["leasequery", "glean-only", "arp"] = Field(
        "leasequery",
        description="how the concentrator finds lost locations again; leasequery: it asks the server; "
        "glean-only: it waits for DHCP messages; arp: it broadcasts ARP requests",
    )
    ask_by: Literal["address", "mac-upstream"] = Field(
        "address",
        description="the key of a query; address: always the IP address; mac-upstream: the MAC address if "
        "an unknown host sends upstream",
    )
    window: int = Field(100, ge=1, le=10000, description="largest number of open queries to one server (6.6)")
    retry_first: float = Field(
        1.0,
        ge=0.01,
        le=60,
        description="seconds until a query is sent for the second time; each further wait is twice as long",
    )
    retry_last: float = Field(
        60.0, ge=0.01, le=600, description="longest time between two transmissions of a query, in seconds"
    )
    server_timer: float = Field(
        10.0,
        ge=0.1,
        le=60,
        description="seconds without an answer after which the concentrator polls a server with one query "
        "only (6.6)",
    )
    negative_cache: bool = Field(
        True, description="the concentrator remembers the answers KNOWN and UNKNOWN (R7-3)"
    )
    ciaddr_restriction: bool = Field(
        True,
        description="the concentrator asks only about addresses of the attached access networks; false: "
        "about all addresses that are routed to it (R7-4)",
    )
    known_time: float = Field(
        300.0, ge=0.1, le=86400, description="seconds for which the answer KNOWN is cached (6.5)"
    )
    unknown_time: float = Field(
        300.0, ge=0.1, le=86400, description="seconds for which the answer UNKNOWN is cached (6.5)"
    )
    refresh: bool = Field(
        True,
        description="the concentrator asks again before a location expires, because it does not see "
        "renewals that go to the server by unicast (R4.3-1)",
    )
    admit_reserved: bool = Field(
        False, description="an answer KNOWN with the R flag of draft-03 counts as a lease (R6.5-3)"
    )
    circuit_queries: int = Field(
        50,
        ge=0,
        le=MOST_QUERIES,
        description="number of queries that one circuit may cause in one quota interval; 0: no limit",
    )
    network_queries: int = Field(
        0,
        ge=0,
        le=MOST_QUERIES,
        description="number of queries that the network side may cause in one quota interval; 0: no limit",
    )
    quota_interval: float = Field(10.0, ge=0.1, le=3600, description="length of a quota interval in seconds")
    circuit_messages: int | None = Field(
        None,
        ge=0,
        le=MOST_QUERIES,
        description="number of DHCP messages of one circuit that are forwarded in one quota interval; 0: no"
        " limit; default: 100, or 20 for each host of a modem if that is more",
    )
    moves: Literal["when-gone", "always", "never"] = Field(
        "when-gone",
        description="when a client may take over an address of another circuit; when-gone: when the host "
        "there no longer answers ARP; always: at once; never: only when the lease there has "
        "ended (R1-5)",
    )
    verify_replies: bool = Field(
        True,
        description="the concentrator accepts a server's reply only if it answers an open request of a "
        "client",
    )
    verify_unicast: bool = Field(
        True,
        description="the concentrator forwards a host's unicast message to a server only if its type is "
        "allowed and it is about the host itself",
    )
    trusted_circuits: tuple[str, ...] = Field(
        (),
        max_length=4094,
        description="circuits whose access node inserts option 82, by their tags (17 or 2.17); all: every "
        "circuit",
    )

    @field_validator("trusted_circuits", mode="before")
    @classmethod
    def _one_is_a_list(cls, circuits: Any) -> Any:
        return [str(each) for each in (circuits if isinstance(circuits, list | tuple) else (circuits,))]
