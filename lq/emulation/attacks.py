"""An attack on the live network: `lq.emulation.programs.flood`, from one of its nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lq.emulation.processes import Process, Programs, end, python
from topologies import plan

Kind = Literal["scan", "spoof"]
Pattern = Literal["sequential", "random", "out-of-range", "mixed", "hit-list"]


class Sender:
    """A program of an attacker's, which leaves a report. Files go to `raw`."""

    def __init__(self, programs: Programs, raw: Path, name: str) -> None:
        self.name = name
        self._programs = programs
        self._raw = raw
        self._report_file = raw / f"{name}-report.json"
        self._process: Process | None = None

    def launch(self, command: str, plan: Mapping[str, Any], node: Any, *words: str) -> Process:
        """Have a node run the module `command` with these words and the plan; return when it is ready."""
        self._report_file.unlink(missing_ok=True)
        path = self._raw / f"{self.name}.json"
        path.write_text(json.dumps({**plan, "report_file": str(self._report_file)}))
        self._process = self._programs.launch(self.name, python(command, *words, str(path)), node)
        self._programs.await_line(self.name, self._process)
        return self._process

    @property
    def running(self) -> bool:
        """Whether it still sends."""
        return self._process is not None and self._process.poll() is None

    @property
    def report(self) -> dict[str, Any]:
        """Its `name`, and once it is over what it has told, if anything."""
        told = json.loads(self._report_file.read_text()) if self._report_file.exists() else {}
        return {"name": self.name, **told}

    def stop(self) -> dict[str, Any]:
        """End it, if it has not ended; return its report."""
        end(self._process)
        return self.report


class Attack(Sender):
    """A scan by a host of the Internet, or an infected host behind a modem that spoofs.

    The report: see `lq.emulation.programs.flood.flood`.
    """

    def __init__(self, programs: Programs, raw: Path, net: Any, name: str = "attack") -> None:
        super().__init__(programs, raw, name)
        self._net = net

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
        }
        return self.launch("lq.emulation.programs.flood", what, attacker)
