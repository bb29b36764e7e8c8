"""A query and its message (section 6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Circuit, QueryForm
from lq.wire import BOOTREQUEST, Message, OptionCode

if TYPE_CHECKING:
    from lq.concentrator.answers import Answer
    from lq.concentrator.queries import Leg, Server

Key = int | tuple[str, int, bytes]
"""What is asked about: an address as a number, or form, htype and octets."""


@dataclass(slots=True, eq=False)
class Query:
    """The wish to know about one address or client, until it is answered or given up.

    `demanded` is when a packet last asked for it; `sources` are where packets came from upstream that
    wait to be verified by the answer; `legs` are its sides to the servers, `reserve` the servers to ask
    if the authoritative one does not help; `answer` is the best one so far, and `settled` says that it has
    been acted upon.
    """

    key: Key
    form: QueryForm
    demanded: float
    address: IPv4Address | None = None
    htype: int = 0
    chaddr: bytes = b""
    client_id: bytes = b""
    sources: tuple[tuple[Circuit, bytes], ...] = ()
    legs: dict[Server, Leg] = field(default_factory=dict)
    reserve: Sequence[Server] = ()
    answer: Answer | None = None
    settled: bool = False


_NO_ADDRESS = IPv4Address(0)
_MESSAGE_TYPE = int(OptionCode.MESSAGE_TYPE)
_PARAMETER_REQUEST_LIST = int(OptionCode.PARAMETER_REQUEST_LIST)


class Composer:
    """Makes the queries' messages; a query only reads (R3-1)."""

    def __init__(self, config: ConcentratorConfig) -> None:
        self._giaddr = config.giaddr
        self._type = bytes((config.dialect.leasequery,))
        options = config.requested_options
        self._by_address = bytes(options)
        client_addresses = int(config.dialect.client_addresses_option)
        self._by_client = bytes(dict.fromkeys((*options, client_addresses)))

    def message(self, query: Query, xid: int) -> Message:
        """Return the message: giaddr is our own (R6.2-1), the R bit is not used (R6.2-3).

        The Parameter Request List holds what a location is made of (R6.2-2). By IP address: ciaddr
        alone (R6.2-4); by MAC address: htype, hlen, chaddr alone (R6.2-5); by client identifier:
        option 61 alone (R6.2-6).
        """
        requested = self._by_address if query.form == "ip" else self._by_client
        options: dict[int, bytes] = {
            _MESSAGE_TYPE: self._type,
            _PARAMETER_REQUEST_LIST: requested,
        }
        if query.form == "client-id":
            options[OptionCode.CLIENT_IDENTIFIER] = query.client_id
        return Message(
            op=BOOTREQUEST,
            htype=query.htype,
            xid=xid,
            ciaddr=query.address if query.address is not None else _NO_ADDRESS,
            giaddr=self._giaddr,
            chaddr=query.chaddr,
            options=options,
        )
