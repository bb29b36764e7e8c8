"""The live network as a drawing, laid out like the draft's figures: a pure function of a scene.

Above, from left to right: the servers, the latest queries and answers on their way, the concentrator.
Below what hangs on it: the cable or the DSLAM, the modems, and each modem's hosts in its box.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from lq.widget.scene import STATES, Host, Message, Scene, details, duration, label, moment, words
from lq.widget.shapes import Box, Drawing, Line, Shape, Text

MOST_ARROWS = 6
MOST_DRAWN = 240  # hosts; all are counted
FEW = 16  # hosts that are drawn with name, address and state
FRESH = 1.5  # seconds that a message stands out

WIDTH = 680.0
_EDGE = 12.0
_SERVER, _CONCENTRATOR = 118.0, 142.0  # widths
_TOP, _ROW = 62.0, 21.0  # where the servers begin; height of an arrow's row
_GAP, _STUB, _SPINE = 10.0, 14.0, 4.0  # between two modems; above them; where the next row hangs
_REPLIES = {"active": "located", "known": "refused", "unknown": "refused"}
_SIGNS = {"unknown": "", "asking": "?", "located": "", "refused": "\N{MULTIPLICATION SIGN}"}


class _Size(NamedTuple):
    """How hosts are drawn: a host's width and height, most side by side of one modem."""

    width: float
    height: float
    most: int
    space: float


_LARGE, _SMALL = _Size(104, 42, 3, 6), _Size(33, 22, 5, 4)


def draw(scene: Scene, note: str = "") -> Drawing:
    """Draw a scene, with a note below."""
    shapes: list[Shape] = [*_headline(scene)]
    bottom = _TOP + MOST_ARROWS * _ROW + 18
    shapes += _core(scene, bottom)
    below, height = _access(scene, bottom)
    shapes += below
    notes = [f"{scene.total - MOST_DRAWN} more hosts not drawn"] if scene.total > MOST_DRAWN else []
    notes += [note] if note else []
    for line in notes:
        height += 17
        shapes.append(Text(_EDGE, height - 8, line, 11, "faint", "start"))
    title = f"The live network: {words(scene)}"
    return Drawing(WIDTH, height, tuple(shapes), title, " ".join([details(scene), *notes]))


def _headline(scene: Scene) -> Iterator[Shape]:
    alarm = scene.concentrator != "up"
    yield Text(_EDGE, 24, moment(scene), 16, "alarm" if alarm else "ink", "start", bold=True)
    if scene.outage is not None:
        took = f"the new controller took over after {duration(scene.outage)}"
        yield Text(WIDTH - _EDGE, 24, took, 11.5, "faint", "end")
    x = _EDGE
    for state in STATES:
        yield Box(x, 36, 13, 13, state, dashed=state == "unknown")
        sign = f" {_SIGNS[state]}" if _SIGNS[state] else ""
        yield Text(x + 19, 47, f"{state}{sign}: {scene.counts[state]}", 12, anchor="start")
        x += 112
    yield Box(x, 36, 13, 13, "paper", "ink", 2.5)
    yield Text(
        x + 19, 47, f"reached by probes: {scene.counts['reached']} of {scene.total}", 12, anchor="start"
    )


def _core(scene: Scene, bottom: float) -> Iterator[Shape]:
    """Draw the servers, the concentrator, and the messages between them."""
    left, right = _EDGE + _SERVER, WIDTH - _EDGE - _CONCENTRATOR
    high = bottom - _TOP
    each = (high + 8) / max(1, len(scene.servers))
    rows = MOST_ARROWS // max(1, len(scene.servers))
    for number, (name, runs) in enumerate(scene.servers.items()):
        top = _TOP + number * each
        yield Box(_EDGE, top, _SERVER, each - 8, "server" if runs else "down")
        middle = top + each / 2 - 8
        yield Text(_EDGE + _SERVER / 2, middle, "DHCP server", 13, bold=True)
        yield Text(
            _EDGE + _SERVER / 2,
            middle + 17,
            name if runs else f"{name}: down",
            11,
            "faint" if runs else "alarm",
        )
        messages = [message for message in scene.messages if message.server == name][-rows:]
        if messages:
            for row, message in enumerate(messages):
                yield from _arrow(message, scene, left, right, top + (row + 1) * _ROW + 2)
        else:
            yield Line(left, top + each / 2 - 4, right, top + each / 2 - 4, dashed=True)
            yield Text((left + right) / 2, top + each / 2 - 11, "network", 11, "faint")
    up = scene.concentrator == "up"
    frame = ("concentrator", "line", 1.0) if up else ("down", "alarm", 2.0)
    yield Box(right, _TOP, _CONCENTRATOR, high, *frame)
    middle, centre = _TOP + high / 2 - 12, right + _CONCENTRATOR / 2
    name = scene.title if up else f"{scene.title}: {scene.concentrator}"
    for line in textwrap.wrap(name, 16):
        yield Text(centre, middle, line, 13, bold=True)
        middle += 17
    yield Text(centre, middle, "relay agent", 11, "faint")
    if scene.queries:
        yield Text(centre, middle + 22, f"{scene.queries:,} queries", 11)
        yield Text(centre, middle + 37, f"{scene.answers:,} answers", 11)


def _arrow(message: Message, scene: Scene, left: float, right: float, y: float) -> Iterator[Shape]:
    """Draw a message on its way between a server and the concentrator."""
    fresh = message.since is not None and scene.since is not None and scene.since - message.since < FRESH
    pale = 1 if fresh else 0.55
    query = message.kind == "query"
    colour = "asking" if query else _REPLIES.get(message.reply or "", "line")
    start, end = (right, left) if query else (left, right)
    yield Line(start, y, end, y, colour, 2 if fresh else 1.3, arrow=True, opacity=pale, key=message.number)
    yield Text((left + right) / 2, y - 4, label(message, scene.rebooted), 11, opacity=1 if fresh else 0.8)


def _access(scene: Scene, top: float) -> tuple[list[Shape], float]:
    """Draw what hangs on the concentrator; return it and the picture's height."""
    groups = _groups(scene)
    size = _LARGE if scene.total <= FEW else _SMALL
    rows = _rows([_card_width(len(hosts), size) for _, hosts in groups])
    y, centre = top + 26, WIDTH - _EDGE - _CONCENTRATOR / 2
    total = f"{_count(len(scene.modems), 'modem')}, {_count(scene.total, 'host')}"
    shapes: list[Shape] = [Line(centre, top, centre, y)]
    cable = scene.figure == "cable"
    ink, thick = ("ink", 3.0) if cable else ("line", 1.2)
    if cable:
        shapes.append(Line(_EDGE, y, WIDTH - _EDGE, y, ink, thick))
        shapes.append(Text(_EDGE, y - 6, f"one shared cable: {total}", 11, "faint", "start"))
    else:
        shapes.append(Box(_EDGE, y, WIDTH - 2 * _EDGE, 24, "concentrator"))
        shapes.append(Text(WIDTH / 2, y + 16, f"DSLAM: one circuit each, {total}", 12))
        y += 24
    left, first = _left(max(rows, key=sum)), 0
    if len(rows) > 1:
        shapes.append(Line(_SPINE, y, _EDGE, y, ink, thick))
    for number, row in enumerate(rows):
        end = left + sum(row) + _GAP * (len(row) - 1) - row[-1] / 2  # the last one's middle
        if number:
            shapes.append(Line(_SPINE, y, end, y, ink, thick))
        x, tallest = left, 0.0
        for (modem, hosts), width in zip(groups[first : first + len(row)], row, strict=True):
            shapes.append(Line(x + width / 2, y, x + width / 2, y + _STUB))
            card, high = _card(scene, modem, hosts, x, y + _STUB, width, size)
            shapes += card
            tallest, x = max(tallest, high), x + width + _GAP
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


def _card_width(hosts: int, size: _Size) -> float:
    side = max(1, min(hosts, size.most if hosts <= 20 else 2 * size.most))
    return side * (size.width + size.space) + size.space + 4


def _rows(widths: list[float]) -> list[list[float]]:
    """Break a line of modems into rows that fit."""
    rows: list[list[float]] = [[]]
    for width in widths:
        if rows[-1] and sum(rows[-1]) + len(rows[-1]) * _GAP + width > WIDTH - 2 * _EDGE:
            rows.append([])
        rows[-1].append(width)
    return rows


def _left(row: list[float]) -> float:
    return (WIDTH - sum(row) - _GAP * (len(row) - 1)) / 2


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
