"""Traffic in a live network: probes, attacks, captures."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pandas as pd

from lq.errors import BadInput, RunFailed
from lq.live import packets as captured
from lq.live.asking import one_of, positive
from lq.live.tables import Tables
from lq.results import record

TEST_NETWORK = IPv4Network("198.18.0.0/15")  # RFC 2544; every address of a lab lies in it


class Traffic(Tables):
    """What is sent through the network, and what is seen of it."""

    def start_probes(self, interval: float = 0.05) -> None:
        """Probe every subscriber from the Internet, once each `interval` seconds.

        For an hour at most, and for ten million probes at most.
        """
        positive("interval", interval)
        self._ask("start_probes", interval=interval)

    def stop_probes(self) -> pd.DataFrame:
        """Stop; return the probes: `host`, `direction`, `sequence`, `sent`, `received` (s; NaN: lost)."""
        probes = record.load_probes(Path(self._ask("stop_probes")))
        zero = probes["sent"].min()
        probes[["sent", "received"]] -= zero
        probes.insert(0, "host", probes.pop("subscriber").map(self.hosts()["host"]))
        del probes["due"]
        return probes

    def reached(self, within: float = 0.5) -> dict[str, bool]:
        """Return which hosts received a probe during the last `within` seconds."""
        return dict(self._ask("reached", within=within))

    def wait_until_reached(self, timeout: float = 30.0) -> float:
        """Wait until probes reach every host; return how long that took. Raises RunFailed after `timeout`."""
        start = time.monotonic()
        while not all(self.reached(within=max(time.monotonic() - start, 1e-3)).values()):
            if time.monotonic() - start > timeout:
                missing = [host for host, reached in self.reached(timeout).items() if not reached]
                raise RunFailed(f"no probe reached {', '.join(missing)} within {timeout:g} s")
            time.sleep(0.05)
        return time.monotonic() - start

    def start_attack(
        self,
        kind: str = "scan",
        pattern: str = "sequential",
        rate: float = 1000.0,
        packets: int = 10_000,
        node: str | None = None,
        addresses: Sequence[str] = (),
    ) -> None:
        """Begin an attack; it stops by itself after `packets`, at `rate` per second.

        `kind` "scan": a host of the Internet sends to one address after the other. "spoof": an infected
        `node` behind a modem sends from them. `pattern`: "sequential", "random", "out-of-range",
        "mixed" (half of them out of range), or "hit-list" with its `addresses`, all of 198.18.0.0/15.
        """
        one_of("kind", kind, ("scan", "spoof"))
        one_of("pattern", pattern, ("sequential", "random", "out-of-range", "mixed", "hit-list"))
        positive("rate", rate)
        positive("packets", packets)
        if packets < 1 or (pattern == "hit-list" and not addresses):
            raise BadInput(
                "an attack needs at least one packet, and a hit-list needs addresses: set packets or "
                "addresses"
            )
        for address in addresses:
            _test_address(address)
        self._ask(
            "start_attack",
            kind=kind, pattern=pattern, rate=rate, packets=packets, node=node, listed=list(addresses),
        )  # fmt: skip

    def stop_attack(self) -> dict[str, Any]:
        """Stop the attack if it goes on; return what was sent (`packets`, `addresses`, `started`, ...)."""
        return dict(self._ask("stop_attack"))

    def start_capture(self, node: str, interface: str | None = None) -> Path:
        """Capture what an interface of a node sends and receives; return the file, which Wireshark opens.

        `interface` is named as `run(node, "ip link")` shows it; by default it is a host's, server's or
        router's first. That of a bridge (concentrator, modem) must be given: it is one that leads to a host,
        to the router, or to a processor (`cmts-relay`: the relay agent). What joins two bridges is within the
        switch.
        """
        directory = self._connection.directory
        stem = f"{interface or node}-{time.strftime('%H%M%S')}"
        path, number = directory / f"{stem}.pcap", 1
        while path.exists() or path in self._connection.captures:
            number += 1
            path = directory / f"{stem}-{number}.pcap"
        self._connection.captures[path] = node
        try:
            self._ask("start_capture", node=node, interface=interface, file=str(path))
        except (BadInput, RunFailed):
            del self._connection.captures[path]
            raise
        return path

    def stop_capture(self, node: str) -> None:
        """End the captures at a node."""
        self._ask("stop_capture", node=node)

    def packets(self, node: str | None = None) -> pd.DataFrame:
        """Return the captured DHCP messages, of all captures or of those at a node (`lq.live.packets`).

        There is always a capture at each server's interface. `time` is in seconds since the lab was opened,
        `from` and `to` are IP addresses with UDP ports, `lease_time` and `last_transaction_time` (option 91)
        are in seconds, NaN where a message has none. A message that passes two captures is there twice. At
        most the latest 200,000 are shown. After `close` only captures that were asked for are still there.
        """
        files = self._connection.all_captures()
        if node is not None:
            files = {file: name for file, name in files.items() if name == node}
            if not files:
                with contextlib.suppress(RunFailed):  # once the lab is closed nobody knows its nodes
                    self._ask("kind", node=node)
                raise BadInput(f"there is no capture at {node}: start one with start_capture({node!r})")
        return captured.table(files, self._connection.opened)

    def wireshark(self, node: str, interface: str | None = None) -> captured.Line:
        """Open Wireshark on what passes a node from now on; return the line that does so in a terminal.

        Where Wireshark is not installed, or no display is there, it is to be pasted into a terminal that has
        both. It captures until `stop_capture`, and Wireshark shows what was captured after that, too.
        """
        return captured.wireshark(self.start_capture(node, interface), self._connection.pid)


def _test_address(address: str) -> None:
    try:
        if IPv4Address(address) in TEST_NETWORK:
            return
    except AddressValueError:
        pass
    raise BadInput(
        f"{address} is not an address of {TEST_NETWORK}: use one from there, as all of the lab's are"
    )
