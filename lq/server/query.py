"""The one-shot requester: asks a server one leasequery, in any of the three forms, and waits.

Server and requester speak over UDP port 67 on both sides; the requester binds giaddr, to which the
answer goes (R6.4.3-1).
"""

from __future__ import annotations

import json
import random
import select
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.errors import BadInput
from lq.server.option_values import octets
from lq.wire.dialect import RFC4388, Dialect
from lq.wire.message import BOOTREPLY, SERVER_PORT, Message, decode
from lq.wire.options import MalformedMessage, OptionCode, unpack_addresses
from lq.wire.text import hardware_address, parse_hardware_address

REQUESTED = (51, 58, 59, 60, 61, 82, 91, 92)

EXIT_STATUS = {"active": 0, "known": 3, "unknown": 4, "unimplemented": 5, "silence": 6}
"""Exit status of `lq query` by answer; 1 and 2 stay for failures and bad input."""


class QueryError(BadInput):
    """The query cannot be sent; the message is one line that names the fix."""


@dataclass(frozen=True)
class QueryResult:
    """What came of a query.

    `kind` is active, known, unknown, unimplemented or silence; `reply` is None for silence. `seconds`
    passed from the last sending to the answer, or in all for silence; `attempts` counts sendings.
    """

    kind: str
    reply: Message | None
    seconds: float
    attempts: int
    dialect: Dialect

    @property
    def exit_status(self) -> int:
        """The exit status that tells the answers apart."""
        return EXIT_STATUS[self.kind]

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """All addresses of the client as the reply lists them (R6.4.2-4), else the one in ciaddr."""
        if self.reply is None:
            return ()
        listed = self.reply.options.get(self.dialect.client_addresses_option, b"")
        if listed and len(listed) % 4 == 0:
            return unpack_addresses(listed)
        return (self.reply.ciaddr,) if int(self.reply.ciaddr) else ()

    def as_dict(self) -> dict[str, object]:
        """For JSON: times in seconds, octets in hexadecimal."""
        result: dict[str, object] = {"answer": self.kind, "seconds": self.seconds, "attempts": self.attempts}
        if self.reply is not None:
            numbers = {51: "lease_time", 58: "renewal_time", 59: "rebinding_time", 91: "last_transaction"}
            options = self.reply.options
            result |= {
                "address": str(self.reply.ciaddr),
                "hardware": hardware_address(self.reply.chaddr) if self.reply.chaddr else None,
                "htype": self.reply.htype,
                "reserved": bool(self.reply.flags & self.dialect.r_flag),
                "addresses": list(map(str, self.addresses)),
                **{
                    name: int.from_bytes(options[code], "big")
                    for code, name in numbers.items()
                    if code in options
                },
                "options": {str(code): value.hex() for code, value in options.items()},
            }
        return result

    def __str__(self) -> str:
        if self.reply is None:
            return (
                f"no answer after {self.attempts} attempts in {self.seconds:.1f} s: the server does not "
                "support leasequery, does not allow this giaddr, or cannot be reached"
            )
        return f"{self.reply}\nanswered in {self.seconds * 1000:.1f} ms, attempt {self.attempts}"

    def json(self) -> str:
        """The result as one JSON object."""
        return json.dumps(self.as_dict())


def build(
    *,
    giaddr: IPv4Address | str,
    address: IPv4Address | str | None = None,
    hardware: bytes | str | None = None,
    htype: int = 1,
    client_id: bytes | str | None = None,
    requested: Iterable[int] = REQUESTED,
    dialect: Dialect = RFC4388,
) -> Message:
    """A query in exactly one of the three forms (R6.2-1 to R6.2-6). Raises QueryError with the fix."""
    if sum(item is not None for item in (address, hardware, client_id)) != 1:
        raise QueryError("ask about exactly one of address, hardware address and client identifier")
    try:
        message = Message(xid=random.getrandbits(32), giaddr=IPv4Address(giaddr))
        message.message_type = dialect.leasequery
        if address is not None:
            message.ciaddr = IPv4Address(address)
        elif hardware is not None:
            message.chaddr = parse_hardware_address(hardware) if isinstance(hardware, str) else hardware
            message.htype = htype
        elif client_id is not None:
            message.options[OptionCode.CLIENT_IDENTIFIER] = (
                octets(client_id) if isinstance(client_id, str) else client_id
            )
        if codes := bytes(requested):
            message.options[OptionCode.PARAMETER_REQUEST_LIST] = codes
    except ValueError as error:
        raise QueryError(str(error)) from None
    return message


def ask(
    server: IPv4Address | str,
    *,
    giaddr: IPv4Address | str,
    address: IPv4Address | str | None = None,
    hardware: bytes | str | None = None,
    htype: int = 1,
    client_id: bytes | str | None = None,
    requested: Iterable[int] = REQUESTED,
    dialect: Dialect = RFC4388,
    timeout: float = 1.0,
    attempts: int = 4,
    port: int = SERVER_PORT,
) -> QueryResult:
    """Send one query and wait for its answer.

    It is sent again up to `attempts` times; the first wait is `timeout` seconds, each later one twice
    the one before (R6.6-1). Raises QueryError if it cannot be sent.
    """
    message = build(
        giaddr=giaddr,
        address=address,
        hardware=hardware,
        htype=htype,
        client_id=client_id,
        requested=requested,
        dialect=dialect,
    )
    try:
        destination = str(IPv4Address(server)), port
        sending = message.encode()
    except ValueError as error:
        raise QueryError(str(error)) from None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        try:
            udp.bind((str(message.giaddr), port))
            return _exchange(udp, message, sending, destination, dialect, timeout, attempts)
        except OSError as error:
            raise QueryError(
                f"cannot ask {server} from {giaddr}:{port}: {error.strerror}; set giaddr to an address of "
                "this machine whose port is free; ports below 1024 need root"
            ) from None


def _exchange(
    udp: socket.socket,
    message: Message,
    sending: bytes,
    destination: tuple[str, int],
    dialect: Dialect,
    timeout: float,
    attempts: int,
) -> QueryResult:
    begin = time.monotonic()
    for attempt in range(attempts):
        sent = time.monotonic()
        udp.sendto(sending, destination)
        deadline = sent + timeout * 2**attempt
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([udp], [], [], left)[0]:
                break
            kind, reply = _read(udp, message, destination, dialect)
            if reply is not None:
                return QueryResult(kind, reply, time.monotonic() - sent, attempt + 1, dialect)
    return QueryResult("silence", None, time.monotonic() - begin, attempts, dialect)


def _read(
    udp: socket.socket, message: Message, server: tuple[str, int], dialect: Dialect
) -> tuple[str, Message | None]:
    """One datagram: the answer to our query, or None for anything else."""
    kinds = {getattr(dialect, kind): kind for kind in EXIT_STATUS if kind != "silence"}
    try:
        data, source = udp.recvfrom(65535)
        reply = decode(data)
    except (ConnectionRefusedError, MalformedMessage):  # no server there now: it may be starting
        return "", None
    if source[0] != server[0] or reply.op != BOOTREPLY or reply.xid != message.xid:
        return "", None
    if reply.message_type is None or reply.message_type not in kinds:
        return "", None
    return kinds[reply.message_type], reply
