"""The message of a query (section 6.2)."""

from __future__ import annotations

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.query import Query
from lq.wire import BOOTREQUEST, Message, OptionCode
from lq.wire.message import Template

_MESSAGE_TYPE = int(OptionCode.MESSAGE_TYPE)
_PARAMETER_REQUEST_LIST = int(OptionCode.PARAMETER_REQUEST_LIST)


class Composer:
    """Makes the queries' messages; a query only reads (R3-1)."""

    def __init__(self, config: ConcentratorConfig) -> None:
        self._giaddr = config.giaddr
        self._type = bytes((config.dialect.leasequery,))
        options = config.requested_options
        self._by_client = bytes(dict.fromkeys((*options, int(config.dialect.client_addresses_option))))
        self._by_address = Template(self._message(bytes(options)))

    def octets(self, query: Query, xid: int) -> bytes:
        """Return the message: giaddr is our own (R6.2-1), the R bit is not used (R6.2-3).

        The Parameter Request List holds what a location is made of (R6.2-2). By IP address: ciaddr
        alone (R6.2-4); by MAC address: htype, hlen, chaddr alone (R6.2-5).
        """
        if query.address is not None:
            return self._by_address.fill(xid, query.address)
        message = self._message(self._by_client)
        message.xid, message.htype, message.chaddr = xid, query.htype, query.chaddr
        return message.encode()

    def _message(self, requested: bytes) -> Message:
        options = {_MESSAGE_TYPE: self._type, _PARAMETER_REQUEST_LIST: requested}
        return Message(op=BOOTREQUEST, giaddr=self._giaddr, options=options)
