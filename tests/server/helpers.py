"""Clients, relays and requesters as messages, for the server's tests."""

import json
import re
from ipaddress import IPv4Address

import yaml

from lq.server.config import parse
from lq.server.service import Service
from lq.wire import Message, MessageType, RelayInfo, decode

GIADDR = IPv4Address("198.18.0.1")
RELAY = ("198.18.0.1", 67)
SERVER = IPv4Address("198.19.1.2")
CONFIG = """
listen: 198.19.1.2
database: bindings.sqlite
subnets:
  - network: 198.18.0.0/16
    pools: [198.18.0.10-198.18.0.20]
    lease_time: 3600
    options: {routers: [198.18.0.1], domain-name: example}
leasequery: {requesters: [198.18.0.1]}
"""


def service(extra="", config=CONFIG, bindings=(), now=1000.0):
    """A server; the settings of leasequery in `extra` are added to those of `config`."""
    text = config + extra
    if "leasequery:" in extra:
        found = yaml.safe_load(config)["leasequery"] | yaml.safe_load(extra)["leasequery"]
        text = re.sub("(?m)^leasequery:.*$", "", text) + f"leasequery: {json.dumps(found)}\n"
    return Service(parse(text), bindings, now)


def mac(number):
    return bytes((2, 0, 0, 0, number >> 8, number & 255))


def option_82(number):
    return RelayInfo(b"port%d" % number, mac(0x1100 + number)).encode()


class Host:
    """One DHCP client behind a relay, driven message by message."""

    def __init__(self, server, number=1, client_id=None, relay_info=None, giaddr=GIADDR, kept=None):
        self.server, self.chaddr, self.client_id, self.giaddr = server, mac(number), client_id, giaddr
        self.relay_info = option_82(number) if relay_info is None else relay_info
        self.kept = kept or {}
        self.address = IPv4Address(0)

    def send(self, kind, now, ciaddr="0.0.0.0", relayed=True, source=None, **options):
        message = Message(htype=1, xid=0x1234, chaddr=self.chaddr, ciaddr=IPv4Address(ciaddr))
        message.message_type = kind
        message.options |= {int(code[1:]): value for code, value in options.items()} | self.kept
        if self.client_id:
            message.options[61] = self.client_id
        if relayed:
            message.giaddr = self.giaddr
            if self.relay_info:
                message.options[82] = self.relay_info
        outgoing = self.server.handle(message.encode(), now, source or self.source(message))
        if outgoing is None:
            return None
        octets, self.destination = outgoing
        return decode(octets)

    def source(self, message):
        """Where the datagram comes from, if all is in order: the relay agent, or the client itself."""
        return (str(self.giaddr), 67) if message.giaddr == self.giaddr else (str(message.ciaddr), 68)

    def discover(self, now, **options):
        return self.send(MessageType.DISCOVER, now, **options)

    def select(self, offer, now, **options):
        return self.send(MessageType.REQUEST, now, o50=offer.yiaddr.packed, o54=offer.options[54], **options)

    def lease(self, now, **options):
        """DISCOVER to ACK; the address."""
        reply = self.select(self.discover(now, **options), now, **options)
        assert reply.message_type == MessageType.ACK
        self.address = reply.yiaddr
        return reply

    def renew(self, now, **options):
        return self.send(MessageType.REQUEST, now, ciaddr=str(self.address), relayed=False, **options)

    def release(self, now):
        return self.send(
            MessageType.RELEASE,
            now,
            ciaddr=str(self.address),
            relayed=False,
            o54=self.server.config.listen.packed,
        )


ALL = bytes((51, 58, 59, 60, 61, 82, 91, 92))


def query(ciaddr="0.0.0.0", chaddr=b"", client_id=None, requested=ALL, giaddr=GIADDR, **fields):
    message = Message(
        htype=1 if chaddr else 0, chaddr=chaddr, xid=0x4C510001, ciaddr=IPv4Address(ciaddr), giaddr=giaddr
    )
    for name, value in fields.items():
        setattr(message, name, value)
    message.message_type = MessageType.LEASEQUERY
    if client_id is not None:
        message.options[61] = client_id
    if requested is not None:
        message.options[55] = requested
    return message.encode()


def ask(server, now, ciaddr="0.0.0.0", **rest):
    """The answer to one query, None for silence."""
    outgoing = server.handle(query(str(ciaddr), **rest), now, RELAY)
    if outgoing is None:
        return None
    octets, destination = outgoing
    assert destination == (str(GIADDR), 67)
    reply = decode(octets)
    assert (reply.op, reply.xid, reply.giaddr) == (2, 0x4C510001, GIADDR)
    return reply


def seconds(reply, code):
    return int.from_bytes(reply.options[code], "big")
