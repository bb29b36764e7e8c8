"""The hosts of a population without I/O: thousands of them, each with a DHCP client, ARP, and answers.

What may live here: what a host does with a frame that its modem lets through, and when. Frames and the
present time go in; frames come out, with the tags of the host's circuit.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from typing import Any

import numpy as np
import numpy.typing as npt

from lq.wire import CLIENT_PORT, SERVER_PORT, MalformedMessage, decode, frames
from topologies import plan
from topologies.population.client import Client, Send, State
from topologies.population.layout import Layout

NEIGHBOUR_TIME = 60.0  # seconds for which an answer to ARP is believed
_ARP_RETRY, _ARP_ATTEMPTS = 1.0, 3  # as RFC 1122, 2.3.2.1 bids: no faster than one a second
_ANY = IPv4Address(0)


class Hosts:
    """All hosts of a layout.

    `addresses` (one uint32 a host, 0 for none) is kept up to date and may be shared memory. At most
    `outstanding` clients that have begun hold no lease yet, so that thousands may be started at once.
    `gateway` is the gateway's hardware address as each host knows it, good until `gateway_until`.
    `deadline` says when to call `wake`.
    """

    def __init__(
        self, layout: Layout, addresses: npt.NDArray[np.uint32], *, outstanding: int = 128, seed: int = 1
    ) -> None:
        numbers = random.Random(seed)
        self.layout = layout
        self.addresses = addresses
        self.gateway = np.zeros((layout.count, 6), dtype=np.uint8)
        self.gateway_until = np.zeros(layout.count)
        self.clients = [Client(layout.mac(host), numbers) for host in range(layout.count)]
        self.malformed = 0
        self._outstanding = outstanding
        self._to_start: deque[int] = deque()
        self._seeking: set[int] = set()
        self._timers: list[tuple[float, int]] = []
        self._asked: deque[tuple[float, int, int]] = deque()  # when to ask again, which host, asked how often
        self._held: dict[int, bytes] = {}

    # -- what its user wants

    def start(self, hosts: Iterable[int], now: float) -> list[bytes]:
        """Have these hosts look for leases, as many at a time as may be."""
        self._to_start.extend(hosts)
        return self._start_more(now)

    def renew(self, hosts: Iterable[int], now: float) -> list[bytes]:
        """Have these hosts renew their leases now."""
        return self._each(hosts, Client.renew, now)

    def release(self, hosts: Iterable[int], now: float) -> list[bytes]:
        """Have these hosts give their leases back, and stop."""
        return self._each(hosts, Client.release, now)

    def _each(
        self, hosts: Iterable[int], act: Callable[[Client, float], list[Send]], now: float
    ) -> list[bytes]:
        out: list[bytes] = []
        for host in hosts:
            self._do(host, act(self.clients[host], now), now, out)
        return out

    # -- what happens

    @property
    def deadline(self) -> float:
        """When to call `wake`; infinite if there is nothing to wait for."""
        timers = self._timers
        while timers and self.clients[timers[0][1]].deadline != timers[0][0]:
            heapq.heappop(timers)  # the client has changed its mind since
        first = timers[0][0] if timers else math.inf
        return min(first, self._asked[0][0]) if self._asked else first

    def wake(self, now: float) -> list[bytes]:
        """Do what is due."""
        out: list[bytes] = []
        while self.deadline <= now:
            if self._timers and self._timers[0][0] <= now:
                _, host = heapq.heappop(self._timers)
                self._do(host, self.clients[host].wake(now), now, out)
            else:
                _, host, attempts = self._asked.popleft()
                if host in self._held:
                    if attempts < _ARP_ATTEMPTS:
                        self._ask(host, attempts + 1, now, out)
                    else:
                        del self._held[host]
        return out + self._start_more(now)

    def receive(self, tags: tuple[int, ...], frame: bytes, now: float) -> list[bytes]:
        """Take a frame in: `tags` are those that the kernel took off, the rest stand in the frame."""
        out: list[bytes] = []
        link = frames.parse(frame)
        modem = None if link is None else self.layout.modem_on.get(tags + link.tags)
        if link is None or modem is None:  # no modem lets it through
            return out
        to = None if link.destination == frames.BROADCAST_MAC else self.layout.host(link.destination)
        if not frame[0] & 1 and (to is None or self.layout.modem_of[to] != modem):
            return out
        if link.ethertype == frames.ETHERTYPE_ARP:
            self._arp(modem, to, link.payload, now, out)
        elif link.ethertype == frames.ETHERTYPE_IPV4 and len(link.payload) >= 28:
            self._packet(modem, to, bytes(link.payload), now, out)
        return out + self._start_more(now)

    def _arp(self, modem: int, to: int | None, packet: memoryview, now: float, out: list[bytes]) -> None:
        message = frames.parse_arp(packet)
        if message is None:
            return
        if message.request:
            for host in self._holders(message.target):
                if self.layout.modem_of[host] == modem:
                    out.append(frames.arp_reply(message, self.layout.mac(host), self.layout.circuits[modem]))
        elif to is not None and message.sender == plan.GATEWAY:
            self.gateway[to] = np.frombuffer(message.sender_mac, dtype=np.uint8)
            self.gateway_until[to] = now + NEIGHBOUR_TIME
            held = self._held.pop(to, None)
            if held is not None:
                out.append(self._towards_gateway(to, held))

    def _holders(self, address: IPv4Address) -> list[int]:
        number = int(address)
        found: list[int] = np.flatnonzero(self.addresses == number).tolist() if number else []
        return found

    def _packet(self, modem: int, to: int | None, packet: bytes, now: float, out: list[bytes]) -> None:
        start = (packet[0] & 0xF) * 4
        if packet[9] == frames.UDP and packet[start + 2 : start + 4] == CLIENT_PORT.to_bytes(2, "big"):
            end = start + int.from_bytes(packet[start + 4 : start + 6], "big")
            try:
                message = decode(packet[start + 8 : end])
            except MalformedMessage:
                self.malformed += 1
                return
            host = self.layout.host(message.chaddr)
            if host is not None and self.layout.modem_of[host] == modem and to in (None, host):
                self._do(host, self.clients[host].receive(message, now), now, out)
        elif to is not None and packet[16:20] == int(self.addresses[to]).to_bytes(4, "big"):
            answer = frames.echo_reply(packet)
            if answer is not None:
                self.send(to, answer, now, out)

    # -- clients

    def _start_more(self, now: float) -> list[bytes]:
        out: list[bytes] = []
        while self._to_start and len(self._seeking) < self._outstanding:
            host = self._to_start.popleft()
            self._do(host, self.clients[host].start(now), now, out)
        return out

    def _do(self, host: int, sends: list[Send], now: float, out: list[bytes]) -> None:
        """Put a client's messages on the wire, and note what has become of it."""
        client = self.clients[host]
        former = self.addresses[host]
        for message, server in sends:
            payload = message.encode()
            if server is None:
                packet = frames.udp_packet((_ANY, CLIENT_PORT), (frames.BROADCAST, SERVER_PORT), payload)
                mac, tags = self.layout.mac(host), self.layout.tags[self.layout.modem_of[host]]
                out.append(b"".join((frames.BROADCAST_MAC, mac, tags, b"\x08\x00", packet)))
            else:
                source = (IPv4Address(int(former)), CLIENT_PORT)
                packet = frames.udp_packet(source, (server, SERVER_PORT), payload, frames.DO_NOT_FRAGMENT)
                self.send(host, packet, now, out)
        self.addresses[host] = int(client.lease.address) if client.lease is not None else 0
        if client.lease is None and client.state is not State.STOPPED:
            self._seeking.add(host)
        else:
            self._seeking.discard(host)
        if client.deadline < math.inf:
            heapq.heappush(self._timers, (client.deadline, host))

    # -- packets up

    def send(self, host: int, packet: bytes, now: float, out: list[bytes]) -> None:
        """Send an IP packet by way of the gateway, after asking who that is, if need be (RFC 826)."""
        if now < self.gateway_until[host]:
            out.append(self._towards_gateway(host, packet))
            return
        asking = host in self._held
        self._held[host] = packet  # the latest one only
        if not asking:
            self._ask(host, 1, now, out)

    def _towards_gateway(self, host: int, packet: bytes) -> bytes:
        tags = self.layout.tags[self.layout.modem_of[host]]
        return b"".join((self.gateway[host].tobytes(), self.layout.mac(host), tags, b"\x08\x00", packet))

    def _ask(self, host: int, attempt: int, now: float, out: list[bytes]) -> None:
        address = IPv4Address(self._held[host][12:16])
        circuit = self.layout.circuits[self.layout.modem_of[host]]
        out.append(frames.arp_request(self.layout.mac(host), address, plan.GATEWAY, circuit))
        self._asked.append((now + _ARP_RETRY, host, attempt))

    # -- for display

    def counts(self) -> dict[str, Any]:
        """Return how many clients are in each state."""
        states = [client.state for client in self.clients]
        return {state.value: states.count(state) for state in State if state in states}
