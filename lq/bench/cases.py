"""What a benchmark has measured: one case beside its peer, as `lq bench NAME --json` has it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

Case = dict[str, Any]


def median(samples: Iterable[Mapping[str, Any]], key: str) -> float:
    """Return the median over the samples that have a value for the key, 0 where none has."""
    values = [sample[key] for sample in samples if sample.get(key) is not None]
    return float(statistics.median(values)) if values else 0.0


def case(
    name: str,
    unit: str,
    ours: float | list[Case],
    peer: float | list[Case] | None,
    goal: float | None,
    peer_name: str | None = None,
) -> Case:
    """One measurement beside its peer; a ratio above 1 is better than the peer.

    From samples the median of the rates counts. `cpu_ratio` compares answers per second of the
    servers' processor time: it hardly depends on what else the machine does.
    """
    result: Case = {"name": name, "unit": unit, "goal": goal, "peer_name": peer_name if peer else None}
    if isinstance(ours, list):
        result["ours_per_cpu_s"] = median(ours, "rate_per_cpu_s")
        result["samples"] = ours
        if isinstance(peer, list) and peer:
            result["peer_per_cpu_s"] = median(peer, "rate_per_cpu_s")
            spent = result["peer_per_cpu_s"]  # 0 where it took less than the clock shows
            result["cpu_ratio"] = result["ours_per_cpu_s"] / spent if spent else None
            result["peer_samples"] = peer
    first, second = (
        median(each, "rate") if isinstance(each, list) else each for each in (ours, peer or None)
    )
    ratio = first / second if first and second else None
    if ratio is not None and unit in ("s", "bytes"):
        ratio = 1 / ratio
    return result | {"ours": first, "peer": second, "ratio": ratio}


def limited(
    name: str, unit: str, ours: float, limit: float, peer: float | None = None, peer_name: str | None = None
) -> Case:
    """One measurement that is to stay within `limit`, in its own unit; `met` says whether it does.

    It has no `goal`: that is for ratios.
    """
    return case(name, unit, ours, peer, None, peer_name) | {"limit": limit, "met": ours <= limit}


def doubtful(result: Case, reasons: list[str]) -> Case:
    """Say of a measurement whether it may be believed, as a run does: `valid`, and `invalid_reasons`."""
    return result | {"valid": not reasons, "invalid_reasons": reasons}
