"""`lq bench forward`: packets a second through the concentrator, beside a plain learning bridge.

One switch has both: the concentrator's bridge with its real controller, which has located all hosts and
verifies their sources, and a bridge that only learns (the action NORMAL), between the same two namespaces.
They get the same load in turns, frames of the same size for the same number of hosts, more than the switch
can take. What arrives is counted at the receiving interfaces; the median of the rounds counts. The ports of
both bridges have receive buffers of the same size. Where the sender was no faster than the switch, the figure
says nothing of the switch, and is not `valid`.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

from lq.bench.cases import Case, case, doubtful
from lq.bench.compared_servers import pinned
from lq.bench.program import Tell, play
from lq.bench.two_hosts import packet_socket
from lq.emulation.network import Emulation
from lq.experiments.spec import Spec
from lq.sandbox.channel import Channel
from lq.sandbox.tools import PYTHON
from lq.wire import frames
from topologies import nodes, plan
from topologies.network import ip_commands

GOAL = 0.9
SIZE = 200  # octets of a frame, without its check sequence
SEGMENTS = 4  # frames of a host in a row
OVERLOAD = 1.2  # times what arrives must have been sent, or the sender was the bottleneck
WARM_UP = 0.5  # seconds of load before it is counted
DIRECTIONS = ("both", "downstream", "upstream")
PEER = "learning bridge"
SENDER_CORE, SWITCH_CORE = 0, 1
_PORT = 9  # discard
_PATIENCE = 60.0  # seconds for the flows of all hosts to be there
_FASTEST = 2_000_000  # frames a second that the sender is allowed
_AT_ONCE = 50  # large frames of one direction in a system call
_SOL_PACKET, _PACKET_VNET_HDR = 263, 15  # packet(7)
_NEEDS_CHECKSUM, _UDP_SEGMENTS = 1, 5  # linux/virtio_net.h
End = tuple[int, str]  # an interface: a process in its namespace, its name
_ROUTERS_OTHER_MAC = plan.hardware_address(0xB0, 0xFFFF)


def run(
    rounds: int = 9,
    modems: int = 250,
    hosts_per_modem: int = 4,
    seconds: float = 0.5,
    tell: Tell = lambda *_: None,
) -> Case:
    """Run the benchmark in a lab; the result as `lq bench NAME --json` has it.

    `seconds` is how long each measurement counts. `samples` have `rate` (frames a second that arrived),
    `offered` (frames a second that were sent), `rate_per_cpu_s` (arrived per second of the switch's processor
    time) and `flows` (in the datapath's cache). `port_buffers`: the receive buffers of each bridge's ports,
    octets. Raises RuntimeError with the reason if a part fails.
    """
    arguments = [f"--rounds={rounds}", f"--modems={modems}", f"--hosts-per-modem={hosts_per_modem}"]
    return play("lq.bench.forward", [*arguments, f"--seconds={seconds}"], tell)


class Plain(nodes.BridgeDevice):
    """A bridge that learns where hardware addresses are, and nothing else."""

    def __init__(self, name: str, **parameters: Any) -> None:
        super().__init__(name, failMode="standalone", **parameters)


# -- the load


class Located(NamedTuple):
    """A located host."""

    mac: str
    tags: tuple[int, ...]
    address: str


def downstream_frame(host: Located, kind: str) -> bytes:
    """Return a frame for a host as it enters the concentrator, or the bridge that learns."""
    to = plan.CONCENTRATOR_UPLINK_MAC if kind == "ours" else host.mac
    return _frame(to, plan.ROUTER_UPLINK_MAC, (), (plan.INTERNET, IPv4Address(host.address)))


def upstream_frame(host: Located, kind: str) -> bytes:
    """Return a frame from a host as it enters the concentrator, or the bridge that learns."""
    to, tags = (plan.CONCENTRATOR_ACCESS_MAC, host.tags) if kind == "ours" else (plan.ROUTER_UPLINK_MAC, ())
    return _frame(to, host.mac, tags, (IPv4Address(host.address), plan.INTERNET))


def _frame(to: str, source: str, tags: tuple[int, ...], addresses: tuple[IPv4Address, IPv4Address]) -> bytes:
    payload = bytes(SIZE - 14 - 4 * len(tags) - 20 - 8)
    packet = frames.udp_packet((addresses[0], _PORT), (addresses[1], _PORT), payload)
    destination, origin = (bytes.fromhex(mac.replace(":", "")) for mac in (to, source))
    return frames.ethernet(destination, origin, tags, frames.ETHERTYPE_IPV4, packet)


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class _Header(ctypes.Structure):
    """struct mmsghdr of sendmmsg(2), most of it unused."""

    _fields_ = [
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.POINTER(_Vector)),
        ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("sent", ctypes.c_uint),
    ]  # fmt: skip


class Stream:
    """The same frames over and over into one interface, many in one system call.

    Each host's frame goes out `SEGMENTS` times in a row: the kernel cuts them from one large one, which
    lets one core send several times as much as the switch takes.
    """

    def __init__(self, packets: socket.socket, load: Sequence[bytes]) -> None:
        packets.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        load = [_large(frame) for frame in load]
        self._socket = packets
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._load = (_Vector * len(load))(*(_Vector(frame, len(frame)) for frame in load))
        self._headers = (_Header * len(load))(
            *(_Header(vectors=ctypes.pointer(vector), count=1) for vector in self._load)
        )
        self._next = 0

    def send(self) -> int:
        """Send the next frames; return how many."""
        count = min(_AT_ONCE, len(self._headers) - self._next)
        sent: int = self._send(
            self._socket.fileno(), ctypes.byref(self._headers, self._next * ctypes.sizeof(_Header)), count, 0
        )
        self._next = (self._next + max(sent, 0)) % len(self._headers)
        return SEGMENTS * max(sent, 0)


def _large(frame: bytes) -> bytes:
    """Return a frame with `SEGMENTS` times the payload, behind the header that tells the kernel to cut it.

    The header is struct virtio_net_hdr: flags, kind of segments, length of all headers, payload of a
    segment, where the checksum starts and lies.
    """
    ip = 18 if frame[12:14] == b"\x81\x00" else 14
    udp, payload = ip + 20, frame[ip + 28 :]
    header = bytearray(frame[: ip + 28])
    for at, octets in ((ip + 2, 28), (udp + 4, 8)):  # the lengths in the IP and the UDP header
        struct.pack_into("!H", header, at, octets + SEGMENTS * len(payload))
    cut = struct.pack("=BBHHHH", _NEEDS_CHECKSUM, _UDP_SEGMENTS, udp + 8, len(payload), udp, 6)
    return cut + bytes(header) + SEGMENTS * payload


def send(kind: str, direction: str, seconds: float, hosts: Sequence[Located], ends: Sequence[End]) -> None:
    """Send for some seconds; print `sending` when it has begun, at the end how many a second it were."""
    streams = []
    for name, end, make in zip(DIRECTIONS[1:], ends, (downstream_frame, upstream_frame), strict=True):
        if direction in ("both", name):
            streams.append(Stream(packet_socket(*end), [make(host, kind) for host in hosts]))
    print("sending", flush=True)
    begin, sent = time.perf_counter(), 0
    while (now := time.perf_counter()) < begin + seconds:
        if sent < _FASTEST * (now - begin) + SEGMENTS * _AT_ONCE:
            sent += sum(stream.send() for stream in streams)
    print(sent / seconds)


# -- measuring


class ForwardBenchmark:
    """The concentrator with its located hosts, the bridge beside it, and the rounds."""

    def __init__(
        self, directory: Path, modems: int, hosts_per_modem: int, seconds: float, tell: Tell
    ) -> None:
        self.seconds = seconds
        topology = {"modems": modems, "hosts_per_modem": hosts_per_modem, "population": True}
        self.lab = lab = Emulation(Spec.model_validate({"topology": topology}), directory)
        for part in (lab.raw, lab.logs):
            part.mkdir(parents=True)
        lab.build()
        lab.start()
        leases = lab.lease_all(tell)
        self._await_flows(2 * len(leases))
        for process in lab.subscribers.processes().values():  # or it would look at all that arrives
            process.kill()
            process.wait()
        self.load = directory / "load.json"
        macs = (plan.host_mac(number) for number in itertools.count(1))
        circuits = (place.tags for place in lab.figure.modem_places for _ in range(hosts_per_modem))
        self.load.write_text(json.dumps(list(zip(macs, circuits, leases.values(), strict=False))))
        self.ends = self._add_plain_bridge()
        uplink, interface = self.ends["ours"][0]
        # The router no longer takes frames for itself: it would cost time to forward them.
        ip_commands([f"link set dev {interface} address {_ROUTERS_OTHER_MAC}"], at=uplink)
        self._switch = lab.switch.processes["ovs-vswitchd"].pid
        for thread in os.listdir(f"/proc/{self._switch}/task"):
            if (os.cpu_count() or 1) > 1:
                os.sched_setaffinity(int(thread), {SWITCH_CORE})

    def _add_plain_bridge(self) -> dict[str, list[End]]:
        """Add the bridge that learns, and return the ends of both on the network's and the hosts' side."""
        net = self.lab.net
        sides = [net["network"], net["population"]]
        plain = net.addSwitch("plain", cls=Plain, dpid=f"{0xFFFF:016x}")
        ends = {
            "ours": [(node.pid, node.defaultIntf().name) for node in sides],
            "plain": [(node.pid, net.addLink(node, plain).intf1.name) for node in sides],
        }
        plain.start([])
        Plain.batchStartup([plain])
        self.lab.switch.widen_ports()  # as those of the concentrator's bridge were when it was built
        return ends

    def port_buffers(self) -> dict[str, list[int]]:
        """Return the receive buffers, in octets, of the ports that each bridge's load comes in by (ss(8))."""
        shown = subprocess.run(["ss", "-0nm"], capture_output=True, text=True, check=True).stdout
        sizes = {name: int(size) for name, size in re.findall(r"\*:(\S+).*?\brb(\d+)", shown, re.DOTALL)}
        found: dict[str, list[int]] = {kind: [] for kind in self.ends}
        for kind, ends in self.ends.items():
            for side, (_, name) in zip(("network", "population"), ends, strict=True):
                node = self.lab.net[side]
                link = node.intf(name).link
                found[kind].append(sizes[(link.intf2 if link.intf1.node is node else link.intf1).name])
        return found

    def _await_flows(self, wanted: int) -> None:
        """Wait until the bridge has the flows of all hosts."""
        command = ["ovs-ofctl", "-O", "OpenFlow13", "dump-flows", self.lab.concentrator.name]
        deadline = time.monotonic() + _PATIENCE
        while (
            subprocess.run(command, capture_output=True, check=True).stdout.count(b"priority=100,") < wanted
        ):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the flows of all hosts were not there within {_PATIENCE:.0f} s")
            time.sleep(0.1)

    def one(self, kind: str, direction: str) -> Case:
        """Load one bridge; return what came of it."""
        command = [*PYTHON, "lq.bench.forward", "send", kind, direction]
        command += [str(WARM_UP + self.seconds + 0.2), str(self.load)]
        command += [str(part) for end in self.ends[kind] for part in end]
        with subprocess.Popen(
            pinned(SENDER_CORE, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as sender:
            assert sender.stdout is not None
            begun = sender.stdout.readline()
            time.sleep(WARM_UP)
            before = self._seen(kind, direction)
            time.sleep(self.seconds)
            after = self._seen(kind, direction)
            flows = re.findall(r"flows: (\d+)", self.lab.switch.appctl("dpctl/show"))
            *_, offered = [begun, *sender.stdout]
        if sender.returncode:
            raise RuntimeError(f"the sender failed: {offered.strip()}")
        arrived, took, cpu = (late - early for early, late in zip(before, after, strict=True))
        return {
            "rate": arrived / took,
            "offered": float(offered),
            "rate_per_cpu_s": arrived / cpu if cpu else 0.0,
            "flows": sum(map(int, flows)),
        }

    def _seen(self, kind: str, direction: str) -> tuple[float, float, float]:
        """Return frames arrived, the moment, and the switch's processor time."""
        uplink, access = self.ends[kind]
        receivers = {"downstream": [access], "upstream": [uplink], "both": [uplink, access]}[direction]
        arrived = sum(_received(*end) for end in receivers)
        threads = Path(f"/proc/{self._switch}/task").glob("*/schedstat")
        cpu = sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
        return arrived, time.perf_counter(), cpu


def _received(pid: int, interface: str) -> int:
    """Return how many frames an interface in the namespace of a process has received (proc(5), net/dev)."""
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            return int(numbers.split()[1])
    raise RuntimeError(f"there is no {interface}")


def compare(direction: str, ours: list[Case], plain: list[Case]) -> Case:
    """Return one direction's figures beside the peer's.

    It is not `valid` if the sender was no faster than the switch, of which the figure then says nothing.
    """
    name = "forward" if direction == "both" else direction
    idle = sum(sample["offered"] <= OVERLOAD * sample["rate"] for sample in ours + plain)
    reason = f"the switch took nearly all that was sent in {idle} of {len(ours + plain)} measurements"
    return doubtful(case(name, "packets/s", ours, plain, GOAL, PEER), [reason] if idle else [])


def main() -> int:
    """Run inside the lab, or as the program that sends (`send`)."""
    if sys.argv[1] == "send":
        kind, direction, seconds, load, *ends = sys.argv[2:]
        hosts = [
            Located(mac, tuple(tags), address) for mac, tags, address in json.loads(Path(load).read_text())
        ]
        pairs = [(int(pid), interface) for pid, interface in zip(ends[::2], ends[1::2], strict=True)]
        send(kind, direction, float(seconds), hosts, pairs)
        return 0
    parser = argparse.ArgumentParser(prog="python -m lq.bench.forward")
    parser.add_argument("channel", type=int)
    parser.add_argument("directory", type=Path)
    for name in ("rounds", "modems", "hosts-per-modem"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    wanted = parser.parse_args()
    channel = Channel.from_fd(wanted.channel)
    measuring = ForwardBenchmark(
        wanted.directory, wanted.modems, wanted.hosts_per_modem, wanted.seconds, channel.tell
    )
    samples: dict[str, dict[str, list[Case]]] = {
        direction: {"ours": [], "plain": []} for direction in DIRECTIONS
    }
    for number in range(wanted.rounds):
        channel.tell("rounds", number, wanted.rounds)
        for direction, of_both in samples.items():
            for kind in sorted(of_both, reverse=number % 2 == 1):  # neither is always the first
                of_both[kind].append(measuring.one(kind, direction))
    result, *others = (compare(direction, **of_both) for direction, of_both in samples.items())
    hosts = wanted.modems * wanted.hosts_per_modem
    channel.send({**result, "hosts": hosts, "port_buffers": measuring.port_buffers(), "cases": others})
    return 0


if __name__ == "__main__":
    sys.exit(main())
