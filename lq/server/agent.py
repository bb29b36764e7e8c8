"""What the relay agent says of a message in option 82, as the server uses it (RFC 3046, 3527, 5107).

The relay agent vouches for it, so it is read only where the message is known to come from its giaddr.
"""

from __future__ import annotations

import functools
from ipaddress import IPv4Address
from typing import NamedTuple

from lq.wire.message import ANY, Message
from lq.wire.options import MalformedMessage, OptionCode
from lq.wire.relay_info import CIRCUIT_ID, RelayInfo

LINK_SELECTION = 5
SERVER_IDENTIFIER_OVERRIDE = 11


class Agent(NamedTuple):
    """What is made of one message's option 82; all None for a message without relay agent.

    `circuit` is the key of the circuit that it came by, `link` an address of the client's link in giaddr's
    place (RFC 3527), `server_id` the server identifier that the client is to see, 4 octets (RFC 5107).
    """

    circuit: bytes | None = None
    link: IPv4Address | None = None
    server_id: bytes | None = None

    @classmethod
    def of(cls, message: Message) -> Agent:
        """Read a message. A sub-option of another length than its RFC's is left alone."""
        value = message.options.get(_RELAY_AGENT_INFORMATION)
        return _NONE if value is None or message.giaddr == ANY else _read(value)


_NONE = Agent()
_RELAY_AGENT_INFORMATION = int(OptionCode.RELAY_AGENT_INFORMATION)


@functools.lru_cache(1024)  # a client sends several messages, one after the other, by the same circuit
def _read(value: bytes) -> Agent:
    try:
        others = RelayInfo.decode(value).others
    except MalformedMessage:
        others = ()
    own = {code: content for code, content in reversed(others) if len(content) == 4}
    link = own.get(LINK_SELECTION)
    return Agent(
        circuit(value), None if link is None else IPv4Address(link), own.get(SERVER_IDENTIFIER_OVERRIDE)
    )


def circuit(relay_info: bytes | None) -> bytes | None:
    """Return what tells a circuit from others in an option 82: sub-option 1 whole, else all of it.

    None where there is no option 82.
    """
    if not relay_info:
        return None
    position = 0
    while position + 2 <= len(relay_info):
        end = position + 2 + relay_info[position + 1]
        if relay_info[position] == CIRCUIT_ID and end <= len(relay_info):
            return relay_info[position:end]
        position = end
    return relay_info
