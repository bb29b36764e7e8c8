"""What a server's answer to a query says (section 6.5), and which of two says more (6.7)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Reply
from lq.wire import BOOTREPLY, MalformedMessage, Message, OptionCode, RelayInfo
from lq.wire.options import lease_end, unpack_addresses, unpack_u32

_RELAY_AGENT_INFORMATION = int(OptionCode.RELAY_AGENT_INFORMATION)
_LAST_TRANSACTION = int(OptionCode.CLIENT_LAST_TRANSACTION_TIME)
_LEASE_TIME = int(OptionCode.LEASE_TIME)
_RANK: dict[Reply, int] = {"unimplemented": 0, "unknown": 1, "known": 2, "active": 3}


@dataclass(slots=True)
class Answer:
    """One answer, read.

    `expires` is None unless the address may be used: until the lease ends, or for the time that the
    configuration gives a reservation. `since` is when the client last dealt with that server (R6.7-1),
    where the answer says so. `others` are the client's addresses that the answer lists (R6.1-2,
    R6.4.2-4).
    """

    reply: Reply
    address: IPv4Address
    htype: int
    chaddr: bytes
    info: RelayInfo | None
    expires: float | None
    since: float | None
    others: tuple[IPv4Address, ...] = ()

    def outweighs(self, other: Answer | None) -> bool:
        """Whether this answer counts more than one that came before from another server.

        The more recent transaction decides (R6.7-1); where one does not give its time, ACTIVE counts
        more than KNOWN and KNOWN more than UNKNOWN, and the first of two equals stands.
        """
        if other is None:
            return True
        if self.since is not None and other.since is not None:
            return self.since > other.since
        return _RANK[self.reply] > _RANK[other.reply]


class Reader:
    """Reads answers by one configuration's dialect and policies."""

    def __init__(self, config: ConcentratorConfig) -> None:
        self._config = config
        dialect = config.dialect
        self.replies: dict[int, Reply] = {
            dialect.active: "active",
            dialect.known: "known",
            dialect.unknown: "unknown",
        }
        if dialect.unimplemented is not None:
            self.replies[dialect.unimplemented] = "unimplemented"

    def read(self, message: Message, reply: Reply, now: float) -> Answer:
        """Read a reply to a query. Raises MalformedMessage for what cannot be one."""
        if message.op != BOOTREPLY:
            raise MalformedMessage("an answer to a query is a BOOTREPLY")
        options = message.options
        if reply in ("unknown", "unimplemented"):
            return Answer(reply, message.ciaddr, 0, b"", None, None, None)
        value = options.get(_RELAY_AGENT_INFORMATION)
        info = None if value is None else RelayInfo.decode(value)
        value = options.get(_LAST_TRANSACTION)
        since = None if value is None else now - unpack_u32(value)
        value = options.get(self._config.dialect.client_addresses_option)
        others = () if value is None else unpack_addresses(value)
        return Answer(
            reply,
            message.ciaddr,
            message.htype,
            message.chaddr,
            info,
            self._expires(message, reply, now),
            since,
            others,
        )

    def _expires(self, message: Message, reply: Reply, now: float) -> float | None:
        """Return until when the address may be used, None if it may not.

        ACTIVE: until its lease expires (R6.5-1), or without a lease time, by which the server admits a
        reservation (R6.4-5), for the reservation time. KNOWN: if it bears the R flag and the
        configuration admits reservations (R6.5-3).
        """
        config = self._config
        value = message.options.get(_LEASE_TIME)
        if reply == "active":
            if value is None:
                return now + config.reservation_time
            seconds = unpack_u32(value)
            return lease_end(seconds, now) if seconds else None
        reserved = bool(message.flags & config.dialect.r_flag)
        return now + config.reservation_time if reserved and config.admit_reserved else None
