"""Forged messages, before they are on any wire: each attack is what its description says."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from lq.emulation import forgeries
from lq.emulation.forgeries import Identity, OffPath, Place, Subscriber, World
from lq.emulation.programs import hijacker, starver
from lq.scenarios.trials import ATTACKS, MOMENTS, trials
from lq.wire import MessageType, OptionCode, RelayInfo, decode, frames
from topologies import plan

OWN_82, VICTIMS_82 = (
    RelayInfo(bytes((0, 0, 0, 2, 0, n)), bytes((2, 11, 0, 0, 0, n))).encode() for n in (1, 2)
)
OWN = Identity(IPv4Address("198.18.0.16"), bytes.fromhex("020a00000001"), b"\x01own", OWN_82)
VICTIM = Identity(IPv4Address("198.18.0.17"), bytes.fromhex("020a00000002"), b"\x01victim", VICTIMS_82)
HERE = Place(OWN.address, OWN.chaddr, bytes.fromhex("02c000000002"))
OUTSIDE = Place(plan.INTERNET, bytes.fromhex("02a000000009"), bytes.fromhex("02a000000008"))
WORLD = World(plan.GATEWAY, (plan.SERVER,), OWN, 11, 13)
INSIDER, OUTSIDER = Subscriber(WORLD, HERE), OffPath(WORLD, OUTSIDE)


def read(frame: bytes):
    """Return a frame's IP addresses, UDP ports, and DHCP message."""
    link = frames.parse(frame)
    source, destination = frames.ipv4_addresses(link.payload)
    ports = int.from_bytes(link.payload[20:22], "big"), int.from_bytes(link.payload[22:24], "big")
    return source, destination, ports, decode(frames.udp_payload(link.payload))


def made(attacker: str, attack: str) -> list[bytes]:
    if attacker == "on-path":
        return [frame for _, frame in forgeries.on_path(WORLD, OUTSIDE, attack, VICTIM)]
    return (INSIDER if attacker == "subscriber" else OUTSIDER).frames(attack, VICTIM)


EVERY = [(attacker, attack) for attacker, attacks in ATTACKS.items() for attack in attacks]


@pytest.mark.parametrize(("attacker", "attack"), EVERY)
def test_each_attack_is_about_its_victim_and_within_the_test_addresses(attacker, attack):
    found = made(attacker, attack)
    assert found
    for frame in found:
        link = frames.parse(frame)
        assert len(frame) <= 1514
        if link.ethertype == frames.ETHERTYPE_ARP:
            assert VICTIM.address in (
                frames.parse_arp(link.payload).sender,
                frames.parse_arp(link.payload).target,
            )
            continue
        source, destination, _, message = read(frame)
        own = (plan.GATEWAY, plan.SERVER, plan.INTERNET, OWN.address, VICTIM.address, IPv4Address(0))
        assert source in own
        assert destination in (plan.GATEWAY, plan.SERVER, frames.BROADCAST)
        asked = message.options.get(OptionCode.REQUESTED_ADDRESS, b"")
        named = {message.ciaddr.packed, message.yiaddr.packed, asked, message.chaddr}
        assert named & {VICTIM.address.packed, VICTIM.chaddr}
        info = message.options.get(OptionCode.RELAY_AGENT_INFORMATION)
        assert info in (None, OWN_82, VICTIMS_82)


@pytest.mark.parametrize("attack", ATTACKS["subscriber"])
def test_a_subscriber_writes_to_servers_from_its_verified_address_alone(attack):
    for frame in made("subscriber", attack):
        if frames.parse(frame).ethertype == frames.ETHERTYPE_IPV4:
            source, destination, ports, _ = read(frame)
            if destination == plan.SERVER:
                assert (source, ports) == (OWN.address, (68, 67))


def test_a_query_of_an_attacker_is_to_be_answered_to_itself():
    for attacker, own in (("subscriber", OWN.address), ("off-path", plan.INTERNET)):
        for attack in ("leasequery", "leasequery-mac"):
            [frame] = made(attacker, attack)
            message = read(frame)[3]
            assert (message.message_type, message.giaddr) == (MessageType.LEASEQUERY, own)


def test_an_on_path_answer_puts_the_victim_where_the_accomplice_is():
    [(server, frame)] = forgeries.on_path(WORLD, OUTSIDE, "active", VICTIM)
    source, destination, ports, message = read(frame)
    assert (server, source, destination, ports) == (plan.SERVER, plan.SERVER, plan.GATEWAY, (67, 67))
    assert (message.ciaddr, message.chaddr) == (VICTIM.address, OWN.chaddr)
    assert message.options[OptionCode.RELAY_AGENT_INFORMATION] == OWN_82


def test_the_accomplice_asks_a_server_that_is_not_there():
    message = read(INSIDER.accomplice_request(7))[3]
    assert message.xid == 7
    assert message.options[OptionCode.SERVER_IDENTIFIER] != plan.SERVER.packed
    assert (message.chaddr, message.options[OptionCode.CLIENT_IDENTIFIER]) == (OWN.chaddr, OWN.client_id)


def test_guesses_differ_in_the_transaction_identifier_alone_and_no_checksum_has_to_follow():
    [frame] = made("off-path", "ack")
    several = forgeries.guesses(frame, [1, 0xFFFFFFFF])
    assert [read(each)[3].xid for each in several] == [1, 0xFFFFFFFF]
    assert all(each[40:42] == b"\0\0" for each in several)
    before, after = (read(each)[3] for each in (frame, several[0]))
    after.xid = before.xid
    assert after == before


def test_every_round_has_each_plain_frame_once_and_its_share_of_the_guesses():
    plain, guessed = made("off-path", "request")[0], made("off-path", "ack")[0]
    rows = [(0, plain, 0), (1, guessed, 10), (2, plain, 0), (3, guessed, 10)]
    sent = list(hijacker.order(rows, 3, seed=1))
    numbers = [trial for trial, _ in sent]
    assert [numbers.count(trial) for trial in range(4)] == [3, 10, 3, 10]
    assert len({read(frame)[3].xid for trial, frame in sent if trial == 1}) == 10
    first, last = numbers.index(2), len(numbers) - 1 - numbers[::-1].index(2)
    assert 6 <= sum(trial in (1, 3) for trial in numbers[first:last]) <= 16  # not all at once
    assert list(hijacker.order(rows, 3, seed=1)) == sent
    assert list(hijacker.order(rows, 3, seed=2)) != sent


def test_every_trial_has_one_attacker_attack_and_moment():
    every = trials(tuple(ATTACKS), MOMENTS)
    off = [trial for trial in every if trial.attacker != "on-path"]
    assert len(off) == len(set(off)) == 3 * (len(ATTACKS["subscriber"]) + len(ATTACKS["off-path"]))
    assert {trial.moment for trial in every if trial.attack == "active" and trial.attacker == "on-path"} == {
        "during"
    }
    assert {trial.attack for trial in every if trial.guessed} == {"ack", "nak", "active"}
    assert trials(("subscriber",), ("after",)) == [t for t in off if t[::2] == ("subscriber", "after")]


NAMED = {VICTIM.chaddr: "victim"}, {VICTIM.address.packed: "victim"}


@pytest.mark.parametrize(
    ("kind", "to", "told"),
    [(13, VICTIM, "victim"), (11, None, "victim"), (12, VICTIM, None), (13, OWN, "victim")],
)
def test_an_answer_discloses_a_binding_if_it_names_it(kind, to, told):
    octets = forgeries.answer(kind, VICTIM, to, plan.INTERNET, plan.SERVER).encode()
    assert hijacker._named(octets, {11, 13}, *NAMED) == told
    assert hijacker._named(octets[:100], {11, 13}, *NAMED) is None


def flood(kind: str, identities: str = "many", count: int = 6) -> list:
    what = starver.StarverPlan(
        interface="eth0", rate=1.0, flood=kind, identities=identities, mac=OWN.chaddr, address=OWN.address,
        client_id=OWN.client_id, next_hop=bytes.fromhex("02c000000002"), server=plan.SERVER,
        wanted=(IPv4Address("198.18.0.30"), IPv4Address("198.18.0.31")), maximum_packets=count, seed=1,
    )  # fmt: skip
    return [read(frame) for frame in starver.rows(what)]


@pytest.mark.parametrize("identities", ["one", "many"])
@pytest.mark.parametrize("kind", ["discover", "request", "decline"])
def test_a_flood_is_of_ever_other_clients(kind, identities):
    found = [message for *_, message in flood(kind, identities)]
    clients = {message.options[OptionCode.CLIENT_IDENTIFIER] for message in found}
    assert len(clients) == 6
    assert len({message.chaddr for message in found}) == (1 if identities == "one" else 6)
    kinds = {"discover": [1], "request": [3], "decline": [3, 4]}[kind]
    assert [message.message_type for message in found] == kinds * 6
    if kind != "discover":
        asked = [message.options[OptionCode.REQUESTED_ADDRESS] for message in found]
        assert set(asked) == {IPv4Address("198.18.0.30").packed, IPv4Address("198.18.0.31").packed}
        assert all(message.options[OptionCode.SERVER_IDENTIFIER] == plan.SERVER.packed for message in found)


def test_informs_are_its_own_by_unicast_each_with_another_option():
    found = flood("inform", count=50)
    assert {(source, destination) for source, destination, *_ in found} == {(OWN.address, plan.SERVER)}
    assert {message.options[OptionCode.CLIENT_IDENTIFIER] for *_, message in found} == {OWN.client_id}
    codes = [set(message.options) - {53, 61} for *_, message in found]
    assert all(len(each) == 1 for each in codes)
    assert len(set.union(*codes)) == 50
