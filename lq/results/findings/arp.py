"""`arp`: what broadcast ARP costs everybody, and what a thief makes of it, beside leasequery (R4.1-1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lq.experiments.spec import Spec


def summarize(spec: Spec, result: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return for the phase of ARP, and with the prefix `leasequery_` for the other, and `verdict` in words:

    arp_frames_per_host    ARP requests that each host had to process, on the average
    work_cpu_s             the controller's processor seconds once it had taken over
    switch_cpu_s           the switch's, from the reboot on
    access_packets         frames that left the concentrator downstream, probes and all
    spoofed_answers        that the thief sent
    spoofed_locations      neighbours whose packets came to the thief: theirs was the location that counted
    spoofed_share          the same, of all neighbours
    stolen_packets         packets for neighbours that came to the thief
    reached                hosts that got a probe of theirs

    The keys that all scenarios share are ARP's.
    """
    rows = {str(row["phase"]): row for row in tables["phases"].to_dict("records")}
    found: dict[str, Any] = {}
    for phase in result["phases"]:
        prefix = "" if phase["name"] == "arp" else f"{phase['name']}_"
        row, neighbours = rows[phase["name"]], len(result["addresses"]) - 1
        owners = set(result["addresses"].values())
        stolen = {address: count for address, count in phase["stolen"].items() if address in owners}
        found |= {
            f"{prefix}arp_frames_per_host": phase["arp_requests"] / len(owners),
            f"{prefix}work_cpu_s": phase["work_cpu_s"],
            f"{prefix}switch_cpu_s": phase["switch_cpu_s"],
            f"{prefix}access_packets": phase["access_packets"],
            f"{prefix}spoofed_answers": phase["spoofed_answers"],
            f"{prefix}spoofed_locations": len(stolen),
            f"{prefix}spoofed_share": len(stolen) / neighbours,
            f"{prefix}stolen_packets": sum(stolen.values()),
            f"{prefix}reached": int(row["reached"]),
        }
        if prefix:
            found[f"{prefix}queries_sent"] = int(row["queries_sent"])
    return {**found, "verdict": _verdict(spec, found)}


def _verdict(spec: Spec, found: Mapping[str, Any]) -> str:
    told = (
        f"each host had to process {found['arp_frames_per_host']:.1f} ARP requests, "
        f"{found['leasequery_arp_frames_per_host']:.1f} with leasequery; {found['access_packets']} frames "
        f"left the concentrator downstream, {found['leasequery_access_packets']} with leasequery"
    )
    if not spec.arp.spoofer:
        return told
    return (
        f"{told}; the thief got the traffic of {100 * found['spoofed_share']:.0f} % of its neighbours, "
        f"{100 * found['leasequery_spoofed_share']:.0f} % with leasequery"
    )
