"""A sealed lab seen from outside: start a program in namespaces of its own, talk to it, end it.

The program runs as root of a user, network, mount and PID namespace that hold nothing but it.
There is no interface that leads out. When the lab is closed, or the process that opened it
dies in whatever way, the kernel takes down everything in it (see `lq.sandbox.init`).
"""

from __future__ import annotations

import compileall
import contextlib
import os
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lq import stdio
from lq.sandbox.channel import Channel
from lq.sandbox.filesystem import TEMPORARY
from lq.sandbox.init import FAILED_TO_ENTER
from lq.sandbox.tools import search_path

_DISTUTILS = Path(sysconfig.get_path("stdlib"), "distutils", "version.py")  # until Python 3.11
_PACKAGES = Path(__file__).resolve().parents[2]  # where `lq` is, so that an uninstalled tree works too


SEE_DOCTOR = " (`lq doctor` says more)"


class LabError(Exception):
    """The lab could not be set up, or what ran in it failed; the message is for the user."""


class Lab:
    """A program in a sealed lab.

    `module` is run as `python -m module CHANNEL_FD arguments...`; what it prints goes to the file
    `log`. Without a log it has the caller's terminal, standard input included. Of the machine's files, it can
    write those in `directory`, and no others (`lq.sandbox.filesystem`). One that is `trusted`
    may open labs, or mount /proc and /sys, itself; there root can change settings of the machine's kernel.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        log: Path | None,
        directory: Path | None = None,
        trusted: bool = False,
    ) -> None:
        self._log = log
        stdio.ensure()  # what the lab's program inherits must not stand where its input or output is
        ours, theirs = socket.socketpair()
        read_end, self._lifeline = os.pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_PACKAGES), *_inherited_path()])}
        environment |= {"PATH": search_path(), "TMPDIR": TEMPORARY}
        if _DISTUTILS.exists():  # Mininet and Ryu want one class of it; setuptools would load itself for that
            environment.setdefault("SETUPTOOLS_USE_DISTUTILS", "stdlib")
        for variable in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):  # they lead into the hidden /run
            environment.pop(variable, None)
        python = [sys.executable, "-W", "ignore", "-m"]
        spared = "" if directory is None else os.path.realpath(directory)
        _compile()
        with contextlib.ExitStack() as files:
            output = None if log is None else files.enter_context(log.open("wb"))
            self._keeper = subprocess.Popen(
                [*python, "lq.sandbox.init", str(read_end), spared, "trusted" if trusted else "", "--"]
                + [*python, module, str(theirs.fileno()), *arguments],
                pass_fds=[read_end, theirs.fileno()],
                stdin=None if log is None else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=log is not None,
            )
        os.close(read_end)
        theirs.close()
        self.channel = Channel(ours)

    @property
    def pid(self) -> int:
        """The process that keeps the lab: killing it ends the lab."""
        return self._keeper.pid

    def exchange(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Send the program a request; yield what it sends, until it ends. LabError if it never began."""
        with contextlib.suppress(OSError):  # it ended before it had heard us; its exit status says why
            self.channel.send(request)
        yield from self.channel
        self.wait()

    def wait(self) -> int:
        """Wait for the program's end; return its exit status. Raises LabError when it never began."""
        status = self._keeper.wait()
        if status == FAILED_TO_ENTER:
            said = self.last_words() if self._log else "no lab can be opened here"
            raise LabError(f"{said}{SEE_DOCTOR}")
        return status

    def last_words(self) -> str:
        """The last line that the program wrote on standard error."""
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log else []
        return lines[-1] if lines else f"it ended with exit status {self._keeper.poll()}"

    def kill(self) -> None:
        """End the lab now, from any thread: whoever listens to the channel finds it closed."""
        self._keeper.kill()

    def close(self) -> None:
        """End the lab now, whatever runs in it. May be called twice."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
            self._keeper.wait()
            self.channel.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _compile() -> None:
    """Write Python's caches of our modules where they are missing: what runs in a lab cannot do so."""
    if not sys.dont_write_bytecode:
        for package in ("lq", "controllers", "topologies"):
            compileall.compile_dir(_PACKAGES / package, quiet=2)


def _inherited_path() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
