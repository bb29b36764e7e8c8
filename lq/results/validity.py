"""Whether a run may be believed: what the machine did to the measurement, and the bounds it must keep.

A starved emulation gives smooth, wrong numbers. Each run therefore measures how late its own traffic was,
whether its attacks reached their rates, how long its processes waited for a processor, what was dropped where
nothing should be, and whether the clock jumped. Why the bounds are what they are:

Lateness: a recovery ends with the first probe that is delivered, so it is known to within the probes'
interval. Half of one more would be an error as large as that. It counts over the run and, since a few late
probes are lost among those of a long one, in each phase from the takeover to the last recovery by itself.

Attacks: a run stands for its attack's rate, so of the packets that were due at that rate the kernel must
have taken all but a twentieth. Who cannot keep up sends ever later, and who was held up leaves a gap and then
sends a burst. What the burst does to a queue shows as drops; a gap of a tenth of a second is short against
all that an attack is measured by: a takeover, which lasts most of a second, quotas, negative times, the
phase. What the kernel refuses is lost where nothing should be. The attacker is not among the processes whose
waiting counts: its lateness says what that did.

Waiting: as a share of the time in which a process wanted a processor, not of the time watched. So an idle
stretch hides nothing, and the share says by how much the process was slowed: with one busy rival on each
core it is a half, whatever the load. A controller that starts, which computes for most of a second, shows
a rival best, and is watched by itself: on an otherwise idle machine of 2 cores it waited for less than a
tenth of that, beside one busy process pinned to each core for six tenths (`lq bench fidelity`). A third
stands between. Where Linux shares processors among sessions first (autogroup), the rivals of one session
slow it less: those two, in one, made it wait for four tenths, and more cores for less. A process that hardly
runs waits about as long for each short turn as the turn takes, and nothing is the slower for it: the switch
among a few probes, say, 28 ms beside 79 in 3 s. So waits of less than a twentieth of the time watched do not
count. Nor does a process that often runs for a moment, and is held up by the lab's own others for less than
a tenth of a millisecond each time, such as a server that answers a thousand queries a second: all that is
measured is counted in milliseconds. There, without a rival, 30 to 80 microseconds a turn were seen; 0.3 ms
at most for a controller that starts, beside rivals 2.6 to 5 ms. The probes' senders are judged by their
lateness alone: that is what their waiting does harm by.

Faults of the controller: an exception in it, a message that the switch refused, or its death are no property
of what is studied.

Stolen time: what a hypervisor takes does not show as waiting in the machine that it takes it from.
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
