"""The DHCP servers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lq.scenarios.parts.part import Part


class Server(Part):
    """The DHCP servers."""

    kind: Literal["builtin", "dhcpd", "dnsmasq"] = Field(
        "builtin", description="which server answers; dnsmasq has no leasequery"
    )
    count: int = Field(
        1, ge=1, le=2, description="servers; two share the pool, and the relay forwards to both (failover: 2)"
    )
    dialect: Literal["rfc4388", "draft-03"] = Field(
        "rfc4388", description="the wire form of leasequery, at both ends; draft-03: built-in server only"
    )
    lease_time: int = Field(3600, ge=60, le=0x7FFFFFFF, description="seconds that a lease lasts")
    service_time: float = Field(
        0.0,
        ge=0,
        le=10,
        description="seconds that each message takes the built-in server, one after the other; 0: its own",
    )
    verify_source: bool = Field(
        True,
        description="the built-in server believes a message only from its giaddr, else from its ciaddr",
    )
    any_requester: bool = Field(
        False, description="the built-in server answers leasequery of anybody, not of the concentrator alone"
    )
    leases_per_circuit: int | None = Field(
        None,
        ge=0,
        le=65536,
        description="addresses that the clients of a circuit may use up (built-in server); 0: any number; if "
        "not given 16, or twice topology.hosts_per_modem if that is more",
    )
    leases_per_client: int = Field(
        8,
        ge=0,
        le=65536,
        description="addresses that a hardware address or a client identifier may use up (built-in server); "
        "0: any number",
    )

    @model_validator(mode="after")
    def _fits(self) -> Server:
        if self.service_time and self.kind != "builtin":
            raise PydanticCustomError(
                "service_time", "only the built-in server can be slowed down: leave server.service_time out"
            )
        if self.dialect != "rfc4388" and self.kind != "builtin":
            raise PydanticCustomError(
                "dialect", "only the built-in server speaks draft-03: leave server.dialect out"
            )
        return self
