"""What passed the servers' interfaces, read from the captures: DHCP as it was, not as anybody says it was."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pandas as pd
from scapy.utils import RawPcapReader

from lq.wire import MalformedMessage, MessageType, OptionCode, RelayInfo, decode
from topologies import plan

COLUMNS = ["at", "server", "sent_by", "type", "address", "xid", "chaddr", "modem", "last_transaction"]
COLUMNS += ["duplicate"]
_UDP, _SERVER_PORT = 17, 67


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
            seen: set[bytes] = set()
            with RawPcapReader(str(path)) as reader:
                for frame, stamp in reader:
                    row = _row(frame, place)
                    if row is not None:
                        packet, identified = frame[14:], frame[18:20] != b"\0\0"
                        row["duplicate"] = identified and packet in seen
                        seen.add(packet)
                        # The capture writes nanoseconds.
                        rows.append({"at": stamp.sec + stamp.usec * 1e-9 - zero, **row})
    table: pd.DataFrame = pd.DataFrame(rows, columns=COLUMNS).sort_values("at", ignore_index=True)
    return table


def _row(frame: bytes, place: plan.ServerPlace) -> dict[str, Any] | None:
    """Return what a frame says, None if it holds no DHCP message."""
    if frame[12:14] != b"\x08\x00" or frame[23] != _UDP:
        return None
    header = (frame[14] & 15) * 4
    udp = frame[14 + header :]
    if _SERVER_PORT not in (int.from_bytes(udp[0:2], "big"), int.from_bytes(udp[2:4], "big")):
        return None
    try:
        message = decode(udp[8:])
    except MalformedMessage:
        return None
    info = message.options.get(OptionCode.RELAY_AGENT_INFORMATION)
    age = message.options.get(OptionCode.CLIENT_LAST_TRANSACTION_TIME)
    modem = None if info is None else RelayInfo.decode(info).remote_id
    address = message.ciaddr if int(message.ciaddr) else message.yiaddr
    return {
        "server": place.name,
        "sent_by": "server" if IPv4Address(frame[26:30]) == place.address else "others",
        "type": _name(message.message_type),
        "address": str(address) if int(address) else None,
        "xid": message.xid,
        "chaddr": message.chaddr.hex(":"),
        "modem": None if modem is None else modem.hex(":"),
        "last_transaction": float("nan") if age is None else float(int.from_bytes(age, "big")),
    }


def _name(number: int | None) -> str:
    try:
        return MessageType(number or 0).name.lower()
    except ValueError:
        return str(number)
