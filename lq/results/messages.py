"""What passed the servers' interfaces, read from the captures: DHCP as it was, not as anybody says it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lq.results.pcap import Seen, read_dhcp
from lq.wire import MalformedMessage, MessageType, OptionCode, RelayInfo
from topologies import plan

COLUMNS = ["at", "server", "sent_by", "type", "address", "xid", "chaddr", "modem", "last_transaction"]
COLUMNS += ["duplicate"]


def tabulate(run_dir: Path, result: Mapping[str, Any]) -> pd.DataFrame:
    """Return every DHCP message that passed a server's interface, in the order of time.

    at                seconds since the reboot
    server            the server's node
    sent_by           "server", or "others": the relay, or a host that renews
    type              the message type's name in small letters, such as "leasequery"; else its number
    address           ciaddr, or yiaddr if that is zero; None if both are
    xid, chaddr       the transaction, the client's hardware address
    modem             the remote-id of option 82, None without
    last_transaction  seconds since the client's last one (option 91), NaN without
    duplicate         whether it is a copy that was made on the way: the same IP packet has come before, with
                      the identification that its sender gave to it alone (a message that is sent again has
                      another one; where it is 0 nobody can tell)
    """
    zero = float(result["killed"]) + float(result["clock"])
    rows: list[dict[str, Any]] = []
    for place in plan.SERVERS:
        path = run_dir / f"{place.name}.pcap"
        if path.exists():
            before: set[bytes] = set()
            for seen in read_dhcp(path):
                identified = seen.packet[4:6] != b"\0\0"
                row = {**_row(seen, place), "duplicate": identified and seen.packet in before}
                before.add(seen.packet)
                rows.append({"at": seen.at - zero, **row})
    table: pd.DataFrame = pd.DataFrame(rows, columns=COLUMNS).sort_values("at", ignore_index=True)
    return table


def _row(seen: Seen, place: plan.ServerPlace) -> dict[str, Any]:
    message = seen.message
    info = message.options.get(OptionCode.RELAY_AGENT_INFORMATION)
    age = message.options.get(OptionCode.CLIENT_LAST_TRANSACTION_TIME)
    modem = None if info is None else _modem(info)
    address = message.ciaddr if int(message.ciaddr) else message.yiaddr
    return {
        "server": place.name,
        "sent_by": "server" if seen.source.startswith(f"{place.address}:") else "others",
        "type": _name(message.message_type),
        "address": str(address) if int(address) else None,
        "xid": message.xid,
        "chaddr": message.chaddr.hex(":"),
        "modem": None if modem is None else modem.hex(":"),
        "last_transaction": float("nan") if age is None else float(int.from_bytes(age, "big")),
    }


def _modem(info: bytes) -> bytes | None:
    try:
        return RelayInfo.decode(info).remote_id
    except MalformedMessage:
        return None


def _name(number: int | None) -> str:
    try:
        return MessageType(number or 0).name.lower()
    except ValueError:
        return str(number)
