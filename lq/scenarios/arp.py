"""`arp`: the same reboot by broadcast ARP and by leasequery (section 4.1, R4.1-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lq.progress import Progress
from lq.scenarios.course import begin, finish, phase, watch_until
from lq.scenarios.network import Network, Started
from lq.scenarios.phases import Phase, Result, Theft
from lq.scenarios.reboot import restart

MODES = ("arp", "leasequery")


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


def arp(network: Network, tell: Progress) -> Result:
    """Reboot once in each mode, beside a host that claims its neighbours' addresses (`ArpPhase`)."""
    spec = network.spec
    once = spec.arp.duration + spec.reboot.downtime + 10
    leases = begin(network, tell, len(MODES) * once)
    return finish(network, leases, [_phase(network, tell, mode, leases) for mode in MODES])


class _Watchers:
    """What is noted during a phase, from its reboot on."""

    def __init__(self, network: Network, mode: str, leases: Mapping[str, str]) -> None:
        """Begin while the concentrator is down: what it knew before is no theft of this phase."""
        thief, address = next(iter(leases.items()))
        self.counting = network.count_arp(f"count-{mode}")
        self.stealing: Started[Theft] | None = None
        if network.spec.arp.spoofer:
            self.stealing = network.spoof_arp(f"spoof-{mode}", thief, address)
        self.sent = network.sent_downstream()


def _phase(network: Network, tell: Progress, mode: str, leases: Mapping[str, str]) -> ArpPhase:
    network.behave(mode=mode)
    begun: list[_Watchers] = []
    work: list[float] = []

    def course() -> float:
        ready = restart(network, tell, lambda: begun.append(_Watchers(network, mode, leases)))
        work.append(network.usage("controller").cpu_s)
        watch_until(network, ready, network.spec.arp.duration, mode, tell)
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
