"""netem (tc-netem(8)) on the way to a server: what `topologies.wan` says, done by the kernel.

The node on the way joins its two interfaces by a bridge, and netem treats what leaves by either.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from random import Random

from topologies.wan import Impairment

BRIDGE = "way"
_KIND = "type bridge mcast_snooping 0"
_TRIAL = ["link", "add", "trial"]


def netem_command(interface: str, impairment: Impairment, seed: str | None = None) -> list[str]:
    """Return the tc(8) command that gives what leaves by an interface this treatment.

    `seed`: of its random numbers, where netem and tc know seeds (`netem_takes_seeds`).
    """
    delay, jitter = (f"{seconds * 1e6:.0f}us" for seconds in (impairment.delay, impairment.jitter))
    command = ["tc", "qdisc", "replace", "dev", interface, "root", "netem", "limit", str(impairment.limit)]
    if impairment.delay or impairment.jitter:
        command += ["delay", delay, *([jitter] if impairment.jitter else [])]
    if impairment.loss:
        command += ["loss", "random", _percent(impairment.loss)]
    if impairment.duplication:
        command += ["duplicate", _percent(impairment.duplication)]
    if impairment.reordering:
        command += ["reorder", _percent(impairment.reordering)]
    if impairment.rate:
        command += ["rate", f"{impairment.rate:.0f}bit"]
    if seed is not None:
        command += ["seed", str(Random(seed).getrandbits(63))]
    return command


def _percent(share: float) -> str:
    return f"{share * 100:.6g}%"


def join_commands(interfaces: Iterable[str]) -> list[str]:
    """Return the ip(8) commands that join interfaces of a node by a bridge."""
    joined = [f"link set {interface} master {BRIDGE}" for interface in interfaces]
    return [f"link add {BRIDGE} {_KIND}", *joined, f"link set {BRIDGE} up"]


def report(interface: str, impairment: Impairment, shown: str) -> dict[str, int]:
    """Return what is known of one direction, as the delay line tells it: from what `tc -s -j qdisc` shows.

    netem counts together what it has lost on purpose and what found the link full: only where nothing
    is to be lost can that be told.
    """
    [qdisc] = [each for each in json.loads(shown) if each.get("dev") == interface and each["kind"] == "netem"]
    overflowed = 0 if impairment.loss else qdisc["drops"]
    return {"left": qdisc["packets"], "late": 0, "overflowed": overflowed}


def has_netem() -> bool:
    """Whether the kernel has netem, and a bridge to put it on: try both in this network namespace."""
    tried = _done(netem_command("lo", Impairment(delay=0.001))) and _done(["ip", *_TRIAL, *_KIND.split()])
    _take_off()
    _done(["ip", "link", "del", _TRIAL[-1]])
    return tried


def netem_takes_seeds() -> bool:
    """Whether tc and the kernel's netem know seeds: try it in this network namespace.

    A kernel that does not know them says nothing, so it is asked what it has taken.
    """
    command = netem_command("lo", Impairment(delay=0.001), "any")
    if not _done(command):
        return False
    show = ["tc", "qdisc", "show", "dev", "lo"]
    shown = subprocess.run(show, capture_output=True, text=True, check=False).stdout
    _take_off()
    return " ".join(command[-2:]) in shown


def _take_off() -> None:
    _done(["tc", "qdisc", "del", "dev", "lo", "root"])


def _done(command: list[str]) -> bool:
    """Run a command; return whether it is there and has succeeded."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
