"""The specification of a run: validated, with units and ranges; every field can be set by its dotted name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from lq import errors, yaml_file
from lq.scenarios.adversaries import DEFENCES, Hijack, Starve
from lq.scenarios.adversaries import Part as _Part

MOST_DEVICES = 1000  # modems that are bridges of their own
MOST_RECEPTIONS = 50_000  # modems times hosts of such a cable: each frame for a host reaches every modem
MOST_SUBSCRIBERS = 65_000  # of 198.18.0.0/16, with some to spare
PROBES_PER_SECOND = 5_000  # to all subscribers together, unless their interval is given
MOST_PROBES_PER_SECOND = 100_000  # about what the senders can do
MOST_SEED = 2**63 - 1  # what a table's whole numbers hold
MOST_QUERIES = 1_000_000_000

SCENARIOS = {
    "reboot": "The concentrator loses its memory. How long does it take until each subscriber is reachable "
    "again?",
    "dos": "A flood goes to, or comes from, a great many addresses. What does it cost, and whom does it "
    "harm?",
    "claim": "After a reboot, somebody scans all addresses. Is there still only one query per subscriber "
    "(R7-5)?",
    "replace": "Another concentrator, with its own addresses, takes over. Do the hosts notice it?",
    "backoff": "The server is dead, slow or silent, or it comes back. How many queries reach it, and does "
    "the concentrator respect the draft's limits (6.6)?",
    "failover": "One of two servers dies around the reboot, or the two disagree. Which subscribers come "
    "back, and which answer wins (R4.4-1, R6.7-1)?",
    "arp": "The same reboot with broadcast ARP and with leasequery. How much must each host process, and "
    "can a neighbour steal its traffic (R4.1-1)?",
    "hijack": "An attacker lies to the server and to the concentrator. Can it take over, cut off or spy on a "
    "subscriber?",
    "starve": "One subscriber floods the network with DHCP messages. Do the others still get leases, and "
    "does leasequery still work?",
    "servers": "The built-in server and ISC dhcpd serve under the same reboot. How well does each one "
    "answer?",
}


class Topology(_Part):
    """Which figure, and how large."""

    figure: Literal["cable", "dsl"] = Field(
        "cable", description="the figure of the draft that the network follows"
    )
    modems: int | None = Field(
        None,
        ge=1,
        le=65000,
        description="number of modems; default: the figure's own number (arp: 8); at most 1,000 unless "
        "topology.population=true",
    )
    hosts_per_modem: int | None = Field(
        None,
        ge=1,
        le=250,
        description="number of hosts behind each modem; default: the figure's own numbers (arp: 3)",
    )
    population: bool = Field(
        False,
        description="one process plays all modems and hosts; false: each is a device or a network namespace "
        "of its own",
    )
    stacked_tags: bool = Field(
        False, description="each circuit has two VLAN tags; above 4,094 circuits this is always the case"
    )
    access_node: str = Field(
        "dslam1", pattern="^[!-~]{1,50}$", description="name of the DSLAM in the circuit-ids (dsl)"
    )
    ingress_filter: bool = Field(
        True,
        description="the router drops packets whose source address does not belong to the network they come "
        "from (BCP 38)",
    )

    intermediate_agent: bool = Field(
        False,
        description="the DSLAM inserts option 82 into the subscribers' messages, and the concentrator trusts "
        "it (dsl; TR-101, RFC 3046)",
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
                "agent", "only a DSLAM can insert option 82: set topology.figure=dsl, or leave this out"
            )
        if (self.modems or 0) > MOST_DEVICES and not self.population:
            raise PydanticCustomError(
                "devices", "at most {most} modems can be devices of their own: set topology.population=true",
                {"most": MOST_DEVICES},
            )  # fmt: skip
        receptions = (self.modems or 0) * self.subscribers
        if self.figure == "cable" and not self.population and receptions > MOST_RECEPTIONS:
            raise PydanticCustomError(
                "cable",
                "{modems} modems with {hosts} hosts are too many devices on one cable (modems times hosts "
                "may be {most} at most): set topology.population=true",
                {"modems": self.modems, "hosts": self.subscribers, "most": MOST_RECEPTIONS},
            )
        if self.subscribers > MOST_SUBSCRIBERS:
            raise PydanticCustomError(
                "addresses", "the address plan has room for {most} subscribers", {"most": MOST_SUBSCRIBERS}
            )
        return self


class Modems(_Part):
    """How the concentrator learns which modem is on which circuit."""

    registration: Literal["frames", "told"] = Field(
        "frames",
        description="frames: the modems register with each new concentrator; told: the concentrator is given "
        "the list at its start",
    )
    delay: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="seconds between the start of the concentrator and the registration of the modems",
    )


class Wan(_Part):
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
                "jitter is larger than the delay of {delay} s: lower wan.jitter or raise wan.delay",
                {"delay": self.delay},
            )
        if self.reordering and not self.delay:
            raise PydanticCustomError(
                "reordering",
                "a reordered packet skips the delay, so there must be a delay: set wan.delay",
            )
        return self


class Server(_Part):
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


class Controller(_Part):
    """The concentrator's control software."""

    framework: Literal["ryu", "os-ken"] = Field(
        "ryu", description="the framework that the controller is written for"
    )


class Concentrator(_Part):
    """How the concentrator behaves."""

    mode: Literal["leasequery", "glean-only", "arp"] = Field(
        "leasequery",
        description="how the concentrator finds lost locations again; leasequery: it asks the server; "
        "glean-only: it waits for DHCP messages; arp: it broadcasts ARP requests",
    )
    ask_by: Literal["address", "mac-upstream"] = Field(
        "address",
        description="the key of a query; address: always the IP address; mac-upstream: the MAC address if an "
        "unknown host sends upstream",
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
        description="the concentrator asks again before a location expires, because it does not see renewals "
        "that go to the server by unicast (R4.3-1)",
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
        description="number of DHCP messages of one circuit that are forwarded in one quota interval; 0: no "
        "limit; default: 100, or 20 for each host of a modem if that is more",
    )
    moves: Literal["when-gone", "always", "never"] = Field(
        "when-gone",
        description="when a client may take over an address of another circuit; when-gone: when the host "
        "there no longer answers ARP; always: at once; never: only when the lease there has ended (R1-5)",
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


class Probes(_Part):
    """The traffic between the Internet and every subscriber (`lq.emulation.schedule`)."""

    interval: float | None = Field(
        None,
        ge=0.001,
        le=60,
        description="mean time between two probes of one host in one direction, in seconds; default: 0.05, "
        "or longer if all hosts together would exceed 5,000 probes per second; the limit is 100,000 per "
        "second",
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
        description="down: probes go to the hosts; up: they come from the hosts; both: a host counts as back "
        "when both directions work",
    )
    warmup: float = Field(1.0, ge=0, le=600, description="seconds of traffic before the reboot")


class Reboot(_Part):
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


class Attack(_Part):
    """The flood of the scenarios `dos` and `claim`."""

    kind: Literal["scan", "spoof"] = Field(
        "scan",
        description="scan: packets from the Internet to one address after the other; spoof: packets of one "
        "host with the source address of others",
    )
    pattern: Literal["sequential", "random", "out-of-range", "mixed", "hit-list"] = Field(
        "sequential",
        description="which addresses (dos); sequential: the range in order; random: the range shuffled; "
        "out-of-range: addresses of other networks; mixed: half random, half out-of-range; "
        "hit-list: the subscribers' addresses",
    )
    addresses: int | None = Field(
        500,
        ge=1,
        le=65519,
        description="number of addresses of the range, used again and again; null: the whole range",
    )
    rate: float = Field(1000.0, gt=0, le=100_000, description="packets per second")
    duration: float = Field(10.0, gt=0, le=3600, description="length of the attack in seconds")
    during_reboot: bool = Field(
        True, description="the concentrator reboots as the attack begins; false: there is no reboot (dos)"
    )


class Backoff(_Part):
    """What is wrong with the first server in the scenario `backoff`, and for how long."""

    server: Literal["dead", "slow", "silent", "returning"] = Field(
        "dead",
        description="state of the first server; dead: it is killed; slow: it answers late; silent: it "
        "answers no leasequery; returning: it is killed and comes back",
    )
    heard: bool = Field(
        False,
        description="true: the server answers leasequeries before it dies, so the concentrator knows that "
        "it supports them (dead, returning); false: the concentrator reboots when the server has failed",
    )
    duration: float = Field(
        45.0, gt=0, le=3600, description="seconds for which the packets that reach the server are counted"
    )
    after: float = Field(15.0, ge=0, le=3600, description="seconds until the server comes back (returning)")
    late: float = Field(12.0, gt=0, le=20, description="delay of the server's answers in seconds (slow)")
    addresses: int = Field(
        200,
        ge=0,
        le=60000,
        description="number of addresses without a host that get traffic, in addition to the subscribers",
    )


class Failover(_Part):
    """What happens to two servers in the scenario `failover`."""

    case: Literal["death", "disagreement"] = Field(
        "death",
        description="death: one server dies; disagreement: a host moves, and only one server learns of it",
    )
    when: Literal["before", "during", "after"] = Field(
        "during",
        description="when the server with the most leases dies (death); before: before the concentrator is "
        "killed; during: while it is down; after: after the new one has taken over",
    )
    shared: bool = Field(
        True, description="each server has a copy of the other's bindings, as in a failover pair (death)"
    )
    returns: float | None = Field(
        None,
        ge=0,
        le=3600,
        description="seconds until the dead server comes back; null: it stays dead (death)",
    )


class Arp(_Part):
    """The scenario `arp`: the same reboot twice, by broadcast ARP and by leasequery."""

    spoofer: bool = Field(True, description="the first host answers every ARP request for a neighbour")
    duration: float = Field(5.0, gt=0, le=600, description="seconds of watching after each reboot")


class Capture(_Part):
    """Where frames are captured, beside the servers' interfaces, from before the first lease on."""

    nodes: tuple[str, ...] = Field(
        (),
        max_length=8,
        description="nodes that get a file NAME.pcap: host1, host2, ...; internet; network: its link to the "
        "concentrator; concentrator: its access port, with tags",
    )

    @field_validator("nodes", mode="before")
    @classmethod
    def _one_is_a_list(cls, nodes: Any) -> Any:
        return (nodes,) if isinstance(nodes, str) else nodes


_ADVERSARIES: dict[str, tuple[type[Hijack] | type[Starve], int]] = {
    "hijack": (Hijack, 3),
    "starve": (Starve, 1),
}
"""Scenarios with attackers in the access network, and the hosts behind each modem unless told otherwise."""
_SIZES: dict[str, tuple[str, dict[str, Any]]] = {
    "failover": ("server", {"count": 2}),
    "arp": ("topology", {"modems": 8, "hosts_per_modem": 3}),
}


class Spec(_Part):
    """One run, completely."""

    scenario: Literal[
        "reboot", "replace", "dos", "claim", "backoff", "failover", "arp", "hijack", "starve", "servers"
    ] = Field("reboot", description="the experiment")
    backend: Literal["mininet"] = Field(
        "mininet", description="the network; mininet: real packets in Mininet"
    )
    seed: int = Field(1, ge=0, le=MOST_SEED, description="seed of all random choices")
    topology: Topology = Topology()
    modems: Modems = Modems()
    wan: Wan = Wan()
    server: Server = Server()
    controller: Controller = Controller()
    concentrator: Concentrator = Concentrator()
    probes: Probes = Probes()
    reboot: Reboot = Reboot()
    attack: Attack = Attack()
    backoff: Backoff = Backoff()
    failover: Failover = Failover()
    arp: Arp = Arp()
    hijack: Hijack = Hijack()
    starve: Starve = Starve()
    capture: Capture = Capture()

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, raw: Any) -> Any:
        """What one setting makes usual for others, unless they are given.

        `failover` has two servers, `arp` 8 modems, and 3 hosts behind each, `hijack` and `starve` as many as
        they need; a scenario's `defences=false` stands for all of them. A DSLAM that inserts option 82 is
        trusted on all circuits.
        """
        if not isinstance(raw, dict):
            return raw
        scenario, topology = str(raw.get("scenario")), raw.get("topology")
        usual = [_SIZES.get(scenario, ("", {}))]
        own = raw.get(scenario)
        if isinstance(own, dict) and own.get("defences") in (False, "false"):
            usual += list(DEFENCES.get(scenario, {}).items())
        if scenario in _ADVERSARIES:
            usual.append(("topology", _size_for(raw, scenario)))
        if scenario == "hijack":
            usual.append(("probes", {"interval": 0.2}))
        if isinstance(topology, dict) and topology.get("intermediate_agent") in (True, "true"):
            usual.append(("concentrator", {"trusted_circuits": ("all",)}))
        for part, settings in usual:
            given = raw.get(part, {})
            if part and isinstance(given, dict):
                raw = {**raw, part: {**settings, **given}}
        return raw

    @model_validator(mode="after")
    def _fits(self) -> Spec:
        """Refuse what a scenario cannot do, with the fix."""
        if problem := self._obstacle():
            raise PydanticCustomError("scenario", "{problem}", {"problem": problem})
        return self

    def _obstacle(self) -> str | None:
        backoff, failover, population = self.backoff, self.failover, self.topology.population
        never = backoff.server in ("silent", "slow") or self.server.kind == "dnsmasq"
        if self.scenario == "backoff" and backoff.heard and never:
            return (
                "backoff.heard=true needs a server that answers leasequery first: set backoff.server=dead "
                "or returning, and server.kind=builtin or dhcpd"
            )
        if self.scenario == "backoff" and backoff.server == "slow" and self.wan.reordering:
            return (
                "a reordered answer would not be late: leave wan.reordering out, or set another "
                "backoff.server"
            )
        if self.scenario == "failover":
            if self.server.count != 2:
                return "failover needs two servers: set server.count=2"
            copied = failover.shared or failover.case == "disagreement"
            if copied and self.server.kind != "builtin":
                return "only the built-in server's bindings can be copied: set failover.shared=false"
            if failover.case == "disagreement" and (population or self.topology.modems == 1):
                return (
                    "a host moves to another modem: set topology.modems=2 or more, and "
                    "topology.population=false"
                )
        if self.scenario == "servers" and self.server.dialect != "rfc4388":
            return "the scenario servers uses ISC dhcpd, which speaks only RFC 4388: leave server.dialect out"
        if self.concentrator.admit_reserved and self.server.dialect != "draft-03":
            return "only draft-03 has the R flag: set server.dialect=draft-03, or admit_reserved=false"
        if self.scenario == "arp" and (population or self.topology.subscribers < 2):
            return (
                "arp counts frames at each of several hosts: set at least two hosts, and "
                "topology.population=false"
            )
        if self.scenario in _ADVERSARIES and (problem := self._too_few_hosts()):
            return problem
        if self.scenario in ("dos", "claim") and self.attack.kind == "spoof" and population:
            return (
                "a host that spoofs must be a node of its own: set topology.population=false or "
                "attack.kind=scan"
            )
        return self._too_many_probes() or self._no_such_capture()

    def _too_few_hosts(self) -> str | None:
        """Return why an adversary's scenario cannot have the hosts that it needs."""
        if self.topology.population:
            return f"{self.scenario}: attackers and victims must be nodes: set topology.population=false"
        if self.server.kind == "dnsmasq":
            return (
                f"{self.scenario} must read the server's leases, and cannot read those of dnsmasq: set "
                "server.kind=builtin or dhcpd"
            )
        if self.scenario == "hijack" and (self.probes.direction == "up" or self.probes.pattern != "steady"):
            return (
                "hijack watches the probes to each victim: set probes.pattern=steady and "
                "probes.direction=down or both"
            )
        if self.scenario == "starve" and self.server.count != 1:
            return "starve fills the pool of one server: set server.count=1"
        needed = getattr(self, self.scenario).modems(self.topology.hosts_per_modem or 1)
        if (self.topology.modems or 2) >= needed:
            return None
        return (
            f"{self.scenario} needs {needed} modems: leave topology.modems out, raise it, or choose fewer "
            "attacks"
        )

    def _too_many_probes(self) -> str | None:
        least = self._flows / MOST_PROBES_PER_SECOND
        if self.probe_interval >= least:
            return None
        return (
            f"{self._flows / self.probe_interval:,.0f} probes per second for all hosts together are more "
            f"than the limit of {MOST_PROBES_PER_SECOND:,}: set probes.interval to at least {least}"
        )

    def _no_such_capture(self) -> str | None:
        servers = ["server", "server2"][: self.server.count]
        count = 0 if self.topology.population else self.topology.subscribers
        hosts = [f"host{number}" for number in range(1, count + 1)]
        fixed = ["concentrator", "internet", "network", *servers]
        wrong = next((name for name in self.capture.nodes if name not in {*fixed, *hosts}), None)
        if wrong is None:
            return None
        there = ", ".join(fixed) + (f", {hosts[0]} to {hosts[-1]}" if hosts else "")
        why = "" if hosts else " (with topology.population=true, hosts are not nodes)"
        return f"capture.nodes: no capture is possible at {wrong!r}; use {there}{why}"

    @property
    def leases_per_circuit(self) -> int:
        """Addresses that the clients of a circuit may use up, as given or by default; 0: any number."""
        given = self.server.leases_per_circuit
        return max(16, 2 * (self.topology.hosts_per_modem or 1)) if given is None else given

    @property
    def timeout(self) -> float:
        """Seconds to wait for all subscribers to be back, as given or by default.

        A concentrator that does not know yet that the server supports leasequery polls it after 10 s, 20 s
        and so on (6.6), so with loss it may take minutes until the first answer comes.
        """
        default = 180.0 if self.wan.loss else 10.0
        return (self.reboot.timeout or default) + self.modems.delay

    @property
    def probe_interval(self) -> float:
        """Seconds between two probes of the same host in a direction, as given or by default."""
        return self.probes.interval or max(0.05, self._flows / PROBES_PER_SECOND)

    @property
    def _flows(self) -> int:
        """Of how many there is one probe in each interval."""
        return self.topology.subscribers * (2 if self.probes.direction == "both" else 1)

    def value(self, name: str) -> Any:
        """Return the value of a field by its dotted name."""
        value: Any = self
        for part in name.split("."):
            value = getattr(value, part)
        return value.model_dump() if isinstance(value, BaseModel) else value


def _size_for(raw: dict[str, Any], scenario: str) -> dict[str, Any]:
    """Return how large the network of an adversary's scenario is unless told otherwise."""
    part, usual = _ADVERSARIES[scenario]
    topology = raw.get("topology", {})
    try:
        behind = int(topology.get("hosts_per_modem") or usual)
        return {"hosts_per_modem": usual, "modems": part.model_validate(raw.get(scenario, {})).modems(behind)}
    except (AttributeError, ValidationError, TypeError, ValueError, ZeroDivisionError):
        return {}  # what is wrong is said where all is validated


def load(scenario_or_path: str | Path, settings: Mapping[str, Any] | None = None) -> Spec:
    """Return the specification that a scenario's name or a YAML file gives, with `settings` on top.

    `settings` maps dotted names (`probes.interval`) to values. Raises BadInput with one line.
    """
    errors.expect(scenario_or_path, (str, Path), "the scenario", 'give its name, such as "reboot"')
    settings = {} if settings is None else settings
    errors.expect(
        settings,
        Mapping,
        "the argument for the settings",
        'write names with values, such as {"wan.delay": 0.02}',
    )
    for name in settings:
        errors.expect(name, str, "the name of a setting", 'write it as "wan.delay"')
    scenario_or_path, document = str(scenario_or_path), None
    if scenario_or_path in SCENARIOS:
        raw: dict[str, Any] = {"scenario": scenario_or_path}
    elif scenario_or_path.endswith((".yaml", ".yml")):
        document = yaml_file.load(scenario_or_path)
        raw = _mapping(document)
    else:
        scenarios = ", ".join(SCENARIOS)
        said = errors.unknown("scenario", scenario_or_path, SCENARIOS)
        raise errors.BadInput(f"{said} (scenarios: {scenarios}; or give a .yaml file)")
    for name, value in settings.items():
        raw = _with(raw, name.split("."), value, name)
    return _validated(raw, document, settings)


def read(document: yaml_file.Document) -> Spec:
    """Return the specification that a file holds. Raises BadInput with one line: file, line and key."""
    return _validated(_mapping(document), document, {})


def _mapping(document: yaml_file.Document) -> dict[str, Any]:
    if not isinstance(document.data, dict):
        said = "expected settings, such as `scenario: reboot`"
        raise errors.BadInput(document.within([], said))
    return document.data


def _validated(raw: dict[str, Any], document: yaml_file.Document | None, settings: Mapping[str, Any]) -> Spec:
    try:
        return Spec.model_validate(raw)
    except ValidationError as error:
        said, keys = errors.first_problem(error, fields()), error.errors(include_url=False)[0]["loc"]
        if said.startswith("unknown key") and not said.endswith("?"):
            said += " (lq run --explain lists all)"
        name = ".".join(map(str, keys))
        of_file = document is not None and not any(f"{name}.".startswith(f"{key}.") for key in settings)
        raise errors.BadInput(document.within(keys, said) if document and of_file else said) from None


def _with(raw: Mapping[str, Any], path: Sequence[str], value: Any, name: str) -> dict[str, Any]:
    """Return `raw` with a value at a path; what aliases share is not changed in the other places."""
    root = inside = dict(raw)
    for part in path[:-1]:
        below = inside.get(part, {})
        if not isinstance(below, dict):
            raise errors.BadInput(
                f"{errors.shown(name)}: {errors.shown(part)} is a single value and has no fields"
            )
        inside[part] = inside = dict(below)
    inside[path[-1]] = value
    return root


def parse_setting(text: str) -> tuple[str, Any]:
    """Take `KEY=VALUE` apart; the value is read as YAML (numbers, true, false, text)."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise errors.BadInput(
            f"--set {errors.shown(text)}: write KEY=VALUE, for example --set probes.interval=0.1"
        )
    try:
        return name, yaml_file.parse(value, name).data
    except yaml_file.YamlError as error:
        raise errors.BadInput(f"--set {errors.shown(text)}: {error.said}") from None


class Setting(NamedTuple):
    """A field that can be set: what it means (with its unit), its values, and what it is if not given."""

    meaning: str
    values: str
    default: Any


def fields(model: type[BaseModel] = Spec, prefix: str = "") -> dict[str, Setting]:
    """Return every dotted name with what there is to know about it."""
    names: dict[str, Setting] = {}
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names.update(fields(kind, f"{prefix}{name}."))
        else:
            names[f"{prefix}{name}"] = Setting(info.description or "", _values(info), info.default)
    return names


def _values(info: FieldInfo) -> str:
    """Say in words which values a field takes."""
    kinds = [kind for kind in get_args(info.annotation) or (info.annotation,) if kind is not type(None)]
    if get_origin(info.annotation) is tuple:
        most = next(bound.max_length for bound in info.metadata if isinstance(bound, MaxLen))
        of = get_args(info.annotation)[0]
        names = f" of {', '.join(get_args(of))}" if get_origin(of) is Literal else ""
        return f"[NAME, ...]{names}, {most} at most"
    if get_origin(info.annotation) is Literal:
        return ", ".join(kinds)
    if bool in kinds:
        return "true, false"
    if str in kinds:
        return "text"
    bounds = {type(bound): bound for bound in info.metadata}
    low = f"above {_number(bounds[Gt].gt)}" if Gt in bounds else _number(bounds[Ge].ge)
    if Lt in bounds:
        return f"{low} to below {_number(bounds[Lt].lt)}"
    return f"{low} to {_number(bounds[Le].le)}" if Le in bounds else f"{low} or more"


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"
