"""The benchmark of the flood at a small size, and what it reads from a run's tables."""

from __future__ import annotations

import pandas as pd
import pytest

from lq.bench.flood import run, watch
from lq.experiments.spec import Spec
from topologies import plan

ADDRESSES = [str(plan.POOL_FIRST + number) for number in range(4)]


@pytest.mark.lab
@pytest.mark.alone
def test_each_address_is_asked_about_once_and_those_out_of_range_never():
    result = run(addresses=300, rate=1000, seconds=7, outside_seconds=1, modems=1, hosts_per_modem=2)
    controller, back, outside = result["cases"]
    for each in (result, controller, back, outside):
        assert {"name", "unit", "ours", "peer", "peer_name", "ratio", "goal"} <= set(each)
    assert (result["ours"], result["limit"], result["met"]) == (1, 1, True)
    assert result["addresses"] in (298, 299, 300)  # the subscribers' own may be among them
    assert result["attack_packets"] == 7000
    assert (back["ours"], back["ratio"]) == (2, 1.0)
    assert (outside["ours"], outside["met"]) == (0, True)
    assert controller["ours"] == result["loads"]["controller"]
    assert set(result["loads"]) == {"server", "controller", "switch"}
    assert result["valid"] is (not result["invalid_reasons"])


def tables(answered: list[float], **spec: float) -> tuple[Spec, pd.DataFrame, pd.DataFrame]:
    """Return a scan of 4 addresses, asked about at 1, 2, ...; the controller works for 5 s, then a tenth."""
    attack = {"addresses": 4, "duration": 20.0}
    queries = {"at": [1.0 + n for n in range(len(answered))], "address": ADDRESSES[: len(answered)]}
    at = [0.5 * number for number in range(60)]
    loads = {"at": at, "process": "controller", "cpu_s": [min(t, 5) + 0.1 * max(0, t - 5) for t in at]}
    return (
        Spec.model_validate({"scenario": "dos", "attack": attack, "concentrator": spec}),
        pd.DataFrame({**queries, "answered": answered}),
        pd.DataFrame(loads),
    )


def test_the_load_is_that_since_the_last_answer():
    told = watch(*tables([1.1, 2.1, 3.1, 5.2]), leased=set())
    assert (told["addresses"], told["asked_s"], told["watched_s"]) == (4, 5.2, pytest.approx(14.8))
    assert told["loads"]["controller"] == pytest.approx(0.1)
    assert watch(*tables([1.1, 2.1, 3.1, 4.2]), leased=set())["loads"]["controller"] > 0.1


def test_what_expires_ends_the_watch():
    told = watch(*tables([1.1, 2.1, 3.1, 5.2], unknown_time=6.0), leased=set())
    assert told["watched_s"] == pytest.approx(1.0 + 6.0 - 5.2)


def test_subscribers_own_addresses_need_no_query():
    assert watch(*tables([1.1, 2.1, 5.2]), leased={ADDRESSES[3]})["addresses"] == 3


@pytest.mark.parametrize(
    "answered", [[1.1, 2.1, 5.2], [1.1, 2.1, 3.1, 19.5], [1.1, 2.1, 3.1, float("nan")], []]
)
def test_a_scan_that_was_too_short_says_so(answered):
    with pytest.raises(RuntimeError, match="has to last longer"):
        watch(*tables(answered), leased=set())
