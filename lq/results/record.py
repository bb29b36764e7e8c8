"""A run's tables, made from what its processes wrote down, and the summary that they add up to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from controllers.record import read
from lq.results import load, phases
from lq.scenarios.parts.common import Common

_QUERY_COLUMNS = ["at", "server", "address", "client", "form", "attempt", "refresh"]
_ANSWER_COLUMNS = ["at", "server", "address", "client", "reply"]


def tabulate(run_dir: Path, result: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return the run's tidy tables; every time is in seconds since the reboot (the controller's kill).

    events:  at, event, generation (of the controller, from 0), and the event's own columns
    queries: at, server, address, or client (MAC address or client identifier), form, attempt (1 = first
             transmission), refresh (about a location that was about to end: no packet caused it), answered
             (when), reply
    probes:  subscriber (host), address, direction (down: to the host, up: from it), sequence (number among
             all probes of the direction), due, sent, received (NaN: lost)
    phases:  see `lq.results.phases`
    load:    see `lq.results.load`
    """
    zero = float(result["killed"])
    frames = []
    for generation, lines in enumerate(_records(run_dir)):
        frame = pd.DataFrame(lines)
        frames.append(frame[frame["event"] != "counters"].assign(generation=generation))
    events = pd.concat(frames, ignore_index=True)
    events = events.reindex(columns=[c for c in events.columns if c not in ("controller", "engine")])
    events["at"] -= zero
    tables = {
        "events": events.dropna(axis="columns", how="all"),
        "queries": _queries(events),
        "probes": _probes(run_dir / "raw", result["addresses"], zero),
    }
    tables["load"] = load.tabulate(run_dir / "raw" / "load.jsonl", zero)
    return {**tables, "phases": phases.tabulate(result, tables)}


def _records(run_dir: Path) -> Iterator[list[dict[str, Any]]]:
    """Go through what each controller wrote, in the order of their lives."""
    paths = (run_dir / "raw").glob("controller-*.jsonl")
    for path in sorted(paths, key=lambda path: int(path.stem.rpartition("-")[2])):
        yield read(path)


def _queries(events: pd.DataFrame) -> pd.DataFrame:
    """Pair each transmission of a query with that server's first answer about the same that follows it."""
    events = events[events["at"] >= 0]
    queries = events[events["event"] == "query"].reindex(columns=_QUERY_COLUMNS)
    answers = events[events["event"] == "answered"].reindex(columns=_ANSWER_COLUMNS)
    answers = answers.rename(columns={"at": "answered"}).sort_values("answered")
    queries["refresh"] = queries["refresh"].eq(True)
    queries = queries.astype({"at": float, "attempt": "Int64"}).sort_values("at")
    if answers.empty:
        unanswered: pd.DataFrame = queries.assign(answered=np.nan, reply=pd.NA).reset_index(drop=True)
        return unanswered
    answers = answers.assign(answered=answers["answered"].astype(float), subject=_subject(answers))
    paired: pd.DataFrame = pd.merge_asof(
        queries.assign(subject=_subject(queries)),
        answers.drop(columns=["address", "client"]),
        left_on="at",
        right_on="answered",
        by=["server", "subject"],
        direction="forward",
    )
    without: pd.DataFrame = paired.drop(columns="subject")
    return without


def _subject(table: pd.DataFrame) -> pd.Series:
    """Return what each query is about: an address, or a client."""
    subjects: pd.Series = table["address"].astype(object).where(table["address"].notna(), table["client"])
    return subjects


def load_probes(raw: Path) -> pd.DataFrame:
    """Return what `lq.emulation.probing` left in `raw`, each probe sent with the moment of its arrival.

    subscriber (number), direction (down, up), sequence (number among all probes of the direction), due,
    sent, received (NaN: lost); seconds on the monotonic clock.
    """
    flows = []
    for direction in ("down", "up"):
        if (raw / f"sent-{direction}.npy").exists():
            sent, received = (
                pd.DataFrame(np.load(raw / f"{what}-{direction}.npy")) for what in ("sent", "received")
            )
            received = received.drop_duplicates(["subscriber", "sequence"])
            flow = sent.merge(received, on=["subscriber", "sequence"], how="left")
            flow.insert(1, "direction", direction)
            flows.append(flow)
    probes: pd.DataFrame = pd.concat(flows, ignore_index=True)
    return probes


def _probes(raw: Path, addresses: Mapping[str, str], zero: float) -> pd.DataFrame:
    probes = load_probes(raw)
    probes[["due", "sent", "received"]] -= zero
    names = pd.Series(list(addresses))
    probes.insert(1, "address", probes["subscriber"].map(pd.Series(list(addresses.values()))))
    probes["subscriber"] = probes["subscriber"].map(names)
    return probes


def recovery_times(probes: pd.DataFrame, ready: float) -> pd.Series:
    """Return for each subscriber the seconds from `ready` to its first probe delivered after it.

    With probes in both directions it takes one in each. NaN for a subscriber of whose probes none was
    delivered in a direction. A subscriber that was sent nothing since `ready`, and sent nothing, is left out:
    nobody can say whether it would have been reached. Both times in seconds since the reboot.
    """
    after = probes[(probes["sent"] >= ready) | (probes["received"] >= ready)]
    first = after.groupby(["subscriber", "direction"])["received"].min() - ready
    ways = first.fillna(np.inf).unstack()  # what is missing now was not tried
    back: pd.Series = ways.max(axis=1).replace(np.inf, np.nan).rename("received")
    return back.reindex(pd.Index(after["subscriber"].unique(), name="subscriber"))


def rebooted(phases: pd.DataFrame) -> pd.Series:
    """Return for each phase whether a new controller took the switch over in it.

    A phase is measured from its `start`, and is `ready` when the new controller held the switch: later, by
    the kill and a controller's whole start. Without a reboot the two are the same moment.
    """
    took_over: pd.Series = phases["ready"] > phases["start"]
    return took_over


def recovery_windows(probes: pd.DataFrame, phases: pd.DataFrame) -> list[tuple[float, float]]:
    """Return for each phase with a reboot the moments of its takeover and of its last recovery, seconds.

    The phase's own end where somebody did not recover.
    """
    windows = []
    for phase in phases[rebooted(phases)].to_dict("records"):
        ready, end = float(phase["ready"]), float(phase["end"])
        back = recovery_times(probes[probes["due"] < end], ready)
        windows.append((ready, end if back.isna().any() or back.empty else ready + float(back.max())))
    return windows


def summarize(
    spec: Common,
    result: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    counters: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the run's summary, with the keys that every scenario shares: they are about the first phase.

    `recovered` and `recovery_*` are None without a reboot in it (`rebooted`), and `outage_s` is 0.
    `registration_s`: from the new controller's taking over until all modems had registered with it;
    None where they do not register, or without a reboot. `unaddressed`: subscribers without a probe since
    the takeover, which are neither recovered nor not. `queries_per_s`: repeats, too, over the whole phase.
    `queries_refresh`: those about locations that were about to end, repeats, too; no other key of queries or
    replies counts them. `packet_ins`: all that the phase's last controller got while it lived; up to a second
    less if it was killed (`counters`: see `controller_counters`).
    """
    first_phase = tables["phases"].iloc[0]
    end, reboot = first_phase["end"], bool(rebooted(tables["phases"]).iloc[0])
    probes, queries, events = (
        tables[name][tables[name][time] < end]
        for name, time in (("probes", "due"), ("queries", "at"), ("events", "at"))
    )
    ready = float(result["ready"]) - float(result["killed"])
    recovery, registered = recovery_times(probes, ready), result.get("registered")
    back = recovery.dropna() if reboot else recovery.iloc[:0]
    served = counters[int(events["generation"].max())]
    refresh, queries = queries[queries["refresh"]], queries[~queries["refresh"]]
    first = queries[queries["attempt"] == 1]
    asked = _subject(first).nunique()
    replies = events[(events["event"] == "answered") & (events["at"] >= 0)]
    if "refresh" in replies:
        replies = replies[~replies["refresh"].eq(True)]
    by_kind = replies["reply"].value_counts() if len(replies) else pd.Series(dtype=int)
    after = probes[probes["sent"] >= ready]
    return {
        "scenario": spec.scenario,
        "topology": spec.topology.figure,
        "backend": spec.backend,
        "server": spec.server.kind,
        "controller": spec.controller.framework,
        "seed": spec.seed,
        "subscribers": len(result["addresses"]),
        "recovered": len(back) if reboot else None,
        "unaddressed": len(result["addresses"]) - len(recovery),
        "recovery_p50_s": _quantile(back, 0.5),
        "recovery_p99_s": _quantile(back, 0.99),
        "recovery_max_s": _quantile(back, 1.0),
        "outage_s": ready,
        "registration_s": registered - float(result["ready"]) if reboot and registered is not None else None,
        "queries_sent": len(first),
        "queries_resent": len(queries) - len(first),
        "queries_per_address": len(first) / asked if asked else 0.0,
        "queries_refresh": len(refresh),
        "queries_per_s": len(queries) / float(end - first_phase["start"]),
        **{
            f"replies_{kind}": int(by_kind.get(kind, 0))
            for kind in ("active", "known", "unknown", "unimplemented")
        },
        "packet_ins": int(served.get("controller", {}).get("packet_ins", 0)),
        "probes_sent": len(after),
        "probes_delivered": int(after["received"].notna().sum()),
        "server_cpu_s": float(result["server_cpu_s"]),
        "controller_cpu_s": float(result["controller_cpu_s"]),
    }


def controller_counters(run_dir: Path) -> list[dict[str, Any]]:
    """Return for each controller, in the order of their lives, the latest line of its counters.

    It is empty for one that was killed before it wrote any.
    """
    return [
        next((line for line in reversed(lines) if line["event"] == "counters"), {})
        for lines in _records(run_dir)
    ]


def faults(run_dir: Path) -> list[dict[str, Any]]:
    """Return for each controller, in the order of their lives, how often it failed.

    `exceptions`, `switch_errors` (what the switch refused), and of each kind the first as a line of text in
    `exception`, `switch_error`, None without any.
    """
    found = []
    for lines in _records(run_dir):
        counted: dict[str, Any] = next((c for c in reversed(lines) if c["event"] == "counters"), {})
        row: dict[str, Any] = {}
        for kind in ("exception", "switch_error"):
            told = [line for line in lines if line["event"] == kind]
            row[f"{kind}s"] = max(len(told), counted.get("controller", {}).get(f"{kind}s", 0))
            row[kind] = _line(told[0]) if told else None
        found.append(row)
    return found


def _line(fault: Mapping[str, Any]) -> str:
    if fault["event"] == "exception":
        return f"{fault['error']}, of {fault['of']}"
    return f"OpenFlow error of type {fault['type']}, code {fault['code']}"


def _quantile(values: pd.Series, share: float) -> float | None:
    return float(values.quantile(share)) if len(values) else None
