"""`hijack`: forgeries before, during and after a reboot; who believes them, and what they cost whom."""

from __future__ import annotations

from lq.results.schema import Column
from lq.scenarios.hijack.choices import Hijack, refuses, sizes
from lq.scenarios.hijack.findings import ATTACKS, KEYS, summarize, tabulate
from lq.scenarios.hijack.play import hijack
from lq.scenarios.scenario import Scenario

SCENARIO = Scenario(
    name="hijack",
    question="An attacker lies to the server and to the concentrator. Can it take over, cut off or "
    "spy on a subscriber?",
    place=8,
    options=Hijack,
    section="hijack",
    sizes={"probes": {"interval": 0.2}},
    further_sizes=sizes,
    refuses=refuses,
    play=hijack,
    phase_columns=(
        Column("move_s", "number?", "s", "from plugging the honest host in elsewhere to its next probe"),
    ),
    tables={"attacks": ATTACKS},
    tabulate=tabulate,
    keys=KEYS,
    summarize=summarize,
    beginning="the attacks began",
    drawn=("victims_hijacked", "victims_cut_off", "bindings_disclosed", "honest_move_s"),
)
