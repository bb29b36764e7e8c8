"""The live network as a picture in a notebook: each host's state, refreshed, and a reboot button.

Where a notebook shows no widgets (ipywidgets missing, a page that only displays the notebook), a
still picture stands in and says so.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lq.errors import RunFailed

if TYPE_CHECKING:
    from lq.live import Lab

COLOURS = {"unknown": "#FFFFFF", "asking": "#E69F00", "located": "#0072B2", "refused": "#D55E00"}
"""Each state's colour (Okabe and Ito: told apart with any colour vision; the name is beside it, too)."""

_INK = {"unknown": "#222222", "asking": "#222222", "located": "#FFFFFF", "refused": "#FFFFFF"}
_MOST = 64  # hosts drawn; more are counted in words
_CELL, _HIGH, _WIDTH = 104, 56, 760  # pixels
_STILL = "a still picture: the live one needs a running notebook with ipywidgets"


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


def snapshot(lab: Lab, up: bool = True, note: str = "") -> str:
    """Return the picture of the network as it is now."""
    reached = lab.reached()
    hosts = [
        HostState(row["host"], row["address"], row["state"], reached.get(row["host"], False))
        for row in lab.hosts().to_dict("records")
    ]
    return picture(lab.spec.topology.figure, hosts, up, note)


class NetworkWidget:
    """What `Lab.widget` returns: shows itself in a notebook, refreshes until the lab is closed or `stop`."""

    def __init__(self, lab: Lab, every: float, widgets: Any | None) -> None:
        self._lab = lab
        self._every = every
        self._up = True
        self._ended = threading.Event()
        self._drawing = threading.Lock()
        self._still = snapshot(lab, note=_STILL)
        self.box: Any = None
        if widgets is None:
            return
        self._view = widgets.HTML(value=snapshot(lab))
        self._button = widgets.Button(
            description="Reboot the concentrator", icon="power-off", layout=widgets.Layout(width="220px")
        )
        self._message = widgets.Label(value="")
        self._button.on_click(self._reboot)
        self.box = widgets.VBox([widgets.HBox([self._button, self._message]), self._view])
        threading.Thread(target=self._refresh, daemon=True).start()

    def stop(self) -> None:
        """Refresh no more."""
        self._ended.set()

    def _reboot(self, _button: Any) -> None:
        threading.Thread(target=self._do_reboot, daemon=True).start()

    def _do_reboot(self) -> None:
        self._button.disabled = True
        self._message.value = "rebooting: the controller is killed, the switch forgets"
        try:
            self._up = False
            self._lab.kill_concentrator()
            self._draw()
            self._lab.start_concentrator()
            self._up = True
            self._draw()
            self._message.value = "the new controller holds the switch"
        except RunFailed as error:
            self._message.value = str(error)
        finally:
            self._up = True
            self._button.disabled = False

    def _draw(self) -> None:
        with self._drawing:
            self._view.value = snapshot(self._lab, self._up)

    def _refresh(self) -> None:
        while not self._ended.wait(self._every):
            if not self._up:  # the picture would wait for the new controller, and be old then
                continue
            try:
                self._draw()
            except (RunFailed, OSError, ValueError):  # the lab is closed
                self._button.disabled = True
                self._message.value = "the lab is closed"
                return

    def _repr_mimebundle_(self, **keywords: Any) -> Mapping[str, Any]:
        bundle: dict[str, Any] = {"image/svg+xml": self._still, "text/plain": f"({_STILL})"}
        if self.box is not None:
            live = self.box._repr_mimebundle_(**keywords)
            if live is not None:
                bundle.update({kind: value for kind, value in live.items() if kind != "text/plain"})
        return bundle


def network_widget(lab: Lab, every: float) -> NetworkWidget:
    """Return the live picture, or a still one where ipywidgets is not installed."""
    try:
        widgets = importlib.import_module("ipywidgets")
    except ImportError:
        widgets = None
    return NetworkWidget(lab, every, widgets)
