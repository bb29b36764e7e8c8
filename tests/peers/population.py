"""The bindings behind the captures of ISC dhcpd and Kea, for our server."""

from dataclasses import replace
from ipaddress import IPv4Address

from lq.server.bindings import NO_TIME, Binding, State
from lq.server.config import parse
from lq.server.service import Service
from lq.wire import RelayInfo

RELAY = ("198.18.0.1", 67)
NOW = 1e9  # when the leases were given
LEASE = 7200.0  # seconds
CONFIG = """
listen: 198.18.0.2
database: unused.sqlite
subnets: [{network: 198.18.0.0/16, pools: [198.18.1.0-198.18.40.255]}]
leasequery: {requesters: [198.18.0.1], %s}
reservations: [{address: 198.18.50.1, hardware: '02:00:00:00:00:77'}]
"""
ADDRESS = IPv4Address("198.18.1.0")
HOST_9 = b"\x01host9"


def mac(number):
    return bytes((2, 0, 0, 0, 0, number))


def relay_info(number, modem=None):
    return RelayInfo(b"port%d" % number, bytes((2, 0x11, 0, 0, 0, number if modem is None else modem)))


def bindings(**changed):
    """198.18.1.0 to .19; `changed` replaces fields of single ones, as in `n7={...}`."""
    result = []
    for number in range(20):
        binding = Binding(
            (ADDRESS + number).packed,
            1,
            mac(7 if number == 8 else number),
            HOST_9 if number == 9 else None,
            State.LEASED,
            NOW + LEASE,
            NOW + LEASE / 2,
            NOW + LEASE * 7 / 8,
            NOW,
            relay_info(number).encode(),
        )
        if number == 11:
            binding = replace(binding, state=State.RELEASED, expires=NOW, renews=NO_TIME, rebinds=NO_TIME)
        if number == 12:
            binding = replace(binding, expires=NOW - 100, last_transaction=NOW - LEASE)
        result.append(replace(binding, **changed.get(f"n{number}", {})))
    return result


def service(leasequery="", **changed):
    """A server with these bindings; `leasequery` are settings of that part."""
    return Service(parse(CONFIG % leasequery), bindings(**changed), NOW)
