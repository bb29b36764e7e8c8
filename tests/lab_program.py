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
from pathlib import Path

from lq.experiments.emulation import Emulation
from lq.experiments.spec import Spec
from lq.sandbox.channel import Channel

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
s.send(bytes.fromhex(sys.argv[2]))
"""


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

    def leases(self) -> dict[str, str | None]:
        """Return the address of each subscriber."""
        return {host.name: host.leased_address for host in self.lab.subscribers}

    def reboot(self) -> None:
        """Kill the controller and start another."""
        self.lab.kill_controller()
        self.lab.start_controller()

    def renew(self, host: str) -> None:
        """Have a subscriber's client renew its lease now."""
        self.net[host].client.send_signal(signal.SIGUSR1)

    def release(self, host: str) -> None:
        """Have a subscriber's client release its lease now."""
        self.net[host].client.send_signal(signal.SIGUSR2)

    def record(self, event: str, at_least: int = 0) -> list[dict]:
        """Return what the present controller wrote of an event, once there are so many."""
        deadline = time.monotonic() + 10
        while True:
            lines = [json.loads(line) for line in self.lab.record_file.read_text().splitlines()]
            found = [line for line in lines if line["event"] == event]
            if len(found) >= at_least or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def server_saw(self, ciaddr: str) -> int:
        """Return how many requests with this ciaddr reached the server's interface."""
        return sum(bytes(map(int, ciaddr.split("."))) == data[54:58] for data in self._captured())

    def _captured(self) -> list[bytes]:
        from scapy.utils import RawPcapReader

        with RawPcapReader(str(self.lab.capture_file)) as reader:
            return [data for data, _ in reader if data[36:38] == b"\0C"]

    def seen_downstream(self, tag: int, frame: str) -> list[str]:
        """Send a frame with a circuit's tag from the concentrator; return the hosts that see it."""
        tagged = f"{frame[:24]}8100{tag:04x}{frame[24:]}"
        packet_out = ["ovs-ofctl", "-O", "OpenFlow13", "packet-out", "cmts"]
        sniffers = self._sniff(["host1", "host2", "host3"])
        subprocess.run([*packet_out, f"in_port=CONTROLLER packet={tagged} actions=output:2"], check=True)
        return self._seen(sniffers)

    def seen_upstream(self, host: str, frame: str, watchers: list[str]) -> list[str]:
        """Send a frame from a host; return the watchers that see it."""
        node = self.net[host]
        sniffers = self._sniff(watchers)
        assert node.popen([sys.executable, "-c", SEND, node.defaultIntf().name, frame]).wait() == 0
        return self._seen(sniffers)

    def concentrator_received(self) -> int:
        """Return how many frames the concentrator got from the cable."""
        text = self.net["cmts"].cmd("ovs-ofctl -O OpenFlow13 dump-ports cmts 2")
        return int(re.search(r"rx pkts=(\d+)", text).group(1))

    def trace(self, bridge: str, flow: str) -> str:
        """Ask the switch what it would do with a frame."""
        return self.net[bridge].cmd(f"ovs-appctl ofproto/trace {bridge} {flow}")

    def cmd(self, node: str, command: str) -> str:
        """Run a command on a node."""
        return self.net[node].cmd(command)

    def _sniff(self, names: list[str]) -> dict[str, subprocess.Popen]:
        sniffers = {}
        for name in names:
            node = self.net[name]
            sniffers[name] = node.popen([sys.executable, "-c", SNIFF, node.defaultIntf().name])
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
