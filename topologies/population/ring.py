"""What reaches an interface, as NumPy arrays: a packet socket with a ring in shared memory.

The kernel writes each frame into the next slot of the ring (packet(7), PACKET_RX_RING, TPACKET_V2) with its
time and the VLAN tag that it took off. So thousands of frames are looked at in a few array operations.
"""

from __future__ import annotations

import mmap
import select
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lq.clocks import time_of_day_ahead

Slots = npt.NDArray[Any]
"""Frames: an array of `Ring.LAYOUT` (and more fields, if the ring was made with more)."""

_ETH_P_ALL = 3
_SOL_PACKET = 263
_RX_RING, _STATISTICS, _VERSION, _IGNORE_OUTGOING = 5, 6, 10, 23
_TPACKET_V2 = 1
_TAGGED = 1 << 4
_SLOT = 1024  # octets of a slot; what is longer is cut, and told by `length` > `kept`
_FRAME = 66  # where the kernel puts the frame: after its header and the space for an IP header aligned to 16
_BLOCK = 1 << 20
ETHERNET = 14  # octets of the link layer without tags


class Ring:
    """Receives everything that comes in by `interface` of this network namespace, and sends.

    `fields` are further names for `LAYOUT`: types and places, these counted from the frame's first octet.
    """

    LAYOUT = {
        "status": ("<u4", 0), "length": ("<u4", 4), "kept": ("<u4", 8), "offset": ("<u2", 12),
        "seconds": ("<u4", 16), "nanoseconds": ("<u4", 20), "tag": ("<u2", 24), "tag_type": ("<u2", 26),
    }  # fmt: skip

    def __init__(self, interface: str, fields: Mapping[str, tuple[Any, int]], slots: int = 1 << 15) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        option = self._socket.setsockopt
        option(_SOL_PACKET, _VERSION, _TPACKET_V2)
        option(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        option(_SOL_PACKET, _RX_RING, struct.pack("IIII", _BLOCK, slots * _SLOT // _BLOCK, _SLOT, slots))
        self._memory = mmap.mmap(self._socket.fileno(), slots * _SLOT)
        layout: dict[str, tuple[Any, int]] = dict(self.LAYOUT)
        layout.update({name: (kind, _FRAME + place) for name, (kind, place) in fields.items()})
        self._slots: Slots = np.frombuffer(
            self._memory,
            np.dtype(
                {
                    "names": list(layout),
                    "formats": [kind for kind, _ in layout.values()],
                    "offsets": [place for _, place in layout.values()],
                    "itemsize": _SLOT,
                }
            ),
        )
        self._octets = memoryview(self._memory)
        self._next = 0
        self._dropped = 0
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._socket.bind((interface, _ETH_P_ALL))

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a frame is there."""
        return self._socket.fileno()

    def send(self, frame: bytes) -> bool:
        """Send one frame, tags and all; return False if the kernel has no room just now."""
        try:
            self._socket.send(frame)
        except OSError:
            return False
        return True

    def batches(self) -> Iterator[tuple[int, Slots]]:
        """Yield what has come: the number of the first slot, and slots; good until the next is asked for."""
        status = self._slots["status"]
        while True:
            first = self._next
            ready = status[first : first + 4096] & 1
            count = len(ready) if ready.all() else int(ready.argmin())
            if not count:
                return
            yield first, self._slots[first : first + count]
            status[first : first + count] = 0
            self._next = (first + count) % len(status)

    def frame(self, slot: int) -> tuple[tuple[int, ...], bytes]:
        """Return one frame of the batch: the tag that the kernel took off, if any, and the frame's octets."""
        header = self._slots[slot]
        start = slot * _SLOT + int(header["offset"])
        tags = (int(header["tag"]) & 0xFFF,) if header["status"] & _TAGGED else ()
        return tags, bytes(self._octets[start : start + int(header["kept"])])

    @property
    def dropped(self) -> int:
        """Frames for which no slot was free, so far."""
        _, dropped = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        self._dropped += dropped
        return self._dropped


def tagged(slots: Slots) -> npt.NDArray[np.bool_]:
    """Tell which frames bore a tag, and lie where the layout says."""
    usable: npt.NDArray[np.bool_] = (slots["status"] & _TAGGED != 0) & (slots["offset"] == _FRAME)
    return usable


def arrival(slots: Slots) -> npt.NDArray[np.float64]:
    """Return when the kernel took each frame in, in seconds on the monotonic clock."""
    moments: npt.NDArray[np.float64] = slots["seconds"] - time_of_day_ahead() + slots["nanoseconds"] * 1e-9
    return moments
