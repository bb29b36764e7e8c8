"""What refreshes itself in a notebook and leaves a still picture: what network and tables have in common.

A cell's output is a still picture, brought up to date when something has changed and at the end, and beside
it the live view. A page without a kernel, an export and a page that is not trusted show the still picture.
"""

from __future__ import annotations

import importlib
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from lq.errors import BadInput, RunFailed
from lq.widget import front

if TYPE_CHECKING:
    from lq.live import Lab

NEEDS = "a live picture needs a running kernel and ipywidgets"
_QUIET = 1.0  # seconds without a change before the still picture is made anew


class View:
    """Shows itself in a notebook and refreshes until it is stopped. Without widgets it shows itself once.

    It keeps no lab alive: who closes a lab stops its views.
    """

    button = ""

    def __init__(self, lab: Lab, every: float) -> None:
        if not 0 < every <= threading.TIMEOUT_MAX:
            raise BadInput("a picture that refreshes needs an interval above 0 seconds")
        self._lab = weakref.ref(lab)
        self._ended = threading.Event()
        self._why = ""  # it has ended
        self._drawing = threading.Lock()
        self._handle: Any = None
        self._gist: Any = None
        self._changed: float | None = None  # when, if the still picture is older
        self.front: Any = None
        self._look(lab)
        self.front = front.make(
            self._content(), max(front.PATIENCE, 4 * every), self.button, _weakly(self, "_pressed")
        )
        if self.front is not None:
            threading.Thread(target=_run, args=(weakref.ref(self), self._ended, every), daemon=True).start()

    # -- what kinds of views differ in

    def _look(self, lab: Lab) -> None:
        """Get the present state. Raises what the lab raises."""
        raise NotImplementedError

    def _content(self) -> str:
        """Return the state as HTML."""
        raise NotImplementedError

    def _still(self, note: str) -> dict[str, Any]:
        """Return the state by MIME type, with a note."""
        raise NotImplementedError

    def _essence(self) -> Any:
        """Return what of the state is worth another still picture when it changes."""
        raise NotImplementedError

    def _spoken(self) -> str:
        """Return what is said aloud when it changes."""
        return ""

    def _pressed(self) -> None:
        """Do what the button is for."""

    # -- what they share

    def stop(self, why: str = "no longer refreshed") -> None:
        """Refresh no more, and say why."""
        if not self._ended.is_set():
            self._why = why  # first: a still picture that is being made elsewhere may be the last
            self._ended.set()
            front.end(self.front, why)
            self._renew()

    def refresh(self) -> None:
        """Show the present state now, or why that cannot be had, unless it was stopped."""
        lab = self._lab()
        if self.front is None or self._ended.is_set() or lab is None:
            return
        with self._drawing:
            try:
                self._look(lab)
            except (BadInput, RunFailed, OSError, ValueError) as error:  # the next time may go well
                self.front.notice = str(error)  # and no beat: if it does not, the page calls itself old
                return
            if self._ended.is_set():
                return
            with self.front.hold_sync():
                self.front.notice = ""
                self.front.content = self._content()
                self.front.beat += 1
            self._keep_still_picture()

    def _keep_still_picture(self) -> None:
        """Bring the still picture up to date once what has changed has come to rest."""
        gist, now = self._essence(), time.monotonic()
        if gist != self._gist:
            self._gist, self._changed = gist, now
        elif self._changed is not None and now - self._changed > _QUIET:
            self._changed = None
            self.front.spoken = self._spoken()
            self._renew()

    def _renew(self) -> None:
        if self._handle is not None:
            self._handle.update(self.still(), raw=True)

    def still(self) -> dict[str, Any]:
        """Return what is shown where there is no kernel, by MIME type; images other than SVG in base64."""
        why = f"{self._why}; " if self._why else ""
        return self._still(f"{why}a still picture of {time.strftime('%H:%M:%S')}: {NEEDS}")

    def _ipython_display_(self) -> None:
        """Show the still picture and the live view: only one of them is seen."""
        display = importlib.import_module("IPython.display")
        alive = self.front is not None and not self._ended.is_set()
        if alive:
            display.publish_display_data({"text/html": front.BESIDE})
        self._handle = self._handle or display.DisplayHandle()
        self._handle.display(self.still(), raw=True)
        if alive:
            display.publish_display_data(front.bundle(self.front))


def _weakly(view: View, method: str) -> Any:
    """Return a function that calls a method of a view as long as there is that view."""
    there = weakref.ref(view)

    def call() -> None:
        if (view := there()) is not None:
            getattr(view, method)()

    return call


def _run(there: weakref.ref[View], ended: threading.Event, every: float) -> None:
    while not ended.wait(every):
        view = there()
        if view is None:
            return
        view.refresh()
        del view
