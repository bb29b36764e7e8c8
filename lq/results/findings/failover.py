"""`failover`: who came back without the dead server, and whose answer counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lq.experiments.spec import Spec
from lq.results.record import recovery_times
from topologies import plan

ANSWERS = ["at", "server", "address", "modem", "last_transaction", "won"]


def answers(spec: Spec, result: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the servers' ACTIVE answers since the reboot about addresses that more than one answered for.

    Columns: at, server, address, modem (its hardware address, from option 82), last_transaction (option 91,
    seconds), and `won`: that is where the concentrator has located the host in the end (R6.7-1).
    """
    wire, events = tables["wire"], tables["events"]
    found = wire[(wire["type"] == "active") & (wire["at"] >= 0)]
    several = found.groupby("address")["server"].transform("nunique") > 1
    table: pd.DataFrame = found[several][ANSWERS[:-1]].reset_index(drop=True)
    permits = events[(events["event"] == "permit") & (events["at"] >= 0)]
    located = {} if permits.empty else permits.groupby("address")["tags"].last().map(tuple).to_dict()
    stacked = spec.topology.stacked_tags
    tags = {plan.modem_mac(n): plan.tags(n, stacked) for n in range(1, (spec.topology.modems or 2) + 1)}
    table["won"] = [
        tags.get(modem) == located.get(address)
        for modem, address in zip(table["modem"], table["address"], strict=True)
    ]
    return table


def summarize(spec: Spec, result: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return `verdict`, and more.

    Of a death: `dead_server`, `held_by_dead` (subscribers whose lease is its), `recovered_of_dead` (of
    these), `returned_s` (seconds since the phase began). Of a disagreement: `disagreements` (addresses),
    `fresher_won` (of these).
    """
    if spec.failover.case == "disagreement":
        return _disagreement(tables["answers"])
    phase = result["phases"][0]
    ready = float(phase["ready"]) - float(result["killed"])
    back = recovery_times(tables["probes"], ready)
    held = back.reindex(phase["held_by_dead"])
    returned = phase["returned_at"]
    knew = "the other had its bindings" if spec.failover.shared else "the other knew nothing of its leases"
    told = (
        f"{int(back.notna().sum())} of {len(back)} subscribers came back, "
        f"{int(held.notna().sum())} of the {len(held)} whose lease {phase['dead']} held"
        f" ({spec.failover.when} the reboot it died; {knew})"
    )
    after: float | None = None
    if returned is not None:
        told += ", and it returned"
        after = float(returned) - float(result["killed"])
    return {
        "dead_server": phase["dead"],
        "held_by_dead": len(held),
        "recovered_of_dead": int(held.notna().sum()),
        "returned_s": after,
        "verdict": told,
    }


def _disagreement(table: pd.DataFrame) -> dict[str, Any]:
    told, fresher, disagreements = [], 0, 0
    for address, of_one in table.groupby("address"):
        if of_one["modem"].nunique() < 2:
            continue
        disagreements += 1
        # A server that is asked twice answers twice: what counts is its first answer.
        said = of_one.sort_values("last_transaction").drop_duplicates("server").to_dict("records")
        fresher += bool(said[0]["won"])
        told += [
            f"{row['server']} said {row['modem']} of {address}, as of {row['last_transaction']:.0f} s before"
            f"{' (that counted)' if row['won'] else ''}"
            for row in said
        ]
    held = f"the later transaction counted for {fresher} of {disagreements} addresses (R6.7-1)"
    return {
        "disagreements": disagreements,
        "fresher_won": fresher,
        "verdict": "; ".join([held, *told]),
    }
