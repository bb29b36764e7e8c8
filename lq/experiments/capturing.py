"""A capture while the network lives: what passes one interface, in a pcap file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lq.experiments.programs import Programs, end, python


class Capture:
    """The program `lq.experiments.capture` at an interface of `node`, or of the lab's own namespace."""

    def __init__(self, programs: Programs, interface: str, file: Path, node: Any = None) -> None:
        self._programs = programs
        self.file = file
        command = python("lq.experiments.capture", interface, str(file))
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
