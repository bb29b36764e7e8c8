"""A DHCP server reduced to what a concentrator sees of it: bindings, and how it is at the moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from lq.wire import BOOTREPLY, RFC4388, Dialect, Message, OptionCode, RelayInfo
from lq.wire.options import pack_addresses, pack_u32


@dataclass
class Binding:
    """Who has (or had) an address. `expires` is None for a reservation without a lease."""

    address: IPv4Address
    chaddr: bytes
    info: RelayInfo | None
    expires: float | None
    since: float | None = None
    client_id: bytes = b""
    htype: int = 1
    reserved: bool = False

    def leased(self, now: float) -> bool:
        """Whether a lease stands now."""
        return self.expires is not None and self.expires > now


@dataclass
class ServerModel:
    """Answers queries about `bindings` in the networks it manages (section 6.4), by its dialect's rules.

    `alive` False: a dead server. `literate` False: one without leasequery, silent to queries.
    `forms` are the forms of query it implements. `received` counts the queries
    that arrive by address, `arrivals` holds their times; a dead server's are counted too.
    """

    manages: tuple[IPv4Network, ...]
    dialect: Dialect = RFC4388
    alive: bool = True
    literate: bool = True
    forms: tuple[str, ...] = ("ip", "mac", "client-id")
    bindings: dict[IPv4Address, Binding] = field(default_factory=dict)
    received: Counter[IPv4Address] = field(default_factory=Counter)
    arrivals: list[float] = field(default_factory=list)

    def bind(self, binding: Binding) -> None:
        """Enter a binding."""
        self.bindings[binding.address] = binding

    def respond(self, message: Message, now: float) -> Message | None:
        """Answer a query; nothing else is understood."""
        if message.message_type != self.dialect.leasequery:
            return None
        self.received[message.ciaddr] += 1
        self.arrivals.append(now)
        client_id = message.options.get(OptionCode.CLIENT_IDENTIFIER)
        form = "mac" if message.chaddr else "ip" if client_id is None else "client-id"
        if not (self.alive and self.literate):
            return None
        if form not in self.forms:
            unimplemented = self.dialect.unimplemented
            return None if unimplemented is None else self._reply(message, unimplemented)
        if form == "ip":
            return self._by_address(message, now)
        found = [
            each
            for each in self.bindings.values()
            if (each.chaddr == message.chaddr if form == "mac" else each.client_id == client_id)
        ]
        found.sort(key=lambda each: each.since or 0.0, reverse=True)
        leased = [each for each in found if each.leased(now)]
        candidates = leased or (found if self.dialect.tells_history else [])
        if not candidates:
            return self._reply(message, self.dialect.unknown)
        reply = self._describe(message, candidates[0], now)
        # The draft lists all addresses that the client had; of RFC 4388, real servers list its other leases.
        listed = found if self.dialect.tells_history else leased[1:]
        if len(found) > 1 and listed:
            value = pack_addresses(each.address for each in listed)
            reply.options[self.dialect.client_addresses_option] = value
        return reply

    def _by_address(self, message: Message, now: float) -> Message:
        binding = self.bindings.get(message.ciaddr)
        if binding is not None:
            return self._describe(message, binding, now)
        managed = any(message.ciaddr in network for network in self.manages)
        return self._reply(message, self.dialect.known if managed else self.dialect.unknown)

    def _describe(self, message: Message, binding: Binding, now: float) -> Message:
        active = binding.leased(now)
        reply = self._reply(message, self.dialect.active if active else self.dialect.known)
        if not (active or self.dialect.tells_history):
            return reply
        reply.ciaddr, reply.htype, reply.chaddr = binding.address, binding.htype, binding.chaddr
        if binding.reserved:
            reply.flags |= self.dialect.r_flag
        if active:
            reply.options[OptionCode.LEASE_TIME] = pack_u32((binding.expires or now) - now)
        if binding.since is not None:
            reply.options[OptionCode.CLIENT_LAST_TRANSACTION_TIME] = pack_u32(now - binding.since)
        if binding.info is not None:
            reply.options[OptionCode.RELAY_AGENT_INFORMATION] = binding.info.encode()
        return reply

    @staticmethod
    def _reply(message: Message, kind: int) -> Message:
        return Message(
            op=BOOTREPLY,
            xid=message.xid,
            ciaddr=message.ciaddr,
            giaddr=message.giaddr,
            options={OptionCode.MESSAGE_TYPE: bytes((kind,))},
        )
