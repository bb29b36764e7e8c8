"""OpenFlow by concatenation against both frameworks' own classes, octet for octet."""

from __future__ import annotations

import importlib
import struct
from types import SimpleNamespace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controllers import openflow

macs = st.binary(min_size=6, max_size=6)
addresses = st.binary(min_size=4, max_size=4)
ports = st.integers(1, 0xFFFFFFFF)
tags = st.lists(st.integers(1, 4094), min_size=1, max_size=2)
tables = st.integers(0, 254)
numbers = st.integers(0, 0xFFFF)
payloads = st.binary(max_size=300)


@pytest.fixture(scope="module", params=["ryu", "os_ken"])
def of(request):
    """A framework's OpenFlow 1.3: its constants, its classes, and what the classes want for a switch."""
    protocol = importlib.import_module(f"{request.param}.ofproto.ofproto_protocol").ProtocolDesc(version=4)
    constants, parser = protocol.ofproto, protocol.ofproto_parser

    def serialized(message) -> bytes:
        message.set_xid(0)
        message.serialize()
        return bytes(message.buf)

    def flow(table, priority, match, instructions=(), **more):
        return serialized(
            parser.OFPFlowMod(
                protocol,
                table_id=table,
                priority=priority,
                match=parser.OFPMatch(**match),
                instructions=list(instructions),
                **more,
            )
        )

    return SimpleNamespace(ofp=constants, parser=parser, switch=protocol, flow=flow, serialized=serialized)


def dotted(packed: bytes) -> str:
    return ".".join(map(str, packed))


@given(tables, numbers, macs, macs, addresses, tags, ports)
def test_the_flow_to_a_host(of, table, priority, own, mac, packed, vlans, port):
    p, present = of.parser, of.ofp.OFPVID_PRESENT
    actions = [p.OFPActionDecNwTtl(), p.OFPActionSetField(eth_src=own.hex(":"))]
    actions.append(p.OFPActionSetField(eth_dst=mac.hex(":")))
    octets = openflow.DECREMENT_TTL + openflow.set_field(openflow.eth_src(own))
    octets += openflow.set_field(openflow.eth_dst(mac))
    for kind, tag in zip((0x8100, 0x88A8), reversed(vlans), strict=False):
        actions += [p.OFPActionPushVlan(kind), p.OFPActionSetField(vlan_vid=tag | present)]
        octets += openflow.push_vlan(kind) + openflow.set_field(openflow.vlan(tag))
    actions.append(p.OFPActionOutput(port))
    applied = [p.OFPInstructionActions(of.ofp.OFPIT_APPLY_ACTIONS, actions)]
    match = openflow.match(openflow.eth_type(0x0800) + openflow.ipv4_dst(packed))
    instructions = openflow.apply(octets + openflow.output(port))
    wanted = of.flow(table, priority, {"eth_type": 0x0800, "ipv4_dst": dotted(packed)}, applied)
    assert openflow.flow_add(table, priority, match, instructions) == wanted


@given(tables, numbers, macs, addresses, tags, ports, tables)
def test_the_flow_from_a_host(of, table, priority, mac, packed, vlans, port, next_table):
    p, present = of.parser, of.ofp.OFPVID_PRESENT
    *outer, inner = vlans
    fields = {"in_port": port, "eth_src": mac.hex(":"), "eth_type": 0x0800, "ipv4_src": dotted(packed)}
    fields["vlan_vid"] = inner | present
    octets = openflow.in_port(port)
    if outer:
        fields["metadata"] = outer[0]
        octets += openflow.metadata(outer[0])
    # The classes sort the fields; so does this.
    octets += openflow.eth_src(mac) + openflow.eth_type(0x0800) + openflow.vlan(inner)
    match = openflow.match(octets + openflow.ipv4_src(packed))
    instructions = [
        p.OFPInstructionActions(of.ofp.OFPIT_APPLY_ACTIONS, [p.OFPActionPopVlan()]),
        p.OFPInstructionGotoTable(next_table),
    ]
    raw = openflow.apply(openflow.POP_VLAN) + openflow.goto(next_table)
    wanted = of.flow(table, priority, fields, instructions)
    assert openflow.flow_add(table, priority, match, raw) == wanted
    gone = of.flow(
        table, priority, fields, command=of.ofp.OFPFC_DELETE_STRICT,
        out_port=of.ofp.OFPP_ANY, out_group=of.ofp.OFPG_ANY,
    )  # fmt: skip
    assert openflow.flow_delete(table, priority, match) == gone


@given(tables, numbers)
def test_a_flow_that_drops_everything(of, table, priority):
    assert openflow.flow_add(table, priority, openflow.match()) == of.flow(table, priority, {})


@given(addresses, macs, st.lists(st.sampled_from("am"), max_size=6), payloads)
def test_a_template_filled_is_the_message_made_anew(packed, mac, order, between):
    assume(openflow.Template.OF_4 not in between and openflow.Template.OF_6 not in between)

    def made(a: bytes, m: bytes) -> bytes:
        return between + b"".join((a if kind == "a" else m) + b"\0/" for kind in order)

    template = openflow.Template(made(openflow.Template.OF_4, openflow.Template.OF_6))
    wanted = [packed if kind == "a" else mac for kind in order]
    assert template.fill(*wanted) == made(packed, mac)
    with pytest.raises(ValueError, match="octets"):
        template.fill(*wanted, b"")


@given(payloads, ports, ports)
def test_packet_out(of, frame, port, in_port):
    def wanted(**way):
        actions = [of.parser.OFPActionOutput(port)]
        none = of.ofp.OFP_NO_BUFFER
        return of.serialized(
            of.parser.OFPPacketOut(of.switch, buffer_id=none, actions=actions, data=frame, **way)
        )

    assert openflow.packet_out(frame, port, in_port) == wanted(in_port=in_port)
    assert openflow.packet_out(frame, port) == wanted(in_port=of.ofp.OFPP_CONTROLLER)


def test_the_reserved_ports(of):
    assert (openflow.TABLE, openflow.CONTROLLER) == (of.ofp.OFPP_TABLE, of.ofp.OFPP_CONTROLLER)
    assert openflow.ANY == of.ofp.OFPP_ANY == of.ofp.OFPG_ANY
    assert openflow.NO_BUFFER == of.ofp.OFP_NO_BUFFER


@given(ports, tables, st.none() | st.integers(1, 2**64 - 1), st.none() | st.integers(1, 2**64 - 1), payloads)
def test_packet_in(of, port, table, metadata, tunnel, frame):
    """Whatever else the match holds, and wherever in_port stands in it."""
    fields = {"in_port": port, "metadata": metadata, "tunnel_id": tunnel}
    match = of.parser.OFPMatch(**{name: value for name, value in fields.items() if value is not None})
    in_order, reordered = bytearray(), bytearray(64)
    match.serialize(in_order, 0)
    first, length = in_order[4:12], int.from_bytes(in_order[2:4], "big")
    reordered = in_order[:4] + in_order[12:length] + first + in_order[length:]
    for octets in (bytes(in_order), bytes(reordered)):
        fixed = struct.pack("!IHBBQ", openflow.NO_BUFFER, len(frame), 0, table, 0)
        body = fixed + octets + b"\0\0" + frame
        message = struct.pack("!BBHI", 4, 10, 8 + len(body), 7) + body
        parsed = of.parser.OFPPacketIn.parser(of.switch, 4, 10, len(message), 7, message)
        assert openflow.packet_in(bytearray(message)) == (parsed.match["in_port"], parsed.data)
        assert (parsed.match["in_port"], parsed.data) == (port, frame)
        assert openflow.table_of(bytearray(message)) == parsed.table_id == table


def test_a_packet_in_without_in_port_is_refused():
    body = struct.pack("!IHBBQ", openflow.NO_BUFFER, 0, 0, 4, 0) + b"\0\1\0\4" + bytes(4) + b"\0\0"
    with pytest.raises(ValueError, match="in_port"):
        openflow.packet_in(struct.pack("!BBHI", 4, 10, 8 + len(body), 7) + body)
