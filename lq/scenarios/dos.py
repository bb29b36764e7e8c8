"""`dos`: a flood for or from a great many addresses; what does it cost, and whom?"""

from __future__ import annotations

from lq.progress import Progress
from lq.scenarios import denial
from lq.scenarios.course import begin, finish, phase, restart
from lq.scenarios.denial import Attack
from lq.scenarios.network import Network
from lq.scenarios.outcome import Result
from lq.scenarios.scenario import Scenario


def dos(network: Network, options: Attack, tell: Progress) -> Result:
    """Attack for a time, alone or while the concentrator reboots, under the subscribers' own traffic."""
    leases = begin(network, tell, options.duration + network.spec.timeout)
    attack = denial.flood(network, options, "attack", options.pattern, leases)

    def course() -> float | None:
        if not options.during_reboot:
            attack.start()
        ready = restart(network, tell, attack.start) if options.during_reboot else None
        denial.sit_out(network, options, tell, ready)
        return ready

    measured = phase(network, "attack", course, [attack], reboot=options.during_reboot)
    return finish(network, leases, [measured])


SCENARIO = Scenario(
    name="dos",
    question="A flood goes to, or comes from, a great many addresses. What does it cost, and whom "
    "does it harm?",
    place=2,
    options=Attack,
    section=denial.SECTION,
    refuses=denial.refuses,
    play=dos,
    keys=denial.KEYS,
    summarize=denial.summarize,
    attacked=True,
    beginning="the attack began",
    drawn=denial.DRAWN,
)
