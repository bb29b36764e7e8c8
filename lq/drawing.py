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

from lq import figures
from lq.errors import BadInput, unknown
from topologies import plan
from topologies.cable import hosts_behind_modems

FORMATS = (".png", ".svg")
MOST_COLUMNS = 8  # hosts side by side
MOST_HOSTS = 3  # of one modem; beyond that the first, "..." and the last

_COLUMN, _GAP = 1.28, 0.35  # width of a host's column; between the columns of two modems
_HIGH, _MIDDLE, _LOW = 3.05, 1.75, 0.55  # centres of the CMTS and the cable, of the modems, of the hosts
_HEIGHT = 4.05
_SERVER_X, _NETWORK_X, _CMTS_X, _FIRST_X = 0.95, 2.45, 4.05, 5.25
_FILL = {"server": "#D6E8F5", "concentrator": "#FBE3CC", "modem": "#D5EFE6", "host": "#F4F4F4"}
_INK, _FAINT = "0.15", "0.45"
_NAME, _DETAIL = 10, 7  # points

Elided = int | None  # a number from 1, or None where "..." stands for several


def draw(topology: str, modems: int | None, hosts_per_modem: int | None, path: Path) -> None:
    """Draw a topology into a file, .png or .svg by its name. Raises BadInput with the fix."""
    if path.suffix not in FORMATS:
        raise BadInput(f"cannot draw {path}: give it a name that ends in {' or '.join(FORMATS)}")
    figure = picture(topology, modems, hosts_per_modem)
    try:
        figures.write(figure, path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}; name a place of yours with --out") from None


def picture(topology: str, modems: int | None = None, hosts_per_modem: int | None = None) -> Figure:
    """Return a topology's picture as a figure, which a notebook shows."""
    if topology not in _PICTURES:
        raise BadInput(unknown("topology", topology, _PICTURES))
    with figures.style():
        return _PICTURES[topology](hosts_behind_modems(modems, hosts_per_modem))


def elide(count: int, most: int, first: int) -> list[Elided]:
    """Return 1 to `count`; where these are more than `most`, the `first` of them, None, and the last."""
    if count <= most:
        return list(range(1, count + 1))
    return [*range(1, first + 1), None, count]


def _cable(hosts: tuple[int, ...]) -> Figure:
    """Draw Figure 1 (R1-1): server, network, CMTS, one shared cable, modems, hosts."""
    columns = max(len(elide(count, MOST_HOSTS, 1)) for count in hosts)
    fitting = max(2, MOST_COLUMNS // columns)
    shown = elide(len(hosts), fitting, fitting - 1)
    numbering = [0, *itertools.accumulate(hosts)]  # hosts on modems before each one

    centres, x = [], _FIRST_X
    for modem in shown:
        width = _COLUMN * (0.6 if modem is None else len(elide(hosts[modem - 1], MOST_HOSTS, 1)))
        centres.append(x + width / 2)
        x += width + _GAP
    figure = figures.ShownFigure(figsize=(x, _HEIGHT))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set(xlim=(0, x), ylim=(0, _HEIGHT))

    _line(ax, (_SERVER_X, _NETWORK_X - 0.35), (_HIGH, _HIGH))
    _line(ax, (_NETWORK_X + 0.35, _CMTS_X), (_HIGH, _HIGH))
    _write(ax, _NETWORK_X, _HIGH + 0.05, ". . .", 14)
    _write(ax, _NETWORK_X, _HIGH + 0.32, "network", _DETAIL, _FAINT)
    _line(ax, (_NETWORK_X, _NETWORK_X), (_HIGH - 0.1, _MIDDLE), dashed=True)
    _box(ax, _NETWORK_X, _MIDDLE, 1.15, 0.55, "host", "Internet", str(plan.INTERNET), faint=True)
    _box(ax, _SERVER_X, _HIGH, 1.3, 0.95, "server", "DHCP\nServer", str(plan.SERVER))
    _line(ax, (_CMTS_X, x - _GAP / 2), (_HIGH, _HIGH), width=3)
    total = f"one shared cable: {_count(len(hosts), 'modem')}, {_count(sum(hosts), 'host')}"
    _write(ax, (_FIRST_X + x - _GAP) / 2, _HIGH + 0.22, total, _DETAIL, _FAINT)
    _box(
        ax, _CMTS_X, _HIGH, 1.6, 1.35, "concentrator", "DOCSIS CMTS\nor DVB INA\n(Relay Agent)",
        f"giaddr {plan.GATEWAY}",
    )  # fmt: skip
    _write(ax, _CMTS_X, _HIGH - 0.85, f"subscribers: {plan.ACCESS_NETWORK}", _DETAIL, _FAINT)

    for modem, centre in zip(shown, centres, strict=True):
        if modem is None:
            _write(ax, centre, _MIDDLE, ". . .", 14)
            continue
        _line(ax, (centre, centre), (_HIGH, _MIDDLE))
        ax.plot([centre], [_HIGH], "o", color=_INK, markersize=6)
        _hosts(ax, centre, hosts[modem - 1], numbering[modem - 1])
        _box(
            ax, centre, _MIDDLE, 1.25, 0.7, "modem", f"Modem{modem}",
            f"circuit {modem}\n{plan.modem_mac(modem)}",
        )  # fmt: skip
    return figure


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


_PICTURES: dict[str, Callable[[tuple[int, ...]], Figure]] = {"cable": _cable}
