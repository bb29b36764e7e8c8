"""What commands print, at widths of terminals: nothing is cut off, and units are in one style."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from lq.cli import shared
from lq.cli import sweep as of_sweeps
from lq.doctor import Check
from lq.experiments import spec

SUMMARY = {
    "scenario": "reboot", "topology": "cable", "backend": "mininet", "seed": 1234567, "subscribers": 12000,
    "recovered": 12000, "recovery_p50_s": 0.0322, "recovery_max_s": 4.5, "outage_s": 3.12,
    "queries_refresh": 0, "queries_per_s": 0.478, "queries_per_address": 1.0, "queries_resent": 0,
    "server_memory_max": 3 << 20, "probes_lost_share": 0.25, "server_cpu_s": 0.71, "registration_s": None,
    "verdict": "builtin: 12 of 12 back, [median] 14 ms, at most 20 ms, 12 queries (0 sent again), 20 ms of "
    "the server's processor; dhcpd: none of 12 back",
    "valid": False, "invalid_reasons": ["the switch waited 89 % of the time that it wanted a processor [/]"],
    "run_dir": "runs/first",
}  # fmt: skip
CASE = {
    "name": "locations recovered per second", "ours": 1234.5, "peer": 8000.0, "unit": "locations/s",
    "ratio": 0.154, "goal": 1.0, "peer_name": "bare reactive application",
}  # fmt: skip
LIMIT = {
    "name": "queries for each address, at most",
    "ours": 1.0,
    "unit": "queries",
    "limit": 1.1,
    "met": False,
}


def swept():
    rows = [
        {**SUMMARY, "wan.delay": delay, "concentrator.window": window, "point": 1, "repeat": repeat}
        for delay in (0.0, 0.02)
        for window in (1, 100)
        for repeat in range(6)
    ]
    failures = {"0001-1": "no lease for [host3] within 60 s, and more words than fit into a line of sixty"}
    done = SimpleNamespace(table=pd.DataFrame(rows), failures=failures, directory=Path("runs/delays"))
    of_sweeps._print(done, ["wan.delay", "concentrator.window"])


PRINTED = {
    "summary": lambda: shared.print_summary(SUMMARY),
    "benchmark": lambda: shared.print_benchmark(
        CASE | {"cases": [LIMIT], "invalid_reasons": ["the machine was busy for most of the time"]}
    ),
    "sweep": swept,
    "doctor": lambda: shared.print_checks(
        [
            Check("private switch", True, True, "passes frames; datapath in user space (no module loaded)"),
            Check("netem", False, False, "tc: qdisc kind is unknown.", "sudo modprobe sch_netem"),
        ]
    ),
    "scenarios": lambda: shared.print_scenarios(spec.SCENARIOS),
    "settings": lambda: shared.print_settings(spec.fields()),
}


@pytest.fixture
def printed(request, capsys, monkeypatch):
    """What is printed at a width, in a pipe."""

    def look(name: str, width: int) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        PRINTED[name]()
        return capsys.readouterr().out

    return look


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", PRINTED)
def test_nothing_is_cut_off_or_wider_than_the_terminal(printed, name, width):
    found = printed(name, width)
    assert "…" not in found
    assert "\x1b" not in found  # no colours in a pipe
    assert [line for line in found.splitlines() if len(line.rstrip()) > width] == []


@pytest.mark.parametrize("width", [80, 250])
def test_every_word_of_a_sweep_and_a_benchmark_is_there_at_any_width(printed, width):
    words = " ".join(printed("sweep", width).split())
    assert "median time until a subscriber is back" in words
    assert words.count("32.2 ms (32.2 ms to 32.2 ms)") == 4
    assert "no lease for [host3] within" in words
    words = " ".join(printed("benchmark", width).split())
    for part in ("locations recovered per second", "1,234 locations/s", "8,000 locations/s", "not met"):
        assert part in words


def test_units_are_in_one_style(printed):
    found = printed("summary", 100)
    for name, value in {
        "median time until a subscriber is back": "32.2 ms",
        "time until the last subscriber is back": "4.5 s",
        "time without a controller": "3.12 s",
        "server's processor time": "710 ms",
        "server memory max": "3.0 MiB",
        "share of the subscribers' probes lost": "25 %",
        "queries per second": "0.478 /s",
        "subscribers": "12,000",
        "seed": "1234567",
        "time until all modems had registered": "-",
        "valid": "no",
    }.items():
        assert re.search(rf"│ {re.escape(name)} +│ +{re.escape(value)} │", found), name
    assert "[median] 14 ms" in found
    assert "wanted a processor [/]" in found


def test_explain_tells_each_setting_with_its_default_values_and_meaning(printed):
    lines = printed("settings", 80).splitlines()
    at = lines.index("wan.delay = 0.0   (0 to 10)")
    assert lines[at + 1].strip() == "delay in each direction, in seconds"
    assert any(line.startswith("topology.modems = not set   (1 to 65,000)") for line in lines)


def test_what_is_to_be_pasted_is_in_one_piece(printed):
    assert "  netem: sudo modprobe sch_netem" in printed("doctor", 60).splitlines()
