"""Whatever comes in, the engine takes it, says what to do, and what it sends can be put into octets."""

from __future__ import annotations

from ipaddress import IPv4Address

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from lq.concentrator.events import (
    ArpReply,
    Circuit,
    Downstream,
    FromClient,
    FromServer,
    ModemRegistered,
    Refuse,
    ToClient,
    ToServer,
    Upstream,
)
from lq.wire import DRAFT_03, Message, OptionCode
from tests.concentrator.helpers import (
    CIRCUIT,
    GIADDR,
    HOST,
    MAC,
    MODEM,
    OTHER_CIRCUIT,
    SECOND,
    SERVER,
    engine,
    info,
    queries,
)

addresses = st.one_of(
    st.sampled_from([HOST, HOST + 1, GIADDR, IPv4Address(0), IPv4Address("198.18.255.255")]),
    st.integers(0, 0xFFFFFFFF).map(IPv4Address),
)
hardware = st.one_of(st.just(MAC), st.binary(max_size=16))
circuits = st.one_of(
    st.sampled_from([CIRCUIT, OTHER_CIRCUIT]),
    st.builds(Circuit, st.integers(1, 0xFFFFFFFF), st.lists(st.integers(0, 0xFFF), max_size=4).map(tuple)),
)
CODES = [50, 51, 53, 54, 61, 82, 91, 92]
options = st.dictionaries(
    st.sampled_from(CODES), st.one_of(st.binary(max_size=12), st.just(info(CIRCUIT, MODEM).encode()))
)
types = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, DRAFT_03.unimplemented])
messages = st.builds(
    lambda kind, **fields: Message(**{**fields, "options": {**fields["options"], 53: bytes((kind,))}}),
    types,
    op=st.integers(1, 2),
    hops=st.integers(0, 20),
    xid=st.integers(0, 3),
    flags=st.sampled_from([0, 0x8000, 0x4000]),
    ciaddr=addresses,
    yiaddr=addresses,
    giaddr=st.sampled_from([GIADDR, IPv4Address(0), HOST]),
    chaddr=hardware,
    options=options,
)
events = st.one_of(
    st.builds(Downstream, addresses),
    st.builds(Upstream, circuits, hardware, addresses),
    st.builds(FromClient, circuits, messages),
    st.builds(FromServer, st.sampled_from([SERVER, SECOND, HOST]), messages),
    st.builds(ModemRegistered, st.sampled_from([MODEM, b"", b"x" * 16]), circuits),
    st.builds(ArpReply, circuits, hardware, addresses),
)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(events, st.sampled_from([0.0, 0.3, 20.0]), st.booleans()), max_size=40))
@pytest.mark.parametrize(
    "mode",
    [
        {"circuit_id": "binary"},
        {"circuit_id": "text"},
        {"ask_by": "mac-upstream"},
        {"mode": "arp"},
        {"mode": "glean-only"},
    ],
    ids=str,
)
def test_the_engine_takes_whatever_comes(mode, script):
    concentrator = engine(
        **mode,
        servers=(SERVER, SECOND),
        admit_reserved=True,
        locate_by_source=True,
        refused_limit=8,
        waiting_limit=4,
    )
    now, sent = 0.0, []
    for happening, pause, as_answer in script:
        event, now = happening, now + pause
        effects = concentrator.wake(now)
        if as_answer and sent and isinstance(event, FromServer):  # an answer that matches, with any content
            event.message.xid = sent[-1].message.xid
            event.message.ciaddr = sent[-1].message.ciaddr
            event = FromServer(sent[-1].server, event.message)
        effects += concentrator.handle(event, now)
        sent += queries(effects)
        for effect in effects:
            if isinstance(effect, ToServer):
                assert effect.message.encode() == effect.octets
            if isinstance(effect, ToClient):
                assert effect.message.encode()
            if isinstance(effect, ToClient):
                assert OptionCode.RELAY_AGENT_INFORMATION not in effect.message.options
            if isinstance(effect, Refuse):
                assert effect.until > now
        assert all(each.until > 0 for each in concentrator.negative_cache)
        sent += queries(concentrator.wake(now))  # what is due at once is done, and not due any more
        assert concentrator.deadline is None or concentrator.deadline > now
    refused = {each.address for each in concentrator.negative_cache if each.until > now}
    assert not refused & {int(each.address) for each in concentrator.locations}
