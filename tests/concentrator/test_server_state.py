"""The table of the back-off's states: it is whole, and the engine follows it, entry by entry."""

import itertools
from pathlib import Path

import pytest

from lq.concentrator import server_state
from lq.concentrator.events import Downstream
from lq.concentrator.server_state import ALLOWS, NEXT, Happening, ServerState
from tests.concentrator.helpers import HOST, SERVER, answer, engine, queries

DIAGRAM = Path(__file__).parents[2] / "docs/backoff.md"


def in_state(state):
    """An engine in this state, without a query under way; the time by then."""
    concentrator = engine(demand_time=1.0)
    if state is ServerState.SILENT:
        return concentrator, 0.0
    [query] = queries(concentrator.handle(Downstream(HOST + 100), 0.0))
    concentrator.handle(answer(query, "known"), 0.0)
    if state is ServerState.RESTING:
        concentrator.wake(10.0)
        return concentrator, 10.0
    return concentrator, 0.0


@pytest.mark.parametrize(("state", "happening"), NEXT)
def test_the_engine_does_what_the_table_says(state, happening):
    concentrator, now = in_state(state)
    server = concentrator.queries.servers[SERVER]
    assert server.state is state
    if happening is Happening.TIMER_NOT_ASKED:
        server.owes, server.timer = False, now + 1.0
        concentrator.wake(now + 1.0)
    else:
        [query] = queries(concentrator.handle(Downstream(HOST), now))
        if happening is Happening.ANSWER:
            concentrator.handle(answer(query, "known"), now + 0.1)
        else:
            concentrator.wake(server.timer)
    assert server.state is NEXT[state, happening]


@pytest.mark.parametrize("state", ALLOWS)
def test_a_state_allows_what_the_table_says(state):
    concentrator, now = in_state(state)
    concentrator.queries.servers[SERVER].last_sent = now - 100.0
    sent = [query for n in range(5) for query in queries(concentrator.handle(Downstream(HOST + n), now))]
    assert len(sent) == (5 if ALLOWS[state].window else 1)
    again = queries(concentrator.wake(now + 1.0))
    assert bool(again) == ALLOWS[state].own_timers


def test_the_table_is_whole():
    assert set(NEXT) == set(itertools.product(ServerState, Happening))
    assert set(ALLOWS) == set(ServerState)


def test_the_diagrams_show_the_steps_of_the_table():
    drawn = DIAGRAM.read_text()
    for (state, happening), following in NEXT.items():
        label = "timer (poll)" if state is following is ServerState.SILENT else happening.value
        assert f"    {state.name} --> {following.name}: {label}\n" in drawn
    # SILENT's two timers share one arrow, and the arrow from the start is no step.
    assert drawn.count(" --> ") == len(NEXT)
    assert all(state.name in server_state.__doc__ for state in ServerState)
