"""A location has a cause: a configured server's message, in answer to one of this relay's that is open.

An observer in virtual time keeps its own account of what left for which server, and when, and of what came
back. Servers and clients are honest but slow, and lossy; between them come forged messages of every kind, old
replies and repeated ones. Whatever the concentrator makes of them, each new location must be accounted for.
Faults put in on purpose show that the observer notices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lq.concentrator import exchanges as exchanges_module
from lq.concentrator import leasequery as leasequery_module
from lq.concentrator.backoff import BackOff
from lq.concentrator.engine import Concentrator
from lq.concentrator.events import (
    Circuit,
    Downstream,
    FromClient,
    FromServer,
    Location,
    Permit,
    ToServer,
    Upstream,
    Withdraw,
)
from lq.concentrator.exchanges import Exchanges
from lq.simulation.world import Link, World
from lq.wire import DRAFT_03, MessageType, OptionCode, decode
from lq.wire.options import pack_u32
from tests.concentrator.helpers import (
    HOST,
    MAC,
    SECOND,
    SERVER,
    binding,
    client_message,
    engine,
    info,
    server_model,
)

HOSTS = 4
STRANGER = IPv4Address("198.19.9.9")
SERVERS = (SERVER, SECOND)
ADDRESSES = [HOST + number for number in range(HOSTS)]
OPEN = 60.0  # seconds
SETTINGS = {"servers": SERVERS, "circuit_queries": 0, "moves": "always", "exchange_time": OPEN}
OPTION_82 = OptionCode.RELAY_AGENT_INFORMATION


def subscriber(number):
    return Circuit(2, (number + 1,)), MAC[:-1] + bytes((number,))


@dataclass
class Sent:
    """A message to a server, as observed; `answered` by it."""

    server: IPv4Address
    octets: bytes
    at: float
    query: bool
    answered: bool = False

    @property
    def message(self):
        return decode(self.octets)


class Watched(World):
    """Says what the concentrator was given before the effects of that are seen."""

    cause: object = None

    def give(self, event):
        self.cause = event
        return super().give(event)

    def _take(self, server, message):
        self.cause = FromServer(server, decode(message))
        return super()._take(server, message)

    def _ring(self, alarm):
        self.cause = None
        super()._ring(alarm)


class Causes(RuleBasedStateMachine):
    """The observer, between the concentrator and whoever writes to it."""

    @initialize(seed=st.integers(0, 2**16), jitter=st.sampled_from([0.0, 2.0]))
    def begin(self, seed, jitter):
        self.models = {SERVER: server_model(), SECOND: server_model()}
        link = Link(delay=0.01, jitter=jitter, loss=0.2, duplication=0.2)
        self.world = Watched(engine(**SETTINGS, seed=seed), self.models, link, seed)
        self.world.on_effect = self.observe
        self.sent: list[Sent] = []
        self.located: dict[IPv4Address, Location] = {}
        self.xid = 0

    # -- honest ones

    @rule(number=st.integers(0, HOSTS - 1))
    def downstream(self, number):
        self.world.give(Downstream(ADDRESSES[number]))

    @rule(number=st.integers(0, HOSTS - 1), claimant=st.integers(0, HOSTS - 1))
    def upstream(self, number, claimant):
        self.world.give(Upstream(*subscriber(claimant), ADDRESSES[number]))

    @rule(
        number=st.integers(0, HOSTS - 1),
        kind=st.sampled_from([MessageType.DISCOVER, MessageType.REQUEST, MessageType.INFORM]),
        address=st.integers(0, HOSTS - 1),
        again=st.booleans(),
    )
    def client(self, number, kind, address, again):
        """Its servers do not answer by themselves; `answer` makes their replies, right ones and others."""
        circuit, chaddr = subscriber(number)
        self.xid += not again
        options = {OptionCode.REQUESTED_ADDRESS: ADDRESSES[address].packed}
        message = client_message(kind, xid=self.xid, chaddr=chaddr, options=options)
        self.world.give(FromClient(circuit, message))

    @rule(
        server=st.sampled_from(SERVERS),
        number=st.integers(0, HOSTS - 1),
        lease=st.sampled_from([5, 50, 5000]),
    )
    def leased(self, server, number, lease):
        """A server knows a lease: it answers queries about it."""
        circuit, chaddr = subscriber(number)
        end = self.world.now + lease
        lease = binding(ADDRESSES[number], chaddr=chaddr, info=info(circuit), expires=end)
        self.models[server].bind(lease)

    @rule(seconds=st.sampled_from([0.005, 0.1, 1.0, 10.0, 55.0, 70.0]))
    def wait(self, seconds):
        self.world.run(self.world.now + seconds)

    # -- replies, right ones and others

    @precondition(lambda self: getattr(self, "sent", None))
    @rule(
        which=st.integers(0, 5),
        kind=st.sampled_from([MessageType.OFFER, MessageType.ACK, MessageType.ACK]),
        server=st.sampled_from([None, None, SERVER, SECOND, STRANGER]),
        port=st.sampled_from([67, 67, 67, 68, 40000]),
        wrong=st.sets(st.sampled_from(["xid", "chaddr", "82", "no 82", "address"]), max_size=1),
        number=st.integers(0, HOSTS - 1),
        lease=st.sampled_from([5, 3600]),
        late=st.sampled_from([0.0, 0.0, 1.0, OPEN + 1.0]),
        times=st.sampled_from([1, 1, 2]),
    )
    def answer(self, which, kind, server, port, wrong, number, lease, late, times):
        """Answer one of the latest messages of the relay: rightly, wrongly, late, once more."""
        of = self.sent[-1 - which % len(self.sent)]
        asked, (circuit, chaddr) = of.message, subscriber(number)
        options = {OptionCode.LEASE_TIME: pack_u32(lease)}
        address = asked.ciaddr if of.query else IPv4Address(
            asked.options.get(OptionCode.REQUESTED_ADDRESS, ADDRESSES[0].packed)
        )  # fmt: skip
        if "address" in wrong:
            address = ADDRESSES[number]
        if of.query:
            options[OptionCode.MESSAGE_TYPE] = bytes((DRAFT_03.active,))
            options[OPTION_82] = info(circuit).encode()
            names = {"ciaddr": address, "chaddr": chaddr}
        else:
            options[OptionCode.MESSAGE_TYPE] = bytes((kind,))
            options[OPTION_82] = asked.options[OPTION_82]
            names = {"yiaddr": address, "ciaddr": IPv4Address(0), "chaddr": asked.chaddr}
            if "chaddr" in wrong:
                names["chaddr"] = chaddr
            if "82" in wrong:
                options[OPTION_82] = info(circuit).encode()
        if "no 82" in wrong:
            del options[OPTION_82]
        if "xid" in wrong:
            names["xid"] = asked.xid ^ 1
        reply = replace(asked, op=2, hops=0, options=options, **names)
        for _ in range(times):
            self.wait(late)
            self.world.give(FromServer(server or of.server, reply, port))
            late = 0.5

    # -- what the observer sees

    def observe(self, effect, now):
        if isinstance(effect, ToServer):
            assert effect.server in SERVERS
            if effect.query is None or effect.query.attempt == 1:
                self.sent.append(Sent(effect.server, effect.octets, now, effect.query is not None))
        elif isinstance(effect, Withdraw):
            self.located.pop(effect.location.address, None)
        elif isinstance(effect, Permit):
            location = effect.location
            if self.located.get(location.address) != location:
                self.accounts_for(location, now)
                self.located[location.address] = location

    def accounts_for(self, location, now):
        cause = self.world.cause
        assert isinstance(cause, FromServer), "nothing but a server's message makes a location"
        assert cause.server in SERVERS
        assert cause.port == 67
        message = cause.message
        assert location.chaddr == message.chaddr
        by_query = message.message_type == DRAFT_03.active
        fits = self._answers_query if by_query else self._answers_request
        found = [sent for sent in self.sent if sent.query == by_query and fits(sent, cause, location, now)]
        assert found, "in answer to a message to this server that was still open"
        for sent in found:
            sent.answered = True

    @staticmethod
    def _answers_query(sent, cause, location, now):
        asked, message = sent.message, cause.message
        named = message.options.get(OPTION_82)
        return (
            sent.server == cause.server
            and not sent.answered
            and asked.xid == message.xid
            and asked.ciaddr == message.ciaddr == location.address
            and named == info(location.circuit).encode()
        )

    def _answers_request(self, sent, cause, location, now):
        asked, message = sent.message, cause.message
        named = message.options.get(OPTION_82)
        alike = {
            each.message.options[OPTION_82]
            for each in self.sent
            if not each.query
            and (each.message.xid, each.message.chaddr) == (asked.xid, asked.chaddr)
            and each.at > now - OPEN
        }
        return (
            sent.server == cause.server
            and not sent.answered
            and now < sent.at + OPEN
            and message.message_type == MessageType.ACK
            and asked.message_type == MessageType.REQUEST
            and (asked.xid, asked.chaddr) == (message.xid, message.chaddr)
            and asked.options[OptionCode.REQUESTED_ADDRESS] == location.address.packed
            and location.address == message.yiaddr
            and asked.options[OPTION_82] == info(location.circuit).encode()
            and (named == asked.options[OPTION_82] or (named is None and len(alike) == 1))
        )


TestCauses = Causes.TestCase
TestCauses.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


class Everything:
    def __contains__(self, _each):
        return True


def from_any_port(handle):
    def take(self, event, now):
        return handle(self, replace(event, port=67) if isinstance(event, FromServer) else event, now)

    return take


def from_any_server(answered):
    return lambda exchange, server, reply: answered(exchange, next(iter(exchange.waiting), server), reply)


def again_and_again(answered):
    def believe(exchange, server, reply):
        before = set(exchange.waiting)
        believed = answered(exchange, server, reply)
        exchange.waiting.update(before)
        return believed

    return believe


def of_any_kind(_answered):
    return lambda exchange, server, _reply: server in exchange.waiting


def match_any_server(_match):
    def match(self, _server, xid):
        transaction = self._by_xid.get(xid)
        return transaction if transaction is not None and transaction.attempts else None

    return match


def match_any_xid(_match):
    def match(self, server, _xid):
        return next(
            (
                transaction
                for transaction in self._by_xid.values()
                if transaction.server.address == server and transaction.attempts
            ),
            None,
        )

    return match


FAULTS = {
    "believes without a request": (SETTINGS, "verify_replies", lambda _: False),
    "keeps requests open for ever": (SETTINGS, "exchange_time", lambda _: 1e9),
    "takes any port": (Concentrator, "handle", from_any_port),
    "takes another server's reply": (Exchanges, "answered", from_any_server),
    "takes a reply again": (Exchanges, "answered", again_and_again),
    "takes a reply of any kind, about any address": (Exchanges, "answered", of_any_kind),
    "takes any circuit": (exchanges_module, "_same", lambda _: lambda *_: True),
    "takes another server's answer": (BackOff, "match", match_any_server),
    "takes an answer to nothing": (BackOff, "match", match_any_xid),
    "takes an answer about another address": (leasequery_module, "_fits", lambda _: lambda *_: True),
}


@pytest.mark.requirement("R1-7")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_observer_notices(monkeypatch, fault):
    """Each fault, put in on purpose, is found; without shrinking, as it is known."""
    where, name, broken = FAULTS[fault]
    if isinstance(where, dict):
        monkeypatch.setitem(where, name, broken(where.get(name)))
    else:
        made = broken(getattr(where, name))
        monkeypatch.setattr(where, name, staticmethod(made) if where is Exchanges else made)
    search = settings(
        max_examples=1000,
        stateful_step_count=40,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Causes, settings=search)
