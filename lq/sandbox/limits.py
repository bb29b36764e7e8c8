"""How many files a lab's processes hold open, and whether they may: short of them the switch spins on."""

from __future__ import annotations

import os
import resource

_BASE, _FOR_PROCESSOR, _FOR_HOST, _FOR_BRIDGE = 40, 4, 1, 2  # of the switch, which holds the most
_ROOM = 4  # times what is needed: shells at nodes hold three files each


def open_files_needed(hosts: int, bridges: int) -> int:
    """Return how many files a process of a lab of that size opens at the same time."""
    processors = os.cpu_count() or 1
    return _BASE + _FOR_PROCESSOR * processors + _FOR_HOST * hosts + _FOR_BRIDGE * bridges


def hosts_possible() -> int:
    """Return how many hosts, each behind a modem of its own, the limit of open files allows."""
    spare = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - open_files_needed(0, 0)
    return max(0, spare // (_FOR_HOST + _FOR_BRIDGE))


def allow_open_files(hosts: int, bridges: int) -> None:
    """Have this process and those that it starts open as many files as a lab of that size needs.

    Raises RuntimeError where that is beyond the hard limit. The soft one is not raised further than
    needed: many a daemon goes through all numbers up to it when it starts.
    """
    needed = open_files_needed(hosts, bridges)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if needed > hard:
        raise RuntimeError(
            f"this network needs {needed} open files, and the limit is {hard}: raise it (ulimit -Hn "
            f"{needed}, as root), or use fewer hosts and modems"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, _ROOM * needed)), hard))
