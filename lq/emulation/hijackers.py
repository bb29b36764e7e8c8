"""The attackers of `hijack` while the network lives: who is who, and their programs. Files go to `raw`."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

from lq.emulation import bindings
from lq.emulation.attacks import Sender
from lq.emulation.forgeries import Identity, OffPath, Place, Subscriber, World, on_path
from lq.emulation.network import Emulation
from lq.emulation.processes import Programs
from lq.scenarios.trials import Moment, Trial
from lq.wire import RelayInfo, dialect
from topologies import plan

EVERY = 1.0  # seconds of a round
BURST, BURST_EVERY = (
    3,
    0.03,
)  # rounds at the takeover, when the new controller knows nobody yet, and their length
_NOBODYS = -1  # the trial of frames that belong to none: the accomplice's own
_XIDS = 0x4C510000  # of the accomplice's requests


class Hijacker(Sender):
    """One of the programs of `lq.emulation.programs.hijacker`."""

    def __init__(
        self, programs: Programs, raw: Path, node: Any, what: str, name: str, settings: Mapping[str, Any]
    ) -> None:
        super().__init__(programs, raw, name)
        self._node, self._what, self._settings = node, what, settings

    def start(self) -> None:
        """Begin, or be ready to."""
        self.launch("lq.emulation.programs.hijacker", self._settings, self._node, self._what)

    def fire(self) -> None:
        """Begin now, if it waits for that."""
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)


class Senders(NamedTuple):
    """Who sends at a moment: while the concentrator is `down`; in a `burst`, when fired; once it is `up`.

    And who answers `on_path`.
    """

    down: list[Hijacker]
    burst: list[Hijacker]
    up: list[Hijacker]
    on_path: list[Hijacker]


class Cast:
    """Who plays what: an attacker behind a modem of its own for each moment, a victim for each trial.

    `mover` is an honest host, which nobody attacks.
    """

    def __init__(self, lab: Emulation, leases: Mapping[str, str]) -> None:
        self._lab = lab
        wanted = lab.spec.hijack
        self.trials = wanted.trials
        moments = [moment for moment in ("before", "during", "after") if moment in wanted.moments]
        modems = {name: int(lab.modem_of(name).removeprefix("modem")) for name in leases}
        self.attackers: dict[str, str] = {}
        for number, moment in enumerate(moments, start=1):
            self.attackers[moment] = next(name for name, modem in modems.items() if modem == number)
        others = [name for name, modem in modems.items() if modem > len(moments)]
        self.victims = others[: len(self.trials)]
        self.mover = others[len(self.trials)]
        self.tags = {
            name: plan.tags(modems[name], lab.figure.stacked_tags) for name in (*self.victims, self.mover)
        }
        self.identities = self._identities(leases)

    def _identities(self, leases: Mapping[str, str]) -> dict[str, Identity]:
        """Return what the servers know of each host. Anybody on its link knows as much, but for option 82."""
        known = {row["address"]: row for row in self.bound() if row["state"] == "leased"}
        found = {}
        for name, address in leases.items():
            row = known[address]
            info = RelayInfo(_octets(row["circuit_id"]), _octets(row["remote_id"]))
            found[name] = Identity(
                IPv4Address(address), _octets(row["chaddr"]) or b"", _octets(row["client_id"]) or b"",
                info.encode(),
            )  # fmt: skip
        return found

    def bound(self) -> list[dict[str, Any]]:
        """Return what all servers have stored."""
        kind = self._lab.spec.server.kind
        return [row for server in self._lab.servers for row in bindings.rows(server, kind)]

    # -- the programs

    def taps(self) -> list[Hijacker]:
        """Return what watches at every attacker but the one on the path, which sees everything anyway."""
        spoken = dialect(self._lab.spec.server.dialect)
        watched = {
            "victims": {str(self.identities[name].address): self._mac(name) for name in self.victims},
            "answers": [spoken.known, spoken.active],
        }
        return [
            self._program("tap", name, f"tap-{name}", {**watched, "interface": self._interface(name)})
            for name in (*self.attackers.values(), "internet")
        ]

    def senders(self, moment: Moment) -> Senders:
        """Return who sends at a moment."""
        spec, host = self._lab.spec, self.attackers[moment]
        world = self._world(host)
        subscriber = Subscriber(world, self._place(host, plan.CONCENTRATOR_ACCESS_MAC))
        router, _ = self._lab.net["network"].connectionsTo(self._lab.net["internet"])[0]
        outside = OffPath(world, self._place("internet", router.MAC()))
        rows: dict[str, list[list[Any]]] = {host: [], "internet": []}
        queries: dict[str, Any] = {}
        requests: dict[str, Any] = {}
        path = Place(plan.UPLINK_ROUTER, _mac(plan.ROUTER_UPLINK_MAC), _mac(self._lab.identity.uplink_mac))
        for number, trial in enumerate(self.trials):
            victim = self.identities[self.victims[number]]
            if trial.moment != moment:
                continue
            if trial.attacker == "on-path":
                forged = {
                    str(server): frame.hex() for server, frame in on_path(world, path, trial.attack, victim)
                }
                if trial.attack == "ack":
                    requests[str(_XIDS + number)] = [number, forged]
                    rows[host].append([_NOBODYS, subscriber.accomplice_request(_XIDS + number).hex(), 0])
                else:
                    queries[str(victim.address)] = [number, forged]
                continue
            forger, node = (subscriber, host) if trial.attacker == "subscriber" else (outside, "internet")
            guessed = spec.hijack.guesses // (2 if moment == "during" else 1) if trial.guessed else 0
            rows[node] += [[number, frame.hex(), guessed] for frame in forger.frames(trial.attack, victim)]
        senders = Senders([], [], [], [])
        every = spec.hijack.rounds
        stretches = {"up": (senders.up, every, EVERY, False)}
        if moment == "during":  # half of them while the concentrator is down
            stretches = {
                "down": (senders.down, (every + 1) // 2, EVERY, False),
                "burst": (senders.burst, BURST, BURST_EVERY, True),
                "up": (senders.up, every - every // 2, EVERY, False),
            }
        for node, some in rows.items():
            for name, (programs, rounds, seconds, wait) in stretches.items():
                sent = [row for row in some if not (wait and row[2])]  # no guesses in a burst
                settings = {"rows": sent, "rounds": rounds, "every": seconds, "wait": wait, "seed": spec.seed}
                settings["interface"] = self._interface(node)
                if sent:
                    programs.append(self._program("send", node, f"{moment}-{name}-{node}", settings))
        if queries or requests:
            uplink = self._lab.net["network"].defaultIntf().name
            answers = {"interface": uplink, "queries": queries, "requests": requests}
            senders.on_path.append(self._program("on-path", "network", f"{moment}-on-path", answers))
        return senders

    def _world(self, accomplice: str) -> World:
        spoken = dialect(self._lab.spec.server.dialect)
        servers = tuple(server.place.address for server in self._lab.servers)
        return World(plan.GATEWAY, servers, self.identities[accomplice], spoken.known, spoken.active)

    def _place(self, node: str, next_hop: str) -> Place:
        address = plan.INTERNET if node == "internet" else self.identities[node].address
        return Place(address, _mac(self._mac(node)), _mac(next_hop))

    def _mac(self, node: str) -> str:
        return str(self._lab.net[node].defaultIntf().MAC())

    def _interface(self, node: str) -> str:
        return str(self._lab.net[node].defaultIntf().name)

    def _program(self, what: str, node: str, name: str, settings: Mapping[str, Any]) -> Hijacker:
        return Hijacker(self._lab.programs, self._lab.raw, self._lab.net[node], what, name, settings)

    # -- what became of it

    def outcome(self, sent: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return a row for each trial: who, what, when, on whom, frames sent, and what the servers hold now.

        `sent` are the senders' reports.
        """
        counts = dict.fromkeys(range(len(self.trials)), 0)
        for report in sent:
            for number, count in report.get("sent", {}).items():
                if int(number) in counts:
                    counts[int(number)] += count
        stored: dict[str, list[dict[str, Any]]] = {}
        for row in self.bound():
            stored.setdefault(row["address"], []).append(row)
        return [self._row(number, trial, counts[number], stored) for number, trial in enumerate(self.trials)]

    def _row(
        self, number: int, trial: Trial, sent: int, stored: Mapping[str, list[dict[str, Any]]]
    ) -> dict[str, Any]:
        victim = self.victims[number]
        own = self.identities[victim]
        leased = [
            row
            for row in stored.get(str(own.address), ())
            if row["state"] == "leased" and _octets(row["chaddr"]) == own.chaddr
        ]
        infos = [RelayInfo(_octets(row["circuit_id"]), _octets(row["remote_id"])).encode() for row in leased]
        return {
            **trial._asdict(),
            "victim": victim,
            "address": str(own.address),
            "tags": list(self.tags[victim]),
            "sent": sent,
            "lease_lost": not leased,
            "option_82_forged": any(info != own.relay_info for info in infos),
        }


def _octets(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text.replace(":", ""))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
