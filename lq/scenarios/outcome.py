"""What a scenario hands over when it is over: its phases, what its attackers told, and the run's result.

Moments are seconds on the network's clock (`lq.scenarios.network`). A scenario that measures something of its
own derives a class from `Phase` or `Result`, with a field for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AttackReport:
    """What an attack says at its end; all but its name is None where it ended without a report.

    rate            as asked for, packets per second
    packets         how many were sent
    refused         how many found no room where they were sent
    addresses       for (or from) how many different addresses all these were
    started, ended  moments
    late            seconds by which packets were late against the schedule, 99th percentile
    sent            frames by the number of the trial that they belong to (`hijack`)
    """

    name: str
    rate: float | None = None
    packets: int | None = None
    refused: int | None = None
    addresses: int | None = None
    started: float | None = None
    ended: float | None = None
    late: float | None = None
    sent: Mapping[int, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what it told, without what it did not."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Theft:
    """What a host that claims its neighbours' addresses came to.

    answers   ARP replies that it sent
    stolen    packets that came to it though they were for a neighbour, by the neighbour's address
    """

    answers: int
    stolen: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of a run that is measured.

    start, end          moments
    ready               when a new controller could forward again; `start` without a reboot
    registered          when all modems had registered with it, None if they have not
    server_cpu_s, controller_cpu_s, switch_cpu_s     processor seconds used meanwhile; of a controller that
                        started in the phase, since its start
    controller_memory   octets at the end, None if it does not run
    attacks             what each attack reported
    delivered           attack packets that hosts got, None where nobody can tell
    """

    name: str
    start: float
    ready: float
    end: float
    registered: float | None
    server_cpu_s: float
    controller_cpu_s: float
    switch_cpu_s: float
    controller_memory: int | None
    attacks: Sequence[AttackReport] = ()
    delivered: int | None = None


@dataclass(frozen=True)
class Died:
    """A controller that ended by itself: its name, its exit status, and the last line that it said."""

    name: str
    status: int
    said: str


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What the machine did to a run.

    seconds        for which it was watched
    clock_step_s   seconds by which the time of day was set meanwhile
    processes      what each process had of the processors, by name (`lq.results.validity.Scheduled`)
    processors     of the machine
    stolen_s       seconds that a hypervisor took from all processors
    udp_drops, upcall_drops, capture_drops, port_drops     packets that found no room: at a socket, on the
                   switch's way to its slow path, in a capture, at a port of the switch
    """

    seconds: float
    clock_step_s: float
    processes: Mapping[str, Mapping[str, float]]
    processors: int | None
    stolen_s: float
    udp_drops: int
    upcall_drops: int
    capture_drops: int
    port_drops: int


@dataclass(frozen=True, kw_only=True)
class Observed(Watched):
    """All that was observed of a run's fidelity, for `lq.results.validity` to judge.

    wan               what each impaired way to a server reports, by node
    wan_emulator      what impaired the ways, in words
    population_drops  frames that the emulation of the subscribers lost
    died              controllers that ended by themselves
    agent             what the DSLAM's intermediate agent counted, None without one
    """

    wan: Mapping[str, Any]
    wan_emulator: str
    population_drops: int
    died: Sequence[Died]
    agent: Mapping[str, int] | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a scenario came to. Time zero of the tables is `killed`, the start of the first phase.

    ready, registered, server_cpu_s, controller_cpu_s     of the first phase
    ended        moment of the end
    clock        seconds by which the time of day, which captures have, is ahead of the network's clock
    addresses    each subscriber's address by its name
    """

    killed: float
    ready: float
    registered: float | None
    ended: float
    clock: float
    addresses: Mapping[str, str]
    server_cpu_s: float
    controller_cpu_s: float
    phases: Sequence[Phase] = field(default_factory=tuple)
    observed: Observed

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can say it: one object, its parts by the fields' names."""
        told = asdict(self)
        for row, phase in zip(told["phases"], self.phases, strict=True):
            row["attacks"] = [report.as_json() for report in phase.attacks]
        return told
