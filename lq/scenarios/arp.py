"""`arp`: the same reboot by broadcast ARP and by leasequery (section 4.1, R4.1-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lq.progress import Progress
from lq.results.schema import VERDICT, Column, prefixed
from lq.scenarios.course import begin, finish, phase, watch_until
from lq.scenarios.network import Network, Started
from lq.scenarios.outcome import Phase, Result, Theft
from lq.scenarios.parts.common import Common
from lq.scenarios.parts.part import Part
from lq.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from lq.results.evidence import Evidence
from lq.scenarios.course import restart

MODES = ("arp", "leasequery")


class Arp(Part):
    """The scenario `arp`: the same reboot twice, by broadcast ARP and by leasequery."""

    spoofer: bool = Field(True, description="the first host answers every ARP request for a neighbour")
    duration: float = Field(5.0, gt=0, le=600, description="seconds of watching after each reboot")


@dataclass(frozen=True, kw_only=True)
class ArpPhase(Phase):
    """One reboot in one mode.

    arp_requests     that reached hosts, summed up over these
    access_packets   frames that left the concentrator downstream
    work_cpu_s       processor seconds of the controller once it had taken over
    spoofed_answers  that the thief sent
    stolen           packets for each neighbour that came to the thief instead, by address
    """

    arp_requests: int
    access_packets: int
    work_cpu_s: float
    spoofed_answers: int
    stolen: Mapping[str, int]


def arp(network: Network, options: Arp, tell: Progress) -> Result:
    """Reboot once in each mode, beside a host that claims its neighbours' addresses (`ArpPhase`)."""
    spec = network.spec
    once = options.duration + spec.reboot.downtime + 10
    leases = begin(network, tell, len(MODES) * once)
    return finish(network, leases, [_phase(network, options, tell, mode, leases) for mode in MODES])


class _Watchers:
    """What is noted during a phase, from its reboot on."""

    def __init__(self, network: Network, options: Arp, mode: str, leases: Mapping[str, str]) -> None:
        """Begin while the concentrator is down: what it knew before is no theft of this phase."""
        thief, address = next(iter(leases.items()))
        self.counting = network.count_arp(f"count-{mode}")
        self.stealing: Started[Theft] | None = None
        if options.spoofer:
            self.stealing = network.spoof_arp(f"spoof-{mode}", thief, address)
        self.sent = network.sent_downstream()


def _phase(network: Network, options: Arp, tell: Progress, mode: str, leases: Mapping[str, str]) -> ArpPhase:
    network.behave(mode=mode)
    begun: list[_Watchers] = []
    work: list[float] = []

    def course() -> float:
        ready = restart(network, tell, lambda: begun.append(_Watchers(network, options, mode, leases)))
        work.append(network.usage("controller").cpu_s)
        watch_until(network, ready, options.duration, mode, tell)
        return ready

    measured = phase(network, mode, course)
    [watchers], [worked] = begun, work
    sent, now_worked = network.sent_downstream(), network.usage("controller").cpu_s
    counts = watchers.counting.stop()
    theft = Theft(0, {}) if watchers.stealing is None else watchers.stealing.stop()
    return ArpPhase(
        **vars(measured),
        arp_requests=sum(counts.values()),
        access_packets=sent - watchers.sent,
        work_cpu_s=now_worked - worked,
        spoofed_answers=theft.answers,
        stolen=theft.stolen,
    )


def refuses(spec: Common, options: Arp) -> str | None:
    """Frames are counted at hosts that are nodes."""
    if spec.topology.population or spec.topology.subscribers < 2:
        return (
            "arp counts frames at each of several hosts: set at least two hosts, and "
            "topology.population=false"
        )
    return None


def summarize(spec: Common, options: Arp, evidence: Evidence) -> dict[str, Any]:
    """Return the keys for the phase of ARP, with `leasequery_` before them for the other, and `verdict`."""
    rows = {str(row["phase"]): row for row in evidence.phases}
    result = evidence.result
    found: dict[str, Any] = {}
    for one in result["phases"]:
        prefix = "" if one["name"] == "arp" else f"{one['name']}_"
        row, neighbours = rows[one["name"]], len(result["addresses"]) - 1
        owners = set(result["addresses"].values())
        stolen = {address: count for address, count in one["stolen"].items() if address in owners}
        found |= {
            f"{prefix}arp_frames_per_host": one["arp_requests"] / len(owners),
            f"{prefix}work_cpu_s": one["work_cpu_s"],
            f"{prefix}switch_cpu_s": one["switch_cpu_s"],
            f"{prefix}access_packets": one["access_packets"],
            f"{prefix}spoofed_answers": one["spoofed_answers"],
            f"{prefix}spoofed_locations": len(stolen),
            f"{prefix}spoofed_share": len(stolen) / neighbours,
            f"{prefix}stolen_packets": sum(stolen.values()),
            f"{prefix}reached": int(row["reached"]),
        }
        if prefix:
            found[f"{prefix}queries_sent"] = int(row["queries_sent"])
    return {**found, "verdict": _verdict(options, found)}


def _verdict(options: Arp, found: Mapping[str, Any]) -> str:
    told = (
        f"each host had to process {found['arp_frames_per_host']:.1f} ARP requests, "
        f"{found['leasequery_arp_frames_per_host']:.1f} with leasequery; {found['access_packets']} frames "
        f"left the concentrator downstream, {found['leasequery_access_packets']} with leasequery"
    )
    if not options.spoofer:
        return told
    return (
        f"{told}; the thief got the traffic of {100 * found['spoofed_share']:.0f} % of its neighbours, "
        f"{100 * found['leasequery_spoofed_share']:.0f} % with leasequery"
    )


_KEYS = (
    Column("arp_frames_per_host", "number", "frames", "ARP requests that each host had to process, the mean"),
    Column("work_cpu_s", "number", "s", "processor time of the controller once it had taken over"),
    Column("switch_cpu_s", "number", "s", "processor time of the switch, from the reboot on"),
    Column("access_packets", "number", "frames", "that left the concentrator downstream, probes and all"),
    Column("spoofed_answers", "number", "frames", "ARP replies that the thief sent"),
    Column("spoofed_locations", "number", "hosts", "neighbours whose packets came to the thief"),
    Column("spoofed_share", "number", "", "the same, of all neighbours"),
    Column("stolen_packets", "number", "packets", "for neighbours that came to the thief"),
    Column("reached", "number", "hosts", "that got a probe of theirs"),
)

SCENARIO = Scenario(
    name="arp",
    question="The same reboot with broadcast ARP and with leasequery. How much must each host "
    "process, and can a neighbour steal its traffic (R4.1-1)?",
    place=7,
    options=Arp,
    section="arp",
    sizes={"topology": {"modems": 8, "hosts_per_modem": 3}},
    refuses=refuses,
    play=arp,
    phase_columns=(
        Column("arp_requests", "number", "frames", "ARP requests that reached hosts, all together"),
        Column("access_packets", "number", "frames", "that left the concentrator downstream"),
        Column("work_cpu_s", "number", "s", "processor time of the controller once it had taken over"),
        Column("spoofed_answers", "number", "frames", "ARP replies that the thief sent"),
    ),
    keys=(
        *_KEYS,
        *prefixed("leasequery_", _KEYS, "by leasequery: "),
        Column("leasequery_queries_sent", "number", "queries", "first transmissions, by leasequery"),
        VERDICT,
    ),
    summarize=summarize,
)
