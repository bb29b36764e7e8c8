"""Which addresses a host on the attached access networks may have (ciaddr restriction: R6.2-7, R7-4)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network


class AccessAddresses:
    """The addresses of all hosts that may be there; an address is given as a number."""

    def __init__(self, networks: Iterable[IPv4Network], giaddr: IPv4Address) -> None:
        self._giaddr = int(giaddr)
        # A network of a single address or two has no address that stands for all (RFC 3021).
        self._ranges = [
            (int(each[0]), int(each[-1])) if each.prefixlen > 30 else (int(each[1]), int(each[-2]))
            for each in networks
        ]

    def __contains__(self, address: int) -> bool:
        """Whether a host may have it: neither giaddr, nor what names a network or its broadcast."""
        for first, last in self._ranges:
            if first <= address <= last:
                return address != self._giaddr
        return False
