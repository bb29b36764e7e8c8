"""Messages of real servers: decoded, readable, and encoded again into the same octets."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from scapy.layers.inet import UDP
from scapy.utils import rdpcap

from lq.wire import MessageType, RelayInfo, decode

DATA = Path(__file__).parent / "data"
CAPTURES = sorted(DATA.glob("*.pcap"))


def messages(path):
    return [bytes(packet[UDP].payload) for packet in rdpcap(str(path))]


def test_both_captures_are_here():
    assert [path.name.split("-")[0] for path in CAPTURES] == ["isc", "kea"]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name.split("-")[0])
def test_every_message_is_encoded_again_byte_for_byte(path):
    found = messages(path)
    assert len(found) >= 29
    for octets in found:
        message = decode(octets)
        assert message.encode(minimum=len(octets)) == octets
        assert MessageType(message.message_type).name in str(message)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name.split("-")[0])
def test_the_answers_read_as_the_table_of_peers_says(path):
    replies = {message.xid: message for message in map(decode, messages(path)) if message.op == 2}
    active = replies[0x4C510001]
    assert active.message_type == MessageType.ACTIVE
    assert active.ciaddr == IPv4Address("198.18.1.5")
    assert RelayInfo.decode(active.options[82]).circuit_id == b"port5"
    assert replies[0x4C510002].message_type == MessageType.KNOWN
    assert replies[0x4C510003].message_type == MessageType.UNKNOWN
    assert 0x4C51000C not in replies  # giaddr was zero
