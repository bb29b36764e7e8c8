"""The live network as a drawing, laid out like the draft's figures: a pure function of a scene.

Above, from left to right: the servers, the latest queries and answers on their way, the concentrator.
Below what hangs on it: the cable or the DSLAM, the modems, and each modem's hosts in its box.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from lq.widget.scene import STATES, Host, Message, Scene, clean, details, duration, label, moment, words
from lq.widget.shapes import Box, Drawing, Line, Shape, Text

MOST_ARROWS = 6
MOST_DRAWN = 240  # hosts; all are counted
FEW = 16  # hosts that are drawn with name, address and state
FRESH = 1.5  # seconds that a message stands out

WIDTH, NARROWEST, WIDEST = 680.0, 340.0, 760.0  # pixels
_EDGE, _ROW = 12.0, 21.0  # left and right; height of an arrow's row
_GAP, _STUB, _SPINE = 10.0, 14.0, 4.0  # between two modems; above them; where the next row hangs
_REPLIES = {"active": "located", "known": "refused", "unknown": "refused"}
_SIGNS = {"unknown": "", "asking": "?", "located": "", "refused": "\N{MULTIPLICATION SIGN}"}


class _Size(NamedTuple):
    """How hosts are drawn: a host's width and height, most side by side of one modem."""

    width: float
    height: float
    most: int
    space: float


_LARGE, _SMALL = _Size(104, 42, 3, 6), _Size(33, 22, 5, 3)


def draw(scene: Scene, note: str = "", width: float = WIDTH) -> Drawing:
    """Draw a scene, with a note below, NARROWEST to WIDEST pixels wide: text keeps its size."""
    width = min(max(width, NARROWEST), WIDEST)
    shapes, top = _headline(scene, width)
    bottom = top + MOST_ARROWS * _ROW + 18
    shapes += _core(scene, top, bottom, width)
    below, height = _access(scene, bottom, width)
    shapes += below
    notes = [f"{scene.total - MOST_DRAWN} more hosts are not drawn"] if scene.total > MOST_DRAWN else []
    notes += textwrap.wrap(clean(note, 400), round((width - 2 * _EDGE) / 6.2))
    for line in notes:
        height += 16
        shapes.append(Text(_EDGE, height - 8, line, 11, "faint", "start"))
    title = f"The live network: {words(scene)}"
    return Drawing(width, height, tuple(shapes), title, " ".join([details(scene), *notes]))


def _headline(scene: Scene, width: float) -> tuple[list[Shape], float]:
    """Draw time and counts; return them and where the next begins."""
    alarm = scene.concentrator != "up"
    shapes: list[Shape] = [
        Text(_EDGE, 24, moment(scene), 16, "alarm" if alarm else "ink", "start", bold=True)
    ]
    y = 36.0
    if scene.outage is not None:
        took = f"the new controller took over after {duration(scene.outage)}"
        if width < 560:
            shapes.append(Text(_EDGE, 42, took, 11.5, "faint", "start"))
            y = 52
        else:
            shapes.append(Text(width - _EDGE, 24, took, 11.5, "faint", "end"))
    x = _EDGE
    for state in (*STATES, "reached"):
        reached = state == "reached"
        name = f"reached by probes: {scene.counts[state]} of {scene.total}" if reached else (
            f"{state}: {scene.counts[state]}"
        )  # fmt: skip
        wide = 34 + 7 * len(name)
        if x + wide > width:
            x, y = _EDGE, y + 19
        look = ("paper", "ink", 2.5, False) if reached else (state, "line", 1, state == "unknown")
        shapes.append(Box(x, y, 13, 13, *look))
        if _SIGNS.get(state):
            shapes.append(Text(x + 6.5, y + 10.5, _SIGNS[state], 11, f"{state}-ink", bold=True))
        shapes.append(Text(x + 19, y + 11, name, 12, anchor="start"))
        x += wide
    return shapes, y + 26


def _core(scene: Scene, top: float, bottom: float, width: float) -> Iterator[Shape]:
    """Draw the servers, the concentrator, and the messages between them."""
    server, concentrator = _widths(width)
    left, right = _EDGE + server, width - _EDGE - concentrator
    each = (bottom - top + 8) / max(1, len(scene.servers))
    rows = MOST_ARROWS // max(1, len(scene.servers))
    for number, (name, runs) in enumerate(scene.servers.items()):
        high, middle = top + number * each, top + number * each + each / 2 - 4
        yield Box(_EDGE, high, server, each - 8, "server" if runs else "down")
        yield Text(_EDGE + server / 2, middle - 4, "DHCP server", 13 if server > 100 else 12, bold=True)
        told, ink = (name, "faint") if runs else (f"{name}: down", "alarm")
        yield Text(_EDGE + server / 2, middle + 13, told, 11, ink)
        messages = [message for message in scene.messages if message.server == name][-rows:]
        for row, message in enumerate(messages):
            yield from _arrow(message, scene, left, right, high + (row + 1) * _ROW + 2)
        if not messages:
            yield Line(left, middle, right, middle, dashed=True)
            yield Text((left + right) / 2, middle - 7, "network", 11, "faint")
    up = scene.concentrator == "up"
    frame = ("concentrator", "line", 1.0) if up else ("down", "alarm", 2.0)
    yield Box(right, top, concentrator, bottom - top, *frame)
    middle, centre = (top + bottom) / 2 - 12, right + concentrator / 2
    name = scene.title if up else f"{scene.title}: {scene.concentrator}"
    for line in textwrap.wrap(name, 16 if concentrator > 120 else 12):
        yield Text(centre, middle, line, 13, bold=True)
        middle += 17
    yield Text(centre, middle, "relay agent", 11, "faint")
    if scene.queries:
        yield Text(centre, middle + 22, f"{scene.queries:,} queries", 11)
        yield Text(centre, middle + 37, f"{scene.answers:,} answers", 11)


def _widths(width: float) -> tuple[float, float]:
    """Return the widths of the servers and of the concentrator."""
    return (118, 142) if width >= 560 else (92, 104)


def _arrow(message: Message, scene: Scene, left: float, right: float, y: float) -> Iterator[Shape]:
    """Draw a message on its way between a server and the concentrator."""
    fresh = message.since is not None and scene.since is not None and scene.since - message.since < FRESH
    pale = 1 if fresh else 0.55
    query = message.kind == "query"
    colour = "asking" if query else _REPLIES.get(message.reply or "", "line")
    start, end = (right, left) if query else (left, right)
    yield Line(start, y, end, y, colour, 2 if fresh else 1.3, arrow=True, opacity=pale, key=message.number)
    size = 11 if right - left > 200 else 9.5
    told = textwrap.shorten(label(message), int((right - left) / size / 0.5), placeholder=" ...")
    yield Text((left + right) / 2, y - 4, told, size, opacity=1 if fresh else 0.8)


def _access(scene: Scene, top: float, width: float) -> tuple[list[Shape], float]:
    """Draw what hangs on the concentrator; return it and the picture's height."""
    groups = _groups(scene)
    size = _LARGE if scene.total <= FEW else _SMALL
    room = width - 2 * _EDGE
    rows = _rows([_card_width(len(hosts), size, room) for _, hosts in groups], room)
    y, centre = top + 26, width - _EDGE - _widths(width)[1] / 2
    total = f"{_count(len(scene.modems), 'modem')}, {_count(scene.total, 'host')}"
    shapes: list[Shape] = [Line(centre, top, centre, y)]
    cable = scene.figure == "cable"
    ink, thick = ("ink", 3.0) if cable else ("line", 1.2)
    if cable:
        shapes.append(Line(_EDGE, y, width - _EDGE, y, ink, thick))
        shapes.append(Text(_EDGE, y - 6, f"one shared cable: {total}", 11, "faint", "start"))
    else:
        shapes.append(Box(_EDGE, y, width - 2 * _EDGE, 24, "concentrator"))
        shapes.append(Text(width / 2, y + 16, f"DSLAM: one circuit each, {total}", 12))
        y += 24
    left, first = _left(max(rows, key=sum), width), 0
    if len(rows) > 1:
        shapes.append(Line(_SPINE, y, _EDGE, y, ink, thick))
    for number, row in enumerate(rows):
        end = left + sum(row) + _GAP * (len(row) - 1) - row[-1] / 2  # the last one's middle
        if number:
            shapes.append(Line(_SPINE, y, end, y, ink, thick))
        x, tallest = left, 0.0
        for (modem, hosts), wide in zip(groups[first : first + len(row)], row, strict=True):
            shapes.append(Line(x + wide / 2, y, x + wide / 2, y + _STUB))
            card, high = _card(scene, modem, hosts, x, y + _STUB, wide, size)
            shapes += card
            tallest, x = max(tallest, high), x + wide + _GAP
        first, below = first + len(row), y + _STUB + tallest + 12
        if number < len(rows) - 1:
            shapes.append(Line(_SPINE, y, _SPINE, below, ink, thick))
        y = below
    return shapes, y


def _groups(scene: Scene) -> list[tuple[str, list[Host]]]:
    """Return the hosts that are drawn by their modems, in the order of the figure."""
    groups: dict[str, list[Host]] = {name: [] for name in scene.modems}
    for host in scene.hosts[:MOST_DRAWN]:
        groups.setdefault(host.modem, []).append(host)
    shown = [(modem, hosts) for modem, hosts in groups.items() if hosts]
    return shown or list(groups.items())[:MOST_DRAWN]


def _card_width(hosts: int, size: _Size, room: float) -> float:
    fitting = int((room - size.space - 4) / (size.width + size.space))
    side = max(1, min(hosts, size.most if hosts <= 20 else 2 * size.most, fitting))
    return side * (size.width + size.space) + size.space + 4


def _rows(widths: list[float], width: float) -> list[list[float]]:
    """Break a line of modems into rows that fit."""
    rows: list[list[float]] = [[]]
    for wide in widths:
        if rows[-1] and sum(rows[-1]) + len(rows[-1]) * _GAP + wide > width:
            rows.append([])
        rows[-1].append(wide)
    return rows


def _left(row: list[float], width: float) -> float:
    """Return where the longest row of modems begins: rows stand in the middle."""
    return (width - sum(row) - _GAP * (len(row) - 1)) / 2


def _card(
    scene: Scene, modem: str, hosts: list[Host], x: float, y: float, width: float, size: _Size
) -> tuple[list[Shape], float]:
    """Draw a modem with its hosts; return that and its height."""
    circuit = scene.modems.get(modem, "")
    side = max(1, round((width - size.space - 4) / (size.width + size.space)))
    rows = -(-len(hosts) // side)
    high = 22 + rows * (size.height + size.space) + 2
    name = modem or "hosts"
    shapes: list[Shape] = [
        Box(x, y, width, high, "modem", title=f"{name}, circuit {circuit}" if circuit else name)
    ]
    if width >= 150 and circuit:
        shapes.append(Text(x + 8, y + 15, name, 12, anchor="start", bold=True))
        shapes.append(Text(x + width - 8, y + 15, f"circuit {circuit}", 10.5, "faint", "end"))
    elif width >= 70:
        shapes.append(Text(x + width / 2, y + 15, name, 12, bold=True))
    else:
        shapes.append(Text(x + width / 2, y + 15, name.replace("modem", "m"), 11, bold=True))
    for number, host in enumerate(hosts):
        left = x + 2 + size.space + (number % side) * (size.width + size.space)
        top = y + 22 + (number // side) * (size.height + size.space)
        shapes += _host(host, left, top, size)
    return shapes, high


def _host(host: Host, x: float, y: float, size: _Size) -> Iterator[Shape]:
    state = host.state if host.state in STATES else "unknown"
    told = f"{host.name}: {host.address or 'no address'}, {state}{', reached' if host.reached else ''}"
    yield Box(
        x, y, size.width, size.height, state, "ink" if host.reached else "line", 2.5 if host.reached else 1,
        dashed=state == "unknown" and not host.reached, title=told,
    )  # fmt: skip
    ink, centre = f"{state}-ink", x + size.width / 2
    if size is _LARGE:
        yield Text(centre, y + 17, f"{host.name}{_sign(state)}", 12.5, ink, bold=True)
        yield Text(centre, y + 33, host.address or "no address", 11, ink)
    else:
        number = host.name.removeprefix("host")
        yield Text(centre, y + 15.5, f"{number[:5]}{_SIGNS[state]}", 11.5, ink)


def _sign(state: str) -> str:
    return f" {_SIGNS[state]}" if _SIGNS[state] else ""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
