"""Scenarios are found by themselves, and each says all that is to be known of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lq.errors import BadInput
from lq.experiments.spec import SCENARIOS as QUESTIONS
from lq.experiments.spec import Spec, fields, load
from lq.scenarios.parts.common import Common
from lq.scenarios.registry import SCENARIOS
from lq.scenarios.scenario import NoOptions

OURS = ("reboot", "dos", "claim", "replace", "backoff", "failover", "arp", "hijack", "starve", "servers")


def test_all_are_found_in_their_order():
    assert tuple(name for name in SCENARIOS if name in OURS) == OURS
    assert list(QUESTIONS) == list(SCENARIOS)
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
def test_each_says_what_it_asks_plays_and_adds(scenario):
    assert scenario.question.endswith("?")
    assert (scenario.play is None) is (scenario.comparison is not None)
    assert (scenario.section is None) is (scenario.options is NoOptions)
    assert (scenario.summarize is None) or scenario.keys
    assert (scenario.tabulate is None) or scenario.tables
    for columns in (scenario.keys, scenario.phase_columns, *scenario.tables.values()):
        names = [column.name for column in columns]
        assert len(names) == len(set(names))
        assert all(column.meaning for column in columns)
    assert set(scenario.drawn) - {key.name for key in scenario.keys} <= {
        *("queries_per_s", "recovery_p50_s", "recovery_max_s", "queries_sent", "queries_per_address")
    }


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_specification_of_each_has_its_part(name):
    spec = load(name)
    scenario = SCENARIOS[name]
    assert spec.definition is scenario
    assert type(scenario.options_in(spec)) is scenario.options
    for field in scenario.options.model_fields:
        assert f"{scenario.section}.{field}" in fields()


def test_the_parts_are_in_the_order_in_which_they_are_written_down():
    names = list(Spec.model_fields)
    assert names[:3] == ["scenario", "backend", "seed"]
    assert names[-1] == "capture"
    assert set(Common.model_fields) <= set(names)


def test_what_is_unknown_names_what_there_is():
    with pytest.raises(BadInput, match="scenario"):
        load("reboot", {"scenario": "nothing"})


def test_a_lab_plays_without_what_only_tables_need():
    told = "import sys, lq.experiments.spec; print({'pandas', 'mininet', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
