"""Run directories written number by number, for the tests of what reads them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import yaml

from lq.experiments.spec import load
from lq.results.finished_run import Run

OUTAGE = 2.0
INTERVAL = 0.1
END = 5.0  # when the last probe has been sent
REASON = "the switch waited 80 % of the time that it wanted a processor"
TWO = (("arp", 0.0, OUTAGE, 3.0), ("leasequery", 3.0, 3.5, END))
ALONE = (("attack", 0.0, 0.0, END),)


def write_run(directory, back, valid=True, resent=0, phases=(("reboot", 0.0, OUTAGE, END),), **settings):
    """Write a run of len(back) subscribers: each receives all probes before 0 and from OUTAGE + back on.

    `phases`: name, start, ready, end. `settings` of the specification, with two underscores for the dot.
    """
    directory.mkdir()
    rounds = np.arange(-10, 50)
    names = [f"host{number}" for number in range(1, len(back) + 1)]
    probes = pd.DataFrame(
        [
            {"subscriber": name, "address": f"198.18.0.{16 + index}",
             "direction": "down", "sequence": sequence,
             "due": (due := sequence * INTERVAL + index * INTERVAL / len(back)), "sent": due,
             "received": due + 0.001 if due < -0.01 or due >= OUTAGE + back[index] else np.nan}
            for sequence in rounds for index, name in enumerate(names)
        ]
    )  # fmt: skip
    asked = [index for index, after in enumerate(back) if np.isfinite(after)]
    queries = pd.DataFrame(
        [
            {"at": OUTAGE + 0.01 * index + 0.5 * attempt, "server": "198.19.1.2",
             "address": f"198.18.0.{16 + index}", "form": "address", "attempt": attempt + 1,
             "answered": OUTAGE + 0.01 * index + 0.002, "reply": "active"}
            for attempt in range(2) for index in (asked if attempt == 0 else asked[:resent])
        ],
        columns=["at", "server", "address", "form", "attempt", "answered", "reply"],
    )  # fmt: skip
    events = pd.DataFrame([{"at": OUTAGE, "event": "ready", "generation": 1}])
    table = pd.DataFrame(phases, columns=["phase", "start", "ready", "end"])
    for name, content in (("probes", probes), ("queries", queries), ("events", events), ("phases", table)):
        content.to_parquet(directory / f"{name}.parquet")
    chosen = {name.replace("__", "."): value for name, value in settings.items()}
    spec = load(chosen.pop("scenario", "reboot"), {"probes.interval": INTERVAL, **chosen})
    (directory / "spec.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    summary = {"outage_s": phases[0][2], "valid": valid, "invalid_reasons": [] if valid else [REASON]}
    (directory / "summary.json").write_text(json.dumps(summary))
    return Run(directory)
