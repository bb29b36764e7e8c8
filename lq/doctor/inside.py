"""What the doctor tries inside a sealed lab: `python -m lq.doctor.inside CHANNEL_FD`."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lq.sandbox import namespace
from lq.sandbox.channel import Channel
from lq.sandbox.holders import Holders
from lq.sandbox.switch import PrivateSwitch, datapath_type
from lq.sandbox.tools import find

FRAME_TIMEOUT = 3.0  # seconds for a frame to cross the switch
_ETHERTYPE = 0x88B5  # for local experiments (IEEE 802)


def _inside(channel: Channel) -> None:
    """Try one thing after the other and tell the outcome of each: `{}` or `{"error": line}`."""
    lines = Path("/proc/self/uid_map").read_text().split()
    channel.send({"entered": True, "user_namespace": lines[2] != str(2**32 - 1)})
    channel.send({"veth": _attempt(_make_interfaces)})
    channel.send({"node": _attempt(_make_node)})
    channel.send({"sysfs": _attempt(_see_own_interfaces)})
    channel.send({"locked": _attempt(_stay_read_only)})
    if find("ovs-vswitchd"):
        channel.send({"switch": _attempt(lambda: _pass_frame(Path(tempfile.mkdtemp())))})
    channel.send({"netem": _attempt(lambda: _command("tc qdisc add dev lo root netem delay 1ms"))})


def _attempt(action: Any) -> dict[str, str]:
    try:
        action()
    except Exception as error:  # whatever it is, it is what the user wants to know
        return {"error": str(error)}
    return {}


def _make_interfaces() -> None:
    for one, other in (("left", "left-port"), ("right", "right-port")):
        _command(f"ip link add {one} type veth peer name {other}")
        for interface in (one, other):
            namespace.bring_up(interface)


def _make_node() -> None:
    """Make a node as a run does: a namespace that is held, with an end of a link in it that is up."""
    node = Holders().take()
    _command(f"ip link add near type veth peer name far netns {node}")
    with namespace.network_of(node):
        namespace.disable_transmit_checksum_offload("far")
        namespace.bring_up("far")


def _see_own_interfaces() -> None:
    shown = os.listdir("/sys/class/net") if os.path.isdir("/sys/class/net") else []
    if "left" not in shown:
        raise RuntimeError("it shows the machine's interfaces, not the lab's")


def _stay_read_only() -> None:
    """Try to make the machine's files writable again."""
    with contextlib.suppress(OSError):
        namespace.set_read_only("/", False)
        raise RuntimeError("read-only, but not locked: a program can make them writable again")


def _pass_frame(directory: Path) -> None:
    """Start a private switch with two ports, and send a frame in at one until it comes out at the other."""
    PrivateSwitch(directory).start()
    bridge = f"add-br s -- set bridge s datapath_type={datapath_type()} fail_mode=standalone"
    _command(f"ovs-vsctl {bridge} -- add-port s left-port -- add-port s right-port")
    frame = b"\xff" * 6 + bytes.fromhex("020000000001") + _ETHERTYPE.to_bytes(2, "big") + bytes(46)
    deadline = time.monotonic() + FRAME_TIMEOUT
    with _raw_socket("left") as sender, _raw_socket("right") as receiver:
        receiver.settimeout(0.05)
        while time.monotonic() < deadline:
            sender.send(frame)
            with contextlib.suppress(TimeoutError):
                if receiver.recv(2048) == frame:
                    return
    raise RuntimeError(f"the switch runs, but no frame crossed it within {FRAME_TIMEOUT:.0f} s")


def _raw_socket(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERTYPE))
    opened.bind((interface, _ETHERTYPE))
    return opened


def _command(line: str) -> None:
    command = line.split()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip().rpartition(chr(10))[2]}")


if __name__ == "__main__":
    _inside(Channel.from_fd(int(sys.argv[1])))
