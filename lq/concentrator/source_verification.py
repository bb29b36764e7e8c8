"""Source verification: a packet may bear an address only where that address is located (R1-5).

The rule itself is `Location.admits`: the circuit and the hardware address must both be those of the location.
The switch applies it to located addresses; here it is applied to packets that came before their address was
located. An address that somebody spoofs keeps its location: the answer locates the owner, whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterable

from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Drop, Effect, SpoofedSource, Upstream
from lq.concentrator.location import Locations
from lq.concentrator.reasons import DropReason


class SourceVerification:
    """Judges the sources of packets by the table of locations."""

    def __init__(self, config: ConcentratorConfig, locations: Locations) -> None:
        self._drop_time = config.drop_time
        self._locations = locations

    def verify(self, sources: Iterable[Upstream], now: float, out: list[Effect]) -> None:
        """Drop what came from these sources, except from the one where its address is."""
        for source in sources:
            location = self._locations.get(int(source.address), now)
            if location is None or not location.admits(source.circuit, source.chaddr):
                out.append(self.spoofed(source, now))

    def spoofed(self, source: Upstream, now: float) -> Drop:
        """Return the effect on a source that does not have the address that it bears."""
        until = now + self._drop_time
        unseen = SpoofedSource(source.circuit, source.chaddr, source.address)
        return Drop(DropReason.SPOOFED, source.address, source.circuit, source.chaddr, until, unseen)
