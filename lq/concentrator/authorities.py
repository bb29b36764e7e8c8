"""Whom to ask: which server manages which address (R6.2-8, R6.5-4)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import QueryForm
from lq.concentrator.query import QueriedServer


class Authorities:
    """Remembers who answered for an address; at most `refused_limit` of them, the oldest makes room."""

    def __init__(self, config: ConcentratorConfig, servers: Collection[QueriedServer]) -> None:
        self._config = config
        self._servers = servers
        self._learnt: OrderedDict[int, IPv4Address] = OrderedDict()

    def remember(self, address: int, server: IPv4Address) -> None:
        """This server manages the address (R6.5-4); of no use unless there are several."""
        if len(self._servers) < 2:
            return
        self._learnt.pop(address, None)
        if len(self._learnt) >= self._config.refused_limit:
            self._learnt.popitem(last=False)
        self._learnt[address] = server

    def able(self, form: QueryForm, address: int | None, now: float) -> list[QueriedServer]:
        """Return the servers that may answer: not those that do not implement the form (R6.5-6).

        Nor, about an address, those that said UNKNOWN lately (R6.5-5).
        """
        return [
            server
            for server in self._servers
            if form not in server.unimplemented
            and (address is None or server.unknown.until(address, now) is None)
        ]

    def order(self, address: int, now: float) -> tuple[Sequence[QueriedServer], Sequence[QueriedServer]]:
        """Return whom to ask by this IP address now, and whom if these do not help (R6.2-8).

        That is the server known to be authoritative, and all others in reserve; or all, if none is
        known or the known one is silent.
        """
        able = self.able("ip", address, now)
        if len(able) < 2:
            return able, ()
        known = self._of(address)
        first = [server for server in able if server.address in known and not server.failed]
        return (first, [server for server in able if server not in first]) if first else (able, ())

    def living(self, address: int, now: float) -> list[QueriedServer]:
        """Return those of them that do not fail, whom to ask first at the front."""
        first, reserve = self.order(address, now)
        return [server for server in (*first, *reserve) if not server.failed]

    def _of(self, address: int) -> tuple[IPv4Address, ...]:
        learnt = self._learnt.get(address)
        if learnt is not None:
            return (learnt,)
        for network, servers in self._config.authorities:
            if address & int(network.netmask) == int(network.network_address):
                return servers
        return ()
