"""The relay agent (RFC 1542, RFC 3046): it passes messages on, and says what is gleaned from them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from lq.concentrator import gleaning
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Circuit, Drop, Effect, Location, ToClient, ToServer
from lq.concentrator.exchanges import Exchange, Exchanges, wanted
from lq.concentrator.gleaning import Gleaned
from lq.concentrator.option_82 import Modems
from lq.concentrator.reasons import DropReason
from lq.wire import BOOTREPLY, BOOTREQUEST, Message, MessageType, OptionCode, RelayInfo

_NO_ADDRESS = IPv4Address(0)
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
# What a client sends to a server itself (RFC 2131, 4.4.3 to 4.4.6), with its address in ciaddr.
_BY_UNICAST = frozenset({MessageType.REQUEST, MessageType.RELEASE, MessageType.INFORM})
_NAMING = frozenset({MessageType.REQUEST, MessageType.DECLINE, MessageType.RELEASE})


class Relay:
    """Passes messages on, in both directions, and says what they teach."""

    def __init__(self, config: ConcentratorConfig, modems: Modems) -> None:
        self._config = config
        self._modems = modems
        self._exchanges = Exchanges(config.exchange_time)

    # -- from clients

    def obstacle(self, circuit: Circuit, message: Message) -> DropReason | None:
        """Return why a client's broadcast message must not be passed on, None if it may be."""
        kind = message.message_type
        if message.op != BOOTREQUEST:
            return DropReason.ROGUE_SERVER
        if kind not in _FROM_CLIENTS:
            return DropReason.NOT_A_CLIENTS
        if message.giaddr != _NO_ADDRESS:
            return DropReason.SPOOFED_GIADDR
        if message.hops >= self._config.maximum_hops:
            return DropReason.HOPS
        value = message.options.get(OptionCode.RELAY_AGENT_INFORMATION)
        if value is not None and not self._modems.inserted_rightly(circuit, value):
            return DropReason.SPOOFED_OPTION_82
        return _two_addresses(message)

    def unicast_obstacle(self, location: Location | None, message: Message) -> DropReason | None:
        """Return why a located host must not send this to a server itself, None if it may.

        It speaks for itself alone: about its own address, with its own hardware address, and through
        no relay.
        """
        rightful = (
            location is not None
            and message.op == BOOTREQUEST
            and message.message_type in _BY_UNICAST
            and message.giaddr == _NO_ADDRESS
            and OptionCode.RELAY_AGENT_INFORMATION not in message.options
            and message.ciaddr == location.address
            and message.chaddr == location.chaddr
        )
        return _two_addresses(message) if rightful else DropReason.SPOOFED_UNICAST

    def pass_on(self, circuit: Circuit, message: Message, now: float, out: list[Effect]) -> Gleaned | None:
        """Pass a client's message on to all servers, with giaddr and option 82 (RFC 3046, 2.1).

        Option 82 of a trusted access node stays as it is (RFC 3046, 2.1.1). Raises MalformedMessage for
        what cannot be put into octets.
        """
        options = dict(message.options)
        value = options.get(OptionCode.RELAY_AGENT_INFORMATION)
        info = self._modems.relay_info(circuit) if value is None else RelayInfo.decode(value)
        options[OptionCode.RELAY_AGENT_INFORMATION] = info.encode()
        relayed = replace(message, hops=message.hops + 1, giaddr=self._config.giaddr, options=options)
        octets = relayed.encode()
        self._exchanges.begin(message, circuit, wanted(message), info, self._config.servers, now)
        out += [ToServer(server, octets) for server in self._config.servers]
        return gleaning.from_client(message, circuit)

    # -- from servers

    def from_server(
        self, server: IPv4Address, message: Message, now: float, out: list[Effect]
    ) -> Gleaned | None:
        """Pass a server's reply on to its client, without option 82 (RFC 3046, 2.1), and glean from it.

        With `verify_replies` only the answer to an open request counts (`lq.concentrator.exchanges`); else
        option 82 alone says where the client is. Raises MalformedMessage if option 82 or the lease time is.
        """
        options = dict(message.options)
        value = options.pop(OptionCode.RELAY_AGENT_INFORMATION, None)
        info = None if value is None else RelayInfo.decode(value)
        if message.op != BOOTREPLY or message.giaddr != self._config.giaddr:
            out.append(Drop(DropReason.NOT_A_REPLY))
            return None
        exchange = self._exchanges.sender(message, info, now)
        circuit = self._circuit(exchange, server, message, info, out)
        if circuit is None:
            return None
        modem = info.remote_id if info is not None else self._modems.relay_info(circuit).remote_id
        gleaned = gleaning.from_server(message, circuit, modem, exchange, now)
        # Without an address of its own yet, the client hears nothing but broadcast (RFC 2131, 4.1).
        broadcast = message.broadcast or message.yiaddr == _NO_ADDRESS
        out.append(ToClient(circuit, replace(message, options=options), message.chaddr, broadcast))
        return gleaned

    def _circuit(
        self,
        exchange: Exchange | None,
        server: IPv4Address,
        message: Message,
        info: RelayInfo | None,
        out: list[Effect],
    ) -> Circuit | None:
        """Return the circuit that a reply goes to; None, with the reason in `out`, if it is not believed."""
        if self._config.verify_replies:
            if exchange is not None and self._exchanges.answered(exchange, server, message):
                return exchange.circuit
            out.append(Drop(DropReason.UNASKED_REPLY))
            return None
        circuit = None if info is None else self._modems.circuit(info)
        if circuit is None and exchange is not None:
            circuit = exchange.circuit
        if circuit is None:
            out.append(Drop(DropReason.NO_CIRCUIT))
        return circuit


def _two_addresses(message: Message) -> DropReason | None:
    """Refuse a message that names two addresses: servers differ in which of them they take.

    Option 50 of another length than 4 octets names none for one server, and one for another.
    """
    value = message.options.get(OptionCode.REQUESTED_ADDRESS)
    if value is None or message.message_type not in _NAMING:
        return None
    if len(value) != 4:
        return DropReason.MALFORMED
    same = message.ciaddr == _NO_ADDRESS or message.ciaddr.packed == value
    return None if same else DropReason.TWO_ADDRESSES
