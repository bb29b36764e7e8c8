"""The play of `hijack`: forgeries before, during and after a reboot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lq.progress import Progress
from lq.scenarios.cast import Cast, cast
from lq.scenarios.course import begin, finish, phase, restart, sleep_until
from lq.scenarios.hijack.choices import Hijack
from lq.scenarios.network import Attack, Forgers, Network
from lq.scenarios.outcome import AttackReport, Phase, Result
from lq.scenarios.trials import EVERY, MOMENTS, Attacker, Moment
from lq.server.bindings import Binding, State
from lq.wire import RelayInfo


@dataclass(frozen=True, kw_only=True)
class MovePhase(Phase):
    """An honest host is plugged in elsewhere.

    `move_s`: seconds until its next probe arrived, None if none did.
    """

    move_s: float | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a trial.

    tags              of the victim's circuit, outer first
    sent              forged frames
    lease_lost        whether no server holds the victim's lease any more
    option_82_forged  whether a server has another place of the victim than before
    """

    attacker: Attacker
    attack: str
    moment: Moment
    victim: str
    address: str
    tags: tuple[int, ...]
    sent: int
    lease_lost: bool
    option_82_forged: bool


@dataclass(frozen=True, kw_only=True)
class HijackResult(Result):
    """What all trials came to."""

    trials: Sequence[Outcome]


def hijack(network: Network, wanted: Hijack, tell: Progress) -> HijackResult:
    """Attack at each moment, reboot once more, and plug an honest host in elsewhere.

    The phases are the moments (`reboot` where none is attacked during it), `further`, which is the reboot
    that shows what a server has come to believe, and `move`. What the attackers saw is in
    `raw/tap-*-report.json`.
    """
    spec = network.spec
    each = wanted.rounds * EVERY + wanted.grace + wanted.patience + spec.reboot.downtime + 20
    leases = begin(network, tell, (len(wanted.moments) + 2) * each + wanted.move_timeout)
    parts = cast(wanted.trials, wanted.moments, leases, network.modem_of)
    before = {str(binding.address): binding for binding in _leased(network)}
    forgers = network.forgers(parts, leases)
    forgers.watch()
    phases: list[Phase] = []
    reports: list[AttackReport] = []
    for moment in _moments(wanted.moments):
        measured, sent = _moment(network, wanted, tell, forgers, moment)
        phases.append(measured)
        reports += sent
    phases.append(_quiet_reboot(network, wanted, tell, "further"))
    trials = _outcomes(network, parts, leases, before, reports)
    forgers.stop_watching()
    phases.append(_move(network, wanted, tell, parts))
    return HijackResult(**vars(finish(network, leases, phases)), trials=trials)


def _moments(attacked: Sequence[Moment]) -> list[Moment]:
    """Return the moments to play: there is always a reboot."""
    return [moment for moment in MOMENTS if moment in attacked or moment == "during"]


def _moment(
    network: Network, wanted: Hijack, tell: Progress, forgers: Forgers, moment: Moment
) -> tuple[Phase, list[AttackReport]]:
    """Attack at a moment; return the phase, and the senders' reports."""
    if moment not in wanted.moments:
        return _quiet_reboot(network, wanted, tell, "reboot"), []
    senders = forgers.senders(moment)
    _start([*senders.on_path, *senders.burst])

    def course() -> float | None:
        ready = None
        if moment == "during":
            ready = restart(network, tell, lambda: _start(senders.down))
            for program in senders.burst:  # the new controller knows nobody yet
                program.fire()
        _start(senders.up)
        _sit_out(network, wanted, tell, moment, senders.up, network.now() if ready is None else ready)
        return ready

    attacks = [*senders.down, *senders.burst, *senders.up]
    measured = phase(network, moment, course, attacks, reboot=moment == "during")
    answered = [program.stop() for program in senders.on_path]
    return measured, [*measured.attacks, *answered]


def _start(attacks: Iterable[Attack]) -> None:
    for attack in attacks:
        attack.start()


def _sit_out(
    network: Network, wanted: Hijack, tell: Progress, what: str, senders: Sequence[Attack], since: float
) -> None:
    """Wait until all is sent, and then for as long as shows who is cut off."""
    first = network.now()
    longest = first + 2 * wanted.rounds * EVERY + 10  # a machine that busy makes the run not valid
    while (now := network.now()) < longest and any(sender.running for sender in senders):
        tell(what, min(wanted.rounds, int((now - first) / EVERY)), wanted.rounds)
        network.sleep(0.1)
    sleep_until(network, max(since + wanted.grace, network.now()) + 1.5 * wanted.patience)
    tell(what, wanted.rounds, wanted.rounds)


def _quiet_reboot(network: Network, wanted: Hijack, tell: Progress, name: str) -> Phase:
    """Reboot without an attack, and watch for as long as shows who is cut off."""

    def course() -> float:
        ready = restart(network, tell)
        _sit_out(network, wanted, tell, name, (), ready)
        return ready

    return phase(network, name, course)


def _move(network: Network, wanted: Hijack, tell: Progress, parts: Cast) -> MovePhase:
    """Plug an honest host in behind another modem, and see when its traffic finds it there."""
    found: list[float] = []

    def course() -> None:
        plugged = network.plug(parts.mover, network.modem_of(parts.victims[0]))
        while (now := network.now()) < plugged + wanted.move_timeout:
            tell("move", int(now - plugged), round(wanted.move_timeout))
            latest = network.latest_arrival(parts.mover)
            if latest > plugged:
                found.append(latest - plugged)
                break
            network.sleep(0.02)
        tell("move", round(wanted.move_timeout), round(wanted.move_timeout))

    measured = phase(network, "move", course, reboot=False)
    return MovePhase(**vars(measured), move_s=found[0] if found else None)


# -- what became of it


def _leased(network: Network) -> list[Binding]:
    """Return what all servers have leased."""
    servers = range(network.spec.server.count)
    every = [binding for number in servers for binding in network.bindings(number)]
    return [binding for binding in every if binding.state == State.LEASED]


def _outcomes(
    network: Network,
    parts: Cast,
    leases: Mapping[str, str],
    before: Mapping[str, Binding],
    reports: Sequence[AttackReport],
) -> list[Outcome]:
    """Return what became of each trial: of the bindings `before`, and of what the senders report."""
    counts = dict.fromkeys(range(len(parts.trials)), 0)
    for report in reports:
        for number, count in (report.sent or {}).items():
            if number in counts:
                counts[number] += count
    now = _leased(network)
    outcomes = []
    for number, (trial, victim) in enumerate(zip(parts.trials, parts.victims, strict=True)):
        address = leases[victim]
        own = before[address]
        held = [each for each in now if str(each.address) == address and each.chaddr == own.chaddr]
        outcome = Outcome(
            **trial._asdict(),
            victim=victim,
            address=address,
            tags=network.tags_of(network.modem_of(victim)),
            sent=counts[number],
            lease_lost=not held,
            option_82_forged=any(_place(binding) != _place(own) for binding in held),
        )
        outcomes.append(outcome)
    return outcomes


def _place(binding: Binding) -> tuple[bytes | None, bytes | None]:
    """Return where a binding says that its client is: circuit-id and remote-id of its option 82."""
    info = RelayInfo() if binding.relay_info is None else RelayInfo.decode(binding.relay_info)
    return info.circuit_id, info.remote_id
