"""Forgeries on the real network: what they get an attacker, with the defences and without."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from lq.errors import BadInput
from lq.experiments.spec import load
from lq.plots import attack_matrix
from lq.results.evidence import Evidence
from lq.results.finished_run import Run
from lq.scenarios.hijack import SCENARIO
from lq.scenarios.hijack.findings import longest_gap
from lq.scenarios.trials import ATTACKS
from tests import support

QUICK = {"probes.warmup": 0.2, "hijack.rounds": 2, "hijack.guesses": 300}
OFF = "hijack.defences=false"


def play(directory, *settings: str, topology: str = "cable") -> Run:
    """Run `hijack` as a user does; its JSON object is the run's summary."""
    out = directory / "run"
    command = [
        *support.LQ,
        "run",
        "hijack",
        "--topology",
        topology,
        "--json",
        "--no-figures",
        "--out",
        str(out),
    ]
    for setting in (*(f"{key}={value}" for key, value in QUICK.items()), *settings):
        command += ["--set", setting]
    done = support.run(command)
    assert done.returncode == 0, done.stderr
    finished = Run(out)
    assert json.loads(done.stdout) == finished.summary
    return finished


def believed(table: pd.DataFrame) -> set[str]:
    return set(table.loc[table["accepted"], "attack"])


@pytest.mark.lab
@pytest.mark.requirement("R1-5")
@pytest.mark.requirement("R1-7")
@pytest.mark.parametrize("topology", ["cable", "dsl"])
def test_by_default_nobody_off_the_path_is_believed_at_any_moment(tmp_path, topology):
    finished = play(tmp_path, topology=topology)
    summary, table = finished.summary, finished.table("attacks")
    assert (table["sent"] > 0).all(), table[table["sent"] == 0]
    told = table.loc[table["accepted"] & (table["attacker"] != "on-path")].to_string()
    assert summary["victims"] == 3 * (len(ATTACKS["subscriber"]) + len(ATTACKS["off-path"]))
    assert summary["victims_hijacked"] == 0, told
    assert summary["victims_cut_off"] == 0, told
    assert summary["bindings_disclosed"] == 0, told
    assert summary["leases_lost"] == summary["locations_forged"] == 0, told
    assert "on the path" in summary["verdict"]
    assert 0 < summary["honest_move_s"] < finished.spec.hijack.move_timeout
    assert list(finished.table("phases")["phase"]) == ["before", "during", "after", "further", "move"]


@pytest.mark.lab
def test_who_is_on_the_path_and_answers_first_is_believed_about_a_query(tmp_path):
    """Without keys nobody can tell. The server is far away here, so that the attacker wins each race."""
    settings = ["hijack.attackers=on-path", "hijack.moments=during", "wan.delay=0.02"]
    finished = play(tmp_path, *settings)
    summary, table = finished.summary, finished.table("attacks").set_index("attack")
    assert table.loc["active", "hijacked"].all(), table.to_string()
    assert table.loc["known", "cut_off"].all(), table.to_string()
    assert not table.loc["ack", "accepted"].any()  # it names another address than the one asked for
    assert summary["on_path_hijacked"] == 3
    assert (summary["victims"], summary["victims_hijacked"], summary["victims_cut_off"]) == (0, 0, 0)


@pytest.mark.lab
@pytest.mark.parametrize("topology", ["cable", "dsl"])
def test_without_the_defences_both_take_over_cut_off_and_spy(tmp_path, topology):
    finished = play(tmp_path, OFF, "hijack.moments=before", topology=topology)
    table = finished.table("attacks")
    for attacker, taken, cut, told in (
        ("subscriber", {"request", "clone"}, {"release"}, {"leasequery", "leasequery-mac"}),
        ("off-path", {"ack", "request-as-relay"}, {"release-as-victim"}, {"leasequery", "leasequery-mac"}),
    ):
        own = table[table["attacker"] == attacker].set_index("attack")
        assert taken <= set(own.index[own["hijacked"]]), own.to_string()
        assert cut <= set(own.index[own["cut_off"]]), own.to_string()
        assert told == set(own.index[own["disclosed"] > 0]), own.to_string()
    summary = finished.summary
    assert summary["victims_hijacked"] == table["hijacked"][table["attacker"] != "on-path"].sum()
    stored = table[table["option_82_forged"]]
    assert (stored["stolen_later"] > 0).all()  # what a server came to believe shows after one more reboot
    assert (table.loc[table["lease_lost"], "cut_off"]).all()
    assert attack_matrix(finished).axes


@pytest.mark.lab
@pytest.mark.requirement("R1-5")
def test_without_the_defences_a_controller_that_knows_nobody_yet_believes_a_clone(tmp_path):
    settings = ["hijack.attackers=subscriber", "hijack.moments=during", "concentrator.moves=always"]
    finished = play(tmp_path, *settings)
    assert believed(finished.table("attacks")) == {"clone"}
    assert list(finished.table("phases")["phase"]) == ["during", "further", "move"]


@pytest.mark.lab
@pytest.mark.parametrize(
    ("defence", "attacker", "attack"),
    [
        ("topology.ingress_filter=false", "off-path", "release-as-victim"),
        ("concentrator.moves=always", "subscriber", "clone"),
    ],
)
def test_each_of_these_defences_alone_stands_between_an_attack_and_its_victim(
    tmp_path, defence, attacker, attack
):
    finished = play(tmp_path, defence, f"hijack.attackers={attacker}", "hijack.moments=before")
    assert attack in believed(finished.table("attacks"))


def test_the_defences_go_together_unless_one_is_set_by_itself():
    on, off = load("hijack", {}), load("hijack", {"hijack.defences": False})
    assert (on.topology.ingress_filter, on.concentrator.moves, on.server.verify_source) == (
        True,
        "when-gone",
        True,
    )
    assert (off.topology.ingress_filter, off.concentrator.moves, off.server.verify_source) == (
        False,
        "always",
        False,
    )
    assert not off.concentrator.verify_replies
    assert not off.concentrator.verify_unicast
    assert off.server.any_requester
    some = load("hijack", {"hijack.defences": False, "concentrator.moves": "never"})
    assert (some.concentrator.moves, some.topology.ingress_filter) == ("never", False)
    assert load("reboot", {"hijack.defences": False}).topology.ingress_filter


def test_there_is_a_victim_for_each_trial_and_one_host_that_moves():
    spec = load("hijack", {})
    hosts = spec.topology.modems * spec.topology.hosts_per_modem
    assert hosts >= len(spec.hijack.trials) + 1 + len(spec.hijack.moments)
    small = load("hijack", {"hijack.moments": ["after"], "hijack.attackers": ["on-path"]})
    assert small.topology.modems < spec.topology.modems


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"topology.population": True}, ["topology.population=false"]),
        ({"topology.modems": 5}, ["37 modems", "topology.modems"]),
        ({"server.kind": "dnsmasq"}, ["server.kind=builtin"]),
        ({"probes.direction": "up"}, ["direction=down"]),
        ({"probes.pattern": "zipf"}, ["probes.pattern=steady"]),
        ({"hijack.moments": "never"}, ["hijack.moments"]),
        ({"hijack.attackers": []}, ["hijack.attackers"]),
        ({"hijack.guesses": 10**9}, ["hijack.guesses", "100000"]),
    ],
)
def test_what_cannot_be_attacked_is_one_line(settings, words):
    with pytest.raises(BadInput) as refused:
        load("hijack", settings)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value).replace(",", "") for word in words), refused.value


def test_the_longest_gap_is_what_was_lost_one_after_the_other():
    arrived = [1.0, None, None, 1.0, None, 1.0, 1.0]
    probes = pd.DataFrame({"due": range(7), "received": pd.Series(arrived, dtype=float)})
    assert longest_gap(probes, 0.5) == 1.0
    assert longest_gap(probes.sample(frac=1, random_state=1), 0.5) == 1.0
    assert longest_gap(probes.assign(received=1.0), 0.5) == 0.0
    assert longest_gap(probes.assign(received=float("nan")), 0.5) == 3.5
    assert longest_gap(probes.iloc[:0], 0.5) == 0.0


def event(at: float, kind: str, address: str, **more: object) -> dict:
    return {"at": at, "event": kind, "address": address, **more}


def test_what_an_attack_came_to_is_read_from_the_tables_and_what_attackers_saw(tmp_path):
    """Monotonic times are 100 more than those since the first phase: at 20 a reboot, at 30 a move.

    The first victim is stolen from at 6 and after the reboot, the second is silenced from 12 on, the third
    has a modem that comes late after the reboot, the fourth is spied on.
    """
    spec = load(
        "hijack", {"hijack.attackers": "subscriber", "hijack.moments": "before", "probes.interval": 0.5}
    )
    victims = {f"host{number}": f"198.18.0.{number}" for number in range(1, 5)}
    columns = {"attacker": "subscriber", "attack": "clone", "moment": "before", "sent": 3, "tags": [7]}
    columns |= {"lease_lost": False, "option_82_forged": False}
    trials_ = [{**columns, "victim": name, "address": address} for name, address in victims.items()]
    (tmp_path / "raw").mkdir()
    seen = {"stolen": [["198.18.0.1", 106.0], ["198.18.0.1", 125.0]], "disclosed": {"198.18.0.4": 2}}
    (tmp_path / "raw" / "tap-host9-report.json").write_text(json.dumps(seen))
    phases = [("before", 0.0, 0.0, 19.0), ("further", 20.0, 21.0, 29.0), ("move", 30.0, 30.0, 40.0)]
    lost = {"host1": lambda due: 6 <= due < 8 or due == 25, "host2": lambda due: due >= 12}
    probes = [
        {"subscriber": name, "direction": "down", "due": due, "received": None if gone else due + 0.001}
        for name in victims
        for due in (number / 2 for number in range(-4, 80))
        for gone in [20 <= due < 21.5 or lost.get(name, lambda _: False)(due)]
    ]
    events = [
        event(-1.0, "permit", "198.18.0.1", tags=[7]),
        event(6.0, "permit", "198.18.0.1", tags=[9]),
        event(12.0, "withdraw", "198.18.0.2", tags=None),
        event(21.0, "refuse", "198.18.0.3", reason="modem-absent"),
        event(35.0, "permit", "198.18.0.4", tags=[9]),  # it is the one that moves, say
    ]
    tables = {
        "phases": pd.DataFrame(phases, columns=["phase", "start", "ready", "end"]),
        "probes": pd.DataFrame(probes).astype({"received": float}),
        "events": pd.DataFrame(events),
    }
    result = {"killed": 100.0, "trials": trials_, "phases": [{"name": "move", "move_s": 1.5}]}
    found_out = SCENARIO.further_tables(spec, Evidence(tmp_path, result, tables))
    table = found_out["attacks"].set_index("victim")
    assert list(table["moved"]) == [True, True, False, False]
    assert list(table["stolen"]) == [2, 0, 0, 0]
    assert list(table["stolen_later"]) == [1, 0, 0, 0]
    assert list(table["disclosed"]) == [0, 0, 0, 2]
    assert list(table["lost_s"]) == [2.0, 14.5, 0.0, 0.0]  # the reboot and its grace do not count
    assert list(table["lost_later_s"]) == [0.5, 6.5, 0.0, 0.0]
    assert list(table["hijacked"]) == [True, False, False, False]
    assert list(table["cut_off"]) == [True, True, False, False]
    assert list(table["accepted"]) == [True, True, False, True]
    found = SCENARIO.further_keys(spec, Evidence(tmp_path, result, found_out))
    assert list(found) == [key.name for key in SCENARIO.keys]
    assert set(found_out["attacks"]) == {column.name for column in SCENARIO.tables["attacks"]}
    assert (found["victims"], found["victims_hijacked"], found["victims_cut_off"]) == (4, 1, 2)
    assert (found["bindings_disclosed"], found["on_path_victims"], found["honest_move_s"]) == (1, 0, 1.5)
