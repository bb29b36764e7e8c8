"""The DSLAM's intermediate agent: what becomes of frames, alone and in a real DSLAM."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP, IPOption_Router_Alert
from scapy.layers.l2 import Dot1Q, Ether

from lq.errors import BadInput
from lq.experiments.spec import Spec, load
from lq.results.validity import judge
from lq.wire import BOOTREPLY, Message, MessageType, OptionCode, RelayInfo, decode, frames
from topologies import agent, plan
from topologies.agent import Agent, with_option, without_option
from topologies.dsl import DslTopo

pytestmark = pytest.mark.requirement("R1-2")

OPTION, OVERLOAD = int(OptionCode.RELAY_AGENT_INFORMATION), int(OptionCode.OVERLOAD)
HOST = bytes.fromhex(plan.host_mac(1).replace(":", ""))
LINE = RelayInfo(b"dslam1 eth 0/2:1", bytes.fromhex(plan.modem_mac(1).replace(":", "")))
FORGED = RelayInfo(b"dslam1 eth 0/2:2", bytes.fromhex(plan.modem_mac(2).replace(":", "")))
MARK = b"the frame of the test"
NOBODY, EVERYBODY = IPv4Address(0), frames.BROADCAST


def message(kind: MessageType = MessageType.DISCOVER, **fields) -> Message:
    options = {53: bytes((kind,)), 55: b"\1\3\6", 61: MARK, **fields.pop("options", {})}
    return Message(htype=1, xid=7, chaddr=HOST, options=options, **fields)


def up(payload: bytes, tags=(1,), source=NOBODY, destination=EVERYBODY, sport=68) -> bytes:
    packet = frames.udp_packet((source, sport), (destination, 67), payload)
    return frames.ethernet(frames.BROADCAST_MAC, HOST, tags, frames.ETHERTYPE_IPV4, packet)


def down(payload: bytes, tags=(1,)) -> bytes:
    packet = frames.udp_packet((plan.GATEWAY, 67), (EVERYBODY, 68), payload)
    return frames.ethernet(frames.BROADCAST_MAC, bytes(6), tags, frames.ETHERTYPE_IPV4, packet)


def carried(frame: bytes) -> tuple[bytes | None, dict[str, int]]:
    """Return what becomes of a frame, and what was counted."""
    one = Agent({(1,): LINE.encode(), (2, 3): LINE.encode()})
    return one.carry(frame), dict(one.counts)


def checksums_hold(frame: bytes) -> None:
    """Have scapy fill in lengths and checksums anew: they must be those that are there."""
    packet = bytes(frames.parse(frame).payload)
    wanted = IP(packet)
    del wanted.len, wanted.chksum, wanted[UDP].len, wanted[UDP].chksum
    assert bytes(wanted) == packet


def payload(frame: bytes) -> bytes:
    found = frames.udp_payload(frames.parse(frame).payload)
    assert found is not None
    return found


@pytest.mark.parametrize("tags", [(1,), (2, 3)])
def test_a_broadcast_message_gets_the_lines_option_82_and_nothing_else_changes(tags):
    frame = up(message().encode(), tags)
    after, counts = carried(frame)
    assert counts == {"inserted": 1}
    assert decode(payload(after)).options.pop(OPTION) == LINE.encode()
    expected = message(options={OPTION: LINE.encode()})
    assert payload(after) == expected.encode()
    link, before = frames.parse(after), frames.parse(frame)
    assert link[:4] == before[:4]
    assert IP(bytes(link.payload)).id == IP(bytes(before.payload)).id
    checksums_hold(after)


def test_priority_bits_and_ip_options_stay():
    """Voice and video lines are told apart by them."""
    ip = IP(src="0.0.0.0", dst="255.255.255.255", tos=0xB8, ttl=3, options=[IPOption_Router_Alert()])
    link = Ether(src=HOST, dst="ff:ff:ff:ff:ff:ff") / Dot1Q(prio=5, vlan=1)
    frame = bytes(link / ip / UDP(sport=68, dport=67) / message().encode())
    after, counts = carried(frame)
    assert counts == {"inserted": 1}
    shown = Ether(after)
    assert (shown[Dot1Q].prio, shown[Dot1Q].vlan, shown[IP].tos, shown[IP].ttl) == (5, 1, 0xB8, 3)
    assert len(shown[IP].options) == 1
    assert RelayInfo.decode(decode(payload(after)).options[OPTION]) == LINE
    checksums_hold(after)


@pytest.mark.parametrize(
    "octets",
    [
        message().encode(minimum=0)[:-1],  # no end
        message().encode(minimum=0),
        message().encode(minimum=576),
        message().encode(minimum=0) + b"\x52\2\1\0\xff",  # what follows the end is no option, and goes
        message(options={60: bytes(200), 77: bytes(600)}).encode(),
        message(options={60: bytes(150), 77: bytes(100)}).encode(maximum=500),
    ],
    ids=["no end", "short", "padded", "after the end", "long", "overloaded"],
)
def test_it_finds_the_end_of_the_options(octets):
    expected = decode(octets)
    after, counts = carried(up(octets))
    assert counts == {"inserted": 1}
    found = decode(payload(after))
    assert found.options.pop(OPTION) == LINE.encode()
    assert found == expected
    assert scapy_options(payload(after))[-1] == ("relay_agent_information", LINE.encode())


def scapy_options(octets: bytes) -> list:
    """Return the options as another implementation reads them, up to the end."""
    found = BOOTP(octets)[DHCP].options
    named = found[: found.index("end")]
    return [
        item if item[0] != OPTION else ("relay_agent_information", item[1]) for item in named if item != "pad"
    ]


def hidden(where: str) -> bytes:
    """Return a message with a forged option 82 at some place."""
    value = FORGED.encode()
    plain = message().encode(minimum=0)
    option = bytes((OPTION, len(value))) + value
    match where:
        case "options":
            return message(options={OPTION: value}).encode()
        case "first":
            return plain[:240] + option + plain[240:]
        case "empty":
            return plain[:-1] + bytes((OPTION, 0, 255))
        case "in pieces":
            return plain[:-1] + b"".join(bytes((OPTION, 1, octet)) for octet in value) + b"\xff"
    overload = {"file": 1, "sname": 2, "both": 3}[where]
    place = 108 if where == "file" else 44
    octets = bytearray(plain[:-1] + bytes((OVERLOAD, 1, overload, 255)))
    octets[place : place + len(option) + 1] = option + b"\xff"
    return bytes(octets)


PLACES = ["options", "first", "empty", "in pieces", "file", "sname", "both"]


@pytest.mark.parametrize("destination", [EVERYBODY, plan.SERVER], ids=["broadcast", "unicast"])
@pytest.mark.parametrize("where", PLACES)
def test_a_subscribers_option_82_is_dropped_wherever_it_stands(where, destination):
    assert OPTION in decode(hidden(where)).options
    assert carried(up(hidden(where), destination=destination)) == (None, {"spoofed-option-82": 1})


def damaged(at: int) -> bytes:
    frame = bytearray(up(message().encode()))
    frame[at] ^= 1
    return bytes(frame)


def fragment() -> bytes:
    frame = bytearray(up(message().encode()))
    frame[18 + 6] |= 0x20  # more of it follows
    return bytes(frame)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (up(message(giaddr=plan.GATEWAY).encode()), "spoofed-giaddr"),
        (up(message(op=BOOTREPLY).encode()), "malformed"),
        (up(message().encode()[:200]), "malformed"),
        (up(b""), "malformed"),
        (up(message().encode()[:236] + bytes(64)), "malformed"),  # plain BOOTP
        (damaged(-40), "malformed"),  # its checksum says so, and would not if it were computed anew
        (fragment(), "malformed"),
        (up(message().encode())[:100], "malformed"),
        (b"", "malformed"),
        (bytes(60), "malformed"),
        (up(message().encode(), (4,)), "no-circuit"),
        (up(message().encode(), ()), "no-circuit"),
        (up(message().encode(), (1, 1)), "no-circuit"),
    ],
)
def test_what_is_dropped_and_why(frame, why):
    assert carried(frame) == (None, {why: 1})


def test_a_message_to_one_server_passes_as_it_is():
    """A renewal, a RELEASE: no relay agent has to do with them (RFC 2131, 4.3.2)."""
    renewal = message(MessageType.REQUEST, ciaddr=IPv4Address("198.18.0.20"))
    frame = up(renewal.encode(), source=renewal.ciaddr, destination=plan.SERVER)
    assert carried(frame) == (frame, {"passed": 1})


def test_what_would_grow_too_long_passes_as_it_is():
    """RFC 3046, 2.1: without the option, and counted; what just fits gets it."""
    room = agent.MTU - 28 - len(message(options={OPTION: LINE.encode()}).encode(minimum=0))
    for spare, counted in ((0, "inserted"), (1, "no-room")):
        octets = message().encode(minimum=0)
        octets = octets[:-1] + bytes(room + spare) + octets[-1:]
        after, counts = carried(up(octets))
        assert counts == {counted: 1}
        assert len(after) - 18 <= agent.MTU
        assert (OPTION in decode(payload(after)).options) is (counted == "inserted")


def test_a_reply_loses_option_82_wherever_it_stands():
    for where in PLACES:
        octets = bytearray(hidden(where))
        octets[0] = BOOTREPLY
        after, counts = carried(down(bytes(octets)))
        assert counts == {"stripped": 1}
        expected = decode(bytes(octets))
        del expected.options[OPTION]
        assert decode(payload(after)) == expected
        checksums_hold(after)


def test_other_replies_pass_as_they_are():
    plain = message(MessageType.ACK, op=BOOTREPLY).encode()
    for octets in (plain, plain[:236] + bytes(64), plain[:100]):
        assert carried(down(octets)) == (down(octets), {"passed": 1})


options = st.dictionaries(
    st.sampled_from([12, 43, 53, 60, 61, OPTION, 77, 90, 125]), st.binary(max_size=300), max_size=9
)


@given(options, st.sampled_from([None, 548]))
def test_what_is_put_in_comes_out_again(found, maximum):
    found.pop(OPTION, None)
    octets = Message(chaddr=HOST, options=found)
    try:
        octets = octets.encode(maximum=maximum)
    except ValueError:
        return
    longer = with_option(octets, LINE.encode())
    assert decode(longer).options == {**found, OPTION: LINE.encode()}
    assert decode(without_option(longer)) == decode(octets)
    assert decode(without_option(octets)) == decode(octets)


@given(st.binary(max_size=600), st.sampled_from([67, 68]), st.booleans())
def test_any_octets_give_one_frame_or_none(octets, port, with_header):
    body = message().encode()[:240] + octets if with_header else octets
    packet = frames.udp_packet((NOBODY, 135 - port), (EVERYBODY, port), body)
    frame = frames.ethernet(frames.BROADCAST_MAC, HOST, (1,), frames.ETHERTYPE_IPV4, packet)
    after, counts = carried(frame)
    assert sum(counts.values()) == 1
    if after is not None and after != frame:
        assert (OPTION in decode(payload(after)).options) is (port == 67)
    assert sum(carried(octets)[1].values()) == 1  # octets that are no frame at all, too


def test_it_keeps_nothing_but_its_counts():
    one = Agent({(1,): LINE.encode()})
    for number in range(3000):
        for octets in (message(secs=number).encode(), hidden("options"), bytes(number % 300)):
            one.carry(up(octets, (number % 4095,)))
            one.carry(down(octets, (number % 4095,)))
    assert set(one.counts) == {
        "inserted", "passed", "stripped", "spoofed-option-82", "malformed", "no-circuit",
    }  # fmt: skip
    assert sum(one.counts.values()) == 3000 * 6
    assert {name: value for name, value in vars(one).items() if name != "counts"} == {
        "_circuits": {(1,): LINE.encode()}
    }


# -- the setting


def test_only_a_dslam_has_one():
    with pytest.raises(BadInput, match=r"topology.figure=dsl") as caught:
        load("reboot", {"topology.intermediate_agent": True})
    assert "\n" not in str(caught.value)


def test_the_concentrator_trusts_it_unless_told_otherwise():
    def trusted(**settings) -> tuple[str, ...]:
        named = {"topology.figure": "dsl", **settings}
        return load("reboot", named).concentrator.trusted_circuits

    assert trusted() == ()
    assert trusted(**{"topology.intermediate_agent": True}) == ("all",)
    assert trusted(**{"topology.intermediate_agent": True, "concentrator.trusted_circuits": [2]}) == ("2",)
    assert trusted(**{"topology.intermediate_agent": True, "concentrator.trusted_circuits": []}) == ()
    spec = load("reboot", {"topology.figure": "dsl", "topology.intermediate_agent": True})
    assert Spec.model_validate(spec.model_dump(mode="json")) == spec


def test_frames_that_it_missed_make_a_run_invalid():
    import pandas as pd

    observed = {"processes": {}, "stolen_s": 0.0, "seconds": 1.0, "processors": 2, "clock_step_s": 0.0}
    probes = pd.DataFrame({"due": [0.0], "sent": [0.0]})
    assert judge({**observed, "agent": {"missed": 0, "inserted": 3}}, probes, 0.1) == []
    reasons = judge({**observed, "agent": {"missed": 2}}, probes, 0.1)
    assert reasons == ["the intermediate agent missed 2 frames"]


def test_the_figure_knows_of_it():
    assert DslTopo(intermediate_agent=True).nodeInfo("dslam")["agent"]
    assert not DslTopo().nodeInfo("dslam")["agent"]


# -- in a real DSLAM


@pytest.fixture(scope="module", params=[False, True], ids=["one tag", "two tags"])
def dslam(request, lab):
    topology = {"figure": "dsl", "intermediate_agent": True, "stacked_tags": request.param}
    act = lab(Spec(topology=topology, capture={"nodes": ["concentrator"]}), "bridges")
    act.stacked = request.param
    act("watch", "concentrator")
    return act


def untagged(octets: bytes, **keywords) -> str:
    return up(octets, (), **keywords).hex()


@pytest.mark.lab
def test_frames_in_and_frames_out_upstream(dslam):
    """A DISCOVER, two with a forged option 82, a frame that is no DHCP, a renewal: what gets through."""
    other = frames.ethernet(frames.BROADCAST_MAC, HOST, (), 0x88B6, MARK.ljust(50, b"."))
    renewal = message(MessageType.REQUEST, ciaddr=IPv4Address("198.18.0.20"), secs=3)
    last = message(secs=4)
    sent = [
        *(untagged(message(secs=1).encode()), untagged(hidden("options")), untagged(hidden("both"))),
        other.hex(),
        untagged(renewal.encode(), source=renewal.ciaddr, destination=plan.SERVER),
        untagged(last.encode()),
    ]
    dslam("send", "host1", sent)
    expected = RelayInfo(b"dslam1 eth 0/2:1.1" if dslam.stacked else b"dslam1 eth 0/2:1", LINE.remote_id)
    seen = [frames.parse(bytes.fromhex(frame)) for frame in dslam("watched", "concentrator", 4)]
    assert {link.tags for link in seen} == {(1, 1) if dslam.stacked else (1,)}
    dhcp = [decode(frames.udp_payload(link.payload)) for link in seen if link.ethertype == 0x800]
    assert [each.secs for each in dhcp] == [1, 3, 4]
    assert [each.options.pop(OPTION, None) for each in dhcp] == [expected.encode(), None, expected.encode()]
    assert dhcp == [message(secs=1), renewal, last]
    assert [bytes(link.payload[:21]) for link in seen if link.ethertype == 0x88B6] == [MARK]
    for frame in dslam("watched", "concentrator", 0):
        if frames.parse(bytes.fromhex(frame)).ethertype == 0x800:
            checksums_hold(bytes.fromhex(frame))


@pytest.mark.lab
def test_frames_in_and_frames_out_downstream(dslam):
    """A reply goes down its own line alone, without option 82; what is no DHCP does not pass the agent."""
    tags = (1, 2) if dslam.stacked else (2,)
    reply = message(MessageType.OFFER, op=BOOTREPLY, options={OPTION: FORGED.encode()})
    assert dslam("seen_downstream", down(reply.encode(), tags).hex()) == ["host2", "host3"]
    dslam("watch", "host2")
    for frame in (down(reply.encode(), tags), down(reply.encode(), tags[:-1] + (3,))):
        dslam("send_downstream", frame.hex())
    del reply.options[OPTION]
    dslam("send_downstream", down(reply.encode(), tags).hex())
    seen = [bytes.fromhex(frame) for frame in dslam("watched", "host2", 2)]
    assert seen == [down(reply.encode(), ())] * 2


@pytest.mark.lab
def test_hosts_reach_the_agents_circuit_in_no_other_way(dslam):
    """Not with tags of their own, nor with frames for port 68, which pass as the switch passes all."""
    before = len(dslam("watched", "concentrator", 0))
    forged = down(message(op=BOOTREPLY, options={OPTION: FORGED.encode()}).encode(), ())
    dslam(
        "send",
        "host1",
        [up(message().encode(), (2,)).hex(), up(message().encode(), (1, 2)).hex(), forged.hex()],
    )
    seen = [bytes.fromhex(frame) for frame in dslam("watched", "concentrator", before + 1)[before:]]
    assert [frames.parse(frame).tags for frame in seen] == [(1, 1) if dslam.stacked else (1,)]
    assert payload(seen[0]) == payload(forged)  # from no client: the concentrator drops it


@pytest.mark.lab
def test_what_it_counts_is_reported(dslam):
    counts = dslam("stop_agent")
    assert counts["missed"] == 0
    assert counts["inserted"] == 2
    assert counts["spoofed-option-82"] == 2
    assert counts["stripped"] >= 2
