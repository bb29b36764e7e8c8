"""The attackers of `hijack` while the network lives: their programs, and what these are told to forge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lq.emulation.attacks import AttackProgram, Reporting
from lq.emulation.forgeries import Identity, OffPath, Place, Subscriber, World, on_path
from lq.emulation.processes import Programs
from lq.emulation.programs.hijacker import (
    Forged,
    ForgeryPlan,
    ForgeryReport,
    OnPathPlan,
    OnPathReport,
    Row,
    TapPlan,
    TapReport,
)
from lq.experiments.spec import Spec
from lq.scenarios.cast import Cast
from lq.scenarios.hijack.choices import Hijack
from lq.scenarios.network import Senders
from lq.scenarios.trials import EVERY, Moment, Trial
from lq.server.bindings import Binding, State
from lq.wire import RelayInfo, dialect
from topologies import plan

BURST = 3  # rounds at the takeover, when the new controller knows nobody yet
BURST_EVERY = 0.03  # seconds of such a round
_NOBODYS = -1  # the trial of frames that belong to none: the accomplice's own
_XIDS = 0x4C510000  # of the accomplice's requests


class _Stretch(NamedTuple):
    """Some rounds of a moment: in which list of `Senders`, how many, seconds of each, and whether fired."""

    name: str
    rounds: int
    every: float
    wait: bool


@dataclass
class _Forgeries:
    """What is sent at a moment: rows by node, and answers on the path."""

    rows: dict[str, list[Row]]
    queries: dict[str, Forged] = field(default_factory=dict)
    requests: dict[int, Forged] = field(default_factory=dict)


class Hijackers:
    """The programs of those that a `Cast` names (`lq.scenarios.network.Forgers`). Files go to `raw`.

    `bound` is what the servers have bound. Anybody on a host's link knows as much of it, but for option 82.
    """

    def __init__(
        self,
        programs: Programs,
        raw: Path,
        net: Any,
        spec: Spec,
        cast: Cast,
        leases: Mapping[str, str],
        bound: Sequence[Binding],
        uplink_mac: str,
    ) -> None:
        self._programs, self._raw, self._net = programs, raw, net
        self._spec, self._wanted, self._cast = spec, spec.part(Hijack), cast
        self._uplink_mac = plan.mac_octets(uplink_mac)
        known = {str(each.address): each for each in bound if each.state == State.LEASED}
        self._identities = {name: _identity(known[address]) for name, address in leases.items()}
        self._taps = self._make_taps()

    # -- watching

    def watch(self) -> None:
        """Watch at every attacker but the one on the path, which sees everything anyway."""
        for tap in self._taps:
            tap.start()

    def stop_watching(self) -> None:
        """End that; reports are in `raw`, a `TapReport` of each."""
        for tap in self._taps:
            tap.report()

    def _make_taps(self) -> list[Reporting[TapReport]]:
        spoken = dialect(self._spec.server.dialect)
        victims = {str(self._identities[name].address): self._mac(name) for name in self._cast.victims}
        taps = []
        for name in (*self._cast.attackers.values(), "internet"):
            what = TapPlan(
                interface=self._interface(name), victims=victims, answers=(spoken.known, spoken.active)
            )
            node = self._net[name]
            tap = Reporting(
                self._programs, self._raw, f"tap-{name}", "hijacker", what, node, TapReport, "tap"
            )
            taps.append(tap)
        return taps

    # -- sending

    def senders(self, moment: Moment) -> Senders:
        """Make all forgeries of a moment ready."""
        forgeries = self._forge(moment)
        made: dict[str, list[AttackProgram]] = {"down": [], "burst": [], "up": []}
        for node, rows in forgeries.rows.items():
            for name, rounds, every, wait in self._stretches(moment):
                sent = tuple(row for row in rows if not (wait and row[2]))  # no guesses in a burst
                what = ForgeryPlan(
                    interface=self._interface(node), rows=sent, rounds=rounds, every=every, wait=wait,
                    seed=self._spec.seed,
                )  # fmt: skip
                if sent:
                    made[name].append(
                        self._attack(f"{moment}-{name}-{node}", node, what, ForgeryReport, "send")
                    )
        answering = []
        if forgeries.queries or forgeries.requests:
            answers = OnPathPlan(
                interface=self._interface("network"), queries=forgeries.queries, requests=forgeries.requests
            )
            answering.append(self._attack(f"{moment}-on-path", "network", answers, OnPathReport, "on-path"))
        return Senders(made["down"], made["burst"], made["up"], answering)

    def _stretches(self, moment: Moment) -> list[_Stretch]:
        """Return when a moment's rounds are: during a reboot half of them while the concentrator is down."""
        every = self._wanted.rounds
        if moment != "during":
            return [_Stretch("up", every, EVERY, False)]
        return [
            _Stretch("down", (every + 1) // 2, EVERY, False),
            _Stretch("burst", BURST, BURST_EVERY, True),
            _Stretch("up", every - every // 2, EVERY, False),
        ]

    def _forge(self, moment: Moment) -> _Forgeries:
        host = self._cast.attackers[moment]
        world = self._world(host)
        subscriber = Subscriber(world, self._place(host, plan.CONCENTRATOR_ACCESS_MAC))
        router, _ = self._net["network"].connectionsTo(self._net["internet"])[0]
        outside = OffPath(world, self._place("internet", router.MAC()))
        path = Place(plan.UPLINK_ROUTER, plan.mac_octets(plan.ROUTER_UPLINK_MAC), self._uplink_mac)
        made = _Forgeries({host: [], "internet": []})
        for number, (trial, name) in enumerate(zip(self._cast.trials, self._cast.victims, strict=True)):
            victim = self._identities[name]
            if trial.moment != moment:
                continue
            if trial.attacker != "on-path":
                forger, node = (subscriber, host) if trial.attacker == "subscriber" else (outside, "internet")
                guesses = self._guesses(trial)
                made.rows[node] += [(number, frame, guesses) for frame in forger.frames(trial.attack, victim)]
                continue
            answers = {str(server): frame for server, frame in on_path(world, path, trial.attack, victim)}
            forged = Forged(trial=number, frames=answers)
            if trial.attack == "ack":
                made.requests[_XIDS + number] = forged
                made.rows[host].append((_NOBODYS, subscriber.accomplice_request(_XIDS + number), 0))
            else:
                made.queries[str(victim.address)] = forged
        return made

    def _guesses(self, trial: Trial) -> int:
        """Return how often an attack guesses in each stretch of its moment."""
        return self._wanted.guesses // (2 if trial.moment == "during" else 1) if trial.guessed else 0

    def _world(self, accomplice: str) -> World:
        spoken = dialect(self._spec.server.dialect)
        servers = tuple(place.address for place in plan.SERVERS[: self._spec.server.count])
        return World(plan.GATEWAY, servers, self._identities[accomplice], spoken.known, spoken.active)

    def _place(self, node: str, next_hop: str) -> Place:
        address = plan.INTERNET if node == "internet" else self._identities[node].address
        return Place(address, self._mac(node), plan.mac_octets(next_hop))

    def _mac(self, node: str) -> bytes:
        return plan.mac_octets(self._net[node].defaultIntf().MAC())

    def _interface(self, node: str) -> str:
        return str(self._net[node].defaultIntf().name)

    def _attack(self, name: str, node: str, what: Any, kind: type[Any], word: str) -> AttackProgram:
        return AttackProgram(self._programs, self._raw, name, "hijacker", what, self._net[node], kind, word)


def _identity(binding: Binding) -> Identity:
    info = RelayInfo() if binding.relay_info is None else RelayInfo.decode(binding.relay_info)
    place = RelayInfo(info.circuit_id, info.remote_id).encode()
    return Identity(binding.address, binding.chaddr, binding.client_id or b"", place)
