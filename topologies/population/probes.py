"""Probes that reach a population, picked out of thousands of frames at a time; their echoes; those it sends.

A probe is a UDP datagram of eight octets to `PORT`: the subscriber's number (from 0) and a sequence number.
It has arrived if it came down its host's circuit, to its hardware address and its leased address, whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

import numpy as np
import numpy.typing as npt

from lq.wire import frames
from topologies.population.hosts import Hosts
from topologies.population.layout import HOST_PREFIX
from topologies.population.ring import ETHERNET, Slots, arrival, tagged

PORT = 4388
RECEIVED = np.dtype([("subscriber", "u4"), ("sequence", "u4"), ("received", "f8")])
SENT = np.dtype([("subscriber", "u4"), ("sequence", "u4"), ("due", "f8"), ("sent", "f8")])
SCHEDULE = np.dtype([("subscriber", "u4"), ("due", "f8")])  # seconds from the start
_PACKET = 36  # octets: IP header, UDP header, payload
_UDP = 16

Mask = npt.NDArray[np.bool_]


def sent_rows(schedule: npt.NDArray[Any], start: float, moments: Sequence[float]) -> npt.NDArray[Any]:
    """Return what was sent of a schedule that began at `start`, as an array of SENT.

    `moments`: when each probe was sent, in the schedule's order; a probe's number there is its sequence.
    """
    rows = np.empty(len(moments), dtype=SENT)
    rows["sequence"], rows["sent"] = np.arange(len(moments)), moments
    rows["subscriber"] = schedule["subscriber"][: len(moments)]
    rows["due"] = start + schedule["due"][: len(moments)]
    return rows


class Departures:
    """The probes that a population's hosts send to port `PORT` of `target`, by a schedule (SCHEDULE).

    `deadline` is when the next is due, on the clock of `now`; infinite where there is none.
    """

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._schedule = np.empty(0, dtype=SCHEDULE)
        self._target = IPv4Address(0)
        self._start = 0.0
        self._moments: list[float] = []
        self.deadline = math.inf

    def begin(self, schedule: npt.NDArray[Any], target: IPv4Address, now: float) -> None:
        """Send from now on."""
        self._schedule, self._target, self._start, self._moments = schedule, target, now, []
        self._advance()

    def take(self, now: float) -> list[bytes]:
        """Return the frames of what is due: a host that does not know the gateway asks for it first."""
        out: list[bytes] = []
        if now < self.deadline:
            return out
        first = len(self._moments)
        last = int(np.searchsorted(self._schedule["due"], now - self._start, side="right"))
        for number, host in enumerate(self._schedule["subscriber"][first:last].tolist(), start=first):
            self._moments.append(now)
            own = int(self._hosts.addresses[host])
            if own:
                payload = host.to_bytes(4, "big") + number.to_bytes(4, "big")
                packet = frames.udp_packet((IPv4Address(own), PORT), (self._target, PORT), payload)
                self._hosts.send(host, packet, now, out)
        self._advance()
        return out

    def end(self) -> npt.NDArray[Any]:
        """Stop; return what was sent as an array of SENT."""
        self.deadline = math.inf
        return sent_rows(self._schedule, self._start, self._moments)

    def _advance(self) -> None:
        number = len(self._moments)
        more = number < len(self._schedule)
        self.deadline = self._start + float(self._schedule["due"][number]) if more else math.inf


def fields(depth: int) -> dict[str, tuple[Any, int]]:
    """Return the parts of a probe's frame for `Ring`; of its `depth` tags the kernel takes one off."""
    ip = ETHERNET + 4 * (depth - 1)
    return {
        "to": (">u2", 0), "host": (">u4", 2), "first_type": (">u2", 12), "second_tag": (">u2", 14),
        "kind": (">u2", ip - 2), "words": ((">u2", _PACKET // 2), ip),
        "version": ("u1", ip), "total": (">u2", ip + 2), "fragment": (">u2", ip + 6),
        "protocol": ("u1", ip + 9), "source": (">u4", ip + 12), "destination": (">u4", ip + 16),
        "port": (">u2", ip + 22), "datagram": (">u2", ip + 24),
        "subscriber": (">u4", ip + 28), "sequence": (">u4", ip + 32),
    }  # fmt: skip


class Arrivals:
    """Notes the probes that arrive.

    `misplaced` counts those that no host could have received: on another circuit than its own, to another
    hardware or IP address, or with a wrong checksum.
    """

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._latest: npt.NDArray[np.float64] | None = None
        self._rows: list[npt.NDArray[Any]] = []
        self.misplaced = 0

    def begin(self, latest: npt.NDArray[np.float64]) -> None:
        """Note arrivals from now on; `latest` is kept up to date: one time for each host."""
        self._latest, self._rows = latest, []

    def end(self) -> npt.NDArray[Any]:
        """Stop; return all arrivals as an array of RECEIVED."""
        self._latest = None
        return np.concatenate([np.empty(0, dtype=RECEIVED), *self._rows])

    def take(self, slots: Slots) -> tuple[Mask, Mask]:
        """Note the probes among these frames; return which frames are probes, and which of these arrived."""
        layout = self._hosts.layout
        probes = tagged(slots) & (slots["kind"] == frames.ETHERTYPE_IPV4) & (slots["version"] == 0x45)
        probes &= (slots["protocol"] == frames.UDP) & (slots["port"] == PORT) & (slots["datagram"] == _UDP)
        probes &= (slots["total"] == _PACKET) & (slots["fragment"] & 0x3FFF == 0)
        probes &= slots["kept"] >= ETHERNET + 4 * (layout.depth - 1) + _PACKET
        if not probes.any():
            return probes, probes
        number = slots["host"].astype(np.int64) - 1
        arrived = probes & (slots["to"] == HOST_PREFIX) & (number >= 0) & (number < layout.count)
        host = np.where(arrived, number, 0)
        arrived &= slots["tag"] & 0xFFF == layout.outer[host]
        if layout.depth == 2:
            arrived &= slots["first_type"] == frames.ETHERTYPE_VLAN
            arrived &= slots["second_tag"] & 0xFFF == layout.inner[host]
        arrived &= (slots["destination"] == self._hosts.addresses[host]) & (slots["destination"] != 0)
        arrived &= _whole(slots["words"])
        self.misplaced += int(probes.sum() - arrived.sum())
        if self._latest is not None:
            rows = np.empty(int(arrived.sum()), dtype=RECEIVED)
            rows["subscriber"], rows["sequence"] = slots["subscriber"][arrived], slots["sequence"][arrived]
            rows["received"] = arrival(slots)[arrived]
            self._latest[host[arrived]] = rows["received"]
            self._rows.append(rows)
        return probes, arrived

    def echoes(self, slots: Slots, now: float) -> list[bytes]:
        """Return frames that send probes back: to their senders' port `PORT`, with the same payload."""
        hosts, layout = self._hosts, self._hosts.layout
        host = slots["host"].astype(np.int64) - 1
        known = hosts.gateway_until[host] > now
        out: list[bytes] = []
        for slot in slots[~known]:  # their hosts ask for the gateway first
            own, sender = ((IPv4Address(int(slot[name])), PORT) for name in ("destination", "source"))
            payload = slot["words"][-4:].tobytes()
            hosts.send(int(slot["host"]) - 1, frames.udp_packet(own, sender, payload), now, out)
        slots, host = slots[known], host[known]
        packets = np.zeros((len(slots), _PACKET // 2), dtype=">u2")
        packets[:, :4], packets[:, 4] = (0x4500, _PACKET, 0, 0), 64 << 8 | frames.UDP
        packets[:, 6:8], packets[:, 8:10] = slots["words"][:, 8:10], slots["words"][:, 6:8]
        packets[:, 10:13], packets[:, 14:] = (PORT, PORT, _UDP), slots["words"][:, 14:]
        packets[:, 5] = 0xFFFF - _fold(packets[:, :10])
        packets[:, 13] = 0xFFFF - _fold(_summed_by_udp(packets))
        packets[:, 13][packets[:, 13] == 0] = 0xFFFF
        heads = np.frombuffer(b"".join(layout.tags), dtype=np.uint8).reshape(-1, 4 * layout.depth)
        whole = np.concatenate(
            [
                hosts.gateway[host],
                np.frombuffer(b"".join(map(layout.mac, host.tolist())), dtype=np.uint8).reshape(-1, 6),
                heads[layout.modem_of[host]],
                np.tile(np.array([8, 0], dtype=np.uint8), (len(host), 1)),
                packets.view(np.uint8),
            ],
            axis=1,
        )
        return out + [row.tobytes() for row in whole]


def _whole(words: Slots) -> Mask:
    """Tell which packets have right checksums, of IP and of UDP (zero there: none was computed)."""
    right: Mask = _fold(words[:, :10]) == 0xFFFF
    right &= (_fold(_summed_by_udp(words)) == 0xFFFF) | (words[:, 13] == 0)
    return right


def _summed_by_udp(words: Slots) -> Slots:
    """The words that UDP sums up (RFC 768): addresses, protocol, length, and the datagram."""
    pseudo = np.full((len(words), 2), (frames.UDP, _UDP), dtype=np.uint32)
    return np.concatenate([pseudo, words[:, 6:].astype(np.uint32)], axis=1)


def _fold(words: Slots) -> Slots:
    """Sum each row's words as the Internet checksum does (RFC 1071)."""
    total = words.astype(np.uint32).sum(axis=1)
    total = (total & 0xFFFF) + (total >> 16)
    folded: Slots = (total & 0xFFFF) + (total >> 16)
    return folded
