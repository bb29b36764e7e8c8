"""The server's bindings as a state machine: whatever clients, relays and requesters do in whatever order."""

from dataclasses import fields, replace
from ipaddress import IPv4Address

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from lq.server.answer import Answerer
from lq.server.assign import Assigner
from lq.server.bindings import Binding, State
from lq.server.config import Reservation
from lq.server.offers import Client, Offers
from lq.wire import MessageType
from lq.wire.options import FOREVER

from . import oracle
from .helpers import ALL, CONFIG, GIADDR, Host, ask, mac, option_82, query, seconds, service

POOL = "198.18.0.10-198.18.0.13"
RESERVED = "reservations: [{address: 198.18.0.12, hardware: '02:00:00:00:00:02'}]\n"
RELAY = str(GIADDR), 67
numbers = st.integers(0, 5)
NAMES = [field.name for field in fields(Binding) if not field.name.startswith(("template", "reserved"))]


def values(binding):
    return {name: getattr(binding, name) for name in NAMES}


class Network(RuleBasedStateMachine):
    """Six clients and a pool of four; `leases` is what the clients believe, from ACKs alone."""

    @initialize(
        dialect=st.sampled_from(["rfc4388", "draft-03", "rfc4388\nleasequery: {former_client: true}"])
    )
    def start(self, dialect):
        self.extra = RESERVED + f"dialect: {dialect}\n"
        self.now = 1000.0
        self.stored = {}
        self.leases = {}
        self.declined = {}
        self.offers = {}
        self.boot()

    def boot(self):
        copies = [replace(binding, template_of=None) for binding in self.stored.values()]
        config = CONFIG.replace("198.18.0.10-198.18.0.20", POOL)
        self.server = service(self.extra, config, copies, self.now)
        ids = {4: b"\0four", 5: b"\0five"}  # 5 shares the hardware address of 1
        self.hosts = [Host(self.server, 1 if n == 5 else n, client_id=ids.get(n)) for n in range(6)]

    def commit(self):
        self.stored |= self.server.changed
        self.server.changed.clear()

    def took(self, number, reply):
        """An ACK has arrived, so what it says has to be stored already."""
        self.commit()
        until = self.now + seconds(reply, 51)
        stored = self.stored.get(reply.yiaddr.packed)
        assert stored is not None
        assert stored.expires == until
        holders = [
            other
            for other, leases in self.leases.items()
            if other != number and leases.get(reply.yiaddr, 0) > self.now
        ]
        assert not holders, f"{reply.yiaddr} belongs to {holders}"
        offered = [other for other, (offer, end) in self.offers.items() if self.stands(reply, offer, end)]
        assert set(offered) <= {number}, f"{reply.yiaddr} is offered to {offered}"
        assert self.declined.get(reply.yiaddr, 0) <= self.now
        assert str(reply.yiaddr) != "198.18.0.12" or number == 2
        self.leases.setdefault(number, {})[reply.yiaddr] = until
        if number in self.offers and self.offers[number][0].yiaddr == reply.yiaddr:
            del self.offers[number]
        self.hosts[number].address = reply.yiaddr

    def discover(self, number, **options):
        before = self.server.counters["offers taken back"]
        offer = self.hosts[number].discover(self.now, **options)
        if offer is None:
            self.offers.pop(number, None)
            return
        assert str(offer.yiaddr) != "198.18.0.12" or number == 2
        lost = [n for n, standing in self.offers.items() if n != number and self.stands(offer, *standing)]
        if self.server.counters["offers taken back"] == before:
            assert not lost
        for other in lost:
            del self.offers[other]
        assert not self.leased_to_others(number, offer.yiaddr)
        if self.declined.get(offer.yiaddr, 0) > self.now:
            assert all(self.taken(number, IPv4Address(f"198.18.0.{last}")) for last in (10, 11, 13))
            del self.declined[offer.yiaddr]
        self.offers[number] = offer, self.now + self.server.config.offer_time

    def leased_to_others(self, number, address):
        leases = (found for other, found in self.leases.items() if other != number)
        return any(found.get(address, 0) > self.now for found in leases)

    def taken(self, number, address):
        """Whether this client cannot have the address: leased or offered to another, or declined."""
        offered = (standing for other, standing in self.offers.items() if other != number)
        return (
            self.leased_to_others(number, address)
            or any(offer.yiaddr == address and end > self.now for offer, end in offered)
            or self.declined.get(address, 0) > self.now
        )

    def stands(self, reply, offer, end):
        """Whether an offer holds the address of a reply back."""
        return end > self.now and offer.yiaddr == reply.yiaddr

    @rule(number=numbers)
    def seek(self, number):
        self.discover(number)

    @rule(number=numbers, brief=st.booleans())
    def select(self, number, brief=False):
        if number in self.offers:
            asked = {"o51": (60).to_bytes(4, "big")} if brief else {}
            reply = self.hosts[number].select(self.offers.pop(number)[0], self.now, **asked)
            if reply.message_type == MessageType.ACK:
                self.took(number, reply)

    @rule(number=numbers, brief=st.booleans())
    def lease(self, number, brief):
        self.discover(number)
        self.select(number, brief)

    @rule(brief=st.booleans())
    def lease_twice(self, brief):
        """The two clients of one hardware address, one after the other."""
        self.lease(5, brief)
        self.now += 1.0
        self.lease(1, not brief)

    @rule()
    def outlive(self):
        """One lease of a hardware address ends while another stands, and no message says so."""
        self.lease_twice(True)
        self.asked([b"\x33"], chaddr=mac(1))
        self.now += 61.0
        self.asked([b"\x33"], chaddr=mac(1))  # from the answer prepared before, if that still holds

    @rule(number=numbers, last=st.integers(9, 14), selecting=st.booleans(), offered=st.booleans())
    def demand(self, number, last, selecting, offered):
        """Ask for an address by name, as of right or out of malice."""
        address = bytes((198, 18, 0, last))
        if offered:
            self.discover(number, o50=address)
        more = {"o54": self.server.config.listen.packed} if selecting else {}
        reply = self.hosts[number].send(MessageType.REQUEST, self.now, o50=address, **more)
        if reply is not None and reply.message_type == MessageType.ACK:
            self.took(number, reply)

    def of_others(self, number):
        """The addresses that others hold, or were offered, or have reserved."""
        held = [address for other, leases in self.leases.items() if other != number for address in leases]
        offered = [offer.yiaddr for other, (offer, _) in self.offers.items() if other != number]
        reserved = [IPv4Address("198.18.0.12")] if number != 2 else []
        return [*held, *offered, *reserved]

    @rule(number=numbers, data=st.data(), discovering=st.booleans(), relayed=st.booleans())
    def covet(self, number, data, discovering, relayed):
        """Ask for what is another client's, in each of the ways."""
        others = self.of_others(number)
        if not others:
            return
        address = data.draw(st.sampled_from(others)).packed
        host = self.hosts[number]
        if discovering:
            self.discover(number, o50=address)
        if relayed:
            reply = host.send(
                MessageType.REQUEST, self.now, o50=address, o54=self.server.config.listen.packed
            )
        else:
            reply = host.send(MessageType.REQUEST, self.now, ciaddr=str(IPv4Address(address)), relayed=False)
        if reply is not None and reply.message_type == MessageType.ACK:
            self.took(number, reply)

    @rule(number=numbers, data=st.data(), kind=st.sampled_from([MessageType.RELEASE, MessageType.DECLINE]))
    def malign(self, number, data, kind):
        """Give back, or decline, what is another client's: `every_lease_is_active` sees what comes of it."""
        others = self.of_others(number)
        if not others or self.leases.get(number) or number in self.offers:
            return  # what it holds itself, it may give back
        address = data.draw(st.sampled_from(others))
        if kind == MessageType.RELEASE:
            self.hosts[number].send(kind, self.now, ciaddr=str(address), relayed=False)
        else:
            self.hosts[number].send(kind, self.now, o50=address.packed)
        assert not self.server.changed

    @rule(number=numbers, relayed=st.booleans(), circuit=st.integers(0, 3))
    def renew(self, number, relayed, circuit):
        host = self.hosts[number]
        host.relay_info = option_82(circuit)
        if not int(host.address):
            return
        reply = host.send(MessageType.REQUEST, self.now, ciaddr=str(host.address), relayed=relayed)
        if reply is not None and reply.message_type == MessageType.ACK:
            self.took(number, reply)
            if relayed:
                assert self.stored[reply.yiaddr.packed].relay_info == option_82(circuit)

    @rule(number=numbers)
    def release(self, number):
        host = self.hosts[number]
        if int(host.address):
            host.release(self.now)
            self.leases.get(number, {}).pop(host.address, None)
            self.commit()

    @rule(number=numbers)
    def decline(self, number):
        host = self.hosts[number]
        if self.leases.get(number, {}).get(host.address, 0) > self.now:
            if self.stored[host.address.packed].relay_info != host.relay_info:
                host.send(MessageType.DECLINE, self.now, o50=host.address.packed)
                assert not self.server.changed  # from another circuit than the lease's
                return
            self.offers = {n: o for n, o in self.offers.items() if o[0].yiaddr != host.address}
            host.send(MessageType.DECLINE, self.now, o50=host.address.packed)
            del self.leases[number][host.address]
            self.declined[host.address] = self.now + self.server.config.decline_time
            self.commit()

    @rule(seconds=st.sampled_from([1.0, 59.0, 61.0, 1800.0, 3601.0, 90000.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def crash(self):
        self.boot()
        for number, leases in self.leases.items():
            if leases:
                self.hosts[number].address = max(leases, key=leases.get)
        self.offers.clear()

    def asked(self, lists=(ALL + b"\x32\x03", b"\x33", None), **item):
        """A query, with each of these Parameter Request Lists, whose answers are those due."""
        for requested in lists:
            octets = query(requested=requested, **item)
            oracle.judge(self.server, octets, self.server.handle(octets, self.now, RELAY), self.now)

    @rule()
    def query(self):
        before = {packed: values(binding) for packed, binding in self.server.bindings.by_address.items()}
        for last in range(9, 15):
            self.asked(ciaddr=f"198.18.0.{last}")
        self.asked(ciaddr="198.18.0.10", chaddr=bytes(6))
        for number in range(6):
            self.asked(chaddr=mac(number))
        for client_id in (b"\0four", b"\0five"):
            self.asked(client_id=client_id)
        self.asked(chaddr=mac(1), client_id=b"x")
        assert {packed: values(each) for packed, each in self.server.bindings.by_address.items()} == before
        assert not self.server.changed  # R3-1

    @invariant()
    def every_lease_is_active(self):
        for leases in getattr(self, "leases", {}).values():
            for address, until in leases.items():
                reply = ask(self.server, self.now, address)
                binding = self.server.bindings.get(address)
                assert (reply.message_type == MessageType.ACTIVE) == binding.leased(self.now)
                if until > self.now:
                    assert reply.message_type == MessageType.ACTIVE
                    assert seconds(reply, 51) == int(binding.expires - self.now)
                    assert reply.chaddr == binding.chaddr

    @invariant()
    def the_indexes_agree(self):
        if not hasattr(self, "server"):
            return
        bindings = self.server.bindings
        for binding in bindings:
            if binding.chaddr:
                assert binding in bindings.of_hardware(binding.hardware)
            if binding.client_id is not None:
                assert binding in bindings.of_client_id(binding.client_id)
        listed = sum(len(bindings.of_hardware(b"\1" + mac(number))) for number in range(6))
        assert listed == sum(bool(each.chaddr) for each in bindings)
        assert all(each.state != State.RESERVED for each in self.stored.values())


Network.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNetwork = Network.TestCase


def touching(answer):
    """Answer, and note in the binding that somebody asked."""

    def answer_and_touch(self, octets, question, now):
        for binding in self.bindings:
            binding.last_transaction = now
        return answer(self, octets, question, now)

    return answer_and_touch


def forgetful(store):
    """Store in memory, and now and then not on the disk."""

    def store_half(self, binding, link):
        store(self, binding, link)
        if binding.chaddr == mac(3):
            self.changed.clear()

    return store_half


def naming(of_address):
    """UNASSIGNED with a client, as the draft's KNOWN has it."""

    def name(self, sent, packed):
        reply = of_address(self, sent, packed)
        reply[1:3], reply[28:34] = b"\1\6", mac(1)
        return reply

    return name


def kept_for_ever(addresses):
    """The list of a client's addresses as it was first, whatever ends."""

    def keep(self, binding, form, now):
        value = addresses(self, binding, form, now)
        binding.template_until = FOREVER
        return value

    return keep


FAULTS = {
    "a lease to two clients": (
        Assigner,
        "_available",
        lambda f: lambda self, p, _, link, __: p in self._pools[link].ranges,
    ),
    "reservations of others": (Reservation, "is_for", lambda f: lambda *_: True),
    "offers of others": (Offers, "of", lambda f: lambda *_: None),
    "bindings of others": (Client, "holds", lambda f: lambda *_: True),
    "a query that changes bindings": (Answerer, "answer", touching),
    "an acknowledgement that is not stored": (Assigner, "_store", forgetful),
    "a lease that ended before one that stands": (
        Answerer,
        "_chosen",
        lambda f: lambda self, found, now: max(found, key=lambda each: each.last_transaction, default=None),
    ),
    "addresses listed whose lease has ended": (
        Answerer,
        "_addresses",
        lambda f: lambda self, binding, form, now: f(self, binding, form, 0.0),
    ),
    "a list of addresses kept for too long": (Answerer, "_addresses", kept_for_ever),
    "the last client of an address": (Answerer, "_of_address", naming),
    "leases that never end": (Binding, "leased", lambda f: lambda self, _: self.state == State.LEASED),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_machine_notices(monkeypatch, fault):
    """Each fault, put in on purpose, is found; without shrinking, as it is known."""
    where, name, broken = FAULTS[fault]
    monkeypatch.setattr(where, name, broken(getattr(where, name)))
    search = settings(
        max_examples=300,
        stateful_step_count=40,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Network, settings=search)
