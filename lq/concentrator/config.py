"""How a concentrator behaves: addresses, timers, bounds, policies."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal, get_args

from lq.wire import RFC4388, Dialect, OptionCode

Mode = Literal["leasequery", "glean-only", "arp"]
"""How the concentrator finds a lost location again."""

Moves = Literal["when-gone", "always", "never"]
"""When a client may take an address over that another circuit has (`lq.concentrator.claims`)."""

AskBy = Literal["address", "mac-upstream"]
"""What a query is about: always the IP address, or for a packet from an unknown host its MAC address."""


@dataclass(frozen=True)
class ConcentratorConfig:
    """Everything that one may set. Times in seconds; raises ValueError for a value out of range.

    giaddr             the relay's own address on the access side (R6.2-1)
    networks           the attached access networks: never a query about any other address (R6.2-7, R7-4)
    servers            the DHCP servers that the relay forwards to
    mode               how lost locations are found again: "leasequery"; "glean-only", not until the client
                       renews through the relay; "arp", by broadcasting (section 4.1 warns of it). The
                       relay gleans in every mode
    leasequery_servers whom to ask instead of `servers` (R4.5-1)
    authorities        (network, servers) pairs: who is known to be authoritative beforehand (R6.2-8)
    ask_by             "address": every query is by IP address (R5-7). "mac-upstream": a packet from an
                       unlocated source is asked about by its MAC address, so that a host that spoofs many
                       addresses costs one query; a server that does not answer that is asked by IP address
    dialect            the numbers on the wire
    requested_options  the query's Parameter Request List (R6.2-2)
    circuit_id         format of the circuit-id: "binary" (cable) or "text" (DSL), see `circuit_id`
    access_node        the access node's name in the text format
    registered_only    a modem carries nothing until it has registered; else a circuit-id alone may tell
                       where it is
    access_ports       the ports of the access side: no other port is part of a location; empty: any port
    circuit_tags       VLAN tags of each circuit, 1 or 2; 0: either
    trusted_circuits   circuits whose access node inserts option 82 itself (RFC 3046, 2.1.1), written as their
                       tags, "17" or "2.17"; "all" for all circuits

    window             queries outstanding to a server at most (R6.6-4)
    retry_first        from a query's first transmission to its second; doubles (R6.6-5) ...
    retry_last         ... up to this
    server_timer       silence of a server while asked until its timer goes off; then the time to the first
                       poll (R6.6-3); doubles, at least 10 s keep to R6.6-2 ...
    server_timer_last  ... up to this, at most 60 s keep to R6.6-2
    waiting_limit      addresses that wait to be asked about, for each server; when full, the one that has
                       waited longest is given up
    demand_time        a query that no packet has asked for so long is given up

    verify_replies     a server's reply is believed only as the answer to a request that this relay passed on
                       to that server and that is still open; False: whatever bears our giaddr
    exchange_time      how long a request that was passed on stays open
    verify_unicast     what a host sends to a server itself must be a message that the host may send
    moves              when a client may take over an address that another circuit has: "when-gone", when the
                       host there does not answer ARP; "always"; "never", not before that lease has ended
    claim_time         how long a client's message waits until it is known who has the address it names
    probe_attempts     ARP requests to the host at the old place, until it counts as gone
    probe_retry        from one of them to the next
    modem_patience     after the start: how long an unregistered modem's hosts count as there
    circuit_messages   DHCP messages from one circuit that are passed on in each `quota_interval`;
                       0: any number

    negative_cache     False: refusals are not remembered, so each packet asks again (R7-3: do not)
    known_time         how long KNOWN is cached (R6.5-2)
    unknown_time       how long UNKNOWN is cached (R6.5-5)
    refused_limit      entries of each negative cache; when full, the one that would end first goes
    modem_wait         how long to refuse an address whose modem is not registered
    drop_time          how long the switch may drop on its own what failed verification
    circuit_queries    queries, or searches by ARP, that packets from one circuit may cause in each
                       `quota_interval`; 0: any number
    network_queries    the same for packets from the network side
    quota_interval     see there

    arp_retry          mode "arp": from the first broadcast about an address to the second; doubles
    arp_attempts       mode "arp": broadcasts about an address until it is refused
    arp_refused_time   mode "arp": how long an address is refused that nobody answered for
    arp_time           mode "arp": how long a location learnt by ARP holds; then its next packet asks anew

    admit_reserved     KNOWN with the R flag counts as a lease (R6.5-3)
    reservation_time   how long a location without a lease time holds
    locate_by_source   a lease without option 82 is located where a packet with its hardware address comes
                       from: weaker, for hosts that never spoke through this relay
    refresh            ask about a location again before it ends, since a client that renews at its server
                       directly is not gleaned (R4.3-1): once for each end, see `leasequery`
    maximum_hops       relayed messages that passed more relays are dropped (RFC 1542)
    seed               of the transaction identifiers; None: unpredictable
    """

    giaddr: IPv4Address
    networks: tuple[IPv4Network, ...]
    servers: tuple[IPv4Address, ...]
    mode: Mode = "leasequery"
    ask_by: AskBy = "address"
    leasequery_servers: tuple[IPv4Address, ...] = ()
    authorities: tuple[tuple[IPv4Network, tuple[IPv4Address, ...]], ...] = ()
    dialect: Dialect = RFC4388
    requested_options: tuple[int, ...] = (
        OptionCode.LEASE_TIME,
        OptionCode.RELAY_AGENT_INFORMATION,
        OptionCode.CLIENT_LAST_TRANSACTION_TIME,
    )
    circuit_id: Literal["binary", "text"] = "binary"
    access_node: str = "access-node"
    registered_only: bool = False
    access_ports: tuple[int, ...] = ()
    circuit_tags: int = 0
    trusted_circuits: tuple[str, ...] = ()

    window: int = 100
    retry_first: float = 1.0
    retry_last: float = 60.0
    server_timer: float = 10.0
    server_timer_last: float = 60.0
    waiting_limit: int = 65536
    demand_time: float = 120.0

    verify_replies: bool = True
    exchange_time: float = 60.0
    verify_unicast: bool = True
    moves: Moves = "when-gone"
    claim_time: float = 12.0
    probe_attempts: int = 3
    probe_retry: float = 0.5
    modem_patience: float = 60.0
    circuit_messages: int = 100

    negative_cache: bool = True
    known_time: float = 300.0
    unknown_time: float = 300.0
    refused_limit: int = 65536
    modem_wait: float = 5.0
    drop_time: float = 10.0
    circuit_queries: int = 50
    network_queries: int = 0
    quota_interval: float = 10.0

    arp_retry: float = 1.0
    arp_attempts: int = 3
    arp_refused_time: float = 20.0
    arp_time: float = 1200.0

    admit_reserved: bool = False
    reservation_time: float = 3600.0
    locate_by_source: bool = False
    refresh: bool = True
    maximum_hops: int = 16
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.servers:
            raise ValueError("the concentrator needs at least one server to relay to")
        if not any(self.giaddr in network for network in self.networks):
            raise ValueError(f"giaddr {self.giaddr} lies in none of the access networks: add its network")
        for name in ("window", "waiting_limit", "refused_limit", "arp_attempts", "probe_attempts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: use at least 1")
        for name in ("circuit_queries", "network_queries", "circuit_messages", "maximum_hops"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: use 0 or more")
        for name in (
            *("retry_first", "server_timer", "demand_time", "known_time", "unknown_time"),
            *("modem_wait", "drop_time", "quota_interval", "reservation_time"),
            *("arp_retry", "arp_refused_time", "arp_time"),
            *("exchange_time", "claim_time", "probe_retry", "modem_patience"),
        ):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: use a positive number of seconds")
        for first, last in (("retry_first", "retry_last"), ("server_timer", "server_timer_last")):
            if not getattr(self, first) <= getattr(self, last) < math.inf:
                raise ValueError(f"{last} is {getattr(self, last)}: use at least {first}")
        for name, values in (("mode", Mode), ("ask_by", AskBy), ("moves", Moves)):
            if getattr(self, name) not in get_args(values):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}: use one of {', '.join(get_args(values))}"
                )
        if self.circuit_tags not in (0, 1, 2):
            raise ValueError(f"circuit_tags is {self.circuit_tags}: use 1 or 2, or 0 for either")
        for name in self.trusted_circuits:
            if not re.fullmatch(r"all|[0-9]{1,4}(\.[0-9]{1,4})?", name):
                raise ValueError(f'trusted_circuits: {name!r} is none: use tags, as "17" or "2.17", or "all"')
        if self.circuit_id not in ("binary", "text"):
            raise ValueError(f'circuit_id is {self.circuit_id!r}: use "binary" or "text"')
        if not self.access_node or not self.access_node.isascii() or " " in self.access_node:
            raise ValueError("access_node is a name in ASCII without spaces")

    @property
    def queried_servers(self) -> tuple[IPv4Address, ...]:
        """Whom to ask: by default those that the relay forwards to (R4.5-1), none in the other modes."""
        return (self.leasequery_servers or self.servers) if self.mode == "leasequery" else ()
