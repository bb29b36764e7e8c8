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
    "reboot": "The concentrator loses its memory: how long until each subscriber is reachable again?",
    "dos": "A flood for or from a great many addresses: what does it cost, and whom?",
    "claim": "One query for each subscriber after a reboot, whatever is scanned: is that so (R7-5)?",
    "replace": "Another concentrator takes its place, with other addresses of its own: do the hosts notice?",
    "backoff": "The server is dead, slow, silent, or comes back: how many queries reach it, and is that "
    "within the draft's bounds (6.6)?",
    "failover": "One of two servers dies around the reboot, or they disagree: who comes back, whose answer "
    "counts (R4.4-1, R6.7-1)?",
    "arp": "Broadcast ARP or leasequery: what does each host have to process, and can a neighbour steal "
    "its traffic (R4.1-1)?",
    "hijack": "Whom do server and concentrator believe: can a subscriber, or somebody on or off the path, "
    "take over, cut off or spy on another?",
    "starve": "One subscriber floods with DHCP: do others still get a lease, and answers to leasequery?",
    "servers": "The built-in server and ISC dhcpd under the same reboot: who answers how well?",
}


class Topology(_Part):
    """Which figure, and how large."""

    figure: Literal["cable", "dsl"] = Field("cable", description="the draft's figure")
    modems: int | None = Field(
        None,
        ge=1,
        le=65000,
        description="modems; the figure's own number if not given (arp: 8); at most 1000 unless a population",
    )
    hosts_per_modem: int | None = Field(
        None,
        ge=1,
        le=250,
        description="hosts behind each modem; the figure's own numbers if not given (arp: 3)",
    )
    population: bool = Field(
        False,
        description="one process plays all modems and hosts, instead of a device and a namespace for each",
    )
    stacked_tags: bool = Field(
        False, description="two VLAN tags for each circuit; always so beyond 4,094 circuits"
    )
    access_node: str = Field(
        "dslam1", pattern="^[!-~]{1,50}$", description="the DSLAM's name in circuit-ids (dsl)"
    )
    ingress_filter: bool = Field(
        True,
        description="the router drops packets whose source cannot come from where they come (BCP 38)",
    )

    intermediate_agent: bool = Field(
        False,
        description="the DSLAM inserts option 82 into the subscribers' messages itself, and the concentrator "
        "trusts it (dsl; TR-101, RFC 3046)",
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
                "agent", "only a DSLAM inserts option 82 itself: set topology.figure=dsl, or leave it out"
            )
        if (self.modems or 0) > MOST_DEVICES and not self.population:
            raise PydanticCustomError(
                "devices", "at most {most} modems are devices of their own: set topology.population=true",
                {"most": MOST_DEVICES},
            )  # fmt: skip
        receptions = (self.modems or 0) * self.subscribers
        if self.figure == "cable" and not self.population and receptions > MOST_RECEPTIONS:
            raise PydanticCustomError(
                "cable",
                "{modems} modems with {hosts} hosts are too many devices on one cable (modems times hosts: "
                "at most {most}): set topology.population=true",
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
        "frames", description="the modems register with each new concentrator, or it is told beforehand"
    )
    delay: float = Field(
        0.0, ge=0, le=3600, description="seconds from the concentrator's coming up to the modems' registering"
    )


class Wan(_Part):
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


class Server(_Part):
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


class Controller(_Part):
    """The concentrator's control software."""

    framework: Literal["ryu", "os-ken"] = Field("ryu", description="controller framework")


class Concentrator(_Part):
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


class Probes(_Part):
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


class Reboot(_Part):
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


class Attack(_Part):
    """The flood of the scenarios `dos` and `claim`."""

    kind: Literal["scan", "spoof"] = Field(
        "scan",
        description="from the Internet to one address after the other, or from a host, as if from them",
    )
    pattern: Literal["sequential", "random", "out-of-range", "mixed", "hit-list"] = Field(
        "sequential",
        description="which addresses (dos): of the range in order or shuffled, of none of the concentrator's "
        "networks, half of these and half of those, or the subscribers' own",
    )
    addresses: int | None = Field(
        500, ge=1, le=65519, description="how many of the range, over and over; the whole range if null"
    )
    rate: float = Field(1000.0, gt=0, le=100_000, description="packets per second")
    duration: float = Field(10.0, gt=0, le=3600, description="seconds of the attack")
    during_reboot: bool = Field(
        True, description="the concentrator reboots as the attack begins; false: the attack alone (dos)"
    )


class Backoff(_Part):
    """What is wrong with the first server in the scenario `backoff`, and for how long."""

    server: Literal["dead", "slow", "silent", "returning"] = Field(
        "dead",
        description="it is killed; answers late; answers no leasequery; is killed and comes back",
    )
    heard: bool = Field(
        False,
        description="it has answered leasequeries before it dies, so it is known to support them; else the "
        "concentrator reboots when it is dead (not with silent, slow)",
    )
    duration: float = Field(45.0, gt=0, le=3600, description="seconds for which its packets are counted")
    after: float = Field(15.0, ge=0, le=3600, description="seconds until it comes back (returning)")
    late: float = Field(12.0, gt=0, le=20, description="seconds by which its answers are late (slow)")
    addresses: int = Field(
        200, ge=0, le=60000, description="addresses of nobody's that there is traffic for, too"
    )


class Failover(_Part):
    """What happens to two servers in the scenario `failover`."""

    case: Literal["death", "disagreement"] = Field(
        "death",
        description="a server dies; or a host moves, and only one server hears of it",
    )
    when: Literal["before", "during", "after"] = Field(
        "during",
        description="the server with the most leases dies before the concentrator does, while it is down, or "
        "when the new one has taken over (death)",
    )
    shared: bool = Field(
        True, description="each server has a copy of the other's bindings, as a failover pair (death)"
    )
    returns: float | None = Field(
        None, ge=0, le=3600, description="seconds until the dead server comes back; null: it does not (death)"
    )


class Arp(_Part):
    """The scenario `arp`: the same reboot twice, by broadcast ARP and by leasequery."""

    spoofer: bool = Field(True, description="the first host answers every ARP request for a neighbour")
    duration: float = Field(5.0, gt=0, le=600, description="seconds watched after each reboot")


class Capture(_Part):
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
    backend: Literal["mininet"] = Field("mininet", description="real packets in Mininet")
    seed: int = Field(1, ge=0, le=MOST_SEED, description="seed of everything random")
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
            return "backoff.heard=true needs a server that answers leasequery, and is then dead or returning"
        if self.scenario == "backoff" and backoff.server == "slow" and self.wan.reordering:
            return "a reordered answer would not be late: leave wan.reordering out, or another backoff.server"
        if self.scenario == "failover":
            if self.server.count != 2:
                return "failover is between two servers: set server.count=2"
            copied = failover.shared or failover.case == "disagreement"
            if copied and self.server.kind != "builtin":
                return "only the built-in server's bindings can be copied: set failover.shared=false"
            if failover.case == "disagreement" and (population or self.topology.modems == 1):
                return "a host moves to another modem: at least two modems, and topology.population=false"
        if self.scenario == "servers" and self.server.dialect != "rfc4388":
            return "servers compares with ISC dhcpd, which speaks RFC 4388: leave server.dialect out"
        if self.concentrator.admit_reserved and self.server.dialect != "draft-03":
            return "only draft-03 has the R flag: set server.dialect=draft-03, or admit_reserved=false"
        if self.scenario == "arp" and (population or self.topology.subscribers < 2):
            return "frames are counted at each host: at least two hosts, and topology.population=false"
        if self.scenario in _ADVERSARIES and (problem := self._too_few_hosts()):
            return problem
        if self.scenario in ("dos", "claim") and self.attack.kind == "spoof" and population:
            return "a host that spoofs is a node of its own: topology.population=false or attack.kind=scan"
        return self._too_many_probes() or self._no_such_capture()

    def _too_few_hosts(self) -> str | None:
        """Return why an adversary's scenario cannot have the hosts that it needs."""
        if self.topology.population:
            return f"{self.scenario}: attackers and victims are nodes, so topology.population=false"
        if self.server.kind == "dnsmasq":
            return f"{self.scenario}: leases of dnsmasq are not read; use server.kind=builtin or dhcpd"
        if self.scenario == "hijack" and (self.probes.direction == "up" or self.probes.pattern != "steady"):
            return "hijack judges what victims are sent: set probes.pattern=steady and direction=down or both"
        if self.scenario == "starve" and self.server.count != 1:
            return "starve fills one server's pool: set server.count=1"
        needed = getattr(self, self.scenario).modems(self.topology.hosts_per_modem or 1)
        if (self.topology.modems or 2) >= needed:
            return None
        return (
            f"{self.scenario} needs hosts of their own behind {needed} modems: leave topology.modems out, "
            "raise it, or try less"
        )

    def _too_many_probes(self) -> str | None:
        least = self._flows / MOST_PROBES_PER_SECOND
        if self.probe_interval >= least:
            return None
        return (
            f"{self._flows / self.probe_interval:,.0f} probes a second for all hosts together, more than "
            f"{MOST_PROBES_PER_SECOND:,}: set probes.interval to at least {least}"
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
        why = "" if hosts else "; with topology.population=true hosts are not nodes"
        return f"capture.nodes: no captures at {wrong!r}, but at {there}{why}"

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
    errors.expect(settings, Mapping, "what is set", 'write {"wan.delay": 0.02}, a name and a value each')
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
        raise errors.BadInput(f"{said} (there is: {scenarios}, or give a .yaml file)")
    for name, value in settings.items():
        raw = _with(raw, name.split("."), value, name)
    return _validated(raw, document, settings)


def read(document: yaml_file.Document) -> Spec:
    """Return the specification that a file holds. Raises BadInput with one line: file, line and key."""
    return _validated(_mapping(document), document, {})


def _mapping(document: yaml_file.Document) -> dict[str, Any]:
    if not isinstance(document.data, dict):
        said = "expected a mapping of settings, such as `scenario: reboot`"
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
            raise errors.BadInput(f"{errors.shown(name)}: {errors.shown(part)} is a value and has no parts")
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
