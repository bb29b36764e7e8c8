"""The DHCP servers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lq.scenarios.parts.part import Part


class Server(Part):
    """The DHCP servers."""

    kind: Literal["builtin", "dhcpd", "dnsmasq"] = Field(
        "builtin", description="the DHCP server; dnsmasq does not support leasequery"
    )
    count: int = Field(
        1,
        ge=1,
        le=2,
        description="number of servers; two servers share the pool, and the relay forwards to both "
        "(failover: 2)",
    )
    dialect: Literal["rfc4388", "draft-03"] = Field(
        "rfc4388", description="wire format of leasequery at both ends; draft-03 needs the built-in server"
    )
    lease_time: int = Field(3600, ge=60, le=0x7FFFFFFF, description="lease time in seconds")
    service_time: float = Field(
        0.0,
        ge=0,
        le=10,
        description="seconds that the built-in server spends on each message, one message after the other; "
        "0: no added time",
    )
    verify_source: bool = Field(
        True,
        description="the built-in server accepts a message only if it comes from its giaddr, or without "
        "giaddr from its ciaddr",
    )
    any_requester: bool = Field(
        False,
        description="the built-in server answers leasequeries from any requester; false: only from the "
        "concentrator",
    )
    leases_per_circuit: int | None = Field(
        None,
        ge=0,
        le=65536,
        description="number of addresses that the clients of one circuit may use (built-in server); 0: no "
        "limit; default: 16, or twice topology.hosts_per_modem if that is more",
    )
    leases_per_client: int = Field(
        8,
        ge=0,
        le=65536,
        description="number of addresses that one hardware address or one client identifier may use "
        "(built-in server); 0: no limit",
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
