"""The relay agent (RFC 1542, RFC 3046), and what it gleans from the servers' replies (R1-7).

Only what passes here is gleaned: a renewal that a client sends to its server directly is not (R4.3-1).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Circuit, Drop, Effect, Location, ToClient, ToServer
from lq.concentrator.modems import Modems
from lq.wire import BOOTREPLY, BOOTREQUEST, MalformedMessage, Message, MessageType, OptionCode, RelayInfo
from lq.wire.options import unpack_address, unpack_u32

_NO_ADDRESS = IPv4Address(0)
_MAXIMUM_EXCHANGES = 65536
_FROM_CLIENTS = frozenset(
    {
        MessageType.DISCOVER,
        MessageType.REQUEST,
        MessageType.DECLINE,
        MessageType.RELEASE,
        MessageType.INFORM,
        None,  # BOOTP
    }
)


@dataclass(frozen=True, slots=True)
class Gleaned:
    """What a relayed message says: this host has the address now, or (`location` None) no longer has it.

    In the latter case `address`, `chaddr` and `circuit` tell who gave it up or was denied it.
    """

    address: IPv4Address
    chaddr: bytes
    circuit: Circuit
    location: Location | None = None


class Relay:
    """Passes messages on, in both directions, and says what they teach."""

    def __init__(self, config: ConcentratorConfig, modems: Modems) -> None:
        self._config = config
        self._modems = modems
        # Who sent what, for servers that do not return option 82, and for NAKs, which name no address.
        self._exchanges: OrderedDict[tuple[int, bytes], tuple[Circuit, IPv4Address]] = OrderedDict()

    def from_client(self, circuit: Circuit, message: Message, out: list[Effect]) -> Gleaned | None:
        """Pass a client's message on to all servers, with giaddr and option 82 (RFC 3046, 2.1).

        What only a server, a relay agent or an access concentrator may send is dropped. Raises
        MalformedMessage for what cannot be put into octets.
        """
        kind = message.message_type
        reason = None
        if message.op != BOOTREQUEST:
            reason = "rogue-server"
        elif kind not in _FROM_CLIENTS:
            reason = "not-a-client's"
        elif message.giaddr != _NO_ADDRESS:
            reason = "spoofed-giaddr"
        elif OptionCode.RELAY_AGENT_INFORMATION in message.options:
            reason = "spoofed-option-82"
        elif message.hops >= self._config.maximum_hops:
            reason = "hops"
        if reason is not None:
            out.append(Drop(reason, None, circuit, message.chaddr))
            return None
        wanted = self._wanted(message)
        self._remember(message, circuit, wanted)
        options = dict(message.options)
        options[OptionCode.RELAY_AGENT_INFORMATION] = self._modems.relay_info(circuit).encode()
        relayed = replace(message, hops=message.hops + 1, giaddr=self._config.giaddr, options=options)
        octets = relayed.encode()
        out += [ToServer(server, octets) for server in self._config.servers]
        if kind in (MessageType.RELEASE, MessageType.DECLINE):
            return Gleaned(wanted, message.chaddr, circuit)
        return None

    def from_server(self, message: Message, now: float, out: list[Effect]) -> Gleaned | None:
        """Pass a server's reply on to its client, without option 82 (RFC 3046, 2.1), and glean from it.

        ACK: the host has the address for the lease time. NAK: it does not have the one it asked for.
        Raises MalformedMessage if option 82 or the lease time is.
        """
        options = dict(message.options)
        value = options.pop(OptionCode.RELAY_AGENT_INFORMATION, None)
        info = None if value is None else RelayInfo.decode(value)
        exchange = self._exchanges.get((message.xid, message.chaddr))
        circuit = None if info is None else self._modems.circuit(info)
        if circuit is None and exchange is not None:
            circuit = exchange[0]
        if message.op != BOOTREPLY or message.giaddr != self._config.giaddr or circuit is None:
            out.append(Drop("no-circuit" if circuit is None else "not-a-reply"))
            return None
        lease = unpack_u32(options[OptionCode.LEASE_TIME]) if OptionCode.LEASE_TIME in options else 0
        # Without an address of its own yet, the client hears nothing but broadcast (RFC 2131, 4.1).
        broadcast = message.broadcast or message.yiaddr == _NO_ADDRESS
        out.append(ToClient(circuit, replace(message, options=options), message.chaddr, broadcast))
        kind = message.message_type
        if kind == MessageType.ACK and message.yiaddr != _NO_ADDRESS and lease:
            modem = info.remote_id if info is not None else self._modems.relay_info(circuit).remote_id
            location = Location(message.yiaddr, message.htype, message.chaddr, circuit, modem, now + lease)
            return Gleaned(message.yiaddr, message.chaddr, circuit, location)
        if kind == MessageType.NAK and exchange is not None and exchange[1] != _NO_ADDRESS:
            return Gleaned(exchange[1], message.chaddr, circuit)
        return None

    def _remember(self, message: Message, circuit: Circuit, wanted: IPv4Address) -> None:
        key = (message.xid, message.chaddr)
        self._exchanges.pop(key, None)
        if len(self._exchanges) >= _MAXIMUM_EXCHANGES:
            self._exchanges.popitem(last=False)
        self._exchanges[key] = (circuit, wanted)

    @staticmethod
    def _wanted(message: Message) -> IPv4Address:
        """Return the address that a client's message is about, 0.0.0.0 if about none."""
        value = message.options.get(OptionCode.REQUESTED_ADDRESS)
        try:
            return message.ciaddr if value is None else unpack_address(value)
        except MalformedMessage:
            return message.ciaddr
