"""A sealed lab seen from outside: start a program in namespaces of its own, talk to it, end it.

The program runs as root of a user, network, mount, IPC and PID namespace that hold nothing but it.
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
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lq import stdio
from lq.sandbox.channel import Channel
from lq.sandbox.filesystem import TEMPORARY
from lq.sandbox.init import FAILED_TO_ENTER
from lq.sandbox.tools import PYTHON, search_path

_DISTUTILS = Path(sysconfig.get_path("stdlib"), "distutils", "version.py")  # until Python 3.11
_PACKAGES = Path(__file__).resolve().parents[2]  # where `lq` is, so that an uninstalled tree works too


SEE_DOCTOR = " (`lq doctor` says more)"


class LabError(Exception):
    """The lab could not be set up, or what ran in it failed; the message is for the user."""


class SealedLab:
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
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_PACKAGES), *_inherited_path()])}
        environment |= {"PATH": search_path(), "TMPDIR": TEMPORARY}
        environment["NO_COLOR"] = "1"  # nodes' shells are on terminals, and ip(8) of Debian 13 paints there
        if _DISTUTILS.exists():  # Mininet and Ryu want one class of it; setuptools would load itself for that
            environment.setdefault("SETUPTOOLS_USE_DISTUTILS", "stdlib")
        for variable in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):  # they lead into the hidden /run
            environment.pop(variable, None)
        spared = "" if directory is None else os.path.realpath(directory)
        _compile()
        ours, theirs = socket.socketpair()
        read_end, self._lifeline = os.pipe()
        self.channel = Channel(ours)
        _open.add(self)
        with contextlib.ExitStack() as undone, contextlib.ExitStack() as files:
            undone.callback(self._let_go)  # where it is interrupted: that ends what has begun
            files.callback(os.close, read_end)
            files.callback(theirs.close)
            output = None if log is None else files.enter_context(log.open("wb"))
            reason = 2  # standard error, which is the log
            if log is None:
                self._said = open(os.memfd_create("said"), "rb")  # noqa: SIM115
                reason = self._said.fileno()
            self._keeper = subprocess.Popen(
                [*PYTHON, "lq.sandbox.init", str(read_end), str(reason), spared]
                + ["trusted" if trusted else "", "--", *PYTHON, module, str(theirs.fileno()), *arguments],
                pass_fds=[read_end, reason, theirs.fileno()],
                stdin=None if log is None else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=log is not None,
            )
            undone.pop_all()

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

    def wait(self, patience: float | None = None) -> int:
        """Wait for the program's end; return its exit status. Raises LabError when it never began.

        After `patience` seconds it is killed.
        """
        try:
            status = self._keeper.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self._keeper.wait()
        if status == FAILED_TO_ENTER:
            raise LabError(f"{self.last_words()}{SEE_DOCTOR}")
        return status

    def last_words(self) -> str:
        """The last line in the log; without a log, why no lab could be had."""
        said = self._log.read_bytes() if self._log else os.pread(self._said.fileno(), 1 << 16, 0)
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with exit status {self._keeper.poll()}"

    def kill(self) -> None:
        """End the lab now, from any thread: whoever listens to the channel finds it closed."""
        self._keeper.kill()

    def close(self) -> None:
        """End the lab now, whatever runs in it. May be called twice."""
        if self._lifeline >= 0:
            lifeline, self._lifeline = self._lifeline, -1
            os.close(lifeline)
            self._keeper.wait()
            self.channel.close()

    def _let_go(self) -> None:
        """Hold nothing of it in this process any more, without a word to it."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
            self.channel.let_go()

    def __enter__(self) -> SealedLab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_open: weakref.WeakSet[SealedLab] = weakref.WeakSet()


def _forked() -> None:
    """Leave the labs to the process that has opened them: what it closes must not stay open here."""
    for lab in tuple(_open):
        lab._let_go()


os.register_at_fork(after_in_child=_forked)


def _compile() -> None:
    """Write Python's caches of our modules where they are missing: what runs in a lab cannot do so."""
    if not sys.dont_write_bytecode:
        for package in ("lq", "controllers", "topologies"):
            compileall.compile_dir(_PACKAGES / package, quiet=2)


def _inherited_path() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
