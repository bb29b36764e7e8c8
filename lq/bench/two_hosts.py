"""Two hosts and a wire for benchmarks, in network namespaces that nothing leads out of; packet sockets.

Made by a process that is itself inside a sealed lab; they end with it.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from types import TracebackType

from lq.sandbox import namespace

REQUESTER = "198.18.0.1"
SERVER = "198.19.1.2"
PREFIX = 15


class TwoHosts:
    """A requester (this process's namespace) and a server's namespace, joined by a veth pair."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--", "sh", "-c", "echo made; exec sleep infinity"], stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()
        own = ["ip", "link", "add", "requester", "type", "veth", "peer", "name", "server"]
        for command in (
            own,
            ["ip", "link", "set", "server", "netns", str(self._holder.pid)],
            ["ip", "addr", "add", f"{REQUESTER}/{PREFIX}", "dev", "requester"],
            ["ip", "link", "set", "requester", "up"],
        ):
            subprocess.run(command, check=True)
        for there in (
            ["ip", "addr", "add", f"{SERVER}/{PREFIX}", "dev", "server"],
            ["ip", "link", "set", "server", "up"],
            ["ip", "link", "set", "lo", "up"],
        ):
            subprocess.run(self.at_server(there), check=True)

    def at_server(self, command: Sequence[str]) -> list[str]:
        """The command, run on the server's side."""
        return ["nsenter", "--net", f"--target={self._holder.pid}", "--", *command]

    def __enter__(self) -> TwoHosts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.wait()


def packet_socket(pid: int, interface: str, protocol: int = 0) -> socket.socket:
    """Open a packet socket on an interface in the network namespace of process `pid`.

    `protocol` is the EtherType that it receives; with 0 it receives nothing.
    """
    with namespace.network_of(pid):
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        packets.bind((interface, protocol))
    return packets
