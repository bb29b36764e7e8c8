"""`lq bench lab`: how long a network takes to come up and to vanish, beside stock Mininet with the same one.

The figure with many modems is brought up in turns by our classes and by Mininet's own, each time in a fresh
lab with a fresh switch; the median of the rounds counts. It is up when its program says so and a
frame has gone from its last host, through modem and cable, to the concentrator's port. It is gone when no
process is left, and no network namespace of those that were given an interface to watch it by.

Ours is always ended by killing its lab. Stock Mininet's network is brought up twice in a round: once it is
stopped as Mininet does, by `stop()`, and once killed in a lab of ours, which it would not have by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mininet.link import OVSLink
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Host, OVSSwitch
from mininet.topo import Topo

from lq.bench.cases import Case, case, limited, median
from lq.bench.program import Tell, play
from lq.sandbox import namespace
from lq.sandbox.channel import Channel
from lq.sandbox.sealed_lab import SealedLab
from lq.sandbox.switch import PrivateSwitch, datapath_type
from topologies import nodes
from topologies.cable import CableTopo
from topologies.network import LabNet, ip_commands

GOAL = 2.0  # times as fast as stock Mininet
GONE_LIMIT = 0.5  # seconds
PATIENCE = 60.0  # seconds for a frame to arrive, for a namespace to vanish
WATCHED = 20  # network namespaces that are watched as they vanish
PEER = "stock Mininet"


def run(rounds: int = 3, modems: int = 100, hosts_per_modem: int = 4, tell: Tell = lambda *_: None) -> Case:
    """Run the benchmark in a lab; the result as `lq bench NAME --json` has it, times in seconds.

    Samples have `up` and `gone`, or `up` and `stopped` where the network was stopped in an orderly way.
    """
    arguments = [f"--rounds={rounds}", f"--modems={modems}", f"--hosts-per-modem={hosts_per_modem}"]
    return play("lq.bench.lab", arguments, tell, trusted=True)


# -- the networks, each in a lab of its own


class StockSwitch(OVSSwitch):  # type: ignore[misc]
    """Mininet's switch, on the datapath that is there."""

    def bridgeOpts(self) -> str:
        """Add the datapath to Mininet's options for the bridge."""
        return f"{super().bridgeOpts()} datapath_type={datapath_type()}"


class StockTopo(Topo):  # type: ignore[misc]
    """The same nodes and links as those of another topology, of Mininet's own kinds."""

    def build(self, figure: Topo) -> None:
        """Copy it."""
        for name in figure.hosts():
            address = {key: figure.nodeInfo(name).get(key) for key in ("ip", "mac", "defaultRoute")}
            self.addHost(name, cls=Host, **address)
        for name in figure.switches():
            self.addSwitch(name, cls=StockSwitch, dpid=figure.nodeInfo(name)["dpid"], failMode="standalone")
        for _, _, info in figure.links(withInfo=True, sort=True):
            ends = {key: info[key] for key in ("port1", "port2", "params1") if key in info}
            self.addLink(info["node1"], info["node2"], **ends)


def _ours(figure: CableTopo) -> Any:
    nodes.prepare()
    nodes.BridgeDevice.datapath_type = datapath_type()
    nodes.BridgeDevice.setup()
    net = LabNet(figure)
    net.start()
    for switch in net.switches:
        if hasattr(switch, "connect"):
            switch.connect()
    return net


def _stock(figure: CableTopo) -> Any:
    Mininet.inited = True  # its own preparation would change limits of the whole machine
    net = Mininet(topo=StockTopo(figure=figure), controller=None, link=OVSLink)
    net.start()
    return net


KINDS: dict[str, Callable[[CableTopo], Any]] = {"ours": _ours, "stock": _stock}


def inside(channel: Channel, kind: str, modems: int, hosts_per_modem: int) -> None:
    """Bring a network up, say so, and on request stop it as Mininet does."""
    setLogLevel("critical")
    logs = Path("/run/logs")
    logs.mkdir()
    PrivateSwitch(logs).start()
    net = KINDS[kind](CableTopo(modems=modems, hosts_per_modem=hosts_per_modem))
    _await_frame(net, f"host{modems * hosts_per_modem}")
    channel.send({"up": [len(net.hosts), len(net.switches), len(net.links)]})
    if channel.receive() is not None:
        net.stop()
        channel.send({"stopped": True})
        channel.receive()


def _await_frame(net: Any, host: str) -> None:
    """Send broadcasts from a host until one has arrived at the concentrator's access port."""
    node = net[host]
    with namespace.network_of(node.pid):
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    command = ["ovs-ofctl", "-O", "OpenFlow13", "dump-ports", "cmts", str(nodes.Concentrator.ACCESS)]
    deadline = time.monotonic() + PATIENCE
    with out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, node.defaultIntf().name.encode())
        while time.monotonic() < deadline:
            out.sendto(b"up", ("255.255.255.255", 9))
            time.sleep(0.005)
            answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            received = re.search(r"rx pkts=(\d+)", answer)
            if received and int(received[1]):
                return
    raise RuntimeError(f"no frame of {host} reached the concentrator within {PATIENCE:.0f} s")


# -- the rounds, in a lab around them all


def measure(kind: str, modems: int, hosts_per_modem: int, log: Path, *, stop: bool) -> dict[str, float]:
    """Bring one network up and away; return seconds: `up`, and `stopped` or else `gone`."""
    begin = time.monotonic()
    taken = {}
    with SealedLab(
        "lq.bench.lab", ["inside", kind, str(modems), str(hosts_per_modem)], log=log, trusted=True
    ) as lab:
        answer = lab.channel.receive()
        if answer is None:
            raise RuntimeError(f"{kind}: {lab.last_words()}")
        taken["up"] = time.monotonic() - begin
        if stop:
            begin = time.monotonic()
            lab.channel.send({"stop": True})
            if lab.channel.receive() is None:
                raise RuntimeError(f"{kind}: {lab.last_words()}")
            taken["stopped"] = time.monotonic() - begin
            return taken
        watches = _watch(lab.pid)
        begin = time.monotonic()
    while _processes_below(lab.pid) or watches & set(os.listdir("/sys/class/net")):
        if time.monotonic() - begin > PATIENCE:
            raise RuntimeError(f"{kind}: something was left after {PATIENCE:.0f} s")
        time.sleep(0.002)
    taken["gone"] = time.monotonic() - begin
    return taken


def _watch(keeper: int) -> set[str]:
    """Put an interface into some of a lab's network namespaces; return the names of the ends on our side.

    Such a pair is gone as soon as one of its namespaces is.
    """
    inside: dict[str, int] = {}
    for pid in _processes_below(keeper):
        with contextlib.suppress(OSError):
            inside.setdefault(os.readlink(f"/proc/{pid}/ns/net"), pid)
    inside.pop(os.readlink("/proc/self/ns/net"), None)
    chosen = list(inside.values())[:: max(1, len(inside) // WATCHED)]
    names = [f"watch{pid}" for pid in chosen]
    ip_commands(
        f"link add {name} type veth peer name {name} netns {pid}"
        for name, pid in zip(names, chosen, strict=True)
    )
    return set(names)


def _processes_below(keeper: int) -> list[int]:
    """Return a lab's processes: the keeper's PID namespace is a child of ours, so we see them all."""
    ours = os.readlink("/proc/self/ns/pid")
    found = []
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        with contextlib.suppress(OSError):
            if pid == keeper or os.readlink(f"/proc/{pid}/ns/pid") != ours:
                found.append(pid)
    return found


def rounds(count: int, modems: int, hosts_per_modem: int, directory: Path, tell: Tell) -> Case:
    """Measure both in turns; return the result with its samples."""
    samples: dict[str, list[dict[str, float]]] = {"ours": [], "stock": []}
    for number in range(count):
        tell("rounds", number, count)
        for kind, stop in (("ours", False), ("stock", True), ("stock", False)):
            log = directory / f"{kind}-{number}.log"
            samples[kind].append(measure(kind, modems, hosts_per_modem, log, stop=stop))
    tell("rounds", count, count)
    ours, gone = median(samples["ours"], "up"), median(samples["ours"], "gone")
    stopped, killed = median(samples["stock"], "stopped"), median(samples["stock"], "gone")
    return {
        **case("lab", "s", ours, median(samples["stock"], "up"), GOAL, PEER),
        "modems": modems,
        "hosts_per_modem": hosts_per_modem,
        "cases": [
            limited("until everything is gone", "s", gone, GONE_LIMIT, stopped, f"{PEER}'s orderly stop()"),
            case("the same, both killed", "s", gone, killed, None, f"{PEER} killed in a lab of ours"),
        ],
        "samples": samples["ours"],
        "peer_samples": samples["stock"],
    }


def main() -> int:
    """Run inside the lab around all, or as the program of one network's lab (`inside`)."""
    channel = Channel.from_fd(int(sys.argv[1]))
    if sys.argv[2] == "inside":
        inside(channel, sys.argv[3], *map(int, sys.argv[4:]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m lq.bench.lab")
    parser.add_argument("directory", type=Path)
    for name in ("rounds", "modems", "hosts-per-modem"):
        parser.add_argument(f"--{name}", type=int, required=True)
    wanted = parser.parse_args(sys.argv[2:])
    channel.send(rounds(wanted.rounds, wanted.modems, wanted.hosts_per_modem, wanted.directory, channel.tell))
    return 0


if __name__ == "__main__":
    sys.exit(main())
