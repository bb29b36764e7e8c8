"""Whether a run may be believed: what was observed of it, judged by bounds.

`docs/validity.md` derives the bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # the lab measures without it, and starts sooner
    import pandas as pd

MAXIMUM_LATENESS = 0.5  # of the probes' interval, at the 99th percentile
MAXIMUM_SHORT = 0.05  # of the packets of an attack that were due
MAXIMUM_ATTACK_LATENESS = 0.1  # seconds, at the 99th percentile
MAXIMUM_WAIT = 1 / 3  # of the time that a process wanted a processor
LEAST_WAIT = 0.05  # of the time watched: less is not judged
LEAST_WAIT_PER_TURN = 100e-6  # seconds: less is not judged
MAXIMUM_STOLEN = 0.05  # of all processors' time
MAXIMUM_LATE = 0.05  # of the frames of a delay line
MAXIMUM_CLOCK_STEP = 0.010  # seconds
DROPS = {
    "udp_drops": "datagrams dropped at a socket of the lab",
    "upcall_drops": "packets dropped on the switch's way to its slow path",
    "capture_drops": "packets missing from the capture",
    "port_drops": "packets that found no room at a port of the switch",
    "population_drops": "frames lost between the switch and the population",
}


class Scheduled(NamedTuple):
    """How long a process ran, was runnable but waited for a processor, and was watched at all; seconds.

    `turns` is how often it was given a processor.
    """

    ran: float
    waited: float
    watched: float
    turns: float

    @property
    def share(self) -> float:
        """For how much of the time in which it wanted a processor it had none, 0 to 1."""
        return self.waited / (self.waited + self.ran) if self.waited else 0.0

    @property
    def starved(self) -> bool:
        """Whether it waited for so long that what it did was slowed down."""
        least = max(LEAST_WAIT * self.watched, LEAST_WAIT_PER_TURN * self.turns)
        return self.share > MAXIMUM_WAIT and self.waited > least


def judge(
    observed: Mapping[str, Any],
    probes: pd.DataFrame,
    interval: float,
    windows: Iterable[tuple[float, float]] = (),
) -> list[str]:
    """Return why a run is not to be believed; an empty list for a valid one.

    `probes` has columns `due` and `sent`, `interval` is that of the probes to one subscriber; `windows` are
    from when to when recoveries were measured, on the probes' clock; all in seconds. `observed` is what
    `lq.emulation.watch.Watch.finish` returns. With `wan` and `attacks`: see `wan_reasons`, `attack_reasons`.
    With `agent`: what the intermediate agent counted, if there is one.
    """
    reasons = []
    stretches = [("", probes)] + [
        (" while subscribers recovered", probes[(probes["due"] >= start) & (probes["due"] <= end)])
        for start, end in windows
    ]
    for when, some in stretches:
        lateness = float((some["sent"] - some["due"]).quantile(0.99)) if len(some) else 0.0
        if lateness > MAXIMUM_LATENESS * interval:
            reasons.append(
                f"probes were sent up to {lateness * 1000:.0f} ms late (99th percentile){when}, with an "
                f"interval of {interval * 1000:.0f} ms"
            )
    for name, numbers in observed["processes"].items():
        measured = Scheduled(**numbers)
        if measured.starved:
            share = f"{100 * measured.share:.0f} %"
            reasons.append(f"the {name} waited {share} of the time that it wanted a processor")
    stolen = observed["stolen_s"] / (observed["seconds"] * observed["processors"])
    if stolen > MAXIMUM_STOLEN:
        reasons.append(f"the machine's host took {100 * stolen:.0f} % of its processors' time")
    if observed["clock_step_s"] > MAXIMUM_CLOCK_STEP:
        reasons.append(f"the clock jumped by {observed['clock_step_s'] * 1000:.0f} ms")
    reasons += controller_reasons(observed.get("faults", ()), observed.get("died", ()))
    reasons += attack_reasons(observed.get("attacks", ()))
    reasons += wan_reasons(observed.get("wan"))
    agent = observed.get("agent") or {}
    if agent.get("missed"):
        reasons.append(f"the intermediate agent missed {agent['missed']} frames")
    reasons += [f"{observed[key]} {what}" for key, what in DROPS.items() if observed.get(key)]
    return reasons


def controller_reasons(faults: Iterable[Mapping[str, Any]], died: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return where the controllers' own faults have made the figures what they are.

    `faults`: see `lq.results.record.faults`; `died`: see `lq.emulation.controller.Control`.
    """
    reasons = []
    for number, fault in enumerate(faults):
        if fault["exceptions"]:
            reasons.append(f"controller-{number} failed {fault['exceptions']} times: {fault['exception']}")
        if fault["switch_errors"]:
            refused = f"the switch refused {fault['switch_errors']} messages of controller-{number}"
            reasons.append(f"{refused}: {fault['switch_error']}")
    for dead in died:
        reasons.append(f"{dead['name']} ended by itself (exit status {dead['status']}): {dead['said']}")
    return reasons


def attack_reasons(attacks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return where an attack was not what the specification says.

    `attacks`: the reports of all, each with its `name` (`lq.emulation.programs.flood`), and with
    `outlast`, the moment at which it had to be still going on, if there is one.
    """
    reasons = []
    for attack in attacks:
        name = f"the generator {attack['name']}"
        if "packets" not in attack:
            reasons.append(f"{name} ended without a report")
            continue
        due = max(1.0, attack["rate"] * (attack["ended"] - attack["started"]))
        if attack["packets"] < (1 - MAXIMUM_SHORT) * due:
            reached = attack["packets"] / due * attack["rate"]
            reasons.append(f"{name} reached {reached:,.0f} of {attack['rate']:,.0f} packets a second")
        if attack["late"] > MAXIMUM_ATTACK_LATENESS:
            reasons.append(f"{name} was up to {attack['late'] * 1000:.0f} ms late (99th percentile)")
        if attack["refused"]:
            reasons.append(f"{attack['refused']} packets of {name} were refused by the kernel")
        if (early := attack.get("outlast", 0.0) - attack["ended"]) > 0:
            before = f"{name} had ended {early:.1f} s before the new concentrator was up"
            reasons.append(f"{before}: raise attack.duration")
    return reasons


def wan_reasons(wan: Mapping[str, Any] | None) -> list[str]:
    """Return where the way to a server (`topologies.wan`) did not do what the specification says.

    `wan`: the reports by node, none where there is no such way.
    """
    reasons = []
    for name, line in (wan or {}).items():
        if line["missed"]:
            reasons.append(f"the delay line {name} missed {line['missed']} frames")
        for direction in line["directions"]:
            if direction["late"] > MAXIMUM_LATE * direction["left"]:
                reasons.append(f"{direction['late']} of {direction['left']} frames left {name} late")
            if direction["overflowed"] and not line["impairment"]["rate"]:
                reasons.append(
                    f"{direction['overflowed']} frames were too many to be on their way in {name}: "
                    "raise wan.limit"
                )
    return reasons
