"""The nodes' names as programs in the lab resolve them: an /etc/hosts of the lab's own, no name server."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from lq.sandbox import namespace

_OURS = Path("/run/lab/etc")  # on the lab's own file system, as the mounts are its own: gone with it
_HOSTS, _SERVERS = _OURS / "hosts", _OURS / "resolv.conf"


def prepare() -> None:
    """Put the lab's files in the place of the machine's, which nobody else sees.

    Call it inside the lab before the nodes are made: their namespaces inherit the mounts. Without a name
    server an unknown name is unknown at once, and no query for it crosses the network.
    """
    _OURS.mkdir(parents=True, exist_ok=True)
    tell({})
    _SERVERS.write_text("")
    for file in (_HOSTS, _SERVERS):
        if os.path.exists(f"/etc/{file.name}"):  # nothing can be mounted where nothing is
            namespace.bind(str(file), f"/etc/{file.name}")


def tell(addresses: Mapping[str, str]) -> None:
    """Have these names, and no others but the machine's own, stand for these addresses."""
    lines = [f"127.0.0.1 localhost {socket.gethostname()}"]
    lines += [f"{address} {name}" for name, address in addresses.items()]
    text = "\n".join(lines) + "\n"
    if not _HOSTS.exists() or _HOSTS.read_text() != text:
        _HOSTS.write_text(text)  # in its place: a new file of that name would not be the one mounted
