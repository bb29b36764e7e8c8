"""The emulated networks as pictures, laid out like the draft's figures (`lq show`).

Units are inches, from the lower left corner. What does not fit readably is left out in the
middle, as "...": numbering and totals stay true.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lq import figures, files
from lq.errors import BadInput, shown, unknown
from topologies import plan
from topologies.figure import hosts_behind_modems

FORMATS = (".png", ".svg")
MOST_COLUMNS = 8  # hosts side by side
MOST_HOSTS = 3  # of one modem; beyond that the first, "..." and the last

_COLUMN, _GAP = 1.28, 0.35  # width of a host's column; between the columns of two modems
_HIGH, _MIDDLE, _LOW = 3.05, 1.75, 0.55  # centres of the concentrator, of the modems, of the hosts
_HEIGHT = 4.05
_SERVER_X, _NETWORK_X, _CONCENTRATOR_X, _FIRST_X = 0.95, 2.45, 4.05, 5.25
_METRO = 0.95  # room for the network between concentrator and DSLAM
_NARROWEST = 2.0  # width of a DSLAM
_FILL = {"server": "#D6E8F5", "concentrator": "#FBE3CC", "modem": "#D5EFE6", "host": "#F4F4F4"}
_INK, _FAINT = "0.15", "0.45"
_NAME, _DETAIL = 10, 7  # points

Elided = int | None  # a number from 1, or None where "..." stands for several


def draw(topology: str, modems: int | None, hosts_per_modem: int | None, path: Path) -> None:
    """Draw a topology into a file, .png or .svg by its name. Raises BadInput with the fix."""
    if path.suffix not in FORMATS:
        raise BadInput(f"cannot draw {path}: use a name that ends in {' or '.join(FORMATS)}")
    figure = picture(topology, modems, hosts_per_modem)
    try:
        files.write(path, figures.written(figure, path.suffix.removeprefix(".")))
    except BadInput as error:
        raise BadInput(f"{error}; use --out to name a file that you may write") from None


def picture(topology: str, modems: int | None = None, hosts_per_modem: int | None = None) -> Figure:
    """Return a topology's picture as a figure, which a notebook shows."""
    if topology not in _PICTURES:
        raise BadInput(f"{unknown('topology', topology, _PICTURES)} (topologies: {', '.join(_PICTURES)})")
    for name, count in (("modems", modems), ("hosts_per_modem", hosts_per_modem)):
        if count is not None and (not isinstance(count, int) or count < 1):
            raise BadInput(f"{name}: use a whole number of at least 1 (got {shown(count)})")
    with figures.style():
        return _PICTURES[topology](hosts_behind_modems(modems, hosts_per_modem))


def elide(count: int, most: int, first: int) -> list[Elided]:
    """Return 1 to `count`; where these are more than `most`, the `first` of them, None, and the last."""
    if count <= most:
        return list(range(1, count + 1))
    return [*range(1, first + 1), None, count]


class _Columns:
    """Where the modems stand: their numbers (None for "...") with the centres of their columns."""

    def __init__(self, hosts: tuple[int, ...], first: float) -> None:
        columns = max(len(elide(count, MOST_HOSTS, 1)) for count in hosts)
        fitting = max(2, MOST_COLUMNS // columns)
        self.modems: list[tuple[Elided, float]] = []
        self.first, x = first, first
        for modem in elide(len(hosts), fitting, fitting - 1):
            width = _COLUMN * (0.6 if modem is None else len(elide(hosts[modem - 1], MOST_HOSTS, 1)))
            self.modems.append((modem, x + width / 2))
            x += width + _GAP
        self.end = x


def _cable(hosts: tuple[int, ...]) -> Figure:
    """Draw Figure 1 (R1-1): server, network, CMTS, one shared cable, modems, hosts."""
    columns = _Columns(hosts, _FIRST_X)
    figure, ax = _canvas(columns.end)
    _line(ax, (_CONCENTRATOR_X, columns.end - _GAP / 2), (_HIGH, _HIGH), width=3)
    total = f"one shared cable: {_count(len(hosts), 'modem')}, {_count(sum(hosts), 'host')}"
    _write(ax, (columns.first + columns.end - _GAP) / 2, _HIGH + 0.22, total, _DETAIL, _FAINT)
    _network(ax, "DOCSIS CMTS\nor DVB INA\n(Relay Agent)")
    for modem, centre in columns.modems:
        if modem is not None:
            ax.plot([centre], [_HIGH], "o", color=_INK, markersize=6)
    _modems(ax, columns, hosts)
    return figure


def _dsl(hosts: tuple[int, ...]) -> Figure:
    """Draw Figure 2 (R1-2): server, network, access concentrator, network, DSLAM, modems, hosts."""
    columns = _Columns(hosts, _FIRST_X + _METRO)
    width = max(columns.end - _GAP - columns.first, _NARROWEST)
    figure, ax = _canvas(columns.first + width + _GAP)
    metro = _FIRST_X + _METRO / 2 - 0.12
    _line(ax, (_CONCENTRATOR_X, metro - 0.35), (_HIGH, _HIGH))
    _line(ax, (metro + 0.35, columns.first + 0.2), (_HIGH, _HIGH))
    _write(ax, metro, _HIGH + 0.05, ". . .", 14)
    _write(ax, metro, _HIGH + 0.32, "network", _DETAIL, _FAINT)
    _network(ax, "DSL Access\nConcentrator\n(Relay Agent)")
    _modems(ax, columns, hosts)
    total = f"one circuit each: {_count(len(hosts), 'modem')}, {_count(sum(hosts), 'host')}"
    _box(ax, columns.first + width / 2, _HIGH, width, 0.62, "concentrator", "DSLAM", total)
    return figure


def _canvas(width: float) -> tuple[Figure, Axes]:
    figure = figures.ShownFigure(figsize=(width, _HEIGHT))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set(xlim=(0, width), ylim=(0, _HEIGHT))
    return figure, ax


def _network(ax: Axes, concentrator: str) -> None:
    """Draw what both figures have on the left."""
    _line(ax, (_SERVER_X, _NETWORK_X - 0.35), (_HIGH, _HIGH))
    _line(ax, (_NETWORK_X + 0.35, _CONCENTRATOR_X), (_HIGH, _HIGH))
    _write(ax, _NETWORK_X, _HIGH + 0.05, ". . .", 14)
    _write(ax, _NETWORK_X, _HIGH + 0.32, "network", _DETAIL, _FAINT)
    _line(ax, (_NETWORK_X, _NETWORK_X), (_HIGH - 0.1, _MIDDLE), dashed=True)
    _box(ax, _NETWORK_X, _MIDDLE, 1.15, 0.55, "host", "Internet", str(plan.INTERNET), faint=True)
    _box(ax, _SERVER_X, _HIGH, 1.3, 0.95, "server", "DHCP\nServer", str(plan.SERVER))
    _box(ax, _CONCENTRATOR_X, _HIGH, 1.6, 1.35, "concentrator", concentrator, f"giaddr {plan.GATEWAY}")
    _write(ax, _CONCENTRATOR_X, _HIGH - 0.85, f"subscribers: {plan.ACCESS_NETWORK}", _DETAIL, _FAINT)


def _modems(ax: Axes, columns: _Columns, hosts: tuple[int, ...]) -> None:
    """Draw the modems below what they hang on, and their hosts."""
    before = [0, *itertools.accumulate(hosts)]
    for modem, centre in columns.modems:
        if modem is None:
            _write(ax, centre, _MIDDLE, ". . .", 14)
            continue
        _line(ax, (centre, centre), (_HIGH, _MIDDLE))
        _hosts(ax, centre, hosts[modem - 1], before[modem - 1])
        _box(
            ax, centre, _MIDDLE, 1.25, 0.7, "modem", f"Modem{modem}",
            f"circuit {modem}\n{plan.modem_mac(modem)}",
        )  # fmt: skip


def _hosts(ax: Axes, centre: float, count: int, before: int) -> None:
    """Draw the hosts of one modem, whose first has number `before` + 1."""
    shown = elide(count, MOST_HOSTS, 1)
    fork = (_MIDDLE + _LOW) / 2 - 0.05
    left = centre - (len(shown) - 1) * _COLUMN / 2
    _line(ax, (centre, centre), (_MIDDLE, fork))
    _line(ax, (left, left + (len(shown) - 1) * _COLUMN), (fork, fork))
    for column, host in enumerate(shown):
        x = left + column * _COLUMN
        if host is None:
            _write(ax, x, _LOW, ". . .", 14)
        else:
            _line(ax, (x, x), (fork, _LOW))
            _box(ax, x, _LOW, 1.12, 0.52, "host", f"Host{before + host}", plan.host_mac(before + host))


def _box(
    ax: Axes, x: float, y: float, width: float, height: float, kind: str, name: str, detail: str,
    *, faint: bool = False,
) -> None:  # fmt: skip
    """Draw a labelled box around a centre."""
    colour = _FAINT if faint else _INK
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=_FILL[kind], edgecolor=colour, linewidth=1.2, linestyle="--" if faint else "-",
            zorder=3,
        )
    )  # fmt: skip
    lines, details = name.split("\n"), detail.split("\n")
    spacing, fine = 0.19, 0.125
    top = y + (len(lines) * spacing + len(details) * fine) / 2
    for number, line in enumerate(lines):
        _write(ax, x, top - (number + 0.5) * spacing, line, _NAME, colour)
    top -= len(lines) * spacing
    for number, line in enumerate(details):
        _write(ax, x, top - (number + 0.5) * fine, line, _DETAIL, _FAINT)


def _line(
    ax: Axes, x: tuple[float, float], y: tuple[float, float], *, width: float = 1.2, dashed: bool = False
) -> None:
    ax.plot(
        x, y, color=_FAINT if dashed else _INK, linewidth=width, linestyle="--" if dashed else "-",
        solid_capstyle="butt", zorder=1,
    )  # fmt: skip


def _write(ax: Axes, x: float, y: float, text: str, size: float, colour: str = _INK) -> None:
    ax.text(x, y, text, fontsize=size, color=colour, ha="center", va="center", zorder=4)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


_PICTURES: dict[str, Callable[[tuple[int, ...]], Figure]] = {"cable": _cable, "dsl": _dsl}
