"""Our messages before an independent decoder."""

import shutil
import subprocess

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from lq.server.query import build
from lq.wire import DRAFT_03, RFC4388, MessageType

from .helpers import RELAY, Host, mac, query, service

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

RESERVED = "reservations: [{address: 198.18.50.1, hardware: '02:00:00:00:00:77', client_id: '0x0001'}]\n"
LESS = "leasequery: {forms: [address], reservation_as_active: true}\n"


def conversation(extra):
    """Every kind of message that the server sends, as octets."""
    server = service(extra + RESERVED)
    sent = []
    handle = server.handle

    def recording(octets, now, source=RELAY):
        outgoing = handle(octets, now, source)
        if outgoing is not None:
            sent.append(outgoing[0])
        return outgoing

    server.handle = recording
    host = Host(server, 1, client_id=b"\x01\x02\x00\x00\x00\x00\x01")
    host.lease(1000.0, o60=b"docsis3.0", o55=bytes((1, 3, 15, 28)))
    host.renew(1100.0)
    Host(server, 1, client_id=b"\0other").lease(1150.0)
    host.send(MessageType.REQUEST, 1200.0, o50=bytes((198, 19, 0, 1)))
    host.send(MessageType.INFORM, 1200.0, ciaddr="198.18.0.99")
    for address in (str(host.address), "198.18.0.20", "198.18.99.1", "198.18.50.1"):
        recording(query(address), 1300.0)
    recording(query(chaddr=mac(1)), 1300.0)
    recording(query(chaddr=mac(9)), 1300.0)
    recording(query(client_id=host.client_id), 1300.0)
    recording(query(client_id=b"\0none"), 1300.0)
    less = service(extra + RESERVED + LESS)
    for item in ({"ciaddr": "198.18.50.1"}, {"chaddr": mac(1)}, {"client_id": b"\0none"}):
        outgoing = less.handle(query(**item), 1300.0, RELAY)
        sent += [] if outgoing is None else [outgoing[0]]
    return sent


def questions(dialect):
    """The three forms as our requester sends them."""
    items = ({"address": "198.18.0.10"}, {"hardware": mac(1)}, {"client_id": b"\0id"})
    return [build(giaddr="198.18.0.1", dialect=dialect, **item).encode() for item in items]


@pytest.mark.parametrize("numbers", [RFC4388, DRAFT_03], ids=["rfc4388", "draft-03"])
def test_tshark_finds_nothing_malformed_in_what_we_send(tmp_path, numbers):
    sent = conversation(f"dialect: {numbers.name}\n") + questions(numbers)
    path = tmp_path / "sent.pcap"
    lower = Ether(src="02:00:00:00:00:aa", dst="02:00:00:00:00:bb") / IP(src="198.19.1.2", dst="198.18.0.1")
    wrpcap(str(path), [lower / UDP(sport=67, dport=67) / octets for octets in sent])
    fields = ["-T", "fields", "-e", "dhcp.option.dhcp", "-e", "_ws.malformed", "-e", "_ws.expert.severity"]
    shown = subprocess.run(["tshark", "-r", str(path), *fields], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in shown.stdout.splitlines()]
    assert len(rows) == len(sent)
    unimplemented = set() if numbers.unimplemented is None else {numbers.unimplemented}
    assert {2, 5, 6, 10, 11, 12, 13} | unimplemented == {int(row[0]) for row in rows}
    notes = 0x400000  # "Client address not given", on messages with hlen 0
    for row in rows:
        assert row[1] == ""
        assert all(int(severity) <= notes for severity in row[2].split(",") if severity)
