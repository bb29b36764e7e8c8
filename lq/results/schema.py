"""What the tables and summaries of runs hold: columns and keys, with their units and meanings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["time", "time?", "number", "number?", "text", "text?", "bool", "bool?"]
"""What a column or key holds: times in seconds; with a question mark, some values may be missing."""


@dataclass(frozen=True)
class Column:
    """A column of a table, or a key of the summary: its name, what it holds, the unit ("" for none)."""

    name: str
    kind: Kind
    unit: str
    meaning: str


VERDICT = Column("verdict", "text", "", "what was found, in words")

WIRE = (
    Column("at", "time", "s", "since the reboot"),
    Column("server", "text", "", "the server's node"),
    Column("sent_by", "text", "", '"server", or "others": the relay, or a host that renews'),
    Column("type", "text", "", "the message type's name in small letters; else its number"),
    Column("address", "text?", "", "ciaddr, or yiaddr if that is zero"),
    Column("xid", "number", "", "the transaction"),
    Column("chaddr", "text", "", "the client's hardware address"),
    Column("modem", "text?", "", "the remote-id of option 82"),
    Column("last_transaction", "number?", "s", "since the client's last transaction (option 91)"),
    Column("duplicate", "bool", "", "a copy that was made on the way"),
)
"""The table `wire`: every DHCP message that passed a server's interface (`lq.results.messages`)."""


def prefixed(prefix: str, columns: Iterable[Column], meaning: str) -> tuple[Column, ...]:
    """Return columns of the same kinds with a prefix to each name, and `meaning` before each meaning."""
    return tuple(
        Column(prefix + column.name, column.kind, column.unit, f"{meaning}{column.meaning}")
        for column in columns
    )
