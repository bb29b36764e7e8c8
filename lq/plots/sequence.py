"""A message sequence chart of a run: who sent what to whom, and when."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from lq.errors import BadInput
from lq.figures import BLUE, GREEN, ORANGE, VERMILION
from lq.plots.canvas import canvas, mark_invalid, need_reboot
from lq.results.finished_run import Run
from topologies import plan

SERVER = "DHCP server"
_COLOUR = {"probe": "0.35", "query": BLUE, "active": GREEN, "known": ORANGE, "unknown": VERMILION}
_ROW = 0.3  # inches for a message


class Step(NamedTuple):
    """One message: `at` in seconds since the new controller took over, lanes by name, what it says.

    A server's lane is its address.
    """

    at: float
    source: str
    target: str
    kind: str
    label: str


def steps(run: Run, subscribers: int = 3) -> list[Step]:
    """Return the messages of the first `subscribers` that came back, in the order of time.

    For each: its first probe that arrived again, to it or from it, the queries about it, each server's
    answer, and the probe's delivery; all in the first phase.
    """
    outage = run.summary["outage_s"]
    back = run.recovery.dropna().sort_values().index[:subscribers]
    probes, queries = run.first_phase("probes"), run.first_phase("queries")
    found: list[Step] = []
    for name in back:
        own = probes[(probes["subscriber"] == name) & (probes["received"] >= outage)]
        if own.empty:  # one that arrived before it was sent
            continue
        first = own.loc[own["received"].idxmin()]
        sender, receiver, word, passing = "Internet", "subscribers", "for", "to"
        if first["direction"] == "up":
            sender, receiver, word, passing = receiver, sender, "from", "from"
        found += [
            Step(first["sent"] - outage, sender, "concentrator", "probe", f"probe {word} {name}"),
            Step(first["received"] - outage, "concentrator", receiver, "probe", f"{passing} {name}"),
        ]
        for query in queries[queries["address"] == first["address"]].to_dict("records"):
            again = "" if query["attempt"] == 1 else f", attempt {query['attempt']}"
            where = f"LEASEQUERY {query['address']}{again}"
            found.append(Step(query["at"] - outage, "concentrator", query["server"], "query", where))
            if pd.notna(query["answered"]) and query["attempt"] == 1:
                what = f"{query['reply'].upper()} {query['address']}"
                answered = query["answered"] - outage
                found.append(Step(answered, query["server"], "concentrator", query["reply"], what))
    return sorted(found)


def _lanes(run: Run) -> dict[str, str]:
    """Return what is written above each lane: a lane for each server, whether it was asked or not."""
    servers = [str(place.address) for place in plan.SERVERS[: run.spec.server.count]]
    titles = {address: SERVER if len(servers) == 1 else f"{SERVER}\n{address}" for address in servers}
    return {"Internet": "Internet", "concentrator": "concentrator", **titles, "subscribers": "subscribers"}


def sequence_chart(run: Run, subscribers: int = 3) -> Figure:
    """Draw the messages of the first subscribers that came back, one line each; time goes down.

    The lines are evenly spaced, so that all can be read; the time of each is written beside it. Raises
    BadInput for a run without a reboot.
    """
    need_reboot(run)
    messages = steps(run, subscribers)
    titles = _lanes(run)
    for step in messages:
        if not {step.source, step.target} <= set(titles):
            damaged = run.directory / "queries.parquet"
            raise BadInput(
                f"{damaged} is damaged: the run does not have a server {step.source} or {step.target}"
            )
    height = max(2.0, 1.2 + _ROW * len(messages))
    figure, ax = canvas(None, (2.0 * len(titles), height))
    lane = {name: number for number, name in enumerate(titles)}
    ax.set_axis_off()
    ax.set(xlim=(-0.75, len(lane) - 0.6), ylim=(len(messages) + 0.4, -1.4))
    for name, x in lane.items():
        ax.plot([x, x], [-0.6, len(messages)], color="0.8", linewidth=1, zorder=1)
        ax.text(x, -0.8, titles[name], ha="center", va="bottom", fontweight="bold")

    for row, step in enumerate(messages):
        source, target = lane[step.source], lane[step.target]
        colour = _COLOUR.get(step.kind, "0.35")
        ax.annotate(
            "", xy=(target, row), xytext=(source, row),
            arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        # Above the arrow; one that passes the server on its way to the subscribers is labelled before it.
        ax.text(
            min(source, target) + 0.5, row - 0.1, step.label, ha="center", va="bottom", fontsize="x-small",
        )  # fmt: skip
        ax.text(
            -0.08,
            row,
            f"{step.at * 1000:.1f} ms" if step.at < 1 else f"{step.at:.3f} s",
            ha="right",
            va="center",
            fontsize="x-small",
            color="0.35",
        )
    ax.text(-0.3, -0.8, "since takeover", ha="right", va="bottom", fontsize="x-small", color="0.35")
    if not messages:
        ax.text((len(lane) - 1) / 2, -0.2, "no subscriber came back", ha="center", color="0.35")
    mark_invalid(ax, [run])
    return figure
