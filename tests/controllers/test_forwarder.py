"""Between the engine and the wire, without a wire: what a recovery costs, and what is written down of it."""

from __future__ import annotations

import importlib
import json
import os
import struct
from ipaddress import IPv4Address, IPv4Network
from typing import get_args

import pytest

from controllers import openflow
from controllers.record import Recorder
from controllers.settings import Modem, Settings
from lq.concentrator import events
from lq.concentrator.reasons import DropReason, RefusalReason
from lq.concentrator.timers import SLACK
from lq.simulation.server import Binding, ServerModel
from lq.wire import Message, RelayInfo, decode, frames
from topologies import plan

HOSTS = 300
WINDOW = 100
FIRST = plan.POOL_FIRST
WIRING = {
    "uplink": 1, "access": 2, "relay": 3,
    "uplink_mac": plan.CONCENTRATOR_UPLINK_MAC, "access_mac": plan.CONCENTRATOR_ACCESS_MAC,
    "relay_mac": plan.RELAY_MAC, "router_mac": plan.ROUTER_UPLINK_MAC,
}  # fmt: skip


@pytest.fixture(scope="module")
def make():
    """Return the function that makes a forwarder. On os-ken, which leaves this process as it is."""
    before = os.environ.get("LQ_CONTROLLER_FRAMEWORK")
    os.environ["LQ_CONTROLLER_FRAMEWORK"] = "os-ken"
    try:
        module = importlib.import_module("controllers.forwarder")
        framework = importlib.import_module("controllers.framework")
    finally:
        del os.environ["LQ_CONTROLLER_FRAMEWORK"]
        if before is not None:
            os.environ["LQ_CONTROLLER_FRAMEWORK"] = before
    assert framework.NAME == "os-ken"
    switch = framework.module("ofproto.ofproto_protocol").ProtocolDesc(version=framework.ofp.OFP_VERSION)

    def forwarder(record: Recorder, **engine):
        settings = Settings(
            giaddr=plan.GATEWAY, networks=(plan.ACCESS_NETWORK,), servers=(plan.SERVER,),
            uplink_address=plan.UPLINK_CONCENTRATOR, wiring=WIRING,
            modems=tuple(Modem(plan.modem_mac(number), (number,)) for number in range(1, HOSTS + 1)),
            record=record.path, engine={"seed": 1, "window": WINDOW, **engine},
        )  # fmt: skip
        made = module.Forwarder(settings, record)
        made.take_over(switch, metered=True)
        made.ready(0.0)
        made.to_switch.clear()
        return made

    return forwarder


@pytest.fixture
def record(tmp_path):
    return Recorder(tmp_path / "record.jsonl")


@pytest.fixture
def server():
    model = ServerModel((IPv4Network("198.18.0.0/15"),))
    for number in range(HOSTS):
        info = RelayInfo(None, octets(plan.modem_mac(1 + number)))
        model.bind(Binding(FIRST + number, octets(plan.host_mac(1 + number)), info, 3600.0))
    return model


def octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def packet_in(address: IPv4Address) -> bytes:
    """What the switch sends of a packet from the Internet to an unlocated host."""
    packet = frames.udp_packet((plan.INTERNET, 9), (address, 9), b"held")
    macs = octets(plan.CONCENTRATOR_UPLINK_MAC), octets(plan.ROUTER_UPLINK_MAC)
    frame = frames.ethernet(*macs, (), frames.ETHERTYPE_IPV4, packet)
    fixed = struct.pack("!IHBBQ", openflow.NO_BUFFER, len(frame), 0, 4, 0)
    body = fixed + openflow.match(openflow.in_port(1)) + b"\0\0" + frame
    return struct.pack("!BBHI", 4, 10, 8 + len(body), 0) + body


def packet_from(address: IPv4Address, mac: int, tag: int) -> bytes:
    """What the switch sends of a packet from a host whose source it has not verified."""
    packet = frames.udp_packet((address, 9), (plan.INTERNET, 9), b"held")
    macs = octets(plan.CONCENTRATOR_ACCESS_MAC), mac.to_bytes(6, "big")
    frame = frames.ethernet(*macs, (tag,), frames.ETHERTYPE_IPV4, packet)
    fixed = struct.pack("!IHBBQ", openflow.NO_BUFFER, len(frame), 0, 2, 0)
    body = fixed + openflow.match(openflow.in_port(2)) + b"\0\0" + frame
    return struct.pack("!BBHI", 4, 10, 8 + len(body), 0) + body


def forwarder_module():
    return importlib.import_module("controllers.forwarder")


def answer_all(forwarder, server, now: float) -> int:
    """Answer what is asked until nothing more is; return how many queries that were."""
    asked = 0
    while forwarder.to_servers:
        sent, forwarder.to_servers[:] = forwarder.to_servers[:], []
        assert len(sent) <= WINDOW
        for query, (address, port) in sent:
            asked += 1
            assert (address, port) == (str(plan.SERVER), 67)
            assert len(query) == 300
            forwarder.from_server(server.respond(decode(query), now).encode(), (address, port), now)
    return asked


def kinds(pieces: list[bytes]) -> list[int]:
    """Return the types of the messages that these octets are."""
    octets, found = b"".join(pieces), []
    while octets:
        version, kind, length, _ = struct.unpack_from("!BBHI", octets)
        assert version == 4
        found.append(kind)
        octets = octets[length:]
    return found


@pytest.mark.requirement("R7-5")
def test_a_recovery_costs_one_query_two_flows_and_the_held_packet(make, record, server):
    forwarder = make(record)
    for number in range(HOSTS):
        forwarder.packet_in(packet_in(FIRST + number), 1.0)
    assert len(forwarder.to_servers) == 1  # until the server has shown that it lives (R6.6-3)
    for number in range(HOSTS):  # more of the same while the answers are out
        forwarder.packet_in(packet_in(FIRST + number), 1.1)
    assert answer_all(forwarder, server, 1.2) == HOSTS
    assert kinds(forwarder.to_switch) == [14, 14, 13] * HOSTS  # flow-mod, flow-mod, packet-out
    assert sum(map(len, forwarder.to_switch)) <= 380 * HOSTS
    forwarder.to_switch.clear()
    # A packet that was under way before the flow held: permitted again, not asked about.
    forwarder.packet_in(packet_in(FIRST), 1.3)
    assert kinds(forwarder.to_switch) == [14, 14, 13]
    assert forwarder.to_servers == []


def test_the_record_tells_of_all_of_it_in_one_piece(make, record, server):
    forwarder = make(record)
    record.flush()
    before = record.path.read_text()
    for number in range(HOSTS):
        forwarder.packet_in(packet_in(FIRST + number), 1.0)
    answer_all(forwarder, server, 1.25)
    assert record.path.read_text() == before  # it waits for the end of the turn
    record.flush()
    lines = [json.loads(line) for line in record.path.read_text()[len(before) :].splitlines()]
    assert len(lines) == 3 * HOSTS
    address, server_address = str(FIRST), str(plan.SERVER)
    assert [line for line in lines if line["address"] == address] == [
        {"at": 1.0, "event": "query", "server": server_address, "address": address, "client": None,
         "form": "ip", "attempt": 1, "refresh": False},
        {"at": 1.25, "event": "answered", "address": address, "client": None, "server": server_address,
         "form": "ip", "reply": "active", "rtt": 0.25, "attempts": 1, "refresh": False},
        {"at": 1.25, "event": "permit", "address": address, "tags": [1], "expires": 3599.25},
    ]  # fmt: skip


def test_no_more_than_so_many_packets_are_held(make, record, server, monkeypatch):
    monkeypatch.setattr("controllers.held.MAXIMUM_HELD", 10)
    forwarder = make(record)
    for number in range(HOSTS):
        forwarder.packet_in(packet_in(FIRST + number), 1.0)
    assert answer_all(forwarder, server, 1.2) == HOSTS
    assert kinds(forwarder.to_switch).count(13) == 10


def test_a_flood_of_spoofed_sources_makes_no_more_flows_than_so_many(make, record, server):
    """From one circuit after the other, each with ever other hardware addresses, for a located host."""
    limit, flood = forwarder_module().MAXIMUM_SPOOFED, 20_000
    forwarder = make(record, circuit_queries=0, drop_time=10.0)
    forwarder.packet_in(packet_in(FIRST), 1.0)
    answer_all(forwarder, server, 1.0)
    forwarder.to_switch.clear()
    for number in range(flood):
        forwarder.packet_in(packet_from(FIRST, 0x020C00000000 + number, 2 + number % 250), 1.0 + number / 1e5)
        assert len(forwarder._spoofed) <= limit
    assert kinds(forwarder.to_switch) == [14] * limit
    assert forwarder.counts["flows_declined"] == flood - limit
    forwarder.to_switch.clear()
    now = 20.0
    while forwarder.deadline <= now:
        forwarder.wake(now)
    assert kinds(forwarder.to_switch)[:limit] == [14] * limit, "all of them are taken out"
    assert len(forwarder._spoofed) == 0
    assert forwarder._spoofed._ends.entries <= 2 * SLACK


def test_a_flow_that_is_renewed_again_and_again_leaves_nothing_behind(make, record, server):
    forwarder = make(record, known_time=0.5)
    for number in range(20_000):
        now = 1.0 + number * 0.6
        forwarder.packet_in(packet_in(FIRST - 5), now)
        answer_all(forwarder, server, now)
        forwarder.to_switch.clear()
        while forwarder.deadline <= now + 0.55:
            forwarder.wake(now + 0.55)
        assert forwarder._refused._ends.entries <= 3 + 2 * SLACK
    assert len(forwarder._refused) == 0


def test_too_many_flows_of_one_kind_do_not_keep_the_others_out(make, record, server, monkeypatch):
    monkeypatch.setattr(forwarder_module(), "MAXIMUM_SPOOFED", 5)
    forwarder = make(record, circuit_queries=8)
    forwarder.packet_in(packet_in(FIRST), 1.0)
    answer_all(forwarder, server, 1.0)
    for number in range(20):
        forwarder.packet_in(packet_from(FIRST, 0x020C00000000 + number, 9), 1.0)
    assert (len(forwarder._spoofed), len(forwarder._exhausted)) == (5, 1)
    assert forwarder.counts["flows_declined"] == 3
    forwarder.packet_in(packet_in(FIRST - 5), 1.1)
    answer_all(forwarder, server, 1.1)
    assert len(forwarder._refused) == 1


def test_a_host_on_another_medium_gets_no_flow(make, record, server):
    """The server may know hardware addresses of other lengths; flows have room for Ethernet's."""
    server.bindings[FIRST].chaddr = bytes(16)
    forwarder = make(record)
    for number in range(2):
        forwarder.packet_in(packet_in(FIRST + number), 1.0)
    answer_all(forwarder, server, 1.2)
    assert kinds(forwarder.to_switch) == [14, 14, 13]
    assert forwarder.counts["not_ethernet"] == 1
    forwarder.wake(4000.0)
    assert set(kinds(forwarder.to_switch)) == {13, 14}


def test_what_is_no_packet_of_ours_is_passed_over(make, record):
    forwarder = make(record)
    whole = packet_in(FIRST)
    for length in range(44, len(whole)):
        forwarder.packet_in(whole[:length], 1.0)
    forwarder.from_server(b"nothing", (str(plan.SERVER), 67), 1.0)
    forwarder.from_server(bytes(300), ("198.19.77.77", 67), 1.0)
    assert forwarder.counts["malformed_from_servers"] == 2


def test_values_that_json_does_not_know_are_text(record):
    record.write("refuse", 2.5, address=IPv4Address("198.18.0.9"), reason='a "reason"')
    record.query(2.5, "198.19.1.2", None, "mac", 2, b"\x02\x0a")
    record.query(2.5, "198.19.1.2", IPv4Address("198.18.0.9"), "ip", 1, refresh=True)
    record.answered(2.5, None, "198.19.1.2", "mac", "known", 0.125, 2, b"\x02\x0a")
    record.permit(2.5, IPv4Address("198.18.0.9"), (3, 4), 1e9)
    record.flush()
    record.flush()
    common = {"at": 2.5, "server": "198.19.1.2", "address": None, "client": "02:0a", "form": "mac"}
    by_address = {"address": "198.18.0.9", "client": None, "form": "ip"}
    assert [json.loads(line) for line in record.path.read_text().splitlines()] == [
        {"at": 2.5, "event": "refuse", "address": "198.18.0.9", "reason": 'a "reason"'},
        {**common, "event": "query", "attempt": 2, "refresh": False},
        {**common, **by_address, "event": "query", "attempt": 1, "refresh": True},
        {**common, "event": "answered", "reply": "known", "rtt": 0.125, "attempts": 2, "refresh": False},
        {"at": 2.5, "event": "permit", "address": "198.18.0.9", "tags": [3, 4], "expires": 1e9},
    ]


LOCATION = events.Location(FIRST, 1, octets(plan.host_mac(1)), events.Circuit(2, (1,)), None, 60.0)
MESSAGE = Message()
EFFECTS = (
    events.ToServer(plan.SERVER, b"octets"),
    events.ToClient(LOCATION.circuit, MESSAGE, LOCATION.chaddr, broadcast=True),
    events.PassOn(FIRST),
    events.Probe(LOCATION),
    events.Permit(LOCATION),
    events.BroadcastArp(FIRST),
    events.Withdraw(LOCATION),
    events.Refuse(FIRST, 60.0, RefusalReason.KNOWN),
    events.Drop(DropReason.HOPS),
    events.Abandon(FIRST),
    events.Answered(FIRST, plan.SERVER, "ip", "active", 0.1, 1),
)
UNSEEN = (
    events.SpoofedSource(LOCATION.circuit, LOCATION.chaddr, FIRST),
    events.RefusedAddress(FIRST, upstream=True),
    events.ExhaustedCircuit(LOCATION.circuit),
    events.MutedCircuit(LOCATION.circuit),
)


def test_every_effect_is_carried_out_and_counted(make, record):
    assert {type(effect) for effect in EFFECTS} == set(get_args(events.Effect))
    forwarder = make(record)
    forwarder._carry_out(EFFECTS, 1.0)
    assert forwarder.to_servers
    assert forwarder.to_switch
    forwarder.engine._count(EFFECTS)
    assert sum(forwarder.engine.counters.values()) == len(EFFECTS)
    with pytest.raises(AssertionError, match="no case for"):
        forwarder._carry_out([object()], 1.0)


@pytest.mark.parametrize("unseen", UNSEEN, ids=lambda each: type(each).__name__)
def test_the_switch_drops_by_itself_what_the_engine_need_not_see(make, record, unseen):
    assert {type(each) for each in UNSEEN} == set(get_args(events.Unseen))
    forwarder = make(record)
    forwarder._carry_out([events.Drop(DropReason.HOPS, unseen=unseen, until=5.0)], 1.0)
    [_] = forwarder.to_switch
    assert forwarder.deadline == 5.0
    forwarder.to_switch.clear()
    forwarder.wake(5.0)
    [_] = forwarder.to_switch


def test_every_event_is_handled(make, record):
    """By the engine, whichever reason it may have to drop it."""
    engine = make(record).engine
    happenings = (
        events.FromClient(LOCATION.circuit, MESSAGE),
        events.FromLocated(FIRST, MESSAGE),
        events.FromServer(plan.SERVER, MESSAGE),
        events.Downstream(FIRST),
        events.Upstream(LOCATION.circuit, LOCATION.chaddr, FIRST + 1),
        events.ModemRegistered(octets(plan.modem_mac(1)), LOCATION.circuit),
        events.ArpReply(LOCATION.circuit, LOCATION.chaddr, FIRST),
    )
    assert {type(event) for event in happenings} == set(get_args(events.Event))
    for event in happenings:
        engine.handle(event, 1.0)
    with pytest.raises(AssertionError, match="no case for"):
        engine.handle(object(), 1.0)
