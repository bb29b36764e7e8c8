"""Option 82: made for a client's circuit, and read to tell where a client is (RFC 3046; R1-3, R5-11).

Its circuit-id names a circuit (the forms are in `lq.concentrator.circuit_id`). Its remote-id is the hardware
address of the subscriber's modem. The place where the modem is registered counts more than the circuit-id: a
modem moves, and the server's word is as old as the lease.
"""

from __future__ import annotations

from collections.abc import Collection

from lq.concentrator.circuit_id import CircuitIdFormat
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.events import Circuit
from lq.wire import RelayInfo

_MOST_READ = 65536  # circuit-ids, of 255 octets at most


class OwnCircuits:
    """The circuits that this concentrator can have: on a port of its access side, with its number of tags."""

    _PORTS = range(1, 0xFFFFFF00)  # OpenFlow 1.3, A.2.1: higher numbers are no ports

    def __init__(self, config: ConcentratorConfig) -> None:
        self._ports = config.access_ports or self._PORTS
        self._tags = (config.circuit_tags,) if config.circuit_tags else (1, 2)
        self._trusted = frozenset(config.trusted_circuits)

    def __contains__(self, circuit: Circuit) -> bool:
        return circuit.port in self._ports and len(circuit.tags) in self._tags

    def trusted(self, circuit: Circuit) -> bool:
        """Whether the access node on this circuit inserts option 82 itself (RFC 3046, 2.1.1)."""
        trusted = self._trusted
        return bool(trusted) and ("all" in trusted or ".".join(map(str, circuit.tags)) in trusted)


class Modems:
    """The registered modems; option 82 made from them and read with them.

    With `registered_only` a modem that is not registered is nowhere, whatever the circuit-id says.
    """

    def __init__(self, circuit_ids: CircuitIdFormat, own: OwnCircuits, registered_only: bool = False) -> None:
        self._circuit_ids = circuit_ids
        self._own = own
        self._read: dict[bytes, Circuit | None] = {}
        self._registered_only = registered_only
        self._circuit_of: dict[bytes, Circuit] = {}
        self._modem_on: dict[Circuit, bytes] = {}

    def __len__(self) -> int:
        return len(self._circuit_of)

    @property
    def circuits(self) -> Collection[Circuit]:
        """The circuits that have a modem."""
        return self._modem_on.keys()

    def register(self, modem: bytes, circuit: Circuit) -> bool:
        """Note that the modem is on the circuit now, alone; return whether that is news."""
        if self._circuit_of.get(modem) == circuit:
            return False
        former_circuit = self._circuit_of.pop(modem, None)
        if former_circuit is not None:
            del self._modem_on[former_circuit]
        former_modem = self._modem_on.pop(circuit, None)
        if former_modem is not None:
            del self._circuit_of[former_modem]
        self._circuit_of[modem] = circuit
        self._modem_on[circuit] = modem
        return True

    def relay_info(self, circuit: Circuit) -> RelayInfo:
        """Return option 82 for a client on this circuit: circuit-id, and remote-id = the modem's address."""
        return RelayInfo(self._circuit_ids.encode(circuit), self._modem_on.get(circuit))

    def modem_on(self, circuit: Circuit) -> bytes | None:
        """Return the modem that is registered on a circuit."""
        return self._modem_on.get(circuit)

    def inserted_rightly(self, circuit: Circuit, value: bytes) -> bool:
        """Whether an access node that may do so put this option 82 in, and named the circuit it came from.

        Raises MalformedMessage.
        """
        return self._own.trusted(circuit) and self.circuit(RelayInfo.decode(value)) == circuit

    def foreign(self, info: RelayInfo) -> bool:
        """Whether this concentrator cannot have written this option 82: its circuit-id names none of ours."""
        return info.circuit_id is not None and self._named(info.circuit_id) is None

    def circuit(self, info: RelayInfo) -> Circuit | None:
        """Return where a client with this option 82 is now (R1-3, R5-11).

        That is where its modem is registered; else the circuit that the circuit-id names, unless
        another modem has that circuit now, or it names a modem and only registered ones count; else None.
        Of option 82 that is none of ours it is None, too.
        """
        circuit_id, modem = info.circuit_id, info.remote_id
        named = None if circuit_id is None else self._read.get(circuit_id) or self._named(circuit_id)
        if named is None and circuit_id is not None:
            return None
        if modem is not None:
            circuit = self._circuit_of.get(modem)
            if circuit is not None or self._registered_only:
                return circuit
        if named is None or (modem is not None and named in self._modem_on):
            return None
        return named

    def _named(self, circuit_id: bytes) -> Circuit | None:
        """Return the circuit of ours that a circuit-id names. Answers repeat them: each is read once."""
        try:
            return self._read[circuit_id]
        except KeyError:
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            circuit = self._circuit_ids.decode(circuit_id)
            own = circuit if circuit is not None and circuit in self._own else None
            return self._read.setdefault(circuit_id, own)
