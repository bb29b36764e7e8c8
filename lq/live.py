"""The live lab from Python: a running network to look at and to disturb, in a notebook or a script.

```
from lq import Lab

with Lab("cable", modems=2, hosts_per_modem=2) as lab:
    lab.start_probes()
    lab.reboot()
    lab.hosts()
```

It needs no root. Everything runs in a sealed lab: its processes, interfaces and namespaces are gone when the
`Lab` is closed or the process that holds it ends, in whatever way. Its directory `runs/live-...` goes, too,
unless that process was killed (SIGKILL): then it stays, and may be deleted.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from lq.errors import BadInput, RunFailed
from lq.experiments import record
from lq.experiments import spec as specification
from lq.experiments.directories import prepare, temporary
from lq.experiments.run import check_tools
from lq.sandbox import lab as sandbox
from lq.widget import NetworkWidget, TableWidget, View

Shown = TypeVar("Shown", bound=View)
Progress = Callable[[str, int, int], None]
TABLES = ("hosts", "locations", "refused", "bindings", "flows")
TEST_NETWORK = IPv4Network("198.18.0.0/15")  # RFC 2544; every address of a lab lies in it
COMMAND_TIMEOUT = 60.0  # seconds
HOST_COLUMNS = ["host", "address", "state"]
LOCATION_COLUMNS = ["address", "tags", "expires_in"]
REFUSED_COLUMNS = ["address", "reason", "ends_in"]
BINDING_COLUMNS = [
    "server", "address", "state", "chaddr", "client_id", "expires_in", "last_transaction", "circuit_id",
    "remote_id",
]  # fmt: skip
FLOW_COLUMNS = ["table", "priority", "match", "actions", "packets", "octets", "age", "hard_timeout"]


class Done(NamedTuple):
    """What a command on a node came to: its exit status and what it printed."""

    status: int
    output: str
    errors: str

    def __repr__(self) -> str:
        failed = "" if self.status == 0 else f"exit status {self.status}\n"
        return (self.output + self.errors).rstrip() + ("\n" + failed if failed else "")


class Lab:
    """A live network with leases, ready for traffic.

    `topology` is a figure's name; `modems` and `hosts_per_modem` are the figure's own unless given;
    `settings` are further fields of a specification by their dotted names (`lq run --explain`).
    Files (logs, captures) are in `directory`, new or empty, by default one below `runs/` that goes away when
    the lab is closed or Python ends (not if that is killed).
    Raises BadInput for a setting that is none or a directory that cannot be used, LabError where no lab can
    be had, RunFailed when the network did not come up. Whatever is asked of a lab that is closed or has
    ended raises RunFailed.
    """

    def __init__(
        self,
        topology: str = "cable",
        modems: int | None = None,
        hosts_per_modem: int | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        directory: Path | str | None = None,
        progress: Progress = lambda *_: None,
    ) -> None:
        sizes = {"topology.modems": modems, "topology.hosts_per_modem": hosts_per_modem}
        chosen = {name: value for name, value in sizes.items() if value is not None}
        self.spec = specification.load("reboot", {"topology.figure": topology, **chosen, **(settings or {})})
        check_tools()
        self._temporary = contextlib.ExitStack()
        self.directory = prepare(Path(directory or self._temporary.enter_context(temporary("live"))))
        self._progress = progress
        self._turn = threading.Lock()  # a widget asks from a thread of its own
        self._views: dict[str, View] = {}
        log = self.directory / "lab.log"
        self._lab = sandbox.Lab("lq.experiments.live", log=log, directory=self.directory)
        try:
            self._lab.channel.send(
                {"spec": self.spec.model_dump(mode="json"), "run_dir": str(self.directory)}
            )
            self._receive("up")
        except BaseException:
            self.close()
            raise

    # -- nodes

    def nodes(self) -> pd.DataFrame:
        """Return every node: `node`, `kind`."""
        return _frame(self._ask("nodes"))

    def run(self, node: str, command: str, timeout: float = COMMAND_TIMEOUT) -> Done:
        """Run a shell command on a node; RunFailed if it does not end within `timeout` seconds.

        Nodes that have an address, fixed or leased, are known by their names: `ping host1`.
        """
        return Done(**self._ask("command", node=node, command=command, timeout=timeout))

    # -- what is known of the subscribers

    def hosts(self) -> pd.DataFrame:
        """Return every subscriber: `host`, `address`, `state` (unknown, asking, located, refused).

        The state is what the concentrator knows of the address: while it is down, "unknown".
        """
        return _frame(self._ask("hosts"), HOST_COLUMNS)

    def locations(self) -> pd.DataFrame:
        """Return the concentrator's locations: `address`, `tags` of the circuit, `expires_in` seconds.

        Empty while it is down, and so is `refused`.
        """
        return _frame(self._ask("locations"), LOCATION_COLUMNS)

    def refused(self) -> pd.DataFrame:
        """Return the negative cache: `address`, `reason`, `ends_in` seconds."""
        return _frame(self._ask("refused"), REFUSED_COLUMNS)

    def flows(self) -> pd.DataFrame:
        """Return the flow table of the concentrator's switch; `age` and `hard_timeout` in seconds."""
        return _frame(self._ask("flows"), FLOW_COLUMNS)

    def bindings(self) -> pd.DataFrame:
        """Return what each DHCP server has bound, whether it runs or not: see BINDING_COLUMNS.

        `expires_in` and `last_transaction` in seconds from now. BadInput for a kind of server whose file of
        leases is not read: `server.kind` is to be builtin or dhcpd.
        """
        return _frame(self._ask("bindings"), BINDING_COLUMNS)

    # -- the concentrator and the servers

    def running(self) -> dict[str, bool]:
        """Return what runs: `concentrator` (its controller), `server`, and `server2` if there is one."""
        return dict(self._ask("running"))

    def reboot(self) -> None:
        """Kill the concentrator's controller and start a new one; return when that holds the switch."""
        self.kill_concentrator()
        self.start_concentrator()

    def kill_concentrator(self) -> None:
        """Kill the concentrator's controller: its memory and the switch's flows are gone.

        Harmless when it is down already.
        """
        self._change("kill_concentrator")

    def view(self, messages: int = 6, within: float = 0.5) -> dict[str, Any]:
        """Return one moment of the network, as the picture shows it: see `lq.experiments.sight`.

        With the newest `messages`; a host is reached if a probe came through `within` the last seconds.
        """
        return dict(self._ask("view", most=messages, within=within))

    def start_concentrator(self) -> None:
        """Start a concentrator that knows nothing. BadInput if one runs; RunFailed if it does not come up."""
        self._change("start_concentrator")

    def kill_server(self, number: int = 1) -> None:
        """Kill a DHCP server, the first or the second (`server.count`). Harmless when it is down already."""
        self._change("kill_server", number=number)

    def start_server(self, number: int = 1) -> None:
        """Start a DHCP server again; it still knows what it has acknowledged.

        BadInput if it runs; RunFailed if it does not come up.
        """
        self._change("start_server", number=number)

    # -- traffic

    def start_probes(self, interval: float = 0.05) -> None:
        """Probe every subscriber from the Internet, once each `interval` seconds, for an hour at most."""
        if interval <= 0:
            raise BadInput("probes need an interval above 0 seconds")
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
        _one_of("kind", kind, ("scan", "spoof"))
        _one_of("pattern", pattern, ("sequential", "random", "out-of-range", "mixed", "hit-list"))
        if rate <= 0 or packets < 1 or (pattern == "hit-list" and not addresses):
            raise BadInput("an attack needs a rate above 0, a packet at least, and a hit-list its addresses")
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
        path = self.directory / f"{interface or node}-{time.strftime('%H%M%S')}.pcap"
        self._ask("start_capture", node=node, interface=interface, file=str(path))
        return path

    def stop_capture(self, node: str) -> None:
        """End the captures at a node."""
        self._ask("stop_capture", node=node)

    # -- the lab

    def widget(self, every: float = 0.5) -> NetworkWidget:
        """Return the live picture of the network, refreshed each `every` seconds, with a reboot button.

        It refreshes until the lab is closed, or another one is asked for (the cell is run again).
        """
        return self._show("network", NetworkWidget(self, every))

    def watch(self, what: str = "hosts", every: float = 1.0) -> TableWidget:
        """Return a table that refreshes each `every` seconds: hosts, locations, refused, bindings or flows.

        It refreshes until the lab is closed, or another one of the same is asked for (the cell is run again).
        """
        _one_of("what", what, TABLES)
        return self._show(what, TableWidget(self, what, every))

    def close(self) -> None:
        """End everything now. May be called twice."""
        for view in self._views.values():
            view.stop("the lab is closed")
        self._lab.close()
        self._temporary.close()

    def _show(self, name: str, view: Shown) -> Shown:
        """Have a view refresh in the place of the former one of its name."""
        if name in self._views:
            self._views[name].stop("shown anew elsewhere: refreshed no more here")
        self._views[name] = view
        return view

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _change(self, what: str, **details: Any) -> None:
        """Ask for what views are to show at once: a restart takes longer than one of them waits."""
        try:
            self._ask(what, **details)
        finally:
            for view in tuple(self._views.values()):
                view.refresh()

    def _ask(self, what: str, **details: Any) -> Any:
        with self._turn:
            try:
                self._lab.channel.send({"do": what, "with": details})
            except OSError:
                raise RunFailed("the lab is closed") from None
            return self._receive("value")

    def _receive(self, wanted: str) -> Any:
        for message in self._lab.channel:
            if wanted in message:
                return message[wanted]
            if "error" in message:
                kind = BadInput if message.get("kind") == "BadInput" else RunFailed
                raise kind(message["error"])
            self._progress(*message["progress"])
        raise RunFailed(f"the lab ended: {self._lab.last_words()}")


def _frame(rows: list[dict[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame(rows, columns=None if columns is None else list(columns))
    return frame


def _test_address(address: str) -> None:
    try:
        if IPv4Address(address) in TEST_NETWORK:
            return
    except AddressValueError:
        pass
    raise BadInput(f"{address} is no address of {TEST_NETWORK}, where all of a lab's are")


def _one_of(what: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise BadInput(f"{what} {value!r}: use one of {', '.join(choices)}")
