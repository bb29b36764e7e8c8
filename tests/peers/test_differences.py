"""The sixteen queries of the captures, answered by us with the same bindings: where and why we differ.

docs/differences.md explains each difference to users; here they are asserted, query by query.
"""

from pathlib import Path

import pytest
from scapy.layers.inet import UDP
from scapy.utils import rdpcap

from lq.wire import OptionCode, decode

from .population import NOW, RELAY, relay_info, service

DATA = Path(__file__).parents[1] / "wire" / "data"

UNKNOWN_WITH_54 = {"theirs alone: 54"}  # R6.4-3: UNKNOWN carries no other options
ALL_ADDRESSES = {"differs: 92"}  # they leave out the address in ciaddr; R6.4.2-4 says all addresses
NOT_ASKED_FOR = "theirs alone: 51 58 59 82 91"  # the Parameter Request List named option 1 alone
RESERVATION = {"kind: 12/11"}  # R6.4-2: there is information on this address
LAST_CLIENT = {"differs: htype chaddr", "ours alone: 82 91"}  # as the draft has it, in RFC 4388's wire form
REFUSED = {"silence: ours"}  # R6.3-2: a query for several things or for nothing gets no data

DHCPD = {
    0x03: UNKNOWN_WITH_54,  # in the subnet, outside the pools
    0x04: UNKNOWN_WITH_54,  # a foreign address
    0x06: ALL_ADDRESSES,
    0x07: UNKNOWN_WITH_54,  # by hardware address
    0x09: UNKNOWN_WITH_54,  # by client identifier
    0x0A: REFUSED,  # address and hardware address: dhcpd answers by address
    0x0B: REFUSED,  # none of the three: dhcpd says UNKNOWN
    0x0D: {NOT_ASKED_FOR},
    0x0E: RESERVATION,
}
FORMER_CLIENT = {0x0E: RESERVATION | {"differs: htype chaddr"}, 0x0F: LAST_CLIENT, 0x10: LAST_CLIENT}
KEA = {
    **DHCPD,
    **{number: {"ours alone: 58 59"} for number in (0x01, 0x05, 0x08)},  # Kea was not configured to have them
    0x06: {"ours alone: 58 59"} | ALL_ADDRESSES,
    0x09: {"theirs alone: 54 61"},  # Kea echoes the identifier it does not know
    0x0D: {"theirs alone: 51 82 91"},
}
for each in (0x0A, 0x0B):
    del KEA[each]  # Kea is silent, too

# In the captures dhcpd took .8 for the more recent of the two, Kea .7; Kea's relay named one modem for all.
EARLIER = {"last_transaction": NOW - 0.5}
SET_UPS = {
    "isc-dhcpd-4.4.3": (DHCPD, {"n7": EARLIER}),
    "kea-3.3.1": (
        KEA,
        {
            **{f"n{number}": {"relay_info": relay_info(number, modem=5).encode()} for number in (5, 7, 9)},
            "n8": EARLIER,
        },
    ),
}


def differences(theirs, ours):
    """What tells two replies apart, in words; times that run must agree, too."""
    if theirs is None or ours is None:
        return set() if theirs is ours else {"silence: ours" if ours is None else "silence: theirs"}
    found = set()
    if theirs.message_type != ours.message_type:
        found.add(f"kind: {theirs.message_type}/{ours.message_type}")
    fields = ("op", "xid", "ciaddr", "giaddr", "yiaddr", "siaddr", "flags", "htype", "chaddr")
    named = [name for name in fields if getattr(theirs, name) != getattr(ours, name)]
    named += [
        str(code)
        for code in sorted(theirs.options.keys() & ours.options.keys())
        if theirs.options[code] != ours.options[code] and code != OptionCode.MESSAGE_TYPE
    ]
    alone = {
        "differs": named,
        "theirs alone": [str(code) for code in sorted(theirs.options.keys() - ours.options.keys())],
        "ours alone": [str(code) for code in sorted(ours.options.keys() - theirs.options.keys())],
    }
    return found | {f"{which}: {' '.join(names)}" for which, names in alone.items() if names}


@pytest.mark.parametrize("former", [False, True], ids=["", "former_client"])
@pytest.mark.parametrize("name", SET_UPS)
def test_we_differ_from_them_only_where_the_documentation_says(name, former):
    expected, changed = SET_UPS[name]
    server = service("former_client: true" if former else "", **changed)
    expected = expected | (FORMER_CLIENT if former else {})
    octets = [bytes(packet[UDP].payload) for packet in rdpcap(str(DATA / f"{name}-leasequery.pcap"))]
    replies = {message.xid: message for message in map(decode, octets) if message.op == 2}
    found = {}
    for query in (each for each in octets if each[0] == 1):
        asked = decode(query)
        theirs = replies.get(asked.xid)
        passed = theirs.options.get(91, b"\3") if theirs is not None else b"\3"  # seconds since the lease
        outgoing = server.handle(query, NOW + int.from_bytes(passed, "big"), RELAY)
        ours = None if outgoing is None else decode(outgoing[0])
        found[asked.xid & 0xFF] = differences(theirs, ours)
    assert sorted(found) == list(range(1, 17))
    assert {number: told for number, told in found.items() if told} == expected


@pytest.mark.requirement("R6.4-5")
def test_a_reservation_without_a_lease_is_active_if_so_configured():
    server = service("reservation_as_active: true")
    octets = [bytes(packet[UDP].payload) for packet in rdpcap(str(next(DATA.glob("kea*"))))]
    query = next(each for each in octets if each[0] == 1 and decode(each).xid == 0x4C51000E)
    reply = decode(server.handle(query, NOW, RELAY)[0])
    assert reply.message_type == 13
    assert OptionCode.LEASE_TIME not in reply.options
