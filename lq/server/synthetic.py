"""Bindings from nothing, for studies at scale: `lq serve CONFIG --synthetic N` stores N of them.

The pools of the configuration are filled from their start. Client number n has the hardware address
02:00 and n in four octets, the client identifier 1 and that address, and its own circuit and modem.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from lq.server.bindings import Binding, State
from lq.server.config import ConfigError, Pool, ServerConfig, load
from lq.server.pools import Ranges
from lq.server.schema import Over
from lq.server.storage import Storage
from lq.wire.relay_info import RelayInfo

_TOGETHER = 50_000  # bindings stored by one commit


def bindings(config: ServerConfig, count: int, now: float, lease_time: float = 86400.0) -> Iterator[Binding]:
    """`count` active bindings, last heard at `now`, valid for `lease_time` (seconds).

    Raises ConfigError if the pools hold fewer addresses.
    """
    pools = sorted(config.pools)
    size = sum(int(last) - int(first) + 1 for first, last in pools)
    if not 0 <= count <= size:
        raise ConfigError(
            f"the pools hold {size} addresses, fewer than {count}: enlarge the pools or ask for fewer"
        )
    return _generate(pools, count, now, lease_time)


def _generate(pools: list[Pool], count: int, now: float, lease_time: float) -> Iterator[Binding]:
    for number, packed in enumerate(islice(Ranges(tuple(pools)), count)):
        own = number.to_bytes(4, "big")
        chaddr = b"\x02\x00" + own
        yield Binding(
            packed,
            1,
            chaddr,
            b"\x01" + chaddr,
            State.LEASED,
            now + lease_time,
            now + lease_time / 2,
            now + lease_time * 7 / 8,
            now,
            RelayInfo(b"%d/%d" % divmod(number, 4096), b"\x02\x11" + own).encode(),
        )


def store(config: ServerConfig, found: Iterable[Binding], over: Over = Over.ANY) -> int:
    """Put bindings into the configured database, over those that `over` names; how many.

    Raises StorageError if a server uses the database or it cannot be written.
    """
    storage = Storage(config.database)
    try:
        count = 0
        waiting = iter(found)
        for one in waiting:
            count += storage.commit([one, *islice(waiting, _TOGETHER - 1)], over)
        return count
    finally:
        storage.close()


def fill(config_path: Path | str, count: int) -> int:
    """Store `count` synthetic bindings, heard now, for the server of this configuration; how many.

    An address that another client has leased is left to it. Raises ConfigError or StorageError (both
    BadInput).
    """
    config = load(config_path)
    return store(config, bindings(config, count, time.time()), Over.ENDED)
