"""The sealed lab behind a `Lab`: its directory, its process, the requests to it, and their end.

It knows nothing of the `Lab`, and nor do its threads: so a `Lab` that nobody holds any more can go.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from lq.errors import RunFailed
from lq.experiments import directories
from lq.experiments.spec import Spec
from lq.progress import Progress
from lq.sandbox import lab as sandbox
from lq.sandbox.requests import Caller, Hear
from topologies import plan

PATIENCE = 10.0  # seconds that a lab which says nothing sensible any more has to end by itself


class Shown(Protocol):
    """What is shown of a lab in a notebook, and refreshes."""

    def refresh(self) -> None:
        """Show the present state now."""

    def stop(self, why: str) -> None:
        """Refresh no more, and say why."""


class Connection:
    """A live network in a sealed lab, until `close`.

    `directory` is new or empty, by default one below `runs/`, of which only captures outlive the lab. Raises
    BadInput, LabError, RunFailed as `Lab` does; any thread may use it.
    """

    def __init__(self, spec: Spec, directory: Path | None, progress: Progress) -> None:
        self._process = os.getpid()
        self._temporary = directory is None
        self.directory = directories.prepare(directory or directories.fresh("live"))
        self.captures: dict[Path, str] = {}  # the files that were asked for, each with its node
        self._standing = {  # those of every run
            self.directory / f"{name}.pcap": name
            for name in (*(place.name for place in plan.SERVERS[: spec.server.count]), *spec.capture.nodes)
        }
        self._nodes = spec.capture.nodes
        self.opened = time.time()  # seconds since 1970
        self.views: dict[str, Shown] = {}
        self._closed = False
        self._lab: sandbox.Lab | None = None
        try:
            log = self.directory / "lab.log"
            self._lab = sandbox.Lab("lq.emulation.programs.live", log=log, directory=self.directory)
            self._caller = Caller(self._lab.channel, self._why)
            self.ask(
                "open",
                {"spec": spec.model_dump(mode="json"), "run_dir": str(self.directory)},
                lambda message: progress(*message["progress"]),
            )
        except BaseException:
            self.close()
            raise

    def ask(self, what: str, details: Mapping[str, Any], hear: Hear = lambda _: None) -> Any:
        """Ask the lab for something, and wait for its value (`lq.sandbox.requests`)."""
        if self._closed:
            raise self._why()
        if os.getpid() != self._process:
            raise RunFailed(
                "this lab belongs to another process, of which this one is a fork: open a lab here"
            )
        return self._caller.ask(what, details, hear)

    @property
    def pid(self) -> int:
        """The process that keeps the lab."""
        assert self._lab is not None
        return self._lab.pid

    def all_captures(self) -> dict[Path, str]:
        """Return the files of all captures, each with its node."""
        return {**self._standing, **self.captures}

    def show(self, name: str, view: Shown) -> None:
        """Have a view refresh in the place of the former one of its name."""
        former, self.views[name] = self.views.get(name), view
        if former is not None:
            former.stop("shown in another place: this picture is no longer refreshed")

    def refresh(self) -> None:
        """Have all views show the present state now."""
        for view in tuple(self.views.values()):
            view.refresh()

    def close(self) -> None:
        """End everything now; say where the captures are, if there are some. May be called twice.

        In a process that was forked it does nothing: the lab is another's.
        """
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        with contextlib.ExitStack() as ends:  # each of them, whatever goes wrong with those before it
            if self._temporary:
                ends.callback(self._tidy)
            if self._lab is not None:
                ends.callback(self._lab.close)
            for view in tuple(self.views.values()):
                ends.callback(view.stop, "the lab is closed")

    def _tidy(self) -> None:
        """Remove all but the captures, and the directory if there are none."""
        asked_for = [*self.captures, *(self.directory / f"{name}.pcap" for name in self._nodes)]
        if not any(file.exists() for file in asked_for):
            shutil.rmtree(self.directory, ignore_errors=True)
            return
        for entry in self.directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.suffix != ".pcap":
                entry.unlink(missing_ok=True)
        with contextlib.suppress(OSError, ValueError, AttributeError):  # Python may be about to end
            here = Path.cwd()
            below = self.directory.is_relative_to(here)
            named = self.directory.relative_to(here) if below else self.directory
            print(f"The lab is closed; its captures are in {named}")

    def _why(self) -> Exception:
        """Return why nothing can be asked for any more."""
        if self._closed or self._lab is None:
            return RunFailed("the lab is closed")
        try:
            self._lab.wait(PATIENCE)
        except sandbox.LabError as error:
            return error
        return RunFailed(f"the lab ended: {self._lab.last_words()}")
