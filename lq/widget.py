"""The live network in a notebook, refreshed: a picture with each host's state and a reboot button; tables.

Where a notebook shows no widgets (ipywidgets missing, a page that only displays the notebook), a
still picture or table stands in and says so.
"""

from __future__ import annotations

import importlib
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from lq.errors import BadInput, RunFailed

if TYPE_CHECKING:
    from lq.live import Lab

COLOURS = {"unknown": "#FFFFFF", "asking": "#E69F00", "located": "#0072B2", "refused": "#D55E00"}
"""Each state's colour (Okabe and Ito: told apart with any colour vision; the name is beside it, too)."""

_INK = {"unknown": "#222222", "asking": "#222222", "located": "#FFFFFF", "refused": "#FFFFFF"}
_MOST = 64  # hosts drawn, rows shown; all are counted in words
_CELL, _HIGH, _WIDTH = 107, 56, 760  # pixels
_STILL = "a still picture: the live one needs a running notebook with ipywidgets"
_ONCE = "a table that does not refresh: the live one needs a running notebook with ipywidgets"


class HostState(NamedTuple):
    """A host as the picture shows it; `reached`: a probe came through a moment ago."""

    name: str
    address: str | None
    state: str
    reached: bool


def picture(topology: str, hosts: Sequence[HostState], up: bool, note: str = "") -> str:
    """Return the network as SVG: the concentrator above, its hosts below, each in the colour of its state."""
    shown = hosts[:_MOST]
    columns = max(1, _WIDTH // _CELL)
    rows = -(-len(shown) // columns)
    below = [f"{len(hosts) - _MOST} more hosts not drawn"] if len(hosts) > _MOST else []
    below += [note] if note else []
    height = 98 + rows * _HIGH + (28 if below else 8)
    name = {"cable": "CMTS", "dsl": "access concentrator"}.get(topology, "concentrator")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="12" role="img" aria-label="{name}, hosts">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#FFFFFF"/>',
        _box(_WIDTH / 2 - 90, 8, 180, 34, name if up else f"{name}: down", "#FBE3CC" if up else "#BBBBBB"),
    ]
    spine = 62
    parts.append(f'<path d="M{_WIDTH / 2} 42V{spine}M30 {spine}H{_WIDTH - 30}" stroke="#555" fill="none"/>')
    counts = {state: sum(host.state == state for host in hosts) for state in COLOURS}
    for number, (state, colour) in enumerate(COLOURS.items()):
        x = 30 + number * 180
        parts.append(f'<rect x="{x}" y="76" width="14" height="14" fill="{colour}" stroke="#555"/>')
        parts.append(f'<text x="{x + 20}" y="88" fill="#222">{state}: {counts[state]}</text>')
    for number, host in enumerate(shown):
        x, y = (number % columns) * _CELL + 12, 104 + (number // columns) * _HIGH
        parts.append(_box(x, y, _CELL - 10, 40, host.name, COLOURS[host.state], _INK[host.state], host))
    parts.append(f'<text x="12" y="{height - 10}" fill="#555">{"; ".join(below)}</text></svg>')
    return "".join(parts)


def _box(
    x: float, y: float, width: float, height: float, text: str, fill: str, ink: str = "#222222",
    host: HostState | None = None,
) -> str:  # fmt: skip
    detail = ""
    middle = y + height / 2 + 4
    if host is not None:
        middle -= 8
        below = f"{host.state}, reached" if host.reached else host.state
        detail = (
            f'<text x="{x + width / 2}" y="{middle + 15}" text-anchor="middle" font-size="10" '
            f'fill="{ink}">{below}</text><title>{host.name}: {host.address}, {below}</title>'
        )
    frame = "3" if host is not None and host.reached else "1"
    return (
        f'<g><rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" fill="{fill}" stroke="#333" '
        f'stroke-width="{frame}"/><text x="{x + width / 2}" y="{middle}" text-anchor="middle" '
        f'fill="{ink}">{text}</text>{detail}</g>'
    )


def snapshot(lab: Lab, note: str = "") -> str:
    """Return the picture of the network as it is now."""
    running = lab.running()  # first: what is then known of the hosts is not of a concentrator shown as down
    up = running.pop("concentrator")
    reached = lab.reached() if up else {}  # those of the moment before
    hosts = [
        HostState(row["host"], row["address"], row["state"], reached.get(row["host"], False))
        for row in lab.hosts().to_dict("records")
    ]
    notes = [f"{server} is down" for server, runs in running.items() if not runs] + ([note] if note else [])
    return picture(lab.spec.topology.figure, hosts, up, "; ".join(notes))


class View:
    """Shows itself in a notebook, and refreshes until it is stopped: what network and tables have in common.

    Where there are no widgets it shows itself once, and says so.
    """

    def __init__(self, lab: Lab, every: float) -> None:
        if every <= 0:
            raise BadInput("what refreshes needs an interval above 0 seconds")
        self._reference = weakref.ref(lab)  # a thread of ours must not keep it from being closed
        self._every = every
        self._ended = threading.Event()
        self._drawing = threading.Lock()
        self._still = self._stand_in()
        self.box: Any = None
        try:
            widgets = importlib.import_module("ipywidgets")
        except ImportError:
            return
        self._view = widgets.HTML(value=self._content())
        self._view.add_class("jp-RenderedHTMLCommon")  # JupyterLab draws a table as it draws a data frame
        self._notice = widgets.Label(value="")
        self.box = widgets.VBox([widgets.HBox([*self._controls(widgets), self._notice]), self._view])
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def _lab(self) -> Lab:
        lab = self._reference()
        if lab is None:
            raise RunFailed("the lab is closed")
        return lab

    def _content(self) -> str:
        """Return the present state as HTML."""
        raise NotImplementedError

    def _stand_in(self) -> dict[str, str]:
        """Return the present state by MIME type, for where there are no widgets."""
        raise NotImplementedError

    def _controls(self, widgets: Any) -> list[Any]:
        """Return what stands above."""
        return []

    def stop(self, why: str = "refreshed no more") -> None:
        """Refresh no more, and say why."""
        if self.box is not None and not self._ended.is_set():
            self._notice.value = why
        self._ended.set()

    def refresh(self) -> None:
        """Show the present state now, or why that cannot be had, unless it was stopped."""
        if self.box is None or self._ended.is_set():
            return
        notice = ""
        with self._drawing:
            try:
                self._view.value = self._content()
            except (BadInput, RunFailed, OSError, ValueError) as error:  # the next time may go well
                notice = str(error)
            if not self._ended.is_set():
                self._notice.value = notice

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self.refresh()

    def _repr_mimebundle_(self, **keywords: Any) -> Mapping[str, Any]:
        bundle: dict[str, Any] = dict(self._still)
        if self.box is not None:
            live = self.box._repr_mimebundle_(**keywords)
            if live is not None:
                bundle.update({kind: value for kind, value in live.items() if kind != "text/plain"})
        return bundle


class NetworkWidget(View):
    """What `Lab.widget` returns: the network, and a button that reboots the concentrator."""

    def _content(self) -> str:
        return snapshot(self._lab)

    def _stand_in(self) -> dict[str, str]:
        return {"image/svg+xml": snapshot(self._lab, _STILL), "text/plain": f"({_STILL})"}

    def _controls(self, widgets: Any) -> list[Any]:
        self._button = widgets.Button(
            description="Reboot the concentrator", icon="power-off", layout=widgets.Layout(width="220px")
        )
        self._message = widgets.Label(value="")
        self._button.on_click(lambda _: threading.Thread(target=self._reboot, daemon=True).start())
        return [self._button, self._message]

    def stop(self, why: str = "refreshed no more") -> None:
        """Refresh no more, and say why."""
        super().stop(why)
        if self.box is not None:
            self._button.disabled = True

    def _reboot(self) -> None:
        self._button.disabled = True
        self._message.value = "rebooting: the controller is killed, the switch forgets"
        try:
            self._lab.reboot()
            self._message.value = "the new controller holds the switch"
        except (BadInput, RunFailed) as error:
            self._message.value = str(error)
        finally:
            self._button.disabled = self._ended.is_set()


class TableWidget(View):
    """What `Lab.watch` returns: one of the lab's tables."""

    def __init__(self, lab: Lab, what: str, every: float) -> None:
        self._what = what
        super().__init__(lab, every)

    def _content(self) -> str:
        return self._table(self._frame())

    def _stand_in(self) -> dict[str, str]:
        frame = self._frame()
        plain = frame.to_string(index=False, max_rows=_MOST)
        return {
            "text/html": f"{self._table(frame)}<p>{self._what}: {_ONCE}</p>",
            "text/plain": f"{plain}\n({self._what}: {_ONCE})",
        }

    def _controls(self, widgets: Any) -> list[Any]:
        return [widgets.HTML(value=f"<b>{self._what}</b>")]

    def _frame(self) -> pd.DataFrame:
        frame: pd.DataFrame = getattr(self._lab, self._what)()
        return frame

    @staticmethod
    def _table(frame: pd.DataFrame) -> str:
        text: str = frame.to_html(
            index=False, border=0, max_rows=_MOST, show_dimensions=True, float_format="{:.1f}".format
        )
        return f'<div style="display: inline-block">{text}</div>'
