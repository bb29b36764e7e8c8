"""An attack on the network while it lives: the flood of `lq.experiments.attack`, from one of its nodes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from lq.experiments.programs import Process, Programs, end, python
from topologies import plan

Kind = Literal["scan", "spoof"]
Pattern = Literal["sequential", "random", "out-of-range", "mixed", "hit-list"]


class Attack:
    """A scan by a host of the Internet, or an infected host behind a modem that spoofs. Files go to `raw`."""

    def __init__(self, programs: Programs, raw: Path, net: Any, name: str = "attack") -> None:
        self._programs = programs
        self._raw = raw
        self._net = net
        self._name = name
        self._report_file = raw / f"{name}-report.json"
        self._process: Process | None = None

    @property
    def report(self) -> dict[str, Any]:
        """Its `name`, and once it is over what was sent: see `lq.experiments.attack.flood`."""
        sent = json.loads(self._report_file.read_text()) if self._report_file.exists() else {}
        return {"name": self._name, **sent}

    def start(
        self,
        kind: Kind,
        pattern: Pattern,
        rate: float,
        maximum_packets: int,
        *,
        node: str = "internet",
        count: int | None = None,
        listed: Sequence[str] = (),
        seed: int = 1,
    ) -> Process:
        """Begin; it stops by itself after `maximum_packets`, at `rate` per second. Returns the process.

        A scan comes from `node` on the network side, spoofed packets from a host on the access side. The
        packets go round `count` addresses of the range (all if None), half of them out of it if `pattern`
        is "mixed", or those `listed` if it is "hit-list".
        """
        attacker = self._net[node]
        interface = attacker.defaultIntf()
        next_hop = plan.CONCENTRATOR_ACCESS_MAC
        if kind == "scan":
            router, _ = self._net["network"].connectionsTo(attacker)[0]
            next_hop = router.MAC()
        out = pattern == "out-of-range"
        first, last = (plan.POOL_FIRST, plan.POOL_LAST)
        if out:
            first, last = plan.UNATTACHED_NETWORK[1], plan.UNATTACHED_NETWORK[-2]
        if count is not None:
            last = min(last, first + (count - 1))
        what = {
            "interface": interface.name,
            "source_mac": interface.MAC(),
            "next_hop_mac": next_hop,
            "address": str(plan.INTERNET),
            "kind": kind,
            "pattern": "sequential" if out else pattern,
            "first": str(first),
            "last": str(last),
            "outside": str(plan.UNATTACHED_NETWORK[1]),
            "listed": list(listed),
            "rate": rate,
            "maximum_packets": maximum_packets,
            "seed": seed,
            "report_file": str(self._report_file),
        }
        self._report_file.unlink(missing_ok=True)
        path = self._raw / f"{self._name}.json"
        path.write_text(json.dumps(what))
        self._process = self._programs.launch(
            self._name, python("lq.experiments.attack", str(path)), attacker
        )
        self._programs.await_line(self._name, self._process)
        return self._process

    @property
    def running(self) -> bool:
        """Whether packets are still being sent."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> dict[str, Any]:
        """End it, if it has not ended; return its report."""
        end(self._process)
        return self.report
