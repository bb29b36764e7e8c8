"""`servers`: the built-in server and ISC dhcpd under the same reboot, each in a lab of its own.

One after the other, so that neither is in the other's way. Same specification and seed, so the same network,
traffic, and order of queries.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from lq.errors import BadInput
from lq.experiments.spec import Spec
from lq.sandbox import dhcpd
from lq.sandbox.tools import find

KINDS = ("builtin", "dhcpd")
COMPARED = (
    *("subscribers", "recovered", "recovery_p50_s", "recovery_p99_s", "recovery_max_s"),
    *("queries_sent", "queries_resent", "queries_per_address", "replies_active", "server_cpu_s", "valid"),
)

Progress = Callable[[str, int, int], None]


def check() -> None:
    """Raise BadInput if the peer is not there."""
    if find("dhcpd") is None:
        raise BadInput(
            f"servers compares with ISC dhcpd: sudo apt-get install --no-install-recommends {dhcpd.PACKAGE}"
        )


def compare(
    spec: Spec, directory: Path, play: Callable[[Spec, Path, Progress], Any], progress: Progress
) -> dict[str, Any]:
    """Run the reboot with each server in a directory of its own below `directory`; return the summary.

    `play` runs a specification (`lq.experiments.run.run`). Writes `servers.parquet`, a row for each server:
    `server`, and the keys of its summary named in `COMPARED`. What is else in a run's directory is
    the built-in server's, as are the summary's usual keys; the others' have the server's name before them.
    """
    rows = []
    for kind in KINDS:
        settings = {"scenario": "reboot", "server": spec.server.model_copy(update={"kind": kind})}

        def tell(what: str, done: int, of: int, kind: str = kind) -> None:
            progress(f"{kind}: {what}", done, of)

        played = play(spec.model_copy(update=settings), directory / kind, tell)
        rows.append({"server": kind, **{key: played.summary[key] for key in COMPARED}})
    first = directory / KINDS[0]
    for path in [*first.glob("*.parquet"), *first.glob("*.pcap"), first / "manifest.json"]:
        shutil.copy(path, directory / path.name)
    pd.DataFrame(rows).to_parquet(directory / "servers.parquet", index=False)
    summary = json.loads((first / "summary.json").read_text())
    reasons = [
        f"{kind}: {reason}"
        for kind in KINDS
        for reason in json.loads((directory / kind / "summary.json").read_text())["invalid_reasons"]
    ]
    peers = {f"{row['server']}_{key}": row[key] for row in rows[1:] for key in COMPARED}
    return {
        **summary,
        "scenario": spec.scenario,
        **peers,
        "verdict": "; ".join(map(_told, rows)),
        "valid": not reasons,
        "invalid_reasons": reasons,
        "run_dir": str(directory),
    }


def _told(row: dict[str, Any]) -> str:
    def shown(key: str) -> str:
        return "-" if row[key] is None else f"{row[key] * 1000:.0f} ms"

    return (
        f"{row['server']}: {row['recovered']} of {row['subscribers']} back, "
        f"median {shown('recovery_p50_s')}, at most {shown('recovery_max_s')}, "
        f"{row['queries_sent']} queries ({row['queries_resent']} sent again), "
        f"{shown('server_cpu_s')} of the server's processor"
    )
