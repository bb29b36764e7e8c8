"""Figures from run directories: who is reachable again when, and what it costs in queries.

Nothing is computed here that a table does not hold; figures read `lq.results.finished_run.Run`
only. Time is in seconds since the new controller took the switch over, the reboot's moment being
at minus the outage; without a reboot, since the first phase began. Recovery is that of the first phase, as in
the summary; what counts packets over time shows the whole run, each of several phases marked. A figure of a
run that broke its fidelity bounds says so on its face.

Each function draws into `ax` where one is given, else into a new figure, and returns the figure,
which a notebook shows. Lines differ in colour and in dashes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lq import figures, headings
from lq.errors import BadInput
from lq.figures import BLUE, ORANGE
from lq.plots.adversaries import attack_matrix, lease_curve
from lq.plots.canvas import COLOURS, DASHES, canvas, mark_invalid, need_reboot, seconds
from lq.plots.panels import panels
from lq.plots.sequence import sequence_chart
from lq.results.finished_run import Run
from lq.results.record import rebooted

MOST_BINS = 60  # in a histogram over time
MOST_ON_A_LINE = 4  # phases whose names stand on one line each
MOST_TOLD = 3  # outages that are told one by one
MOST_MARKS = 100  # subscribers up to which each one gets a mark of its own on the curve

_EDGE = 0.92  # of the width: further right there is no room for a name
_HEADROOM = 1.15  # of the height: what phases are called stands in it

_FLOWS = {
    "down": "Probes from the Internet to the subscribers",
    "up": "Probes from the subscribers to the Internet",
    "both": "Probes between the Internet and the subscribers",
}

SINCE_TAKEOVER = "time since the new controller took over (s)"
NOBODY = "no probe was sent to a subscriber after the takeover"


def since(run: Run) -> str:
    """Return what a run's times are counted from, as the label of an axis."""
    if run.rebooted:
        return SINCE_TAKEOVER
    return f"time since {run.spec.definition.beginning} (s)"


def reachable(run: Run) -> pd.Series:
    """Return the share of subscribers reachable, 0 to 1, as it steps over time.

    Indexed by seconds since the new controller took over; each value holds from there on. A
    subscriber is reachable up to the reboot when a probe had been delivered to it, and again from
    its first probe delivered after the takeover. Those without a probe since then are left out. Up to the
    first phase's end. Empty if nobody is left, or there was no reboot.
    """
    probes, outage = run.first_phase("probes"), run.summary["outage_s"]
    back = run.recovery
    if back.empty:
        empty: pd.Series = back.rename("reachable").rename_axis(SINCE_TAKEOVER)
        return empty
    earlier = probes.loc[probes["received"] < 0, "subscriber"]
    before = earlier[earlier.isin(back.index)].nunique()
    times = back.dropna().sort_values().to_numpy()
    first, last = min(0.0, probes["due"].min()) - outage, probes["due"].max() - outage
    shares = np.arange(1, len(times) + 1) / len(back)
    index = np.concatenate([[first, -outage], times, [max(last, times.max(initial=last))]])
    values = np.concatenate([[before / len(back), 0.0], shares, shares[-1:] if len(times) else [0.0]])
    curve: pd.Series = pd.Series(values, index=pd.Index(index, name=SINCE_TAKEOVER), name="reachable")
    return curve


def recovery_curve(
    runs: Run | Sequence[Run], labels: Sequence[str] | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the share of subscribers reachable against time, one curve for each run.

    `labels` name the runs in the legend (by default their directories). Raises BadInput for a run without a
    reboot.
    """
    runs = [runs] if isinstance(runs, Run) else list(runs)
    labels = [run.directory.name for run in runs] if labels is None else list(labels)
    if not runs or len(labels) != len(runs):
        raise ValueError(f"{len(runs)} runs and {len(labels)} labels: give one label for each run")
    for run in runs:
        need_reboot(run)
    figure, ax = canvas(ax)
    outages = [run.summary["outage_s"] for run in runs]
    ax.set(xlabel=SINCE_TAKEOVER, ylabel="subscribers reachable", ylim=(-0.02, 1.04))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    headings.head(ax, _recovery_title(runs), _without_controller(outages))
    mark_invalid(ax, runs)
    drawn = [(run, reachable(run), label) for run, label in zip(runs, labels, strict=True)]
    for _, curve, label in drawn:
        if curve.empty:
            ax.plot([], [], " ", label=f"{label} (no probe since)")
    drawn = [(run, curve, label) for run, curve, label in drawn if not curve.empty]
    if not drawn:
        ax.text(0.5, 0.5, NOBODY, transform=ax.transAxes, ha="center", color="0.35")
        return figure
    curves = [curve for _, curve, _ in drawn]
    # The picture ends a little after the last return; where someone stays away, with the run.
    complete = all(curve.iloc[-1] == 1 for curve in curves)
    ends = [run.recovery.max() for run, _, _ in drawn] if complete else [curve.index[-1] for curve in curves]
    right = max(ends) * (1.25 if complete else 1.0)
    outages = [run.summary["outage_s"] for run, _, _ in drawn]
    left = -min(1.25 * max(outages), 0.35 * right)
    styles = zip(COLOURS * len(runs), itertools.cycle(DASHES), strict=False)
    for (run, curve, label), (colour, dashes) in zip(drawn, styles, strict=False):
        name = label if run.summary["valid"] else f"{label} (not valid)"
        ax.step(
            curve.index, curve, where="post", label=name, color=colour, linestyle=dashes, linewidth=2,
            solid_capstyle="butt",
        )  # fmt: skip
        if len(run.recovery) <= MOST_MARKS:
            ax.plot(curve.index[2:-1], curve.iloc[2:-1], "o", color=colour, markersize=5, clip_on=False)
    ax.axvspan(max(left, -max(outages)), 0, color="0.9", zorder=0, linewidth=0)
    ax.set_xlim(left, right)
    if len(runs) > 1 or labels[0] != runs[0].directory.name:
        ax.legend()
    return figure


def _without_controller(outages: Sequence[float]) -> str:
    """Say what the grey stretches of a figure are."""
    told = list(dict.fromkeys(map(seconds, outages)))
    if len(told) > MOST_TOLD:
        told = [f"{seconds(min(outages))} to {seconds(max(outages))}"]
    return f"grey: no controller for {' and '.join(told)}"


def _recovery_title(runs: Sequence[Run]) -> str:
    numbers = {len(run.recovery) for run in runs}
    number = f"{numbers.pop()} subscribers" if len(numbers) == 1 else "subscribers of each run"
    names = {run.table("phases")["phase"].iloc[0] for run in runs if len(run.table("phases")) > 1}
    which = f"the first reboot ({names.pop()})" if len(names) == 1 else "a reboot"
    return f"Recovery after {which} of the concentrator: {number}"


def query_rate(run: Run, ax: Axes | None = None) -> Figure:
    """Draw leasequeries per second against time, first transmissions and repeats."""
    queries, outage = run.table("queries"), run.summary["outage_s"]
    figure, ax = canvas(ax)
    times = queries["at"].astype(float) - outage
    parts = {
        "first transmissions": (times[queries["attempt"] == 1], BLUE),
        "repeats": (times[queries["attempt"] > 1], ORANGE),
    }
    width = 0.0
    if len(times):
        edges = _edges(min(0.0, times.min()), times.max(), len(times))
        width = edges[1] - edges[0]
        below = np.zeros(len(edges) - 1)
        for label, (part, colour) in parts.items():
            if len(part):
                rate = np.histogram(part, edges)[0] / width
                ax.bar(
                    edges[:-1], rate, width, bottom=below, align="edge", color=colour, label=label,
                    edgecolor="white", linewidth=0.5,
                )  # fmt: skip
                below += rate
        several = len(run.table("phases")) > 1  # whose names stand at the top
        ax.legend(loc="upper right", bbox_to_anchor=(1.0, 0.9) if several else None)
        ax.set_xlim(edges[0], edges[-1])
        ax.set_ylim(0, 1.35 * below.max())  # the legend has the space above
    else:
        ax.text(0.5, 0.5, "no query was sent", transform=ax.transAxes, ha="center", color="0.35")
    _mark_phases(ax, run)
    ax.set(xlabel=since(run), ylabel="leasequeries (/s)")
    first, again = (len(part) for part, _ in parts.values())
    counted = f"per interval of {seconds(width)}" if width else ""
    headings.head(ax, f"Leasequeries: {first:,} first transmissions, {again:,} repeats", counted)
    mark_invalid(ax, [run])
    return figure


def packet_rate(run: Run, ax: Axes | None = None) -> Figure:
    """Draw probes per second against the time they were sent: all, and those that were delivered."""
    counts, width = probe_counts(run)
    figure, ax = canvas(ax)
    for column, colour, dashes in (("delivered", BLUE, "-"), ("sent", "0.35", "--")):
        ax.step(
            counts.index, counts[column] / width, where="post", label=column, color=colour,
            linestyle=dashes, linewidth=2 if dashes == "-" else 1.5,
        )  # fmt: skip
    outages = _over_the_run(ax, run, "probes (/s)")
    ax.set_ylim(0, _HEADROOM * max(ax.get_ylim()[1], 1e-9))
    ax.legend(loc="best")
    headings.head(ax, _FLOWS[run.spec.probes.direction], outages)
    mark_invalid(ax, [run])
    return figure


def delivered_share(run: Run, ax: Axes | None = None) -> Figure:
    """Draw which share of the probes sent at a time was delivered."""
    counts, width = probe_counts(run)
    figure, ax = canvas(ax)
    ax.step(counts.index, counts["delivered"] / counts["sent"], where="post", color=BLUE, linewidth=2)
    outages = _over_the_run(ax, run, "probes delivered")
    ax.set_ylim(-0.02, _HEADROOM)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    note = "; ".join(filter(None, (f"per interval of {seconds(width)}", outages)))
    headings.head(ax, "Share of the probes that were delivered", note)
    mark_invalid(ax, [run])
    return figure


_OF_TABLES: dict[str, tuple[str, Callable[[Run], Figure]]] = {
    "attacks": ("attacks", attack_matrix),
    "clients": ("leases", lease_curve),
}
"""The figure of a table that a scenario may have, with its file's name."""


def save(run: Run) -> list[Path]:
    """Write all figures of a run into its directory `figures`, as PNG and SVG; return the files.

    Those of a comparison show all its runs.
    """
    return figures.save(of_run(run), run.directory)


def of_run(run: Run) -> dict[str, Figure]:
    """Draw all figures of a run, by their names."""
    compared = run.spec.definition.comparison
    return _of_one(run) if compared is None else _of_several(run, compared.variants)


def _of_one(run: Run) -> dict[str, Figure]:
    """Draw everything; without a reboot nothing of a recovery."""
    over_time = {
        "queries": query_rate(run),
        "packets": packet_rate(run),
        "delivered": delivered_share(run),
    }
    own = {
        name: draw(run) for table, (name, draw) in _OF_TABLES.items() if table in run.spec.definition.tables
    }
    over_time = {**own, **over_time}
    if not run.rebooted:
        return over_time
    return {"recovery": recovery_curve(run), **over_time, "sequence": sequence_chart(run)}


def _of_several(run: Run, names: Iterable[str]) -> dict[str, Figure]:
    """Draw all runs of a comparison in each figure, apart from the sequences."""
    runs = {name: Run(run.directory / name) for name in names}
    return {
        "recovery": recovery_curve(list(runs.values()), list(runs)),
        "queries": panels(query_rate, runs),
        "packets": panels(packet_rate, runs),
        "delivered": panels(delivered_share, runs),
        **{f"sequence-{name}": sequence_chart(each) for name, each in runs.items()},
    }


def _over_the_run(ax: Axes, run: Run, ylabel: str) -> str:
    """Lay out a time axis over the whole run, with each outage shaded; return what is to be said of these."""
    probes, outage, phases = run.table("probes"), run.summary["outage_s"], run.table("phases")
    ax.set(xlabel=since(run), ylabel=ylabel)
    ax.set_xlim(
        min(0.0, probes["due"].min()) - outage, max(phases["end"].max(), probes["due"].max()) - outage
    )
    reboots = phases[rebooted(phases)]
    for phase in reboots.to_dict("records"):
        ax.axvspan(phase["start"] - outage, phase["ready"] - outage, color="0.9", zorder=0, linewidth=0)
    if len(probes) < 2:  # one makes no line
        ax.text(0.98, 0.9, f"{len(probes)} probe in all", transform=ax.transAxes, ha="right", color="0.35")
    _mark_phases(ax, run)
    return _without_controller((reboots["ready"] - reboots["start"]).tolist()) if len(reboots) else ""


def _mark_phases(ax: Axes, run: Run) -> None:
    """Write where each phase begins, if there are several, along an axis whose limits are set."""
    phases, outage = run.table("phases"), run.summary["outage_s"]
    left, right = ax.get_xlim()
    between = "\n " if len(phases) > MOST_ON_A_LINE else " "
    for phase in phases.to_dict("records") if len(phases) > 1 else ():
        name = str(phase["phase"]).replace(" ", between, 1)
        start = max(left, phase["start"] - outage)
        at_the_end = start > left + _EDGE * (right - left)
        ax.axvline(start, color="0.35", linewidth=0.8, linestyle=":")
        ax.text(
            start, 0.99, f"{name} " if at_the_end else f" {name}", va="top", fontsize="small",
            ha="right" if at_the_end else "left", color="0.35", transform=ax.get_xaxis_transform(),
            clip_on=True, in_layout=False,
            bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
        )  # fmt: skip


def probe_counts(run: Run) -> tuple[pd.DataFrame, float]:
    """Count probes `sent` and `delivered` by bins of the time due; return the bins' width, too (seconds)."""
    probes = run.table("probes")
    if probes.empty:
        raise BadInput(f"{run.directory}: no probe was sent, so there is nothing to draw")
    due = probes["due"] - run.summary["outage_s"]
    # Bins hold whole rounds of probes (one to each subscriber), lest the pace show as noise.
    interval = run.spec.probe_interval
    rounds = max(1, math.ceil((due.max() - due.min()) / interval / MOST_BINS))
    width = rounds * interval
    number = ((due - due.min() + interval * 1e-6) // width).astype(int)
    counts = pd.DataFrame(
        {"sent": number.groupby(number).size(), "delivered": probes["received"].notna().groupby(number).sum()}
    )
    counts.index = pd.Index(due.min() + counts.index * width, name=SINCE_TAKEOVER)
    whole = counts.index + width <= due.max() + interval * (1 + 1e-6)  # the last one may end too soon
    return counts[whole] if whole.any() else counts, width


def _edges(first: float, last: float, count: int) -> np.ndarray[Any, Any]:
    """Return the edges of bins of a round width that cover `first` to `last`: fewer for a low `count`."""
    bins = min(MOST_BINS, max(8, 2 * math.isqrt(count))) - 2
    rough = max(last - first, 1e-3) / bins
    magnitude = 10.0 ** math.floor(math.log10(rough))
    width = next(step * magnitude for step in (1, 2, 5, 10) if step * magnitude >= rough)
    start, end = math.floor(first / width), math.floor(last / width) + 1
    return np.arange(start, end + 1) * width
