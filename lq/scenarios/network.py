"""The one interface between a scenario and the network that it plays on: `Network`.

`lq.emulation.network.Emulation` implements it with a real switch, real servers and real clients. Whatever a
scenario does to a network it does by these methods, so that it runs in any world that has them. Moments are
seconds on the network's clock, which begins anywhere and never goes back; `now` reads it. Hosts and modems go
by their names in the figure ("host1", "modem1"), servers by their number from 0, addresses are text with
dots, unless a method says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import Literal, NamedTuple, Protocol, TypeVar

from lq.progress import Progress
from lq.scenarios.cast import Cast
from lq.scenarios.outcome import AttackReport, Observed, Theft
from lq.scenarios.parts.common import Common
from lq.scenarios.trials import Moment
from lq.server.bindings import Binding

Kind = Literal["scan", "spoof"]
Pattern = Literal["sequential", "random", "out-of-range", "mixed", "hit-list"]
Component = Literal["controller", "server", "switch"]
DhcpFlood = Literal["discover", "request", "decline", "inform"]
Identities = Literal["one", "many"]
Found_co = TypeVar("Found_co", covariant=True)


class Pool(NamedTuple):
    """Addresses for leases: the first and the last."""

    first: IPv4Address
    last: IPv4Address


class Usage(NamedTuple):
    """Resources of one part of the network: processor seconds so far, and octets of memory now.

    The memory is None where the part does not run.
    """

    cpu_s: float
    memory: int | None


class Started(Protocol[Found_co]):
    """Something that goes on until it is stopped."""

    def stop(self) -> Found_co:
        """End it, and return what it found."""


class Attack(Started[AttackReport], Protocol):
    """Traffic of an attacker's, made ready; it ends by itself once all is sent."""

    @property
    def running(self) -> bool:
        """Whether it was started and still sends."""

    def start(self) -> None:
        """Begin to send."""


class Armed(Attack, Protocol):
    """An attack that waits, once started, for the moment to send."""

    def fire(self) -> None:
        """Send now."""


class Senders(NamedTuple):
    """The forgers of one moment.

    down     send while the concentrator is down
    burst    send when fired, as a new controller takes over
    up       send while the concentrator is up
    on_path  answer what passes on the way to the servers
    """

    down: Sequence[Attack]
    burst: Sequence[Armed]
    up: Sequence[Attack]
    on_path: Sequence[Attack]


class Awaited(Protocol):
    """Subscribers whose probes are waited for."""

    @property
    def count(self) -> int:
        """How many they are."""

    def reached(self) -> int:
        """Return to how many of them a probe has come, in each of their directions."""


class Network(Protocol):
    """A network with its concentrator, servers, subscribers and attackers, as a scenario sees it.

    What the specification says of topology, traffic, captures and impairments it has from the beginning.
    """

    @property
    def spec(self) -> Common:
        """The specification that it is built from."""

    # -- the clock

    def now(self) -> float:
        """Return the present moment, in seconds."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds go by; none if that is negative."""

    def time_of_day_ahead(self) -> float:
        """Return by how many seconds the time of day, which captures have, is ahead of `now`."""

    # -- bringing it up

    @property
    def pool(self) -> Pool:
        """All addresses that the servers may lease, whether it is up or not."""

    def bring_up(self, pool: Pool | None = None) -> None:
        """Start everything but the hosts' DHCP clients; return when all modems can be reached.

        The first server leases from `pool`; without it each server has its share of all addresses.
        Raises RunFailed.
        """

    def stop(self) -> Observed:
        """End everything in an orderly way; return what was observed of the run's fidelity."""

    # -- the hosts

    def hosts(self) -> list[str]:
        """Return the names of all hosts, in the order of the figure."""

    def lease_all(self, tell: Progress, first: int | None = None) -> dict[str, str]:
        """Start the DHCP clients of all hosts, or of the `first` so many; wait until each has an address.

        Returns address by host, in the order of the figure. Raises RunFailed.
        """

    def start_client(self, host: str) -> None:
        """Have a host look for a lease, and renew it from then on."""

    def stop_client(self, host: str) -> None:
        """End a host's DHCP client, which tells nobody."""

    def leased_address(self, host: str) -> str | None:
        """Return the address that a host holds now, None without a lease."""

    def modem_of(self, host: str) -> str:
        """Return the modem that a host was built behind."""

    def tags_of(self, modem: str) -> tuple[int, ...]:
        """Return the VLAN tags of a modem's circuit, outer first."""

    def plug(self, host: str, modem: str) -> float:
        """Plug a host in behind another modem, where its client forgets its lease and asks anew.

        Returns the moment.
        """

    # -- the probes

    def start_probes(self, leases: Mapping[str, str], interval: float, maximum_seconds: float) -> None:
        """Probe these hosts (address by name) as specified, until `stop_probes` or for so many seconds.

        `interval` is the mean time between two probes of a host in a direction, in seconds.
        """

    def stop_probes(self) -> None:
        """Stop to send, wait for what is under way, stop to receive."""

    def awaited(self, since: float, until: float) -> Awaited:
        """Return the subscribers that have a probe due between two moments.

        One counts as reached once a probe arrived after `since` in each direction that it has one due in.
        """

    def latest_arrival(self, host: str) -> float:
        """Return when a host's latest probe arrived, in the direction where that is longest ago."""

    # -- the concentrator

    def kill_controller(self) -> float:
        """Have the concentrator fail: its memory and its flows are gone. Returns the moment."""

    def start_controller(self) -> float:
        """Start it with an empty memory; return the moment at which it could forward again.

        Raises RunFailed.
        """

    def behave(
        self,
        *,
        mode: str | None = None,
        negative_cache: bool | None = None,
        ciaddr_restriction: bool | None = None,
    ) -> None:
        """Have the concentrator behave otherwise from its next start on (`lq.scenarios.parts.control`).

        What is None is as specified.
        """

    def change_identity(self) -> None:
        """Put another concentrator in the place of the one that was killed: other addresses of its own."""

    def registered_at(self) -> float | None:
        """Return when all modems had registered since the latest start; None if they have not."""

    def sent_downstream(self) -> int:
        """Return how many frames have left the concentrator downstream so far."""

    # -- the servers

    def server_name(self, number: int) -> str:
        """Return a server's name."""

    def holder(self, address: str) -> int:
        """Return the server whose share of the addresses this one is in."""

    def bindings(self, number: int) -> list[Binding]:
        """Return what a server has bound, by address. Raises BadInput where nobody can tell."""

    def kill_server(self, number: int) -> None:
        """Have a server fail at once; it keeps what it has stored."""

    def start_server(self, number: int, *, pool: Pool | None = None, leasequery: bool | None = None) -> None:
        """Start a server with what it has stored, after an orderly end if it runs; return when it answers.

        From now on it leases from `pool`, and answers leasequery or not; what is None stays as it is.
        Raises RunFailed.
        """

    def share_bindings(self) -> None:
        """Give each server a copy of the others' bindings, and the whole pool: what a failover pair has."""

    def lengthen_way(self, seconds: float) -> None:
        """Have packets take so many seconds more on the way to each server, and as many on the way back.

        Raises RunFailed where the network has no place for that.
        """

    # -- what it costs

    def usage(self, part: Component) -> Usage:
        """Return what a part uses; "server": all servers together."""

    def discarded(self) -> int | None:
        """Return how many packets reached hosts at a port where nobody listens, as those of `flood` do.

        None where nobody can tell.
        """

    # -- attackers. `name` tells one attack from another in what they leave.

    def flood(
        self,
        name: str,
        kind: Kind,
        pattern: Pattern,
        rate: float,
        packets: int,
        *,
        source: str = "internet",
        addresses: int | None = None,
        listed: Sequence[str] = (),
    ) -> Attack:
        """Make a flood ready: so many packets, `rate` a second.

        A "scan" goes from a host of the Internet to one address after the other; a "spoof" from a subscriber,
        as if from one address after the other. They go round the first `addresses` of the pool (all if None)
        as the `pattern` says: in order, shuffled, half of them out of the range, all out of it, or those
        that are `listed`.
        """

    def dhcp_flood(
        self, name: str, host: str, flood: DhcpFlood, identities: Identities, wanted: Sequence[str],
        rate: float, packets: int,
    ) -> Attack:  # fmt: skip
        """Make a flood of DHCP by a host with a lease ready: so many messages, `rate` a second.

        `wanted` are the addresses that it wants (`lq.scenarios.starve.Starve`).
        """

    def forgers(self, cast: Cast, leases: Mapping[str, str]) -> Forgers:
        """Make the attackers of `hijack` ready; `leases` is address by host, and all of them are leased."""

    def count_arp(self, name: str) -> Started[Mapping[str, int]]:
        """Count ARP requests at every host from now on; what is found is their number by host."""

    def spoof_arp(self, name: str, host: str, address: str) -> Started[Theft]:
        """Have a host, whose address this is, answer all its neighbours' ARP requests as if they were its."""


class Forgers(Protocol):
    """The attackers of `hijack`, who know what anybody on a victim's link knows."""

    def watch(self) -> None:
        """Note from now on what reaches the attackers though it is not for them."""

    def stop_watching(self) -> None:
        """Stop that. What they saw is in the run's raw data."""

    def senders(self, moment: Moment) -> Senders:
        """Make all forgeries of a moment ready."""
