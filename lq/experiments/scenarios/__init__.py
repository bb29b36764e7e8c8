"""What each scenario does, in order. Runs inside the lab; times are of the monotonic clock, in seconds.

Each takes the lab and a function to tell progress with, and returns what `course.finish` makes. (`servers`
is two reboots, each in a lab of its own: `lq.experiments.comparison`.)
"""

from lq.experiments.scenarios.arp import arp
from lq.experiments.scenarios.backoff import backoff
from lq.experiments.scenarios.denial import claim, dos
from lq.experiments.scenarios.failover import failover
from lq.experiments.scenarios.hijack import hijack
from lq.experiments.scenarios.reboot import reboot, replace
from lq.experiments.scenarios.starve import starve

SCENARIOS = {
    "reboot": reboot,
    "replace": replace,
    "dos": dos,
    "claim": claim,
    "backoff": backoff,
    "failover": failover,
    "arp": arp,
    "hijack": hijack,
    "starve": starve,
}
