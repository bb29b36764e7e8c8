"""What the next controller is told: `controllers.settings.Settings` made from a specification."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from controllers.settings import Modem, Settings
from lq.experiments.spec import Spec
from lq.scenarios.parts.concentrator import Concentrator
from topologies import plan
from topologies.figure import Figure
from topologies.nodes import Concentrator as Bridge


def settings(
    spec: Spec,
    behaviour: Concentrator,
    figure: Figure,
    servers: Sequence[IPv4Address],
    identity: plan.Identity,
    life: int,
) -> Settings:
    """Return what a controller is told that behaves so, with an identity of its own, for one `life`."""
    frames = spec.modems.registration == "frames"
    engine: dict[str, Any] = {**behaviour.model_dump(), "seed": spec.seed}
    engine["dialect"] = spec.server.dialect
    if engine["circuit_messages"] is None:
        engine["circuit_messages"] = max(100, 20 * (spec.topology.hosts_per_modem or 0))
    networks = [plan.ACCESS_NETWORK]
    if not engine.pop("ciaddr_restriction"):  # then it also asks about what is merely routed to it
        networks.append(plan.UNATTACHED_NETWORK)
    engine["registered_only"] = frames
    if spec.topology.figure == "dsl":
        engine.update(circuit_id="text", access_node=spec.topology.access_node)
    return Settings(
        giaddr=plan.GATEWAY,
        networks=tuple(networks),
        servers=tuple(servers),
        uplink_address=plan.UPLINK_CONCENTRATOR,
        wiring={
            "uplink": Bridge.UPLINK, "access": Bridge.ACCESS, "relay": Bridge.RELAY,
            "uplink_mac": identity.uplink_mac, "access_mac": identity.access_mac,
            "relay_mac": plan.RELAY_MAC, "router_mac": plan.ROUTER_UPLINK_MAC,
        },
        modems=() if frames else tuple(Modem(mac, tags) for mac, tags in figure.modem_places),
        life=life if frames else None,
        stacked_tags=figure.stacked_tags,
        record=Path(),
        framework=spec.controller.framework,
        engine=engine,
    )  # fmt: skip
