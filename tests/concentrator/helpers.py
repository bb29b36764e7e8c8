"""What the tests of the concentrator share: addresses, engines, messages."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from lq.concentrator.circuit_id import BinaryCircuitId
from lq.concentrator.config import ConcentratorConfig
from lq.concentrator.engine import Concentrator
from lq.concentrator.events import Circuit, Effect, FromServer, ToServer
from lq.simulation.server import Binding, ServerModel
from lq.simulation.world import World
from lq.wire import BOOTREPLY, DRAFT_03, Message, MessageType, OptionCode, RelayInfo
from lq.wire.options import pack_u32

NETWORK = IPv4Network("198.18.0.0/16")
GIADDR = IPv4Address("198.18.0.1")
SERVER = IPv4Address("198.19.1.2")
SECOND = IPv4Address("198.19.1.3")
HOST = IPv4Address("198.18.0.16")
CIRCUIT = Circuit(2, (7,))
OTHER_CIRCUIT = Circuit(2, (8,))
MAC = bytes.fromhex("020a00000001")
OTHER_MAC = bytes.fromhex("020a00000002")
MODEM = bytes.fromhex("020b00000001")
OTHER_MODEM = bytes.fromhex("020b00000002")
LEASE = 3600.0


def config(**settings: Any) -> ConcentratorConfig:
    # Who may take an address over has tests of its own (test_claims); the others get no further queries.
    defaults: dict[str, Any] = {"servers": (SERVER,), "seed": 1, "dialect": DRAFT_03, "moves": "always"}
    networks = tuple(IPv4Network(each) for each in settings.pop("networks", (NETWORK,)))
    return ConcentratorConfig(GIADDR, networks, **{**defaults, **settings})


def engine(**settings: Any) -> Concentrator:
    return Concentrator(config(**settings))


def info(circuit: Circuit = CIRCUIT, modem: bytes | None = None) -> RelayInfo:
    return RelayInfo(BinaryCircuitId().encode(circuit), modem)


def of_type(kind: type[Any], effects: list[Effect]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


def queries(effects: list[Effect]) -> list[ToServer]:
    return [each for each in of_type(ToServer, effects) if each.query is not None]


def drops(effects: list[Effect]) -> list[str]:
    from lq.concentrator.events import Drop

    return [each.reason.value for each in of_type(Drop, effects)]


def answer(query: ToServer, kind: str, server: IPv4Address | None = None, **fields: Any) -> FromServer:
    """A server's reply to a query; `lease`, `since` (seconds ago), `option82` and `reserved` by name."""
    options = {OptionCode.MESSAGE_TYPE: bytes((getattr(DRAFT_03, kind),))}
    for name, code in (
        ("lease", OptionCode.LEASE_TIME),
        ("ago", OptionCode.CLIENT_LAST_TRANSACTION_TIME),
    ):
        if name in fields:
            options[code] = pack_u32(fields.pop(name))
    option82 = fields.pop("option82", None)
    if option82 is not None:
        options[OptionCode.RELAY_AGENT_INFORMATION] = option82.encode()
    options.update(fields.pop("options", {}))
    flags = DRAFT_03.r_flag if fields.pop("reserved", False) else 0
    message = query.message
    reply = Message(
        op=BOOTREPLY,
        xid=message.xid,
        flags=flags,
        ciaddr=fields.pop("ciaddr", message.ciaddr),
        giaddr=message.giaddr,
        htype=1,
        options=options,
        **fields,
    )
    return FromServer(server or query.server, reply)


def active(query: ToServer, **fields: Any) -> FromServer:
    """ACTIVE for MAC on CIRCUIT unless told otherwise."""
    defaults: dict[str, Any] = {"chaddr": MAC, "lease": LEASE, "option82": info()}
    return answer(query, "active", **{**defaults, **fields})


def client_message(kind: MessageType, xid: int = 5, **fields: Any) -> Message:
    options = {OptionCode.MESSAGE_TYPE: bytes((kind,)), **fields.pop("options", {})}
    return Message(xid=xid, htype=1, chaddr=fields.pop("chaddr", MAC), options=options, **fields)


def server_message(relayed: ToServer, kind: MessageType, **fields: Any) -> FromServer:
    """A server's reply to a relayed message, option 82 returned unless `echo` is False."""
    options = {OptionCode.MESSAGE_TYPE: bytes((kind,))}
    if "lease" in fields:
        options[OptionCode.LEASE_TIME] = pack_u32(fields.pop("lease"))
    if fields.pop("echo", True):
        options[OptionCode.RELAY_AGENT_INFORMATION] = relayed.message.options[
            OptionCode.RELAY_AGENT_INFORMATION
        ]
    message = relayed.message
    reply = Message(
        op=BOOTREPLY,
        htype=1,
        xid=message.xid,
        giaddr=message.giaddr,
        chaddr=message.chaddr,
        options=options,
        **fields,
    )
    return FromServer(relayed.server, reply)


def binding(address: IPv4Address = HOST, **fields: Any) -> Binding:
    defaults: dict[str, Any] = {"chaddr": MAC, "info": info(), "expires": 1e6}
    return Binding(address, **{**defaults, **fields})


def server_model(*bindings: Binding, **fields: Any) -> ServerModel:
    model = ServerModel(manages=(NETWORK,), **{"dialect": DRAFT_03, **fields})
    for each in bindings:
        model.bind(each)
    return model


def world(model: ServerModel, seed: int = 0, **settings: Any) -> World:
    return World(engine(**settings), {SERVER: model}, seed=seed)
