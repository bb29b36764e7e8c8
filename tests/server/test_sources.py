"""Whom the server believes: what hosts send in the name of others, to a real server over UDP, too."""

import json
import signal
import socket
from ipaddress import IPv4Address

import pytest

from lq.server.bindings import State
from lq.wire import Message, MessageType

from .helpers import ALL, RELAY, SERVER, Host, ask, mac, option_82, query, service
from .test_daemon import CONFIG, drain, lease_many, relay, run  # noqa: F401
from .test_daemon import RELAY as GIADDR

HOST = ("198.18.0.99", 67)  # a subscriber who may use port 67 of its own address
OWN = option_82(666)  # the circuit that the thief would like everybody to be on


@pytest.fixture
def server():
    return service()


@pytest.fixture
def victim(server):
    host = Host(server, client_id=b"\x01victim")
    host.lease(1000.0)
    server.changed.clear()
    return host


def unmoved(server, victim):
    binding = server.bindings.get(victim.address)
    return not server.changed and binding.leased(1001.0) and binding.relay_info == option_82(1)


FORGED = {
    MessageType.REQUEST: {"o50": True},
    MessageType.RELEASE: {},
    MessageType.DECLINE: {"o50": True},
    MessageType.INFORM: {},
    MessageType.DISCOVER: {},
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_giaddr_of_ones_own_making_counts_for_nothing(server, victim, kind):
    victim.relay_info = OWN
    named = {"o50": victim.address.packed} if FORGED[kind] else {}
    assert victim.send(kind, 1001.0, ciaddr=str(victim.address), source=HOST, **named) is None
    assert unmoved(server, victim)
    assert server.counters["dropped: source is not giaddr"] == 1
    assert server.counters[f"received: {kind.name.lower()}"] >= 1


@pytest.mark.parametrize("kind", [MessageType.REQUEST, MessageType.RELEASE, MessageType.INFORM])
def test_a_ciaddr_of_another_counts_for_nothing(server, victim, kind):
    assert victim.send(kind, 1001.0, ciaddr=str(victim.address), relayed=False, source=HOST) is None
    assert unmoved(server, victim)
    assert server.counters["dropped: source is not ciaddr"] == 1
    assert victim.renew(1001.0).message_type == MessageType.ACK  # from its own address


@pytest.mark.parametrize("kind", [MessageType.DISCOVER, MessageType.DECLINE])
def test_what_only_a_relay_agent_brings_is_not_taken_from_a_host(server, victim, kind):
    address = str(victim.address)
    named = {"o50": victim.address.packed}
    assert victim.send(kind, 1001.0, ciaddr=address, relayed=False, source=(address, 68), **named) is None
    assert unmoved(server, victim)
    assert server.counters["dropped: not through a relay agent"] == 1


def test_option_82_without_a_relay_agent_is_refused(server, victim):
    """RFC 3046, 2.1: a relay agent that adds it sets giaddr."""
    victim.kept = {82: OWN}
    assert victim.renew(1001.0) is None
    assert unmoved(server, victim)
    assert server.counters["dropped: option 82 without giaddr"] == 1


def test_a_client_selects_an_address_through_a_relay_agent_only(server, victim):
    """A unicast REQUEST with a server identifier would lease any address of the pool, to anybody."""
    taken = victim.send(
        MessageType.REQUEST,
        1001.0,
        ciaddr=str(victim.address),
        relayed=False,
        o50=bytes((198, 18, 0, 20)),
        o54=SERVER.packed,
    )
    assert taken.yiaddr == victim.address  # no more than a renewal
    assert server.bindings.get(IPv4Address("198.18.0.20")) is None


@pytest.mark.requirement("R6.4.3-1")
def test_a_leasequery_is_answered_only_of_the_relay_agents_own_port_and_address(server, victim):
    octets = query(str(victim.address))
    assert server.handle(octets, 1001.0, HOST) is None
    assert server.handle(octets, 1001.0, ("198.18.0.1", 40000)) is None
    assert server.handle(octets, 1001.0, RELAY) is not None
    assert server.handle(octets, 1001.0, HOST) is None  # also when the requester has been heard
    assert server.handle(octets, 1001.0, ("198.18.0.1", 40000)) is None
    assert server.counters["dropped: source is not giaddr"] == 2
    assert server.counters["dropped: query from another port than a relay agent's"] == 2


def test_nobody_is_told_who_has_which_address_unless_named(server):
    silent = service("leasequery: {requesters: []}\n")
    Host(silent).lease(1000.0)
    assert ask(silent, 1001.0, "198.18.0.10") is None
    assert silent.counters["dropped: requester not allowed"] == 1


def test_for_studies_anybody_is_believed():
    """With the check off the attacks of this file work: they are no attacks on a check that is not needed."""
    server = service("verify_source: false\n")
    host = Host(server, client_id=b"\x01victim")
    host.lease(1000.0)
    assert server.handle(query(str(host.address)), 1001.0, HOST) is not None
    host.relay_info = OWN
    host.send(MessageType.REQUEST, 1001.0, source=HOST, o50=host.address.packed)
    assert server.bindings.get(host.address).relay_info == OWN
    host.send(MessageType.RELEASE, 1002.0, ciaddr=str(host.address), source=HOST)
    assert server.bindings.get(host.address).state == State.RELEASED


@pytest.mark.requirement("R5-9")
@pytest.mark.requirement("R6.4.2-7")
def test_only_what_made_the_lease_makes_its_circuit(server, victim):
    """The relay agent passes on what a cloned MAC sends elsewhere, with the circuit it really came by."""
    thief = Host(server, client_id=b"\x01victim", relay_info=OWN)
    thief.discover(1001.0)
    assert thief.send(MessageType.INFORM, 1002.0, ciaddr=str(victim.address)) is not None
    thief.send(MessageType.RELEASE, 1003.0, ciaddr=str(victim.address))
    thief.send(MessageType.DECLINE, 1004.0, o50=victim.address.packed)
    assert unmoved(server, victim)
    assert server.counters["dropped: released from another circuit than the lease's"] == 1
    assert server.counters["dropped: declined from another circuit than the lease's"] == 1
    assert server.bindings.get(victim.address).last_transaction == 1000.0


@pytest.mark.requirement("R5-10")
def test_an_inform_leaves_its_time_alone_behind(server, victim):
    before = server.bindings.get(victim.address)
    assert (
        victim.send(MessageType.INFORM, 1500.0, ciaddr=str(victim.address), o60=b"other", o200=b"x")
        is not None
    )
    after = server.bindings.get(victim.address)
    assert (after.sent, after.relay_info, after.expires) == (before.sent, before.relay_info, before.expires)
    assert after.last_transaction == 1500.0


class Thief:
    """A subscriber's sockets: its own verified address, at the port of DHCP servers and at another."""

    def __init__(self, port):
        self.port = port
        self.sockets = {}
        for name, number in (("server's port", port), ("another port", 0)):
            self.sockets[name] = udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.9", number))
            udp.settimeout(0.3)

    def send(self, octets, by="server's port"):
        self.sockets[by].sendto(octets, ("127.0.0.1", self.port))

    def message(self, kind, number, ciaddr="0.0.0.0", giaddr=GIADDR, **options):
        message = Message(htype=1, xid=666, chaddr=mac(number))
        message.ciaddr, message.giaddr = IPv4Address(ciaddr), IPv4Address(giaddr)
        message.message_type = kind
        message.options |= {int(code[1:]): value for code, value in options.items()}
        message.options[82] = OWN
        self.send(message.encode())

    def hears_nothing(self):
        for udp in self.sockets.values():
            with pytest.raises(TimeoutError):
                udp.recv(4096)
        return True


def test_a_subscriber_cannot_take_over_cut_off_or_spy_on_another(tmp_path, relay):  # noqa: F811
    process = run(tmp_path, relay, "--counters-json", str(tmp_path / "counters.json"))
    ((_, address),) = lease_many(relay, process, lambda found: len(found) == 1, outstanding=1).items()
    drain(relay)
    thief = Thief(relay.port)
    thief.message(MessageType.REQUEST, 1, o50=address.packed)
    thief.message(MessageType.REQUEST, 1, ciaddr=str(address), giaddr="0.0.0.0")
    thief.message(MessageType.RELEASE, 1, ciaddr=str(address))
    thief.message(MessageType.DECLINE, 1, o50=address.packed)
    thief.message(MessageType.INFORM, 1, ciaddr=str(address))
    for giaddr in ("127.0.0.9", GIADDR, "0.0.0.0"):
        for by in thief.sockets:
            thief.send(query(str(address), giaddr=IPv4Address(giaddr), requested=ALL), by)
            thief.send(query(chaddr=mac(1), giaddr=IPv4Address(giaddr), requested=ALL), by)
    assert thief.hears_nothing()
    reply = relay.ask(address)
    assert (reply.message_type, reply.chaddr) == (MessageType.ACTIVE, mac(1))
    assert reply.options[82] == option_82(1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    counters = json.loads((tmp_path / "counters.json").read_text())
    assert counters["dropped: requester not allowed"] == 4
    assert counters["dropped: query without giaddr"] == 4
    assert counters["dropped: option 82 without giaddr"] == 1
    assert counters["dropped: source is not giaddr"] == 4 + 4
    assert counters["answered: active"] == 1


def test_a_server_without_requesters_says_so_once(tmp_path, relay):  # noqa: F811
    text = CONFIG.replace("leasequery: {{requesters: [127.0.0.2]}}\n", "")
    assert text != CONFIG
    process = run(tmp_path, relay, text=text)
    relay.send(query("198.18.1.0", giaddr=IPv4Address(GIADDR)))
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert errors.count("leasequery is on, but nobody may ask: name the requesters in leasequery.requesters") == 1
