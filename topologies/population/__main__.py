"""The process that plays a population behind one port of the cable or the DSLAM.

    python -m topologies.population PLAN.json CHANNEL_FD

The plan is a `PopulationPlan` (`topologies.population.layout`). It prints `ready`, and then does what comes
over the channel, `{"do": "renew", "hosts": [0, 5]}`, each answered with `{"done": ...}`:

start                  have all hosts look for leases; it goes on in the background
renew, release         have `hosts`, numbered from 0, renew their leases or give them back
watch                  note the probes that arrive; `latest_file` has one float64 for each host, the latest
                       one's time; with `echo`, send each back to where it came from
collect                stop that; write all arrivals to `received_file` (NumPy, `probes.RECEIVED`)
send                   send probes to `target` by the schedule in `schedule_file` (NumPy, `probes.SCHEDULE`);
                       returns the moment that it counts from
sent                   stop that; write what was sent to `sent_file` (NumPy, `probes.SENT`)
counts                 return what was dropped, malformed, misplaced, and the clients by state

It ends when the channel closes.
"""

from __future__ import annotations

import math
import select
import sys
import time
from collections import deque
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import numpy as np

from lq.sandbox import plans
from lq.sandbox.channel import Channel
from topologies.population.hosts import Hosts
from topologies.population.layout import Layout, PopulationPlan
from topologies.population.probes import Arrivals, Departures, fields
from topologies.population.ring import Ring

# Frames are looked at together rather than one at a time: their time stamps are the kernel's all the same.
_GATHER = 0.004  # seconds
# The switch's own socket holds some 270 frames; more at once would be lost on the way to it.
_BURST, _PAUSE = 64, 0.001  # frames, then seconds


class Population:
    """Moves frames between the interface and the hosts."""

    def __init__(self, plan: PopulationPlan, channel: Channel) -> None:
        layout = Layout(plan.circuits, plan.hosts)
        addresses = np.memmap(plan.addresses_file, dtype=np.uint32, mode="w+", shape=(layout.count,))
        self.hosts = Hosts(layout, addresses, outstanding=plan.outstanding, seed=plan.seed)
        self.arrivals = Arrivals(self.hosts)
        self.departures = Departures(self.hosts)
        self.ring = Ring(plan.interface, fields(layout.depth))
        self._channel = channel
        self._echo = False
        self._out: deque[bytes] = deque()
        self._unsent = 0

    def run(self) -> None:
        """Work until the channel closes."""
        poll = select.poll()
        for source in (self.ring, self._channel):
            poll.register(source, select.POLLIN)
        print("ready", flush=True)
        while True:
            deadline = min(self.hosts.deadline, self.departures.deadline)
            wait = 0.0 if self._out else min(deadline - time.monotonic(), 60.0)
            for fd, _ in poll.poll(max(0, math.ceil(wait * 1000))):
                if fd == self._channel.fileno():
                    request = self._channel.receive()
                    if request is None:
                        return
                    self._channel.send({"done": getattr(self, f"do_{request.pop('do')}")(**request)})
            self._receive()
            self._out.extend(self.hosts.wake(time.monotonic()))
            self._out.extend(self.departures.take(time.monotonic()))
            self._send()
            time.sleep(_PAUSE if self._out else _GATHER)

    def _receive(self) -> None:
        now = time.monotonic()
        for first, slots in self.ring.batches():
            probes, arrived = self.arrivals.take(slots)
            if self._echo and arrived.any():
                self._out.extend(self.arrivals.echoes(slots[arrived], now))
            for slot in np.flatnonzero(~probes):
                self._out.extend(self.hosts.receive(*self.ring.frame(first + int(slot)), now))

    def _send(self) -> None:
        for _ in range(min(_BURST, len(self._out))):
            self._unsent += not self.ring.send(self._out.popleft())

    # -- what the channel asks for

    def do_start(self) -> None:
        """Have all hosts look for leases."""
        self._out.extend(self.hosts.start(range(self.hosts.layout.count), time.monotonic()))

    def do_renew(self, hosts: Iterable[int]) -> None:
        """Have these renew now."""
        self._out.extend(self.hosts.renew(hosts, time.monotonic()))

    def do_release(self, hosts: Iterable[int]) -> None:
        """Have these give their leases back."""
        self._out.extend(self.hosts.release(hosts, time.monotonic()))

    def do_watch(self, latest_file: str, echo: bool = False) -> None:
        """Note probes."""
        self._echo = echo
        shape = (self.hosts.layout.count,)
        self.arrivals.begin(np.memmap(latest_file, dtype=np.float64, mode="r+", shape=shape))

    def do_collect(self, received_file: str) -> None:
        """Write what arrived."""
        self._receive()
        self._echo = False
        np.save(received_file, self.arrivals.end())

    def do_send(self, schedule_file: str, target: str) -> float:
        """Send probes."""
        start = time.monotonic()
        self.departures.begin(np.load(schedule_file, mmap_mode="r"), IPv4Address(target), start)
        return start

    def do_sent(self, sent_file: str) -> None:
        """Write what was sent."""
        np.save(sent_file, self.departures.end())

    def do_counts(self) -> dict[str, Any]:
        """Return what was dropped and the like."""
        return {
            "dropped": self.ring.dropped,
            "unsent": self._unsent,
            "malformed": self.hosts.malformed,
            "misplaced": self.arrivals.misplaced,
            "clients": self.hosts.counts(),
        }


if __name__ == "__main__":
    Population(plans.read(PopulationPlan, Path(sys.argv[1])), Channel.from_fd(int(sys.argv[2]))).run()
