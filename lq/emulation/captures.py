"""A capture while the network lives: what passes one interface, in a pcap file."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from lq.emulation.processes import Programs, end, python
from lq.errors import BadInput


class Capture:
    """The program `lq.emulation.programs.capture` at an interface of `node`, or of the lab itself."""

    def __init__(self, programs: Programs, interface: str, file: Path, node: Any = None) -> None:
        self._programs = programs
        self.file = file
        command = python("lq.emulation.programs.capture", interface, str(file))
        self._process = programs.launch(self._name, command, node)

    @property
    def _name(self) -> str:
        return f"capture-{self.file.stem}"

    @property
    def log(self) -> Path:
        """Where the program says, at its end, what the file lacks."""
        return self._programs.log(self._name)

    def await_ready(self) -> None:
        """Wait until it captures. Raises RunFailed."""
        self._programs.await_line(self._name, self._process)

    def stop(self) -> None:
        """End it: the file is complete then."""
        end(self._process)


class Captures:
    """Captures that begin and end while the network lives. One at an interface at a time."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._captures: dict[tuple[str, str], Capture] = {}

    def start(self, node: Any, interface: str | None, file: Path) -> None:
        """Capture at an interface of a node, its first unless named. Raises BadInput, RunFailed."""
        interface = _interface(node, interface)
        if (node.name, interface) in self._captures:
            raise BadInput(f"{interface} is being captured: stop that first")
        capture = Capture(self._programs, interface, file, node)
        try:
            capture.await_ready()
        except BaseException:
            capture.stop()
            raise
        self._captures[node.name, interface] = capture

    def stop(self, node: Any) -> None:
        """End the captures at a node: their files are complete then. Raises BadInput where there is none."""
        keys = [key for key in self._captures if key[0] == node.name]
        if not keys:
            raise BadInput(f"{node.name} is not being captured")
        for key in keys:
            self._captures.pop(key).stop()


def _interface(node: Any, interface: str | None) -> str:
    """Return the interface of a node to capture at; BadInput where there is none of that name.

    A bridge shares the lab's own network namespace with the others. What joins two bridges is within the
    switch: no interface of the kernel's, and nothing to capture at.
    """
    if node.inNamespace:
        there = [name for name in node.intfNames() if name != "lo"]
    else:
        there = [name for _, name in socket.if_nameindex() if name.startswith(f"{node.name}-")]
    if interface is None and node.inNamespace:
        interface = str(node.defaultIntf().name)
    if interface is not None and interface in there:
        return interface
    wrong = f"{node.name} is a bridge" if interface is None else f"{node.name} has no {interface}"
    raise BadInput(f"{wrong}: name one of its interfaces, {', '.join(there) or 'of which it has none'}")
