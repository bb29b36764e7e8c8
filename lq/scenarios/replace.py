"""`replace`: another concentrator takes the place of the first; how long until all are back?"""

from __future__ import annotations

from lq.progress import Progress
from lq.scenarios.network import Network
from lq.scenarios.outcome import Result
from lq.scenarios.reboot import reboot
from lq.scenarios.scenario import NoOptions, Scenario


def replace(network: Network, options: NoOptions, tell: Progress) -> Result:
    """Put another concentrator in the place of the first; else as `reboot`."""
    return reboot(network, options, tell, network.change_identity)


SCENARIO = Scenario(
    name="replace",
    question="Another concentrator, with its own addresses, takes over. Do the hosts notice it?",
    place=4,
    options=NoOptions,
    play=replace,
    one_reboot=True,
)
