"""Who plays what in `hijack`: which hosts attack, which are attacked, and which one is honest and moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lq.scenarios.trials import MOMENTS, Moment, Trial


@dataclass(frozen=True)
class Cast:
    """The parts, by the hosts' names: an attacker for each moment, and a victim for each trial, in order.

    Each attacker is behind a modem of its own. Nobody attacks the `mover`, an honest host.
    """

    trials: Sequence[Trial]
    attackers: dict[Moment, str]
    victims: Sequence[str]
    mover: str


def cast(
    trials: Sequence[Trial], moments: Sequence[Moment], hosts: Iterable[str], modem_of: Callable[[str], str]
) -> Cast:
    """Deal the parts out: the first modems' first hosts attack, the hosts of the later modems are victims."""
    attacked = [moment for moment in MOMENTS if moment in moments]
    modems = {host: int(modem_of(host).removeprefix("modem")) for host in hosts}
    attackers: dict[Moment, str] = {}
    for number, moment in enumerate(attacked, start=1):
        attackers[moment] = next(host for host, modem in modems.items() if modem == number)
    others = [host for host, modem in modems.items() if modem > len(attacked)]
    return Cast(trials, attackers, others[: len(trials)], others[len(trials)])
