"""What the picture of a live network shows, as one value, and the same in words.

It comes from inside the lab (`lq.emulation.sight`) as JSON: names and addresses are anybody's text here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

STATES = ("unknown", "asking", "located", "refused")
TITLES = {"cable": "CMTS", "dsl": "DSL access concentrator"}
_LONGEST = 40  # characters of a name
_MOST_RANGES = 12  # of hosts in words; beyond that the rest in number


class Host(NamedTuple):
    """A host; `reached`: a probe came through a moment ago. `modem` is empty where hosts are not nodes."""

    name: str
    address: str | None
    state: str
    reached: bool
    modem: str


class Message(NamedTuple):
    """A leasequery or its answer; `since` the reboot in seconds, `reply` of an answer, `attempt` from 1."""

    number: int
    since: float | None
    kind: str
    server: str
    about: str
    reply: str | None
    attempt: int | None


class Scene(NamedTuple):
    """A moment of a live network. Times in seconds; see `Sight.view`."""

    figure: str
    name: str
    concentrator: str
    rebooted: bool
    since: float | None
    outage: float | None
    servers: dict[str, bool]
    hosts: tuple[Host, ...]
    modems: dict[str, str]
    counts: dict[str, int]
    queries: int
    answers: int
    messages: tuple[Message, ...]

    @property
    def total(self) -> int:
        """All hosts, drawn or not."""
        return sum(self.counts[state] for state in STATES)

    @property
    def title(self) -> str:
        """The concentrator's name in the draft's figure."""
        return TITLES.get(self.figure, "concentrator")

    @property
    def gist(self) -> tuple[Any, ...]:
        """What is worth another still picture or a spoken word when it changes."""
        return (self.concentrator, self.rebooted, self.servers, self.counts)


def read(view: Mapping[str, Any]) -> Scene:
    """Make a scene of what the lab told."""
    hosts = tuple(
        Host(clean(n), None if a is None else clean(a), s, r, clean(m)) for n, a, s, r, m in view["hosts"]
    )
    messages = tuple(
        Message(**{**told, **{key: clean(told[key]) for key in ("server", "about", "reply") if told[key]}})
        for told in view["messages"]
    )
    return Scene(**{
        **view,
        "name": clean(view["name"]),
        "servers": {clean(name): runs for name, runs in view["servers"].items()},
        "modems": {clean(name): clean(circuit) for name, circuit in view["modems"].items()},
        "hosts": hosts,
        "messages": messages,
    })  # fmt: skip


def clean(text: object, longest: int = _LONGEST) -> str:
    """Return text of at most so many characters that any font and any XML can hold."""
    plain = "".join(
        sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(text)[: longest + 1]
    )
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def moment(scene: Scene) -> str:
    """Return how long ago the reboot was, in words."""
    if scene.since is None:
        return f"{scene.title}: {scene.concentrator}"
    ago = duration(scene.since)
    if scene.concentrator != "up":
        return f"{scene.title}: {scene.concentrator}, {ago} since the kill"
    if not scene.rebooted:
        return f"{ago} since the start, no reboot yet"
    return f"{ago} since the reboot"


def duration(seconds: float) -> str:
    """Return a time as it is read at a glance."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes} min {seconds:02d} s"


def words(scene: Scene) -> str:
    """Return the picture in words, for whoever does not see it."""
    told = [f"{scene.title} is {scene.concentrator}"]
    told += [f"{name} is {'up' if runs else 'down'}" for name, runs in scene.servers.items()]
    reached = scene.counts["reached"]
    counts = ", ".join(f"{scene.counts[state]} {state}" for state in STATES if scene.counts[state])
    told.append(f"{scene.total} hosts: {counts or 'none'}")
    told.append(f"probes reach {reached} of them" if reached else "no probe has arrived in the last moment")
    return "; ".join(told) + "."


def details(scene: Scene) -> str:
    """Return which host is in which state, and the newest messages, in words."""
    told = [moment(scene) + "."]
    for state in STATES:
        names = [host.name for host in scene.hosts if host.state == state]
        if names:
            told.append(f"{state}: {ranges(names)}.")
    told += [label(message) + "." for message in scene.messages[-3:]]
    return " ".join(told)


def label(message: Message) -> str:
    """Return a message as a line, with its time since the reboot (or the start)."""
    when = "" if message.since is None else f"{message.since:.2f} s "
    if message.kind == "query":
        again = f", try {message.attempt}" if (message.attempt or 1) > 1 else ""
        return f"{when}query: {message.about}{again}"
    return f"{when}{(message.reply or 'answer').upper()}: {message.about}"


def ranges(names: Iterable[str]) -> str:
    """Return names as text, those that count up in one: host1 to host3, host7."""
    runs: list[list[str]] = []
    for name in names:
        if runs and _follows(runs[-1][-1], name):
            runs[-1] = [runs[-1][0], name]
        else:
            runs.append([name])
    told = [" to ".join(run) for run in runs[:_MOST_RANGES]]
    return ", ".join(told) + (" and others" if len(runs) > _MOST_RANGES else "")


def _follows(name: str, other: str) -> bool:
    first, second = (re.fullmatch(r"(\D*)(\d{1,9})", text, re.ASCII) for text in (name, other))
    return bool(first and second and first[1] == second[1] and int(first[2]) + 1 == int(second[2]))
