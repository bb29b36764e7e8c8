"""What failover finds, from small tables: who came back without the dead server, and whose answer counted."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from lq.experiments.spec import load
from lq.results.findings import failover
from topologies import plan

NOT_BACK = math.inf
READY = 2.0  # seconds from the reboot until the new controller held the switch
ONE, TWO = plan.modem_mac(1), plan.modem_mac(2)


def spec(**settings):
    return load("failover", {f"failover.{name}": value for name, value in settings.items()})


# -- a death


def probes(back: dict[str, float]) -> pd.DataFrame:
    """Return two probes for each subscriber: one just lost, and one that arrives `back` after READY."""
    rows = [(name, "down", sent, math.nan) for name in back for sent in (READY - 0.5, READY + 0.1)]
    rows += [(name, "down", READY + after, READY + after) for name, after in back.items() if after < NOT_BACK]
    return pd.DataFrame(rows, columns=["subscriber", "direction", "sent", "received"])


def death(back: dict[str, float], held: list[str], returned: float | None = None, **settings):
    """Return the summary of a run in which `server2` died, which held the leases of `held`."""
    killed = 1000.0  # on the clock that the lab goes by
    phase = {
        "ready": killed + READY,
        "dead": "server2",
        "held_by_dead": held,
        "returned_at": None if returned is None else killed + returned,
    }
    tables = {"probes": probes(back)}
    return failover.summarize(spec(**settings), {"killed": killed, "phases": [phase]}, tables)


@pytest.mark.parametrize(
    ("back", "held", "expected", "words"),
    [
        (
            {"a": 0.5, "b": 0.7, "c": 0.9},
            ["b", "c"],
            (2, 2),
            "3 of 3 subscribers came back, 2 of the 2",
        ),
        (
            {"a": 0.5, "b": NOT_BACK, "c": NOT_BACK},
            ["b", "c"],
            (2, 0),
            "1 of 3 subscribers came back, 0 of the 2",
        ),
        ({"a": 0.5, "b": NOT_BACK, "c": 0.9}, ["b", "c"], (2, 1), "2 of 3 subscribers came back, 1 of the 2"),
        ({"a": NOT_BACK, "b": NOT_BACK}, ["a", "b"], (2, 0), "0 of 2 subscribers came back, 0 of the 2"),
        ({"a": NOT_BACK, "b": 0.1}, [], (0, 0), "1 of 2 subscribers came back, 0 of the 0"),
        ({"a": 0.1}, ["a", "was sent nothing"], (2, 1), "1 of 1 subscribers came back, 1 of the 2"),
    ],
    ids=["all back", "none of the dead one's", "some", "nobody", "it held nothing", "one unprobed"],
)
def test_who_came_back_without_the_dead_server(back, held, expected, words):
    found = death(back, held)
    assert found.keys() == {"dead_server", "held_by_dead", "recovered_of_dead", "returned_s", "verdict"}
    assert (found["dead_server"], found["returned_s"]) == ("server2", None)
    assert (found["held_by_dead"], found["recovered_of_dead"]) == expected
    assert found["verdict"].startswith(f"{words} whose lease server2 held (")


@pytest.mark.parametrize(
    ("settings", "returned", "words"),
    [
        ({"when": "before"}, None, "(before the reboot it died; the other had its bindings)"),
        ({"when": "during"}, None, "(during the reboot it died; the other had its bindings)"),
        (
            {"when": "after", "shared": False},
            None,
            "(after the reboot it died; the other knew nothing of its",
        ),
        ({"when": "before", "returns": 3}, 3.25, "its bindings), and it returned"),
        ({"shared": False, "returns": 0}, 0.0, "nothing of its leases), and it returned"),
    ],
)
def test_the_verdict_says_when_it_died_what_the_other_knew_and_that_it_returned(settings, returned, words):
    found = death({"a": 0.5}, ["a"], returned, **settings)
    assert words in found["verdict"]
    assert found["returned_s"] == returned
    assert found["verdict"].endswith("and it returned") is (returned is not None)


def test_back_is_only_who_was_reached_after_the_new_controller_had_taken_over():
    early = {"a": -0.1, "b": 0.0, "c": 0.1}
    assert death(early, ["a", "b", "c"])["recovered_of_dead"] == 2


# -- a disagreement


def heard(*rows: tuple[float, str, str, str, float], kind="active") -> pd.DataFrame:
    """Return messages: when, by which server, about which address, which modem, seconds since (option 91)."""
    table = pd.DataFrame(rows, columns=["at", "server", "address", "modem", "last_transaction"])
    return table.assign(type=kind)


def located(*rows: tuple[float, str, int]) -> pd.DataFrame:
    """Return permits: when, for which address, at the circuit of which modem."""
    events = [{"at": at, "event": "permit", "address": a, "tags": [number]} for at, a, number in rows]
    other = {"at": 9.0, "event": "withdraw", "address": "198.18.0.16", "tags": [7]}
    return pd.DataFrame([*events, other], columns=["at", "event", "address", "tags"])


def answers(wire: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    return failover.answers(spec(case="disagreement"), {}, {"wire": wire, "events": events})


HOST, OTHER = "198.18.0.16", "198.18.0.17"
BOTH_ANSWER = [(1.0, "server", HOST, ONE, 9.0), (1.1, "server2", HOST, TWO, 4.0)]


@pytest.mark.parametrize(
    ("rows", "permits", "won"),
    [
        (BOTH_ANSWER, [(1.2, HOST, 2)], {"server": False, "server2": True}),
        (BOTH_ANSWER, [(1.2, HOST, 1)], {"server": True, "server2": False}),
        (BOTH_ANSWER, [(1.05, HOST, 1), (1.2, HOST, 2)], {"server": False, "server2": True}),
        (BOTH_ANSWER, [(-3.0, HOST, 1)], {"server": False, "server2": False}),
        (BOTH_ANSWER, [], {"server": False, "server2": False}),
        (BOTH_ANSWER, [(1.2, OTHER, 2)], {"server": False, "server2": False}),
        (BOTH_ANSWER[:1], [(1.2, HOST, 1)], {}),
        ([*BOTH_ANSWER[:1], (-0.5, "server2", HOST, TWO, 4.0)], [(1.2, HOST, 1)], {}),
        ([*BOTH_ANSWER[:1], (1.1, "server2", OTHER, TWO, 4.0)], [(1.2, HOST, 1)], {}),
        ([], [], {}),
    ],
    ids=[
        "the fresher", "the older", "the last permit counts", "located before the reboot only",
        "nobody located", "another located", "one server silent", "it answered before the reboot",
        "about different hosts",
        "no answer",
    ],
)  # fmt: skip
def test_an_answer_has_won_where_the_host_is_located_in_the_end(rows, permits, won):
    table = answers(heard(*rows), located(*permits))
    assert list(table.columns) == ["at", "server", "address", "modem", "last_transaction", "won"]
    assert dict(zip(table["server"], table["won"], strict=True)) == won


def test_what_is_no_active_counts_as_no_answer():
    wire = pd.concat([heard(BOTH_ANSWER[0]), heard(BOTH_ANSWER[1], kind="known")])
    assert answers(wire, located((1.2, HOST, 1))).empty


def said(*rows: tuple[str, str, str, float, bool]) -> dict[str, object]:
    """Return the summary of answers: server, address, modem, seconds since, and whether that counted."""
    table = pd.DataFrame(rows, columns=["server", "address", "modem", "last_transaction", "won"])
    return failover.summarize(spec(case="disagreement"), {}, {"answers": table})


OLDER = ("server", HOST, ONE, 9.0, False)
FRESHER = ("server2", HOST, TWO, 4.0, True)


@pytest.mark.parametrize(
    ("rows", "disagreements", "fresher"),
    [
        ([OLDER, FRESHER], 1, 1),
        ([FRESHER, OLDER], 1, 1),
        ([(*OLDER[:4], True), (*FRESHER[:4], False)], 1, 0),
        ([(*OLDER[:4], False), (*FRESHER[:4], False)], 1, 0),
        ([OLDER, ("server2", HOST, ONE, 4.0, True)], 0, 0),
        ([OLDER, FRESHER, ("server", OTHER, ONE, 1.0, True), ("server2", OTHER, TWO, 2.0, False)], 2, 2),
        ([OLDER, FRESHER, ("server", OTHER, ONE, 3.0, True), ("server2", OTHER, TWO, 2.0, False)], 2, 1),
        ([OLDER, FRESHER, ("server2", HOST, TWO, 5.0, True)], 1, 1),
        ([("server", HOST, ONE, 4.0, True), FRESHER[:4] + (False,)], 1, 1),
        ([("server", HOST, ONE, 4.0, False), FRESHER], 1, 0),
        ([], 0, 0),
    ],
    ids=[
        "the fresher counts", "whatever comes first", "the older counts", "neither counts", "they agree",
        "two addresses", "one of two", "asked twice", "tie, the first counts", "tie, the second counts",
        "none",
    ],
)  # fmt: skip
def test_how_often_the_later_transaction_counted(rows, disagreements, fresher):
    found = said(*rows)
    assert found.keys() == {"disagreements", "fresher_won", "verdict"}
    assert (found["disagreements"], found["fresher_won"]) == (disagreements, fresher)
    head, *told = str(found["verdict"]).split("; ")
    assert head == f"the later transaction counted for {fresher} of {disagreements} addresses (R6.7-1)"
    assert len(told) == 2 * disagreements  # one for each server, however often it answered


def test_the_verdict_names_who_said_what():
    told = str(said(OLDER, FRESHER)["verdict"]).split("; ")[1:]
    assert told == [
        f"server2 said {TWO} of {HOST}, as of 4 s before (that counted)",
        f"server said {ONE} of {HOST}, as of 9 s before",
    ]
