"""The subscribers that benchmarks ask about: the same for the load and for every server."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple, TextIO

from lq.wire.relay_info import RelayInfo


class Leaseholder(NamedTuple):
    """The subscriber of a number; its address counts from `first`."""

    number: int
    first: IPv4Address

    @property
    def address(self) -> IPv4Address:
        """The address leased."""
        return self.first + self.number

    @property
    def chaddr(self) -> bytes:
        """The host's hardware address."""
        return b"\x02\x00" + self.number.to_bytes(4, "big")

    @property
    def client_id(self) -> bytes:
        """The client identifier: type 1 and the hardware address, as usual clients send it."""
        return b"\x01" + self.chaddr

    @property
    def relay_info(self) -> bytes:
        """Option 82: the circuit, and the modem's hardware address."""
        return RelayInfo(b"%d/%d" % divmod(self.number, 4096), b"\x02\x11" + self.chaddr[2:]).encode()


def dhcpd_leases(file: TextIO, first: IPv4Address, count: int, now: int) -> None:
    """Write active leases, a day long from `now`, as ISC dhcpd keeps them (dhcpd.leases(5))."""
    for number in range(count):
        subscriber = Leaseholder(number, first)
        info = RelayInfo.decode(subscriber.relay_info)
        file.write(
            f"lease {subscriber.address} {{\n"
            f"  starts epoch {now};\n  ends epoch {now + 86400};\n  cltt epoch {now};\n"
            "  binding state active;\n  next binding state free;\n"
            f"  hardware ethernet {subscriber.chaddr.hex(':')};\n"
            f"  uid {_octets(subscriber.client_id)};\n"
            f"  option agent.circuit-id {_octets(info.circuit_id or b'')};\n"
            f"  option agent.remote-id {_octets(info.remote_id or b'')};\n"
            "}\n"
        )


def _octets(value: bytes) -> str:
    return '"' + "".join(f"\\{octet:03o}" for octet in value) + '"'
