"""What each scenario does, in order. Runs inside the lab; times are of the monotonic clock, in seconds.

Each takes the lab and a function to tell progress with, and returns what `course.finish` makes. (`servers`
is two reboots, each in a lab of its own: `lq.experiments.comparison`.)
"""

from lq.scenarios.arp import arp
from lq.scenarios.backoff import backoff
from lq.scenarios.denial import claim, dos
from lq.scenarios.failover import failover
from lq.scenarios.hijack import hijack
from lq.scenarios.reboot import reboot, replace
from lq.scenarios.starve import starve

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
