"""Runs inside the lab: builds a network, and does there what the tests ask for (see `conftest.lab`).

Arguments: the channel, a specification as JSON, and `bridges` (no controller, no server) or `running`.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lq.emulation.captures import Capture
from lq.emulation.network import Emulation
from lq.emulation.subscribers.population import PopulationSubscribers
from lq.experiments.spec import Spec
from lq.sandbox.channel import Channel
from topologies import plan
from topologies.access import AccessBridge
from topologies.nodes import LEASES
from topologies.population.ring import Ring
from topologies.wan import Impairment

SNIFF = """
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 0))
s.settimeout(0.05)
print("ready", flush=True)
seen, end = 0, time.monotonic() + 1
while time.monotonic() < end:
    try:
        seen += b"the frame of the test" in s.recv(2000)
    except TimeoutError:
        pass
print(seen)
"""
SEND = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    s.send(bytes.fromhex(frame))
"""


def await_that(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


class Program:
    """What the tests can ask for."""

    def __init__(self, spec: Spec, how: str) -> None:
        self.lab = lab = Emulation(spec, Path("/run/test"))
        for directory in (lab.raw, lab.logs):
            directory.mkdir(parents=True)
        lab.build()
        self.net = lab.net
        if how == "running":
            lab.start()
            lab.lease_all(lambda *_: None)
        else:
            lab.wan.start()
            lab.agent.launch()

    def leases(self) -> dict[str, str | None]:
        """Return the address of each subscriber."""
        return self.lab.subscribers.leases()

    def reboot(self) -> None:
        """Kill the controller and start another."""
        self.lab.kill_controller()
        self.lab.start_controller()

    def replace(self) -> None:
        """Put another concentrator in the place of the first."""
        self.lab.kill_controller()
        self.lab.change_identity()
        self.lab.start_controller()

    def kill_server(self, number: int) -> None:
        """Kill a server."""
        self.lab.kill_server(number)

    def start_server(self, number: int, changes: dict[str, Any] | None = None) -> None:
        """Start a server again, with these of its attributes changed."""
        server = self.lab.servers[number]
        for name, value in (changes or {}).items():
            setattr(server, name, value)
        server.launch()
        server.await_ready()

    def change_wan(self, impairment: dict[str, float]) -> dict[str, Any]:
        """Have another WAN from now on; return the delay lines' reports so far."""
        return self.lab.wan.change(Impairment(**impairment))

    def renew(self, host: str) -> None:
        """Have a subscriber's client renew its lease, until it has the ACK, or look for one."""
        subscribers = self.lab.subscribers
        leased = subscribers.leases()[host] is not None
        if not isinstance(subscribers, PopulationSubscribers):
            written = self._lease_written(host)
            self.net[host].client.send_signal(signal.SIGUSR1)
            if leased:
                await_that(lambda: self._lease_written(host) != written, f"{host} got no ACK")
        elif leased:
            subscribers.renew([int(host.removeprefix("host")) - 1])
            await_that(lambda: "renewing" not in subscribers.counts()["clients"], f"{host} got no ACK")
        else:
            subscribers.start_clients()

    @staticmethod
    def _lease_written(host: str) -> int | None:
        """Return when a real client's script last wrote down its lease, None if it has none."""
        file = LEASES / host
        return file.stat().st_mtime_ns if file.exists() else None

    def release(self, host: str) -> None:
        """Have a subscriber's client release its lease now."""
        subscribers = self.lab.subscribers
        if isinstance(subscribers, PopulationSubscribers):
            subscribers.release([int(host.removeprefix("host")) - 1])
        else:
            self.net[host].client.send_signal(signal.SIGUSR2)

    def population_counts(self) -> dict:
        """Return what the population has counted."""
        return self.lab.subscribers.counts()

    def tap(self) -> None:
        """Copy from now on what comes up at the cable's first port; see `tapped`."""
        subprocess.run(
            "ip link add tap0 type veth peer name tap1; ip link set tap0 up; ip link set tap1 up;"
            "ovs-vsctl add-port cable tap1 -- set Interface tap1 ofport_request=99",
            shell=True,
            check=True,
        )
        self.ring = Ring("tap0", {})
        tags = self.lab.figure.modem_places[0].tags
        stacked = len(tags) == 2 and not self.lab.figure.population
        push = f"push_vlan:0x88a8,set_field:{tags[0] | 0x1000}->vlan_vid," if stacked else ""
        self.net["cable"].add_flows(f"priority=15,in_port=2,actions={push}output:1,output:99")
        self.seen: list[tuple[tuple[int, ...], str]] = []

    def tapped(self, host: str, at_least: int) -> list[tuple[tuple[int, ...], str]]:
        """Return what a host sent, once there is so much: the tag that the kernel took off, and the frame."""
        mac = bytes.fromhex(plan.host_mac(int(host.removeprefix("host"))).replace(":", ""))
        deadline = time.monotonic() + 10
        while True:
            for first, slots in self.ring.batches():
                for slot in range(first, first + len(slots)):
                    tags, frame = self.ring.frame(slot)
                    if frame[6:12] == mac:
                        self.seen.append((tags, frame.hex()))
            if len(self.seen) >= at_least or time.monotonic() > deadline:
                return self.seen
            time.sleep(0.02)

    def record(self, event: str, at_least: int = 0) -> list[dict]:
        """Return what the present controller wrote of an event, once there are so many."""
        deadline = time.monotonic() + 10
        while True:
            lines = [json.loads(line) for line in self.lab.control.record_file.read_text().splitlines()]
            found = [line for line in lines if line["event"] == event]
            if len(found) >= at_least or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def server_saw(self, ciaddr: str) -> int:
        """Return how many requests with this ciaddr reached the server's interface."""
        return sum(bytes(map(int, ciaddr.split("."))) == data[54:58] for data in self._captured())

    def dhcp_at_server(self) -> list[str]:
        """Return the messages to UDP port 67 that passed the server's interface, in hexadecimal digits."""
        return [data[42:].hex() for data in self._captured()]

    def _captured(self) -> list[bytes]:
        from scapy.utils import RawPcapReader

        with RawPcapReader(str(self.lab.server.capture_file)) as reader:
            return [data for data, _ in reader if data[36:38] == b"\0C"]

    def watch(self, name: str) -> None:
        """Capture from now on at a host, or at the concentrator's access port; see `watched`."""
        node, file = None, self.lab.raw / f"watched-{name}.pcap"
        if name == "concentrator":
            interface = self.lab.concentrator.intfs[self.lab.concentrator.ACCESS].name
        else:
            node = self.net[name]
            interface = node.defaultIntf().name
        capture = Capture(self.lab.programs, interface, file, node)
        capture.await_ready()

    def watched(self, name: str, at_least: int) -> list[str]:
        """Return the frames of the test that were captured there, once there are so many."""
        from scapy.utils import RawPcapReader

        deadline = time.monotonic() + 10
        while True:
            with RawPcapReader(str(self.lab.raw / f"watched-{name}.pcap")) as reader:
                found = [data.hex() for data, _ in reader if b"the frame of the test" in data]
            if len(found) >= at_least or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def pings(self, name: str, at_least: int) -> list[tuple[int, float]]:
        """Return type and time of all ICMP messages that were captured there, once there are so many."""
        from scapy.utils import RawPcapReader

        deadline = time.monotonic() + 10
        while True:
            with RawPcapReader(str(self.lab.raw / f"watched-{name}.pcap")) as reader:
                found = [(data[34], at.sec + at.usec * 1e-9) for data, at in reader if data[23] == 1]
            if len(found) >= at_least or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def send(self, host: str, frames: list[str]) -> None:
        """Send frames from a host."""
        assert self._python_at(host, SEND, *frames).wait() == 0

    def send_downstream(self, frame: str) -> None:
        """Send a frame, its circuit's tags in it, from the concentrator."""
        packet_out = ["ovs-ofctl", "-O", "OpenFlow13", "packet-out", self.lab.concentrator.name]
        subprocess.run([*packet_out, f"in_port=CONTROLLER packet={frame} actions=output:2"], check=True)

    def stop_agent(self) -> dict[str, int] | None:
        """End the DSLAM's intermediate agent; return its counts."""
        return self.lab.agent.stop()

    def seen_downstream(self, frame: str, watchers: Sequence[str] = ("host1", "host2", "host3")) -> list[str]:
        """Send a frame, its circuit's tags in it, from the concentrator; return the watchers that see it."""
        sniffers = self._sniff(watchers)
        self.send_downstream(frame)
        return self._seen(sniffers)

    def seen_upstream(self, host: str, frames: str, watchers: list[str]) -> list[str]:
        """Send a frame from a host, or several with spaces between; return the watchers that see any."""
        sniffers = self._sniff(watchers)
        assert self._python_at(host, SEND, *frames.split()).wait() == 0
        return self._seen(sniffers)

    def rogue_server(self, host: str) -> None:
        """Have a subscriber run a DHCP server of its own; return when it serves."""
        node, log = self.net[host], self.lab.logs / "rogue.log"
        command = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0"]
        command += [f"--interface={node.defaultIntf().name}", "--dhcp-range=198.18.200.1,198.18.200.200"]
        command += [f"--dhcp-leasefile={self.lab.raw}/rogue.leases", "--log-dhcp", "--no-ping"]
        with log.open("wb") as output:
            node.popen(command, stdout=output, stderr=output)
        assert "DHCP, IP range" in self.rogue_log("DHCP, IP range")

    def rogue_log(self, wanted: str) -> str:
        """Return what that server says, once it has said this."""
        log, deadline = self.lab.logs / "rogue.log", time.monotonic() + 10
        while wanted not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        return log.read_text()

    def concentrator_received(self) -> int:
        """Return how many frames the concentrator got from the access side."""
        bridge = self.lab.concentrator
        text = bridge.cmd(f"ovs-ofctl -O OpenFlow13 dump-ports {bridge} 2")
        return int(re.search(r"rx pkts=(\d+)", text).group(1))

    def trace(self, bridge: str, flow: str) -> str:
        """Ask the switch what it would do with a frame."""
        return self.net[bridge].cmd(f"ovs-appctl ofproto/trace {bridge} {flow}")

    def cmd(self, node: str, command: str) -> str:
        """Run a command on a node."""
        return self.net[node].cmd(command)

    def _python_at(self, name: str, code: str, *arguments: str) -> subprocess.Popen:
        """Run a program at a node's interface, or at that of the modems' processors ("modems")."""
        if name == "modems":
            command = [sys.executable, "-c", code, AccessBridge.PROCESSORS_INTERFACE, *arguments]
            return subprocess.Popen(command, stdout=subprocess.PIPE)
        node = self.net[name]
        return node.popen([sys.executable, "-c", code, node.defaultIntf().name, *arguments])

    def _sniff(self, names: Sequence[str]) -> dict[str, subprocess.Popen]:
        sniffers = {name: self._python_at(name, SNIFF) for name in names}
        for sniffer in sniffers.values():
            assert sniffer.stdout.readline() == b"ready\n"
        return sniffers

    @staticmethod
    def _seen(sniffers: dict[str, subprocess.Popen]) -> list[str]:
        return [name for name, sniffer in sniffers.items() if int(sniffer.stdout.read()) > 0]


if __name__ == "__main__":
    channel = Channel.from_fd(int(sys.argv[1]))
    program = Program(Spec.model_validate_json(sys.argv[2]), sys.argv[3])
    channel.send({"up": True})
    for request in channel:
        channel.send({"value": getattr(program, request["do"])(*request["with"])})
