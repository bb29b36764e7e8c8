"""`hijack`: forgeries before, during and after a reboot; who believes them, and what they cost whom."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from lq.emulation.hijackers import EVERY, Cast, Hijacker
from lq.emulation.network import Emulation
from lq.emulation.processes import Tell
from lq.scenarios.course import Phase, begin, finish, phase
from lq.scenarios.reboot import restart
from lq.scenarios.trials import Moment


def hijack(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Attack at each moment, reboot once more, and plug an honest host in elsewhere.

    The phases are the moments (`reboot` where none is attacked during it), `further`, which is the reboot
    that shows what a server has come to believe, and `move`, with `move_s`: seconds from plugging the host
    in until its first probe was delivered, where that came. The result also has `trials`, as
    `lq.emulation.hijackers.Cast.outcome` gives them. What the attackers saw is in `raw/tap-*-report.json`.
    """
    spec, wanted = lab.spec, lab.spec.hijack
    each = wanted.rounds * EVERY + wanted.grace + wanted.patience + spec.reboot.downtime + 20
    leases = begin(lab, tell, (len(wanted.moments) + 2) * each + wanted.move_timeout)
    cast = Cast(lab, leases)
    taps = cast.taps()
    for watcher in taps:
        watcher.start()
    phases, reports = [], []
    for moment in _moments(wanted.moments):
        measured, sent = _moment(lab, tell, cast, moment)
        phases.append(measured)
        reports += sent
    phases.append(_quiet_reboot(lab, tell, "further"))
    trials = cast.outcome(reports)
    for watcher in taps:
        watcher.stop()
    phases.append(_move(lab, tell, cast, list(leases)))
    return {**finish(lab, leases, phases), "trials": trials}


def _moments(attacked: Sequence[Moment]) -> list[Moment]:
    """Return the moments to play: there is always a reboot."""
    every: tuple[Moment, ...] = ("before", "during", "after")
    return [moment for moment in every if moment in attacked or moment == "during"]


def _moment(lab: Emulation, tell: Tell, cast: Cast, moment: Moment) -> tuple[Phase, list[dict[str, Any]]]:
    """Attack at a moment; return the phase, and the senders' reports."""
    if moment not in lab.spec.hijack.moments:
        return _quiet_reboot(lab, tell, "reboot"), []
    senders = cast.senders(moment)
    for program in (*senders.on_path, *senders.burst):
        program.start()

    def begin(programs: Sequence[Hijacker]) -> None:
        for program in programs:
            program.start()

    def course() -> float | None:
        ready = None
        if moment == "during":
            ready = restart(lab, tell, lambda: begin(senders.down))
            for program in senders.burst:  # the new controller knows nobody yet
                program.fire()
        begin(senders.up)
        _sit_out(lab, tell, moment, senders.up, time.monotonic() if ready is None else ready)
        return ready

    attacks = [*senders.down, *senders.burst, *senders.up]
    measured = phase(lab, moment, course, attacks, reboot=moment == "during")
    answered = [program.stop() for program in senders.on_path]
    return measured, [*measured["attacks"], *answered]


def _sit_out(lab: Emulation, tell: Tell, what: str, senders: Sequence[Hijacker], since: float) -> None:
    """Wait until all is sent, and then for as long as shows who is cut off."""
    wanted, first = lab.spec.hijack, time.monotonic()
    longest = first + 2 * wanted.rounds * EVERY + 10  # a machine that busy makes the run not valid
    end = since + wanted.grace
    while (now := time.monotonic()) < longest and any(sender.running for sender in senders):
        tell(what, min(wanted.rounds, int((now - first) / EVERY)), wanted.rounds)
        time.sleep(0.1)
    end = max(end, time.monotonic()) + 1.5 * wanted.patience
    time.sleep(max(0.0, end - time.monotonic()))
    tell(what, wanted.rounds, wanted.rounds)


def _quiet_reboot(lab: Emulation, tell: Tell, name: str) -> Phase:
    """Reboot without an attack, and watch for as long as shows who is cut off."""

    def course() -> float:
        ready = restart(lab, tell)
        _sit_out(lab, tell, name, (), ready)
        return ready

    return phase(lab, name, course)


def _move(lab: Emulation, tell: Tell, cast: Cast, names: list[str]) -> Phase:
    """Plug an honest host in behind another modem, and see when its traffic finds it there."""
    wanted, number = lab.spec.hijack, names.index(cast.mover)
    found: dict[str, float] = {}

    def course() -> None:
        plugged = lab.plug(cast.mover, lab.modem_of(cast.victims[0]))
        while (now := time.monotonic()) < plugged + wanted.move_timeout:
            tell("move", int(now - plugged), round(wanted.move_timeout))
            latest = lab.probing.latest(number)
            if latest > plugged:
                found["move_s"] = latest - plugged
                break
            time.sleep(0.02)
        tell("move", round(wanted.move_timeout), round(wanted.move_timeout))

    return {**phase(lab, "move", course, reboot=False), **found}
