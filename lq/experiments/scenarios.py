"""What each scenario does, in order. Runs inside the lab; times are of the monotonic clock, in seconds."""

from __future__ import annotations

import time
from typing import Any

from lq.experiments.emulation import Emulation, Tell, cpu_seconds


def reboot(lab: Emulation, tell: Tell) -> dict[str, Any]:
    """Take the concentrator's memory away under steady traffic; watch the subscribers come back.

    Returns the moments (`killed`, `ready`, `ended`), each subscriber's address, and the
    processor time of server and controller from the kill to the end (seconds).
    """
    spec = lab.spec
    tell("network", 0, 1)
    lab.build()
    lab.start()
    tell("network", 1, 1)
    leases = lab.lease_all(tell)

    duration = spec.probes.warmup + spec.reboot.downtime + spec.reboot.timeout + spec.reboot.settle
    lab.start_probes(list(leases.values()), spec.probes.interval, maximum_seconds=duration + 60)
    before = time.monotonic()
    _wait_until_reached(lab, before, spec.probes.warmup + 10, "traffic", tell)
    time.sleep(max(0.0, before + spec.probes.warmup - time.monotonic()))

    server_before = cpu_seconds(lab.server)
    tell("reboot", 0, 1)
    killed = lab.kill_controller()
    time.sleep(spec.reboot.downtime)
    lab.start_controller()
    ready = lab.ready_at
    assert ready is not None
    tell("reboot", 1, 1)
    _wait_until_reached(lab, ready, spec.reboot.timeout, "recovery", tell)
    time.sleep(spec.reboot.settle)
    lab.stop_probes()
    return {
        "killed": killed,
        "ready": ready,
        "ended": time.monotonic(),
        "addresses": leases,
        "server_cpu_s": cpu_seconds(lab.server) - server_before,
        "controller_cpu_s": cpu_seconds(lab.controller),
        "observed": lab.stop(),
    }


def _wait_until_reached(lab: Emulation, since: float, timeout: float, what: str, tell: Tell) -> None:
    """Wait until every subscriber received a probe sent after `since`, for `timeout` seconds at most."""
    wanted, deadline = len(lab.subscribers), time.monotonic() + timeout
    while True:
        reached = lab.reached_since(since)
        tell(what, reached, wanted)
        if reached == wanted or time.monotonic() > deadline:
            return
        time.sleep(0.02)


SCENARIOS = {"reboot": reboot}
