"""Captured DHCP as a table, in the words of the draft, and captures in Wireshark while they grow."""

from __future__ import annotations

import collections
import contextlib
import operator
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lq.errors import BadInput
from lq.live.asking import frame
from lq.results.pcap import Seen, read_dhcp
from lq.wire import MalformedMessage, Message, OptionCode, RelayInfo
from lq.wire.text import type_name

MOST_MESSAGES = 200_000  # rows of the table; the latest are kept
COLUMNS = [
    "time", "node", "from", "to", "type", "xid", "ciaddr", "yiaddr", "giaddr", "chaddr", "lease_time",
    "last_transaction_time", "circuit_id", "remote_id",
]  # fmt: skip


def table(files: Mapping[Path, str], zero: float) -> pd.DataFrame:
    """Return the DHCP messages in captures, each file with its node's name, in the order of time.

    `time` is in seconds since `zero`, in seconds since 1970. What is no DHCP, or damaged, is left out.
    """
    latest: list[dict[str, Any]] = []
    for file, node in files.items():
        own: collections.deque[dict[str, Any]] = collections.deque(maxlen=MOST_MESSAGES)
        with contextlib.suppress(BadInput):  # it is not there yet, or any more
            own.extend(_row(seen, node, zero) for seen in read_dhcp(file))
        latest = sorted([*latest, *own], key=operator.itemgetter("time"))[-MOST_MESSAGES:]
    return frame(latest, COLUMNS)


def _row(seen: Seen, node: str, zero: float) -> dict[str, Any]:
    message = seen.message
    info = _relay_info(message)
    kind = type_name(message.message_type)
    return {
        "time": seen.at - zero,
        "node": node,
        "from": seen.source,
        "to": seen.destination,
        "type": kind if kind == "BOOTP" else f"DHCP{kind}" if kind.isupper() else kind,
        "xid": f"{message.xid:08x}",
        **{name: str(getattr(message, name)) for name in ("ciaddr", "yiaddr", "giaddr")},
        "chaddr": message.chaddr.hex(":"),
        "lease_time": _seconds(message, OptionCode.LEASE_TIME),
        "last_transaction_time": _seconds(message, OptionCode.CLIENT_LAST_TRANSACTION_TIME),
        "circuit_id": None if info.circuit_id is None else info.circuit_id.hex(),
        "remote_id": None if info.remote_id is None else info.remote_id.hex(":"),
    }


def _relay_info(message: Message) -> RelayInfo:
    try:
        return RelayInfo.decode(message.options.get(OptionCode.RELAY_AGENT_INFORMATION, b""))
    except MalformedMessage:
        return RelayInfo(None, None)


def _seconds(message: Message, option: OptionCode) -> float:
    value = message.options.get(option, b"")
    return float(int.from_bytes(value, "big")) if len(value) == 4 else float("nan")


class CommandLine(str):
    """A command line to paste into a terminal; a notebook shows it as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def wireshark(file: Path, keeper: int) -> CommandLine:
    """Open Wireshark on a capture that grows, where that can be done; return the line that does it.

    It follows the capture as long as the process `keeper` lives, which is as long as the lab is open.
    """
    line = CommandLine(f"tail -c +1 -f --pid={keeper} {shlex.quote(str(file))} | wireshark -k -i -")
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if display and shutil.which("wireshark"):
        subprocess.Popen(
            ["sh", "-c", line],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    return line
