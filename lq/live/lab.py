"""The live lab's outside: `Lab`, whose parts are the other modules here."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, TypeVar

from lq.errors import expect
from lq.experiments import spec as specification
from lq.experiments.run import check_tools
from lq.live.asking import one_of, positive
from lq.live.commands import AlreadyShown, Done, Job
from lq.live.connection import Connection
from lq.live.known import TABLES
from lq.live.node import Host, Node
from lq.live.traffic import Traffic
from lq.progress import Progress, showing
from lq.widget import NetworkWidget, TableWidget, View

AnyView = TypeVar("AnyView", bound=View)
COMMAND_TIMEOUT = 60.0  # seconds


class Lab(Traffic):
    """A live network with leases, ready for traffic.

    `topology` is a figure's name; `modems` and `hosts_per_modem` are the figure's own unless given;
    `settings` are further fields of a specification by their dotted names (`lq run --explain`).
    Files (logs, captures) are in `directory`, new or empty, by default one below `runs/` of which nothing but
    captures is left when the lab is closed or Python ends (not if that is killed). `progress` is told how
    the start goes; by default that is shown, and `lq.progress.silent` shows nothing.
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
        progress: Progress | None = None,
    ) -> None:
        expect(directory or "", (str, Path), "the lab's directory", 'write its name, such as "runs/mine"')
        sizes = {"topology.modems": modems, "topology.hosts_per_modem": hosts_per_modem}
        chosen = {name: value for name, value in sizes.items() if value is not None}
        self.spec = specification.load("reboot", {"topology.figure": topology, **chosen, **(settings or {})})
        check_tools()
        _forget_last_error()
        with showing(progress, "lab") as tell:
            self._connection = Connection(self.spec, None if directory is None else Path(directory), tell)
            self._end = weakref.finalize(self, self._connection.close)  # also when nobody holds it any more
        self.directory = self._connection.directory

    # -- commands

    def run(self, node: str, command: str, timeout: float = COMMAND_TIMEOUT, *, show: bool = True) -> Done:
        """Run a shell command on a node; RunFailed if it does not end within `timeout` seconds.

        What it prints is shown as it comes, as in a terminal (unless `show` is false), and returned. Nodes
        that have an address, fixed or leased, are known by their names: `ping host1`. It ends when all that
        it has started has ended: what is to go on is a matter of `start`.
        """
        expect(command, str, "a command", 'write it as one text, such as "ping -c1 host1"')
        positive("timeout", timeout)
        printed: dict[str, list[str]] = {"output": [], "errors": []}

        def hear(message: Mapping[str, Any]) -> None:
            for name, stream in (("output", sys.stdout), ("errors", sys.stderr)):
                if name in message:
                    printed[name].append(message[name])
                    if show:
                        _show(stream, message[name])

        details = {"node": node, "command": command, "timeout": timeout}
        status = self._connection.ask("command", details, hear)
        return (AlreadyShown if show else Done)(
            status, "".join(printed["output"]), "".join(printed["errors"])
        )

    def start(self, node: str, command: str) -> Job:
        """Start a shell command on a node, and return at once: `output` so far, `wait`, `stop`.

        At most 32 run at a time. It goes on, whatever is done meanwhile, until the lab is closed.
        """
        expect(command, str, "a command", 'write it as one text, such as "ping -c1 host1"')
        return Job(self._connection, self._ask("start_job", node=node, command=command), node, command)

    def __getitem__(self, name: str) -> Node:
        """Return a node by its name; `lab["host1"]` has a DHCP client, too. BadInput if there is none."""
        return (Host if self._ask("kind", node=name) == "host" else Node)(self, name)

    # -- the concentrator and the servers

    def running(self) -> dict[str, bool]:
        """Return what runs: `concentrator` (its controller), `server`, and `server2` if there is one."""
        return dict(self._ask("running"))

    def reboot(self) -> None:
        """Kill the concentrator's controller and start a new one; return when that holds the switch.

        BadInput while another restart is under way. One that is interrupted leaves the concentrator down.
        """
        self._change("reboot")

    def kill_concentrator(self) -> None:
        """Kill the concentrator's controller: its memory and the switch's flows are gone.

        Harmless when it is down already.
        """
        self._change("kill_concentrator")

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

    # -- the lab

    def view(self, messages: int = 6, within: float = 0.5) -> dict[str, Any]:
        """Return one moment of the network, as the picture shows it: see `lq.emulation.sight`.

        With the newest `messages`; a host is reached if a probe came through `within` the last seconds.
        """
        return dict(self._ask("view", most=messages, within=within))

    def widget(self, every: float = 0.5) -> NetworkWidget:
        """Return the live picture of the network, refreshed each `every` seconds, with a reboot button.

        It refreshes until the lab is closed, or another one is asked for (the cell is run again).
        """
        return self._show("network", NetworkWidget(self, every))

    def watch(self, what: str = "hosts", every: float = 1.0) -> TableWidget:
        """Return a table that refreshes each `every` seconds: hosts, locations, refused, bindings or flows.

        It refreshes until the lab is closed, or another one of the same is asked for (the cell is run again).
        """
        one_of("table", what, TABLES)
        return self._show(what, TableWidget(self, what, every))

    def close(self) -> None:
        """End everything now. May be called twice."""
        self._end()

    def _show(self, name: str, view: AnyView) -> AnyView:
        self._connection.show(name, view)
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
            self._connection.refresh()


def _show(stream: TextIO, text: str) -> None:
    """Write what a command printed, in a stream's own encoding: that may lack some of its characters."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _forget_last_error() -> None:
    """Let go of the last error's traceback: Python keeps it for a debugger, and with it a former lab.

    After an interrupted call, `lab = Lab(...)` would else leave the former one open.
    """
    for name in ("last_exc", "last_value"):
        if isinstance(error := getattr(sys, name, None), BaseException):
            error.__traceback__ = None
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    for holder, name in ((sys, "last_traceback"), (getattr(shell, "InteractiveTB", None), "tb")):
        if getattr(holder, name, None) is not None:
            setattr(holder, name, None)
    gc.collect()  # the variables of its frames refer to each other
