"""Packets that wait until the address that they are about is located: one for each address."""

from __future__ import annotations

from ipaddress import IPv4Address

MAXIMUM_HELD = 16384  # packets; one for each address


class HeldPackets:
    """The held packets, each with the port that it came in by; `access` is the access side's port."""

    def __init__(self, access: int) -> None:
        self._access = access
        self._held: dict[int, tuple[bytes, int]] = {}

    def hold(self, address: IPv4Address, data: bytes, in_port: int) -> None:
        """Hold a packet, unless one is held for this address already."""
        held, key = self._held, int(address)
        if key not in held:
            if len(held) >= MAXIMUM_HELD:
                del held[next(iter(held))]  # the oldest: its answer may never come
            held[key] = (data, in_port)

    def take(self, address: IPv4Address) -> tuple[bytes, int] | None:
        """Take out the packet held for an address; return it and its port, None if there is none."""
        return self._held.pop(int(address), None)

    def discard(self, address: IPv4Address, chaddr: bytes | None) -> None:
        """Discard the packet held for an address, if it is the dropped one's: from that host, or to any.

        So nobody who bears another's address makes us discard what is held for its owner.
        """
        held = self._held.get(int(address))
        if held is None:
            return
        upstream = held[1] == self._access
        if upstream is (chaddr is not None) and (not upstream or held[0][6:12] == chaddr):
            del self._held[int(address)]
