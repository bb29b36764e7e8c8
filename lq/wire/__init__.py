"""DHCP messages as bytes: message, options, dialect, relay agent information.

Nothing here does I/O, reads a clock or knows of servers and relays. Malformed input raises
`MalformedMessage` and nothing else.
"""

from lq.wire.dialect import DRAFT_03, RFC4388, Dialect, dialect
from lq.wire.message import (
    BOOTREPLY,
    BOOTREQUEST,
    CLIENT_PORT,
    SERVER_PORT,
    Message,
    decode,
)
from lq.wire.options import MalformedMessage, MessageType, OptionCode
from lq.wire.relay_info import RelayInfo

__all__ = [
    "BOOTREPLY",
    "BOOTREQUEST",
    "CLIENT_PORT",
    "DRAFT_03",
    "RFC4388",
    "SERVER_PORT",
    "Dialect",
    "MalformedMessage",
    "Message",
    "MessageType",
    "OptionCode",
    "RelayInfo",
    "decode",
    "dialect",
]
