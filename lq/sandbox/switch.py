"""A private Open vSwitch: its own data base and daemon, alive as long as the lab is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

from lq.sandbox import namespace

RUN = Path("/run/openvswitch")  # on the lab's own tmpfs: the tools find their sockets where they expect them
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
START_TIMEOUT = 20.0
PORT_BUFFER = 4 << 20  # octets; the kernel doubles it, for its own needs

_KERNELS_DATAPATH = b"ovs_datapath\0"
_NETLINK_GENERIC, _CONTROLLER, _REQUEST, _GET_FAMILY, _FAMILY_NAME = 16, 16, 1, 3, 2
_PIDFD_GETFD = 438  # pidfd_getfd(2), the same number on every architecture
_RCVBUFFORCE = 33
_libc = ctypes.CDLL(None, use_errno=True)


def datapath_type() -> str:
    """Return the datapath that bridges of this lab use: the kernel's where it has one, else user space.

    Open vSwitch gives a user-space bridge of type `netdev` a TAP device for its own port, which
    needs `/dev/net/tun`; type `dummy` is the same datapath with an inert local port instead. No
    bridge of the lab uses its local port, so the lab does without TAP devices.
    """
    return "system" if _kernel_has_datapath() else "dummy"


def _kernel_has_datapath() -> bool:
    """Ask for the datapath's family of generic netlink: the kernel then loads its module, for anybody."""
    name = struct.pack("=HH", 4 + len(_KERNELS_DATAPATH), _FAMILY_NAME) + _KERNELS_DATAPATH
    question = struct.pack("=BBH", _GET_FAMILY, 1, 0) + name.ljust(-len(name) % 4 + len(name), b"\0")
    header = struct.pack("=IHHII", 16 + len(question), _CONTROLLER, _REQUEST, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC) as netlink:
            netlink.sendto(header + question, (0, 0))
            return int.from_bytes(netlink.recv(65536)[4:6], sys.byteorder) == _CONTROLLER  # else an error
    except OSError:  # no generic netlink at all
        return False


class PrivateSwitch:
    """ovsdb-server and ovs-vswitchd of this lab only. Start it inside the sealed lab."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Create an empty data base and start both daemons; return when they answer.

        Raises RuntimeError with the last words of the daemon that did not come up.
        """
        RUN.mkdir(parents=True, exist_ok=True)
        # In a flood the switch drops what the controller cannot keep up with, but only when the connection is
        # full: the usual megabytes hold tens of thousands of packets, and everybody else's behind them.
        namespace.set_kernel("net/ipv4/tcp_wmem", f"4096 16384 {64 << 10}")
        database, remote = RUN / "conf.db", RUN / "db.sock"
        self._run("ovsdb-tool", "create", str(database), str(SCHEMA))
        self._spawn("ovsdb-server", f"--remote=punix:{remote}", "--no-chdir", str(database))
        self._await("ovsdb-server", remote)
        self._run("ovs-vsctl", "--no-wait", "init")
        self._spawn("ovs-vswitchd", "--no-chdir", "--pidfile", "--enable-dummy", f"unix:{remote}")
        # The data base is initialised once the daemon has set cur_cfg.
        self._run(
            "ovs-vsctl", f"--timeout={START_TIMEOUT:.0f}", "wait-until", "Open_vSwitch", ".", "cur_cfg>=0"
        )
        self._await("ovs-vswitchd", RUN / "ovs-vswitchd.pid")

    def widen_ports(self) -> int:
        """Give what brings frames to the daemon larger receive buffers; return how many.

        In user space a port is a packet socket; the kernel's datapath hands all that has no flow to a few
        sockets of generic netlink. By default each holds some 270 frames, and loses what comes while the
        switch waits for a processor that long; a real port has more room. The kernel gives root what is asked
        for, others no more than net.core.rmem_max.
        """
        pid, widened = self.processes["ovs-vswitchd"].pid, 0
        handle = os.pidfd_open(pid)
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                descriptor = _libc.syscall(_PIDFD_GETFD, handle, int(name), 0)
                if descriptor < 0:  # closed meanwhile; or a kernel that has no such call
                    continue
                try:
                    widened += _widen(descriptor)
                finally:
                    os.close(descriptor)
        finally:
            os.close(handle)
        return widened

    def appctl(self, *arguments: str) -> str:
        """Ask the running daemon (ovs-appctl); return what it prints."""
        return self._run("ovs-appctl", *arguments)

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self._logs / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [name, "-vconsole:warn", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _await(self, name: str, path: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not path.exists():
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {self._last_words(name)}")
            time.sleep(0.01)

    def _last_words(self, name: str) -> str:
        lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no message"

    @staticmethod
    def _run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.strip() or done.returncode}")
        return done.stdout


def _widen(descriptor: int) -> bool:
    """Enlarge the receive buffer behind a descriptor, if frames come there: see `widen_ports`."""
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as port:
        generic = port.family == socket.AF_NETLINK and port.proto == _NETLINK_GENERIC
        if port.family != socket.AF_PACKET and not generic:
            return False
        port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PORT_BUFFER)
        with contextlib.suppress(PermissionError):  # beyond net.core.rmem_max only for root outside the lab
            port.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, PORT_BUFFER)
    return True
