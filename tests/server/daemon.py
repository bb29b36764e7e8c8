"""A real server on the loopback interface, and a relay agent that asks it."""

from __future__ import annotations

import socket
import subprocess
import sys
from ipaddress import IPv4Address

from lq.wire import Message, MessageType, decode

from .helpers import ALL, mac, option_82, query

RELAY = "127.0.0.2"


CONFIG = """
listen: 127.0.0.1
port: {port}
database: {path}/bindings.sqlite
leasequery: {{requesters: [127.0.0.2]}}
shared_networks:
  - name: access
    subnets:
      - network: 127.0.0.0/24
      - {{network: 198.18.0.0/16, pools: [198.18.1.0-198.18.200.255]}}
"""


class Relay:
    """A relay agent's socket; the server listens on the same port of another loopback address."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((RELAY, 0))
        self.port = self.socket.getsockname()[1]
        self.socket.settimeout(10)

    def send(self, octets):
        self.socket.sendto(octets, ("127.0.0.1", self.port))

    def receive(self):
        return decode(self.socket.recv(4096))

    def message(self, kind, number, **options):
        message = Message(htype=1, xid=number, chaddr=mac(number), giaddr=IPv4Address(RELAY))
        message.message_type = kind
        message.options |= {int(code[1:]): value for code, value in options.items()}
        message.options[82] = option_82(number)
        self.send(message.encode())

    def ask(self, address):
        self.send(query(str(address), giaddr=IPv4Address(RELAY), requested=ALL))
        return self.receive()


def run(tmp_path, relay, *arguments, more="", text=CONFIG, **options):
    config = tmp_path / "server.yaml"
    config.write_text(text.format(port=relay.port, path=tmp_path) + more)
    process = subprocess.Popen(
        [sys.executable, "-m", "lq.server", str(config), *arguments],
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )
    line = process.stdout.readline()
    assert line == f"ready 127.0.0.1:{relay.port}\n", process.communicate()
    return process


def lease_many(relay, process, until, outstanding=20, first=1):
    """Lease to one client after the other until `until` says stop; the acknowledged addresses by client."""
    acknowledged = {}
    number = first
    for number in range(first, first + outstanding):
        relay.message(MessageType.DISCOVER, number)
    while not until(acknowledged):
        try:
            reply = relay.receive()
        except TimeoutError:
            assert process.poll() is not None
            break
        if reply.message_type == MessageType.OFFER:
            relay.message(MessageType.REQUEST, reply.xid, o50=reply.yiaddr.packed, o54=reply.options[54])
        else:
            assert reply.message_type == MessageType.ACK
            acknowledged[reply.xid] = reply.yiaddr
            number += 1
            relay.message(MessageType.DISCOVER, number)
    return acknowledged


def drain(relay):
    relay.socket.settimeout(0.2)
    try:
        while True:
            relay.receive()
    except TimeoutError:
        relay.socket.settimeout(10)
