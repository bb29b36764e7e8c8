"""`servers`: the built-in server and ISC dhcpd under the same reboot, each in a lab of its own.

One after the other, so that neither is in the other's way. Same specification and seed, so the same network,
traffic, and order of queries.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lq.errors import BadInput
from lq.experiments.spec import Spec
from lq.progress import Progress
from lq.sandbox import dhcpd
from lq.sandbox.tools import find

KINDS = ("builtin", "dhcpd")
COMPARED = (
    *("subscribers", "recovered", "recovery_p50_s", "recovery_p99_s", "recovery_max_s"),
    *("queries_sent", "queries_resent", "queries_per_address", "replies_active", "server_cpu_s", "valid"),
)


def check() -> None:
    """Raise BadInput if the peer is not there."""
    if find("dhcpd") is None:
        raise BadInput(
            f"servers compares with ISC dhcpd: sudo apt-get install --no-install-recommends {dhcpd.PACKAGE}"
        )


def compare(
    spec: Spec, directory: Path, play: Callable[[Spec, Path, Progress], Any], progress: Progress
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the reboot with each server in a directory of its own; return the manifest and the summary of both.

    `play` runs a specification (`lq.experiments.run.run`). Writes `servers.parquet`, a row for each server:
    `server`, and the keys of its summary named in `COMPARED`. The other tables and the capture in
    `directory` are the built-in server's, as are the summary's usual keys; the others' have the server's name
    before them.
    In the manifest both runs' `fidelity` and `counters` are by the server's name.
    """
    manifests, summaries = {}, {}
    for kind in KINDS:
        settings = {"scenario": "reboot", "server": spec.server.model_copy(update={"kind": kind})}

        def tell(what: str, done: int, of: int, kind: str = kind) -> None:
            progress(f"{kind}: {what}", done, of)

        played = play(spec.model_copy(update=settings), directory / kind, tell)
        manifests[kind], summaries[kind] = played.manifest, played.summary
    first, *others = KINDS
    for path in [*(directory / first).glob("*.parquet"), *(directory / first).glob("*.pcap")]:
        shutil.copy(path, directory / path.name)
    rows = [{"server": kind, **{key: summaries[kind][key] for key in COMPARED}} for kind in KINDS]
    pd.DataFrame(rows).to_parquet(directory / "servers.parquet", index=False)
    reasons = [f"{kind}: {reason}" for kind in KINDS for reason in summaries[kind]["invalid_reasons"]]
    summary = {
        **summaries[first],
        "scenario": spec.scenario,
        **{f"{kind}_{key}": summaries[kind][key] for kind in others for key in COMPARED},
        "verdict": "; ".join(map(_told, rows)),
        "valid": not reasons,
        "invalid_reasons": reasons,
        "run_dir": str(directory),
    }
    return put_together(manifests, reasons), summary


def put_together(manifests: Mapping[str, Mapping[str, Any]], reasons: list[str]) -> dict[str, Any]:
    """Return one manifest for runs that differ in the server only, given theirs by its name."""
    fidelity = {kind: manifest["fidelity"] for kind, manifest in manifests.items()}
    return {
        **manifests[KINDS[0]],
        "servers": {name: found for each in manifests.values() for name, found in each["servers"].items()},
        "fidelity": {"valid": not reasons, "reasons": reasons, **fidelity},
        "counters": {kind: manifest["counters"] for kind, manifest in manifests.items()},
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
