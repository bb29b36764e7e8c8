"""What each forgery of `hijack` got the attacker, and what it cost the victim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lq.results.schema import VERDICT, Column
from lq.scenarios.hijack.choices import Hijack
from lq.scenarios.parts.common import Common

if TYPE_CHECKING:
    from lq.results.evidence import Evidence, Table

ATTACKS = (
    Column("attacker", "text", "", "who attacked"),
    Column("attack", "text", "", "how (`lq.scenarios.trials`)"),
    Column("moment", "text", "", "before, during or after the reboot"),
    Column("victim", "text", "", "the host"),
    Column("address", "text", "", "its address"),
    Column("sent", "number", "frames", "forged"),
    Column("moved", "bool", "", "a concentrator put the victim's address elsewhere, or took it away"),
    Column("lease_lost", "bool", "", "the servers have no lease of the victim's at the end"),
    Column("option_82_forged", "bool", "", "a server has another place in it; it counts at the next reboot"),
    Column("disclosed", "number", "answers", "to the attacker's queries that name the victim's binding"),
    Column("stolen", "number", "probes", "the victim's that arrived at an attacker"),
    Column("stolen_later", "number", "probes", "how many of these after the further reboot"),
    Column("lost_s", "number", "s", "the longest stretch without a probe delivered, outside reboots"),
    Column("lost_later_s", "number", "s", "the same after the further reboot alone"),
    Column("hijacked", "bool", "", "any of its probes was stolen"),
    Column("cut_off", "bool", "", "it was without probes for `hijack.patience` or more"),
    Column("accepted", "bool", "", "anything of this shows that somebody believed a forged frame"),
)


def tabulate(spec: Common, wanted: Hijack, evidence: Evidence) -> dict[str, Table]:
    """Return a row for each trial (`ATTACKS`)."""
    zero, tables = float(evidence.result["killed"]), evidence.tables
    starts = {row["phase"]: float(row["start"]) for row in evidence.phases}
    further, move = starts["further"], starts["move"]
    stolen, disclosed = _seen(evidence, zero)
    probes = tables["probes"][tables["probes"]["direction"] == "down"]
    inside = probes["due"].isna()  # none yet
    for row in evidence.reboots:
        inside |= probes["due"].between(row["start"], row["ready"] + wanted.grace)
    probes = probes[~inside & (probes["due"] < move)]
    by_host = dict(list(probes.groupby("subscriber")))
    moves = _moves(tables["events"], move)
    rows = []
    for trial in evidence.result["trials"]:
        row = {key: value for key, value in trial.items() if key != "tags"}
        own, address = by_host[trial["victim"]], trial["address"]
        begun = starts[trial["moment"]]
        times = stolen.get(address, ())
        later = own[own["due"] >= further]
        own = own[own["due"] >= begun]
        row |= {
            "moved": any(at >= begun and tags != trial["tags"] for at, tags in moves.get(address, ())),
            "disclosed": disclosed[address],
            "stolen": len(times),
            "stolen_later": sum(at >= further for at in times),
            "lost_s": longest_gap(own, spec.probe_interval),
            "lost_later_s": longest_gap(later, spec.probe_interval),
        }
        row["hijacked"] = row["stolen"] > 0
        row["cut_off"] = row["lost_s"] >= wanted.patience
        believed = ("moved", "lease_lost", "option_82_forged", "disclosed", "hijacked", "cut_off")
        row["accepted"] = row["sent"] > 0 and any(row[key] for key in believed)
        rows.append(row)
    return {"attacks": evidence.table(rows)}


def longest_gap(probes: Table, interval: float) -> float:
    """Return for how long at most one probe after the other of a host's was lost, seconds.

    `probes` of one host, with `due` and `received`; `interval`: seconds between two of them.
    """
    lost = probes.sort_values("due")["received"].isna()
    return float(max((len(list(run)) for gone, run in groupby(lost) if gone), default=0) * interval)


def _seen(evidence: Evidence, zero: float) -> tuple[dict[str, list[float]], Counter[str]]:
    """Return what the attackers saw: moments by victim's address, and answers by address."""
    stolen: dict[str, list[float]] = {}
    disclosed: Counter[str] = Counter()
    for report in evidence.reports("tap-*"):
        for address, at in report["stolen"]:
            stolen.setdefault(address, []).append(at - zero)
        disclosed.update(report["disclosed"])
    return stolen, disclosed


def _moves(events: Table, until: float) -> dict[str, list[tuple[float, list[int]]]]:
    """Return when a controller put each address where, or (no tags) took it away."""
    found: dict[str, list[tuple[float, list[int]]]] = {}
    some = events[events["event"].isin(["permit", "withdraw", "refuse"]) & (events["at"] < until)]
    for row in some.to_dict("records"):
        if row.get("reason") == "modem-absent":  # for a moment after a takeover, whoever attacks
            continue
        tags = list(row["tags"]) if row["event"] == "permit" else []
        found.setdefault(row["address"], []).append((float(row["at"]), tags))
    return found


def summarize(spec: Common, wanted: Hijack, evidence: Evidence) -> dict[str, Any]:
    """Return the keys of `KEYS`."""
    table = evidence.tables["attacks"]
    on_path = table[table["attacker"] == "on-path"]
    off = table[table["attacker"] != "on-path"]
    moved = next(phase for phase in evidence.result["phases"] if phase["name"] == "move").get("move_s")
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


def _verdict(table: Table, found: Mapping[str, Any]) -> str:
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


KEYS = (
    Column("victims", "number", "hosts", "that the subscriber or the host off the path attacked, each once"),
    Column("victims_hijacked", "number", "hosts", "of these, those whose probes arrived at an attacker"),
    Column("victims_cut_off", "number", "hosts", "of these, those without any probe for `hijack.patience`"),
    Column("bindings_disclosed", "number", "hosts", "of these, those that an answer to a query named"),
    Column("leases_lost", "number", "hosts", "of these, those whose lease the servers no longer have"),
    Column("locations_forged", "number", "hosts", "of these, those for which a server holds another's place"),
    Column("forgeries_accepted", "number", "trials", "of which somebody believed something"),
    Column("on_path_victims", "number", "hosts", "that the attacker on the path attacked"),
    Column("on_path_hijacked", "number", "hosts", "of these, those whose probes arrived at an attacker"),
    Column("on_path_cut_off", "number", "hosts", "of these, those without any probe for `hijack.patience`"),
    Column(
        "honest_move_s",
        "number?",
        "s",
        "from plugging an honest host in elsewhere to its first delivered probe; nothing if none came within "
        "`hijack.move_timeout`, as where the other of two servers gives it another address",
    ),
    VERDICT,
)
