"""Scenarios that play another one several times, each in a lab of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lq.experiments.spec import Spec
from lq.progress import Progress
from lq.scenarios.scenario import SideBySide


def compare(
    comparison: SideBySide,
    spec: Spec,
    directory: Path,
    play: Callable[[Spec, Path, Progress], Any],
    progress: Progress,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Play each variant in a directory of its own; return the manifest and the summary of all.

    `play` runs a specification (`lq.experiments.run.run`). Writes the table of the scenario's name, such as
    `servers.parquet`, with a row for each variant: its name in the column `comparison.part`, and the keys of
    its summary that are compared. The other tables and the capture in `directory` are the first variant's, as
    are the summary's usual keys; the others' have the variant's name before them.
    In the manifest the runs' `fidelity` and `counters` are by the variant's name.
    """
    manifests, summaries = {}, {}
    for name, variant in comparison.variants.items():
        part = getattr(spec, comparison.part).model_copy(update=dict(variant))

        def tell(what: str, done: int, of: int, name: str = name) -> None:
            progress(f"{name}: {what}", done, of)

        single = spec.model_copy(update={"scenario": comparison.of, comparison.part: part})
        played = play(single, directory / name, tell)
        manifests[name], summaries[name] = played.manifest, played.summary
    first, *others = comparison.variants
    for path in [*(directory / first).glob("*.parquet"), *(directory / first).glob("*.pcap")]:
        shutil.copy(path, directory / path.name)
    rows = [
        {comparison.part: name, **{key: summary[key] for key in comparison.keys}}
        for name, summary in summaries.items()
    ]
    pd.DataFrame(rows).to_parquet(directory / f"{spec.scenario}.parquet", index=False)
    reasons = [f"{name}: {why}" for name, summary in summaries.items() for why in summary["invalid_reasons"]]
    summary = {
        **summaries[first],
        "scenario": spec.scenario,
        **{f"{name}_{key}": summaries[name][key] for name in others for key in comparison.keys},
        "verdict": "; ".join(map(comparison.told, rows)),
        "valid": not reasons,
        "invalid_reasons": reasons,
        "run_dir": str(directory),
    }
    return put_together(manifests, reasons), summary


def put_together(manifests: Mapping[str, Mapping[str, Any]], reasons: list[str]) -> dict[str, Any]:
    """Return one manifest for runs that differ in one part only, given theirs by the variant's name."""
    fidelity = {name: manifest["fidelity"] for name, manifest in manifests.items()}
    return {
        **next(iter(manifests.values())),
        "servers": {name: found for each in manifests.values() for name, found in each["servers"].items()},
        "fidelity": {"valid": not reasons, "reasons": reasons, **fidelity},
        "counters": {name: manifest["counters"] for name, manifest in manifests.items()},
    }
