"""The states that the checks ask about, made as a network makes them: by leasing, renewing, waiting,
releasing, declining.

Clients have hardware addresses of a block drawn at random, so that one run does not meet the
bindings of another.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from lq.conformance.requester import Requester
from lq.wire import Message, MessageType, OptionCode, RelayInfo
from lq.wire.message import ANY
from lq.wire.options import INFINITE, pack_u32

PAUSE = 1.2
"""Seconds that tell two moments apart for a server that counts whole seconds."""

ASKED_FOR = (1, 3, 6, 12, 15, 51, 54, 58, 59)  # a client's own Parameter Request List
_TRIED = 3  # sendings of a client's message
_ENDED = ("expired", "released", "declined", "lapsed", "left")


class Unavailable(Exception):
    """A state could not be made; the message says why."""


@dataclass
class PlayedClient:
    """A client: who it is, what it sent last, what it asks for, and what it was last acknowledged.

    `acked` is (first sending, receipt) of that exchange on the monotonic clock, in seconds.
    """

    chaddr: bytes
    client_id: bytes | None = None
    options: dict[int, bytes] = field(default_factory=dict)
    relay_info: bytes = b""
    asks_for: tuple[int, ...] = ASKED_FOR
    address: IPv4Address = ANY
    ack: Message | None = None
    acked: tuple[float, float] = (0.0, 0.0)

    def granted(self, code: int) -> int | None:
        """Seconds that the last ACK says in option 51, 58 or 59; None where it is not there."""
        value = self.ack.options.get(code) if self.ack is not None else None
        return None if value is None else int.from_bytes(value, "big")

    @property
    def age(self) -> float:
        """Seconds since the last ACK, at least."""
        return time.monotonic() - self.acked[1]


class PreparedStates:
    """Makes states at a server through one relay agent, and holds them by name.

    `prepare` makes those named and overlaps their waits; one that cannot be made raises Unavailable
    when it is asked for. Times are in seconds.
    """

    def __init__(
        self,
        requester: Requester,
        giaddr: IPv4Address,
        timeout: float,
        short_lease: int,
        patience: float,
        free: IPv4Address | None,
    ) -> None:
        self._requester = requester
        self._giaddr = giaddr
        self._timeout = timeout
        self._short_lease = short_lease
        self._patience = patience
        self._free = free
        self._block = bytes((0x02, *random.randbytes(3)))
        self._count = 0
        self._made: dict[str, PlayedClient | IPv4Address | Unavailable] = {}
        self._holding: list[PlayedClient] = []
        self._latest: dict[IPv4Address, PlayedClient] = {}  # who was given an address last

    # -- what the checks see ------------------------------------------------------------------------

    def subscriber(self, name: str) -> PlayedClient:
        """The client of a state prepared. Raises Unavailable."""
        found = self._get(name)
        assert isinstance(found, PlayedClient)
        return found

    @property
    def free(self) -> IPv4Address:
        """An address of a pool that nobody has leased. Raises Unavailable."""
        found = self._get("free")
        assert isinstance(found, IPv4Address)
        return found

    def _get(self, name: str) -> PlayedClient | IPv4Address:
        self.prepare([name])
        found = self._made[name]
        if isinstance(found, Unavailable):
            raise found
        if name in _ENDED and isinstance(found, PlayedClient) and self._latest[found.address] is not found:
            raise Unavailable(f"the server gave {found.address} to another client at once")
        return found

    def new_client(self, name: str = "") -> PlayedClient:
        """A client that no server has heard of; with a client identifier if it is given a name."""
        self._count += 1
        number = self._count
        client = PlayedClient(self._block + number.to_bytes(2, "big"))
        if name:
            client.client_id = b"\x00" + name.encode() + b" " + client.chaddr
        client.options = {
            OptionCode.VENDOR_CLASS_IDENTIFIER: b"conformance %d" % number,
            OptionCode.HOST_NAME: b"host%d" % number,
        }
        client.relay_info = RelayInfo(b"circuit %d" % number, b"modem" + client.chaddr).encode()
        return client

    def prepare(self, names: Iterable[str]) -> None:
        """Make the states named that are not there yet; their waits overlap."""
        makers: dict[str, Callable[[], PlayedClient | IPv4Address]] = {
            "expired": lambda: self.lease(self.new_client(), seconds=self._short_lease),
            "ageing": lambda: self.lease(self.new_client(), seconds=max(3 * self._short_lease, 6)),
            "staying": lambda: self.lease(self.new_client("stays")),
            "lapsed": lambda: self._beside_staying("lapses", self._short_lease),
            "left": lambda: self.release(self._beside_staying("leaves")),
            "endless": lambda: self.lease(self.new_client(), seconds=INFINITE),
            "undemanding": self._undemanding,
            "older": lambda: self.lease(self.new_client("first of two")),
            "leased": self._leased,
            "identified": lambda: self.lease(self.new_client("identified")),
            "released": lambda: self.release(self.lease(self.new_client())),
            "declined": lambda: self._decline(self.lease(self.new_client())),
            "moved-from": lambda: self.release(self.lease(self.new_client())),
            "moved-to": self._moved_to,
            "free": self._free_address,
            "newer": self._newer,
        }
        wanted = {name for name in names if name not in self._made}
        for first, second in (
            ("older", "newer"),
            ("moved-from", "moved-to"),
            ("staying", "lapsed"),
            ("staying", "left"),
        ):
            wanted |= {first} if second in wanted and first not in self._made else set()
        for name, make in makers.items():
            if name in wanted:
                try:
                    self._made[name] = make()
                except Unavailable as reason:
                    self._made[name] = reason
        for name, wait in (
            ("expired", self._wait_out),
            ("lapsed", self._wait_out),
            ("ageing", self._wait_for_renewal),
        ):
            if name in wanted:
                try:
                    wait(self.subscriber(name))
                except Unavailable as reason:
                    self._made[name] = reason

    # -- what a client does -------------------------------------------------------------------------

    def lease(
        self, client: PlayedClient, seconds: int | None = None, address: IPv4Address | None = None
    ) -> PlayedClient:
        """DISCOVER to ACK, asking for a lease time and an address if given. Raises Unavailable."""
        asked: dict[int, bytes] = {OptionCode.LEASE_TIME: pack_u32(seconds)} if seconds is not None else {}
        wanted: dict[int, bytes] = (
            {OptionCode.REQUESTED_ADDRESS: address.packed} if address is not None else {}
        )
        offer, _ = self._exchange(client, MessageType.DISCOVER, asked | wanted)
        if offer is None or offer.message_type != MessageType.OFFER:
            raise Unavailable("the server offers a client behind this relay no address")
        chosen: dict[int, bytes] = {
            OptionCode.REQUESTED_ADDRESS: offer.yiaddr.packed,
            OptionCode.SERVER_IDENTIFIER: offer.options.get(OptionCode.SERVER_IDENTIFIER, b""),
        }
        if address is not None and offer.yiaddr != address:
            raise Unavailable(f"the server offers {offer.yiaddr} where {address} was asked for")
        ack, times = self._exchange(client, MessageType.REQUEST, asked | chosen)
        if ack is None or ack.message_type != MessageType.ACK:
            raise Unavailable(f"the server does not acknowledge {offer.yiaddr}, which it offered")
        client.address, client.ack, client.acked = ack.yiaddr, ack, times
        self._holding.append(client)
        self._latest[client.address] = client
        return client

    def renew(self, client: PlayedClient) -> PlayedClient:
        """A REQUEST for the address held, through the relay. Raises Unavailable."""
        ack, times = self._exchange(client, MessageType.REQUEST, {}, client.address)
        if ack is None or ack.message_type != MessageType.ACK:
            raise Unavailable(f"the server does not renew the lease of {client.address}")
        client.ack, client.acked = ack, times
        return client

    def release(self, client: PlayedClient) -> PlayedClient:
        """RELEASE, which has no answer."""
        self._send(client, MessageType.RELEASE, client.address)
        return client

    def _decline(self, client: PlayedClient) -> PlayedClient:
        self._send(client, MessageType.DECLINE, ANY, client.address)
        return client

    def leave(self) -> None:
        """Release whatever lease stands."""
        while self._holding:
            self.release(self._holding[0])

    # -- how the states come about -------------------------------------------------------------------

    def _leased(self) -> PlayedClient:
        """Leased, then renewed from elsewhere with another vendor class and an unusual option 82."""
        client = self.lease(self.new_client())
        client.options[OptionCode.VENDOR_CLASS_IDENTIFIER] += b" renewed"
        moved = RelayInfo(b"\x00\x04moved", b"modem\xff" + client.chaddr, ((9, b"own\x00part"),), (9, 2, 1))
        client.relay_info = moved.encode()
        return self.renew(client)

    def _newer(self) -> PlayedClient:
        """A second lease of the same hardware address, later and shorter than the first."""
        older = self.subscriber("older")
        self.wait_for_age(older)
        client = self.new_client("second of two")
        client.chaddr = older.chaddr
        lease = older.granted(OptionCode.LEASE_TIME) or 120
        self.lease(client, seconds=max(lease // 2, 1))
        if client.address == older.address:
            raise Unavailable("the server gives a second client of one hardware address no second lease")
        return client

    def _beside_staying(self, name: str, seconds: int | None = None) -> PlayedClient:
        """A later lease of the hardware address that has one already."""
        staying = self.subscriber("staying")
        self.wait_for_age(staying)
        client = self.new_client(name)
        client.chaddr = staying.chaddr
        self.lease(client, seconds)
        if client.address == staying.address:
            raise Unavailable("the server gives a second client of one hardware address no second lease")
        return client

    def _undemanding(self) -> PlayedClient:
        """Leased by a client that sends no Parameter Request List."""
        client = self.new_client()
        client.asks_for = ()
        return self.lease(client)

    def _moved_to(self) -> PlayedClient:
        """A lease of the address that another client had before."""
        return self.lease(self.new_client(), address=self.subscriber("moved-from").address)

    def _free_address(self) -> IPv4Address:
        if self._free is not None:
            return self._free
        offer, _ = self._exchange(self.new_client(), MessageType.DISCOVER, {})
        if offer is None or offer.message_type != MessageType.OFFER:
            raise Unavailable("the server offers no free address; name one with --free")
        return offer.yiaddr

    def _wait_out(self, client: PlayedClient) -> None:
        lease = client.granted(OptionCode.LEASE_TIME)
        if lease is None or lease > self._patience:
            raise Unavailable(
                f"the server grants {lease} s where {self._short_lease} s were asked for, more than is "
                f"waited out ({self._patience:g} s): let it grant short leases or be more patient"
            )
        self.wait_for_age(client, lease + PAUSE)

    def _wait_for_renewal(self, client: PlayedClient) -> None:
        """Wait until T1 has passed: what the client was told, else half of the lease (RFC 2131, 4.4.5)."""
        lease, renewal = client.granted(OptionCode.LEASE_TIME) or 0, client.granted(OptionCode.RENEWAL_TIME)
        renewal = lease // 2 if renewal is None else renewal
        if renewal > self._patience or renewal + 2 * PAUSE > lease:
            raise Unavailable(
                f"T1 is {renewal} s of a lease of {lease} s, which leaves no time to ask after it"
            )
        self.wait_for_age(client, renewal + PAUSE)

    @staticmethod
    def wait_for_age(client: PlayedClient, age: float = PAUSE) -> None:
        """Wait until the last transaction of a client is so old."""
        time.sleep(max(age - client.age, 0))

    # -- messages -----------------------------------------------------------------------------------

    def _message(
        self, client: PlayedClient, kind: MessageType, extra: dict[int, bytes], ciaddr: IPv4Address
    ) -> Message:
        message = Message(
            htype=1,
            hops=1,
            xid=random.getrandbits(32),
            ciaddr=ciaddr,
            giaddr=self._giaddr,
            chaddr=client.chaddr,
        )
        message.message_type = kind
        message.options |= extra
        if client.client_id is not None:
            message.options[OptionCode.CLIENT_IDENTIFIER] = client.client_id
        message.options[OptionCode.RELAY_AGENT_INFORMATION] = client.relay_info
        return message

    def _exchange(
        self,
        client: PlayedClient,
        kind: MessageType,
        extra: dict[int, bytes],
        ciaddr: IPv4Address = ANY,
    ) -> tuple[Message | None, tuple[float, float]]:
        message = self._message(client, kind, client.options | extra, ciaddr)
        if client.asks_for:
            message.options[OptionCode.PARAMETER_REQUEST_LIST] = bytes(client.asks_for)
        arrival = self._requester.exchange(message, self._timeout, _TRIED)
        if arrival is None:
            return None, (0.0, 0.0)
        return arrival.reply, (arrival.sent, arrival.received)

    def _send(
        self,
        client: PlayedClient,
        kind: MessageType,
        ciaddr: IPv4Address,
        requested: IPv4Address | None = None,
    ) -> None:
        assert client.ack is not None
        server = client.ack.options.get(OptionCode.SERVER_IDENTIFIER, b"")
        extra: dict[int, bytes] = {OptionCode.SERVER_IDENTIFIER: server}
        if requested is not None:
            extra[OptionCode.REQUESTED_ADDRESS] = requested.packed
        self._requester.send(self._message(client, kind, extra, ciaddr))
        self._holding.remove(client)
