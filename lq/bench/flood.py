"""`lq bench flood`: what an endless scan costs once every address has been asked about.

A host of the Internet sends packets to the addresses of the range, one after the other, over and over. The
concentrator reboots as it begins (the scenario `dos`). Each address that is nobody's costs one query. From
then on, while the negative entries live, the switch drops what is for them, and the controller is to have
nothing to do: its load is read from the run's table `load`, from the last answer to the end of the attack.
A second, short run scans addresses outside the range, about which nothing is to be asked.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pandas as pd

from lq.bench.cases import Case, case, doubtful, limited
from lq.bench.program import Tell
from lq.experiments import directories
from lq.experiments.run import run as play
from lq.experiments.spec import Spec
from lq.results import load
from lq.results.finished_run import Run
from lq.scenarios.denial import Attack
from topologies import plan

MOST_QUERIES = 1.0  # about an address in a negative time
MOST_LOAD = 0.05  # of a core
LEAST_WATCHED = 1.0  # seconds for a load to be worth telling


def run(
    addresses: int | None = None,
    rate: float = 20_000,
    seconds: float = 90,
    outside_seconds: float = 10,
    modems: int = 5,
    hosts_per_modem: int = 4,
    tell: Tell = lambda *_: None,
) -> Case:
    """Scan so many addresses (the whole range if None); the result as `lq bench NAME --json` has it.

    `rate` is in packets a second, `seconds` is how long the scan of the range lasts, `outside_seconds` the
    other. Beside the cases it tells of the scan of the range: `addresses` asked about, the last answered
    `asked_s` after the reboot, `watched_s` of attack after that, the `loads` of all processes meanwhile (1 is
    a core), `queries_resent`, `attack_packets`, and `recovery_max_s`, when the last subscriber was back.
    Raises RuntimeError if the time did not suffice to ask about all addresses.
    """
    attack = {"addresses": addresses, "rate": rate}
    topology = {"modems": modems, "hosts_per_modem": hosts_per_modem}

    def scan(pattern: str, duration: float) -> Run:
        wanted = {**attack, "pattern": pattern, "duration": duration}
        spec = Spec.model_validate({"scenario": "dos", "topology": topology, "attack": wanted})
        return play(spec, directory / pattern, tell)

    with directories.temporary("flood") as directory:
        inside, outside = scan("sequential", seconds), scan("out-of-range", outside_seconds)
        return compare(inside, outside)


def compare(inside: Run, outside: Run) -> Case:
    """Return the figures of both scans."""
    summary, spec = inside.summary, inside.spec
    told = watch(spec, inside.table("queries"), inside.table("load"), set(inside.table("probes")["address"]))
    back = case(
        "subscribers recovered",
        "subscribers",
        float(summary["recovered"]),
        float(summary["subscribers"]),
        1.0,
        "all subscribers",
    )
    cases = [
        limited("controller once all are asked", "cores", told["loads"]["controller"], MOST_LOAD),
        back,
        limited("queries out of range", "queries", float(outside.summary["outside_queries"]), 0.0),
    ]
    doubts = [f"scan of the range: {reason}" for reason in summary["invalid_reasons"]]
    doubts += [f"scan outside of it: {reason}" for reason in outside.summary["invalid_reasons"]]
    most = float(summary["inside_queries_most"])
    kept = {key: summary[key] for key in ("queries_resent", "attack_packets", "recovery_max_s")}
    result = limited("queries for an address", "queries", most, MOST_QUERIES)
    return doubtful(result | told | kept | {"cases": cases}, doubts)


def watch(spec: Spec, queries: pd.DataFrame, loads: pd.DataFrame, leased: set[str]) -> dict[str, Any]:
    """Return what a scan of the range cost once all its addresses had been asked about; see `run`.

    `queries` and `loads` are a run's tables, `leased` the subscribers' addresses. Raises RuntimeError if that
    was too late to be watched while the attack lasted and the first negative entry lived.
    """
    attack, first, last = spec.part(Attack), int(plan.POOL_FIRST), int(plan.POOL_LAST)
    count = min(attack.addresses or last, last - first + 1)
    wanted = {str(IPv4Address(first + number)) for number in range(count)} - leased
    asked = queries[queries["address"].isin(wanted)]
    found = asked["address"].nunique()
    lifetime = min(spec.concentrator.known_time, spec.concentrator.unknown_time)
    end = min(attack.duration, float(asked["at"].min()) + lifetime)
    since = float(asked.groupby("address")["answered"].min().max(skipna=False))
    if found < len(wanted) or not end - since >= LEAST_WATCHED:
        raise RuntimeError(
            f"{found} of {len(wanted)} addresses were asked about within {attack.duration:.0f} s: "
            "the scan has to last longer to tell what it costs once all are"
        )
    names = loads["process"].unique()
    return {
        "addresses": found,
        "asked_s": since,
        "watched_s": end - since,
        "loads": {name: load.between(loads, name, since, end) for name in names},
    }
