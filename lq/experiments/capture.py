"""Capture what crosses one interface into a pcap file, until SIGTERM.

    python -m lq.experiments.capture INTERFACE FILE

Time stamps are the kernel's. At the end it prints `captured N` and `dropped N`, the kernel's count
of what the file lacks. (tcpdump would do, but it insists on changing its user, which a user
namespace with one user does not allow.)
"""

from __future__ import annotations

import signal
import socket
import struct
import sys

from scapy.data import DLT_EN10MB
from scapy.utils import RawPcapWriter

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("ll")


class _Ended(Exception):
    """SIGTERM came."""


def _end(*_: object) -> None:
    raise _Ended


def capture(interface: str, path: str) -> None:
    """Write every frame that the interface sends or receives."""
    count = 0
    with (
        RawPcapWriter(path, linktype=DLT_EN10MB, sync=True, nano=True) as writer,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as tap,
    ):
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        tap.bind((interface, 0))
        writer.write_header(None)
        print("ready", flush=True)
        try:
            while True:
                data, ancillary, _, _ = tap.recvmsg(65535, 64)
                seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
                writer.write_packet(data, sec=seconds, usec=nanoseconds)
                count += 1
        except _Ended:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _, dropped = struct.unpack("II", tap.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    print(f"captured {count}\ndropped {dropped}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    capture(sys.argv[1], sys.argv[2])
