"""The tables of a live network: its nodes, and what concentrator, servers and switch know."""

from __future__ import annotations

import pandas as pd

from lq.live.asking import Asking, frame

TABLES = ("hosts", "locations", "refused", "bindings", "flows")
HOST_COLUMNS = ["host", "address", "state"]
LOCATION_COLUMNS = ["address", "tags", "expires_in"]
REFUSED_COLUMNS = ["address", "reason", "ends_in"]
BINDING_COLUMNS = [
    "server", "address", "state", "chaddr", "client_id", "expires_in", "last_transaction", "circuit_id",
    "remote_id",
]  # fmt: skip
FLOW_COLUMNS = ["table", "priority", "match", "actions", "packets", "octets", "age", "hard_timeout"]


class LiveTables(Asking):
    """Tables, each as it is at the moment."""

    def nodes(self) -> pd.DataFrame:
        """Return every node: `node`, `kind`."""
        return frame(self._ask("nodes"))

    def hosts(self) -> pd.DataFrame:
        """Return every subscriber: `host`, `address`, `state` (unknown, asking, located, refused).

        The state is what the concentrator knows of the address: while it is down, "unknown".
        """
        return frame(self._ask("hosts"), HOST_COLUMNS)

    def locations(self) -> pd.DataFrame:
        """Return the concentrator's locations: `address`, `tags` of the circuit, `expires_in` seconds.

        Empty while it is down, and so is `refused`.
        """
        return frame(self._ask("locations"), LOCATION_COLUMNS)

    def refused(self) -> pd.DataFrame:
        """Return the negative cache: `address`, `reason`, `ends_in` seconds."""
        return frame(self._ask("refused"), REFUSED_COLUMNS)

    def flows(self) -> pd.DataFrame:
        """Return the flow table of the concentrator's switch; `age` and `hard_timeout` in seconds."""
        return frame(self._ask("flows"), FLOW_COLUMNS)

    def bindings(self) -> pd.DataFrame:
        """Return what each DHCP server has bound, whether it runs or not: see BINDING_COLUMNS.

        `expires_in` and `last_transaction` in seconds from now. BadInput for a kind of server whose file of
        leases is not read: `server.kind` is to be builtin or dhcpd.
        """
        return frame(self._ask("bindings"), BINDING_COLUMNS)
