"""A DHCP client without I/O: the state machine of RFC 2131, 4.4, from DISCOVER to RELEASE.

What may live here: the client's states, its messages and its times. No socket, no clock: the present
time and the server's messages go in, messages to send come out. `deadline` says when to call `wake`.
"""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import NamedTuple

from lq.wire import BOOTREPLY, MalformedMessage, Message, MessageType, OptionCode
from lq.wire.message import ANY
from lq.wire.options import unpack_address, unpack_u32

ETHERNET = 1
INFINITE = 0xFFFFFFFF  # a lease time without end
REQUESTED = bytes((1, 3, 6, 12, 15, 28, 42))
VENDOR_CLASS = b"lq-population"
_MAXIMUM_SIZE = (576).to_bytes(2, "big")
_LEAST_RENEWAL_RETRY = 60.0  # seconds (RFC 2131, 4.4.5)
_REQUEST_ATTEMPTS = 4  # without an answer, until the client begins anew (RFC 2131, 3.1)


class State(enum.Enum):
    """Where a client stands (RFC 2131, figure 5)."""

    STOPPED = "stopped"
    INIT = "init"
    SELECTING = "selecting"
    REQUESTING = "requesting"
    BOUND = "bound"
    RENEWING = "renewing"
    REBINDING = "rebinding"


class Send(NamedTuple):
    """A message to send: to `server` from the client's own address, or (None) as a broadcast from 0.0.0.0."""

    message: Message
    server: IPv4Address | None = None


@dataclass(slots=True)
class Lease:
    """What an ACK gave; times on the caller's clock, in seconds, infinite for a lease without end."""

    address: IPv4Address
    server: IPv4Address
    renew: float
    rebind: float
    expires: float


class Client:
    """One client, known by its hardware address (6 octets) and the identifier made of it.

    Messages that nobody answers are sent again after `retry_first` seconds, then twice as long each time up
    to `retry_last`, each time a quarter more or less (RFC 2131, 4.1: 4 s, 64 s). `deadline` is when to call
    `wake` (infinite: never), `lease` what it holds.
    """

    __slots__ = ("_attempts", "_began", "_former", "_offer", "_random", "_retry", "_xid",
                 "chaddr", "deadline", "lease", "state")  # fmt: skip

    def __init__(
        self, chaddr: bytes, numbers: random.Random, retry_first: float = 4.0, retry_last: float = 64.0
    ) -> None:
        self.chaddr = chaddr
        self.state = State.STOPPED
        self.lease: Lease | None = None
        self.deadline = math.inf
        self._random = numbers
        self._retry = (retry_first, retry_last)
        self._xid = 0
        self._attempts = 0
        self._began = 0.0
        self._former: IPv4Address | None = None  # what it had last: it asks for it again (RFC 2131, 4.4.1)
        self._offer: tuple[IPv4Address, IPv4Address] | None = None  # the address, and whose it is

    # -- what its user wants

    def start(self, now: float) -> list[Send]:
        """Begin to look for a lease; nothing if it is doing so, or holds one."""
        return self._discover(now) if self.state is State.STOPPED else []

    def renew(self, now: float) -> list[Send]:
        """Renew the lease now rather than at T1."""
        return self._extend(State.RENEWING, now) if self.lease is not None else []

    def release(self, now: float) -> list[Send]:
        """Give the lease back, and stop."""
        lease = self.lease
        self._stop(State.STOPPED, math.inf)
        if lease is None:
            return []
        self._new_exchange(now)
        named: dict[int, bytes] = {OptionCode.SERVER_IDENTIFIER: lease.server.packed}
        message = self._message(MessageType.RELEASE, now, named, ciaddr=lease.address, wishes=False)
        return [Send(message, lease.server)]

    # -- what happens

    def receive(self, message: Message, now: float) -> list[Send]:
        """Take a server's message in; what is not for this exchange is ignored."""
        if message.op != BOOTREPLY or message.xid != self._xid or message.chaddr != self.chaddr:
            return []
        kind = message.message_type
        try:
            if kind == MessageType.OFFER and self.state is State.SELECTING:
                server = unpack_address(message.options.get(OptionCode.SERVER_IDENTIFIER, b""))
                self._offer = (message.yiaddr, server)
                self.state, self._attempts = State.REQUESTING, 0
                return self._request(now)
            if self.state not in (State.REQUESTING, State.RENEWING, State.REBINDING):
                return []
            if kind == MessageType.NAK:
                # Begin anew, but not at once: a server that goes on refusing is not to be flooded.
                self._former = None
                self._stop(State.INIT, now + self._delay())
            elif kind == MessageType.ACK:
                self._bind(message, now)
        except MalformedMessage:
            pass
        return []

    def wake(self, now: float) -> list[Send]:
        """Do what is due at `deadline`; calling it early does no harm."""
        if now < self.deadline:
            return []
        lease = self.lease
        if self.state is State.REQUESTING:
            return self._request(now) if self._attempts < _REQUEST_ATTEMPTS else self._discover(now)
        if lease is None or now >= lease.expires:
            return self._discover(now)
        return self._extend(State.RENEWING if now < lease.rebind else State.REBINDING, now)

    # -- the messages

    def _discover(self, now: float) -> list[Send]:
        if self.state is not State.SELECTING:
            self._stop(State.SELECTING, now)
            self._attempts = 0
            self._new_exchange(now)
        self.deadline = now + self._delay()
        named: dict[int, bytes] = {}
        if self._former is not None:
            named[OptionCode.REQUESTED_ADDRESS] = self._former.packed
        return [Send(self._message(MessageType.DISCOVER, now, named))]

    def _request(self, now: float) -> list[Send]:
        assert self._offer is not None
        address, server = self._offer
        self.deadline = now + self._delay()
        named: dict[int, bytes] = {
            OptionCode.REQUESTED_ADDRESS: address.packed,
            OptionCode.SERVER_IDENTIFIER: server.packed,
        }
        return [Send(self._message(MessageType.REQUEST, now, named))]

    def _extend(self, state: State, now: float) -> list[Send]:
        """Ask for more time: the server itself from T1, any server from T2 (RFC 2131, 4.4.5)."""
        lease = self.lease
        assert lease is not None
        if self.state is not state:
            self.state = state
            self._new_exchange(now)
        limit = lease.rebind if state is State.RENEWING else lease.expires
        self.deadline = min(limit, now + max((limit - now) / 2, _LEAST_RENEWAL_RETRY))
        message = self._message(MessageType.REQUEST, now, ciaddr=lease.address)
        return [Send(message, lease.server if state is State.RENEWING else None)]

    def _bind(self, message: Message, now: float) -> None:
        options = message.options
        seconds = unpack_u32(options.get(OptionCode.LEASE_TIME, b""))
        server = unpack_address(options.get(OptionCode.SERVER_IDENTIFIER, b""))
        lasts = math.inf if seconds == INFINITE else float(seconds)
        first, second = lasts / 2, lasts * 7 / 8
        if OptionCode.RENEWAL_TIME in options and OptionCode.REBINDING_TIME in options:
            renewal = unpack_u32(options[OptionCode.RENEWAL_TIME])
            rebinding = unpack_u32(options[OptionCode.REBINDING_TIME])
            if renewal <= rebinding <= lasts:
                first, second = renewal, rebinding
        self.lease = Lease(message.yiaddr, server, now + first, now + second, now + lasts)
        self.state, self.deadline = State.BOUND, self.lease.renew
        self._former, self._offer = message.yiaddr, None

    def _message(
        self,
        kind: MessageType,
        now: float,
        named: Mapping[int, bytes] = MappingProxyType({}),
        *,
        ciaddr: IPv4Address = ANY,
        wishes: bool = True,
    ) -> Message:
        options: dict[int, bytes] = {OptionCode.MESSAGE_TYPE: bytes((kind,)), **named}
        if wishes:
            options[OptionCode.MAXIMUM_MESSAGE_SIZE] = _MAXIMUM_SIZE
            options[OptionCode.PARAMETER_REQUEST_LIST] = REQUESTED
            options[OptionCode.VENDOR_CLASS_IDENTIFIER] = VENDOR_CLASS
        options[OptionCode.CLIENT_IDENTIFIER] = bytes((ETHERNET,)) + self.chaddr
        return Message(
            htype=ETHERNET,
            xid=self._xid,
            secs=min(int(now - self._began), 0xFFFF),
            ciaddr=ciaddr,
            chaddr=self.chaddr,
            options=options,
        )

    def _new_exchange(self, now: float) -> None:
        self._xid = self._random.getrandbits(32)
        self._began = now

    def _stop(self, state: State, deadline: float) -> None:
        """Hold nothing any more."""
        self.state, self.deadline, self.lease, self._offer = state, deadline, None, None

    def _delay(self) -> float:
        """Seconds until the message about to be sent is sent again."""
        first, last = self._retry
        delay = min(first * 2.0**self._attempts, last)
        self._attempts = min(self._attempts + 1, 64)
        return delay * self._random.uniform(0.75, 1.25)
