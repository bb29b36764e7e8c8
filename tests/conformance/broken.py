"""The built-in server's logic on a loopback socket, with one rule broken on purpose."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from lq.conformance import Target, conform
from lq.server.config import parse
from lq.server.service import Service
from lq.wire import MalformedMessage, Message, decode, dialect

CONFIG = """
listen: {net}.1
port: {port}
database: not-used
dialect: {dialect}
lease_time: 600
max_lease_time: 4294967295
options: {{routers: [198.18.0.1], domain-name: access.example}}
shared_networks:
  - name: access
    subnets:
      - network: {net}.0/24
      - {{network: 198.18.0.0/16, pools: [198.18.1.10-198.18.1.250]}}
reservations: [{{address: 198.18.50.1, hardware: '02:00:00:00:00:77'}}]
verify_source: false
leasequery: {{requesters: [{net}.0/24], {leasequery}}}
"""
_NETS = (f"127.77.{number}" for number in itertools.count(1))


@dataclass
class Exchange:
    """One message received and the reply to it, which a broken rule may change. `memory` lasts."""

    server: Server
    query: Message
    source: tuple[str, int]
    reply: Message | None
    destination: tuple[str, int]
    now: float
    memory: dict = field(default_factory=dict)
    octets: bytes | None = None

    def answer_as(self, query: Message) -> None:
        """Answer as if another query had come."""
        self.reply, self.destination = self.server.handle(query, self.now, self.source)
        if self.reply is not None:
            self.reply.xid, self.reply.giaddr = self.query.xid, self.query.giaddr

    def answer_with(self, kind: int) -> None:
        """Answer with a bare message of a type."""
        query = self.query
        self.reply = Message(2, query.htype, 0, query.xid, chaddr=query.chaddr, ciaddr=query.ciaddr)
        self.reply.giaddr = query.giaddr
        self.reply.message_type = kind
        self.destination = str(query.giaddr), self.server.port

    @property
    def binding(self):
        """That of the address in the reply."""
        return self.server.service.bindings.get(self.reply.ciaddr) if self.reply else None


class Server(threading.Thread):
    """Serves until stopped; `rule` is called with each Exchange whose message is a leasequery, and
    `rule.hears` with the others."""

    def __init__(self, rule=None, dialect_name="draft-03", leasequery=""):
        super().__init__(daemon=True)
        self.net = next(_NETS)
        self.rule = rule
        self.memory = {}
        self.fault = None
        self.stopping = threading.Event()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((f"{self.net}.1", 0))
        self.socket.settimeout(0.05)
        self.port = self.socket.getsockname()[1]
        text = CONFIG.format(net=self.net, port=self.port, dialect=dialect_name, leasequery=leasequery)
        self.service = Service(parse(text))

    def run(self):
        while True:
            try:
                octets, source = self.socket.recvfrom(4096)
                self.answer(decode(octets), source)
            except TimeoutError:
                if self.stopping.is_set():
                    break
            except (ConnectionRefusedError, MalformedMessage):
                continue
            except Exception as fault:  # a rule broken by accident would pass for one broken on purpose
                self.fault = fault
        self.socket.close()

    def handle(self, message, now, source):
        outgoing = self.service.handle(message.encode(), now, source)
        return (decode(outgoing[0]), outgoing[1]) if outgoing is not None else (None, ("", 0))

    def answer(self, message, source):
        now = time.monotonic()
        reply, destination = self.handle(message, now, source)
        exchange = Exchange(self, message, source, reply, destination, now, self.memory)
        if message.message_type != 10:
            getattr(self.rule, "hears", lambda exchange: None)(exchange)
        elif self.rule is not None:
            self.rule(exchange)
        if exchange.octets is not None or exchange.reply is not None:
            self.socket.sendto(exchange.octets or exchange.reply.encode(), exchange.destination)


def judge(rule=None, dialect_name="draft-03", rows=(), leasequery="", **told):
    """The results of the suite against a server with this rule broken."""
    server = Server(rule, dialect_name, leasequery)
    server.start()
    try:
        target = {
            "giaddr": IPv4Address(f"{server.net}.2"),
            "other_giaddr": IPv4Address(f"{server.net}.3"),
            "port": server.port,
            "dialect": dialect(dialect_name),
            "attempts": 1,
            "silence": 0.05,
            "short_lease": 1,
            "free": IPv4Address("198.18.1.249"),
            "outside": IPv4Address("198.18.99.1"),
            "reserved": IPv4Address("198.18.50.1"),
            "reserved_mac": bytes.fromhex("020000000077"),
        } | told
        return conform(Target(IPv4Address(f"{server.net}.1"), **target), rows)
    finally:
        server.stopping.set()
        server.join()
        assert server.fault is None, repr(server.fault)
