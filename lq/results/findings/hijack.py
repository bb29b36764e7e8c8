"""`hijack`: what each forgery got the attacker, and what it cost the victim."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lq.experiments.spec import Spec
from lq.results.record import rebooted

Tables = Mapping[str, pd.DataFrame]


def attacks(spec: Spec, run_dir: Path, result: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Return a row for each trial (`lq.scenarios.trials`); seconds, numbers of frames, or true and false:

    attacker, attack, moment, victim, address
    sent              forged frames
    moved             whether a concentrator put the victim's address elsewhere, or took it away
    lease_lost        whether the servers have no lease of the victim's at the end
    option_82_forged  whether a server has another place in it, which counts after the next reboot
    disclosed         answers to the attacker's queries that name the victim's binding
    stolen            the victim's probes that arrived at an attacker
    stolen_later      how many of these after the further reboot
    lost_s            the longest stretch without a probe delivered to the victim, outside reboots
    lost_later_s      the same after the further reboot alone
    hijacked          whether any of its probes was stolen
    cut_off           whether it was without probes for `hijack.patience` or more
    accepted          whether anything of this shows that somebody believed a forged frame
    """
    zero, phases = float(result["killed"]), tables["phases"].set_index("phase")
    further, move = (float(phases.loc[name, "start"]) for name in ("further", "move"))
    stolen, disclosed = _seen(run_dir, zero)
    reboots = tables["phases"][rebooted(tables["phases"])]
    probes = tables["probes"][tables["probes"]["direction"] == "down"]
    inside = np.zeros(len(probes), dtype=bool)
    for row in reboots.to_dict("records"):
        inside |= probes["due"].between(row["start"], row["ready"] + spec.hijack.grace).to_numpy()
    probes = probes[~inside & (probes["due"] < move).to_numpy()]
    by_host = dict(list(probes.groupby("subscriber")))
    moves = _moves(tables["events"], move)
    rows = []
    for trial in result["trials"]:
        row = {key: value for key, value in trial.items() if key != "tags"}
        own, address = by_host[trial["victim"]], trial["address"]
        begun = float(phases.loc[trial["moment"], "start"])
        times = np.array(stolen.get(address, ()))
        later = own[own["due"] >= further]
        own = own[own["due"] >= begun]
        row |= {
            "moved": any(at >= begun and tags != trial["tags"] for at, tags in moves.get(address, ())),
            "disclosed": disclosed[address],
            "stolen": len(times),
            "stolen_later": int((times >= further).sum()),
            "lost_s": longest_gap(own, spec.probe_interval),
            "lost_later_s": longest_gap(later, spec.probe_interval),
        }
        row["hijacked"] = row["stolen"] > 0
        row["cut_off"] = row["lost_s"] >= spec.hijack.patience
        believed = ("moved", "lease_lost", "option_82_forged", "disclosed", "hijacked", "cut_off")
        row["accepted"] = row["sent"] > 0 and any(row[key] for key in believed)
        rows.append(row)
    table: pd.DataFrame = pd.DataFrame(rows)
    return table


def longest_gap(probes: pd.DataFrame, interval: float) -> float:
    """Return for how long at most one probe after the other of a host's was lost, seconds.

    `probes` of one host, with `due` and `received`; `interval`: seconds between two of them.
    """
    lost = probes.sort_values("due")["received"].isna().to_numpy()
    if not lost.any():
        return 0.0
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate(([False], lost, [False])))))[::2]
    return float(runs.max() * interval)


def _seen(run_dir: Path, zero: float) -> tuple[dict[str, list[float]], Counter[str]]:
    """Return what the attackers saw: moments by victim's address, and answers by address."""
    stolen: dict[str, list[float]] = {}
    disclosed: Counter[str] = Counter()
    for path in sorted((run_dir / "raw").glob("tap-*-report.json")):
        report = json.loads(path.read_text())
        for address, at in report["stolen"]:
            stolen.setdefault(address, []).append(at - zero)
        disclosed.update(report["disclosed"])
    return stolen, disclosed


def _moves(events: pd.DataFrame, until: float) -> dict[str, list[tuple[float, list[int]]]]:
    """Return when a controller put each address where, or (no tags) took it away."""
    found: dict[str, list[tuple[float, list[int]]]] = {}
    some = events[events["event"].isin(["permit", "withdraw", "refuse"]) & (events["at"] < until)]
    for row in some.to_dict("records"):
        if row.get("reason") == "modem-absent":  # for a moment after a takeover, whoever attacks
            continue
        tags = list(row["tags"]) if row["event"] == "permit" else []
        found.setdefault(row["address"], []).append((float(row["at"]), tags))
    return found


def summarize(spec: Spec, result: Mapping[str, Any], tables: Tables) -> dict[str, Any]:
    """Return, of the subscriber and the attacker off the path together, and `verdict` in words:

    victims               hosts that they attacked, each once
    victims_hijacked      of these, those whose probes arrived at an attacker
    victims_cut_off       of these, those without any probe for `hijack.patience` seconds outside reboots
    bindings_disclosed    of these, those that an answer to a query of theirs named
    leases_lost           of these, those whose lease the servers no longer have
    locations_forged      of these, those for which a server holds another's place (option 82)
    forgeries_accepted    trials, of which somebody believed something
    on_path_victims, on_path_hijacked, on_path_cut_off     the same of the attacker on the path
    honest_move_s         seconds from plugging an honest host in elsewhere to its first delivered probe; None
                          if none came within `hijack.move_timeout`, as where the other of two servers gives
                          it another address
    """
    table = tables["attacks"]
    on_path = table[table["attacker"] == "on-path"]
    off = table[table["attacker"] != "on-path"]
    moved = next(phase for phase in result["phases"] if phase["name"] == "move").get("move_s")
    found = {
        "victims": len(off),
        "victims_hijacked": int(off["hijacked"].sum()),
        "victims_cut_off": int(off["cut_off"].sum()),
        "bindings_disclosed": int((off["disclosed"] > 0).sum()),
        "leases_lost": int(off["lease_lost"].sum()),
        "locations_forged": int(off["option_82_forged"].sum()),
        "forgeries_accepted": int(off["accepted"].sum()),
        "on_path_victims": len(on_path),
        "on_path_hijacked": int(on_path["hijacked"].sum()),
        "on_path_cut_off": int(on_path["cut_off"].sum()),
        "honest_move_s": moved,
    }
    return {**found, "verdict": _verdict(table, found)}


def _verdict(table: pd.DataFrame, found: Mapping[str, Any]) -> str:
    told = (
        f"of {found['victims']} victims of a subscriber and of a host off the path "
        f"{found['victims_hijacked']} were hijacked, {found['victims_cut_off']} cut off, "
        f"{found['bindings_disclosed']} spied on"
    )
    off = table[(table["attacker"] != "on-path") & table["accepted"]]
    if len(off):
        told += f" (believed: {', '.join(dict.fromkeys(off['attacker'] + ' ' + off['attack']))})"
    if found["on_path_victims"]:
        told += (
            f"; whoever is on the path and answers first got {found['on_path_hijacked']} of "
            f"{found['on_path_victims']} and cut off {found['on_path_cut_off']}: without keys nobody can tell"
        )
    moved = found["honest_move_s"]
    after = "not within the time given" if moved is None else f"after {moved:.1f} s"
    return f"{told}; an honest host that plugs in elsewhere is reached {after}"
