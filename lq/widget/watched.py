"""What a view knows of the network that it shows."""

from __future__ import annotations

from typing import Any, Protocol


class WatchedNetwork(Protocol):
    """A network to look at. A table of it is a method without arguments that returns a data frame."""

    def view(self) -> dict[str, Any]:
        """Return one moment of the network (`lq.emulation.sight`)."""

    def reboot(self) -> None:
        """Reboot the concentrator; return when the new one holds the switch."""
