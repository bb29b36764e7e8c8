"""The bare reactive application: one packet-in, one flow and one packet-out, the framework's own classes.

What a controller framework can do at most for a switch that asks about every new destination. It knows
nothing: whatever comes from the uplink goes to the access port. `python -m lq.bench.reactive PORT` runs
it on the framework that LQ_CONTROLLER_FRAMEWORK names, until it is ended.
"""

from __future__ import annotations

import sys
from typing import Any

from controllers import framework
from controllers.framework import Application, handler, ofp, ofp_event, parser

UPLINK, ACCESS = 1, 2  # as topologies.nodes.Concentrator has them; Mininet does not live with eventlet


class ReactiveApplication(Application):  # type: ignore[misc]
    """Installs a flow for each destination of which a packet comes, and sends the packet on its way."""

    OFP_VERSIONS = (ofp.OFP_VERSION,)

    @handler.set_ev_cls(ofp_event.EventOFPSwitchFeatures, handler.CONFIG_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_connected(self, event: Any) -> None:
        """Have every packet from the uplink sent here; say so when the switch does."""
        datapath = event.msg.datapath
        to_controller = [parser.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)]
        match = parser.OFPMatch(in_port=UPLINK, eth_type=0x0800)
        self._add(datapath, 0, match, to_controller)
        datapath.send_msg(parser.OFPBarrierRequest(datapath))

    @handler.set_ev_cls(ofp_event.EventOFPBarrierReply, handler.MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_ready(self, _event: Any) -> None:
        """From now on every packet is answered."""
        print("ready", flush=True)

    @handler.set_ev_cls(ofp_event.EventOFPPacketIn, handler.MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def packet_in(self, event: Any) -> None:
        """One flow, one packet-out."""
        message = event.msg
        datapath, data = message.datapath, message.data
        actions = [parser.OFPActionOutput(ACCESS)]
        match = parser.OFPMatch(eth_type=0x0800, ipv4_dst=".".join(map(str, data[30:34])))
        self._add(datapath, 1, match, actions)
        datapath.send_msg(
            parser.OFPPacketOut(
                datapath,
                buffer_id=ofp.OFP_NO_BUFFER,
                in_port=message.match["in_port"],
                actions=actions,
                data=data,
            )
        )

    @staticmethod
    def _add(datapath: Any, priority: int, match: Any, actions: list[Any]) -> None:
        instructions = [parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions)]
        datapath.send_msg(
            parser.OFPFlowMod(datapath, priority=priority, match=match, instructions=instructions)
        )


if __name__ == "__main__":
    framework.run("lq.bench.reactive", ("127.0.0.1", int(sys.argv[1])))
