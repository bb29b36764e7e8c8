"""Capture what crosses one interface into a pcap file, until SIGTERM.

    python -m lq.emulation.programs.capture INTERFACE FILE

Time stamps are the kernel's, and so are VLAN tags: it takes the outer one off what arrives, and here that
is put back. At the end it prints `captured N` and `dropped N`, the kernel's count
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
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 6, 8
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("ll")
_AUXDATA = struct.Struct("IIIHHHH")  # packet(7): status, lengths, places, tag, its type
_TAGGED = 1 << 4
_ADDRESSES = 12  # octets of a frame before its tags


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
        tap.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        tap.bind((interface, 0))
        writer.write_header(None)
        print("ready", flush=True)
        try:
            while True:
                data, ancillary, _, _ = tap.recvmsg(65535, 128)
                told = {kind: value for _, kind, value in ancillary}
                seconds, nanoseconds = _TIMESPEC.unpack(told[_SO_TIMESTAMPNS])
                frame = _whole(data, told[_PACKET_AUXDATA])
                writer.write_packet(frame, sec=seconds, usec=nanoseconds)
                count += 1
        except _Ended:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _, dropped = struct.unpack("II", tap.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    print(f"captured {count}\ndropped {dropped}", flush=True)


def _whole(data: bytes, auxiliary: bytes) -> bytes:
    """Return a frame with the tag that the kernel has taken off, if any."""
    status, *_, tag, tag_type = _AUXDATA.unpack(auxiliary)
    if not status & _TAGGED:
        return data
    return data[:_ADDRESSES] + struct.pack("!HH", tag_type, tag) + data[_ADDRESSES:]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    capture(sys.argv[1], sys.argv[2])
