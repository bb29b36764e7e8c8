"""Questions to the server of a network that is up, from beyond it."""

from __future__ import annotations

import json
import shlex
import sys
import time

from topologies import plan


def query(act, *arguments):
    """Ask the server from the far side of the network, as another concentrator would."""
    words = [sys.executable, "-W", "ignore", "-m", "lq", "query", str(plan.SERVER)]
    words += ["--giaddr", str(plan.INTERNET), "--json", *arguments]
    return json.loads(act("cmd", "internet", shlex.join(words)))


def until(condition, what):
    """Wait for a condition; return what it says."""
    deadline = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found
