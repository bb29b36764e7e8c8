"""Well-formed messages with any values in them: every length of every option that the server reads."""

from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from lq.server.service import Service
from lq.wire import Message, MessageType, decode

from .helpers import GIADDR, RELAY, SERVER, mac, service

ADDRESSES = [
    IPv4Address(each) for each in ("0.0.0.0", "198.18.0.10", "198.18.0.11", "198.18.50.1", "198.19.0.1")
]
RESERVED = "reservations: [{address: 198.18.50.1, hardware: '02:00:00:00:00:02', client_id: 'x'}]\n"
READ = (12, 50, 51, 54, 55, 57, 60, 61, 82, 118)

addresses = st.sampled_from(ADDRESSES)
values = st.one_of(
    st.binary(max_size=9),
    addresses.map(lambda address: address.packed),
    st.tuples(addresses, addresses).map(lambda pair: pair[0].packed + pair[1].packed),
    st.just(SERVER.packed),
    st.binary(min_size=250, max_size=600),
)
messages = st.builds(
    Message,
    htype=st.integers(0, 255),
    chaddr=st.one_of(st.binary(max_size=16), st.integers(0, 3).map(mac)),
    ciaddr=addresses,
    giaddr=st.one_of(st.just(GIADDR), addresses),
    flags=st.sampled_from([0, 0x8000, 0xFFFF]),
    options=st.builds(
        dict.__or__,
        st.fixed_dictionaries({}, optional=dict.fromkeys(READ, values)),
        st.dictionaries(st.integers(1, 51), values, max_size=2),
    ),
)
steps = st.tuples(
    st.one_of(st.sampled_from([1, 3, 4, 7, 8, 10]), st.sampled_from([*MessageType, 254])),
    messages,
    st.sampled_from([0.0, 61.0, 4000.0]),
)


@settings(max_examples=200)
@given(st.sampled_from(["", "dialect: draft-03\n"]), st.lists(steps, max_size=12))
def test_any_message_is_answered_or_dropped(dialect, sent):
    server = service(RESERVED + dialect)
    now = 1000.0
    for kind, message, passed in sent:
        now += passed
        message.message_type = kind
        octets = message.encode()
        outgoing = server.handle(octets, now, (str(message.giaddr), 67))
        if outgoing is not None:
            reply = decode(outgoing[0])
            assert (reply.op, reply.xid, reply.chaddr == message.chaddr or kind == 10) == (
                2,
                message.xid,
                True,
            )
    again = Service(server.config, list(server.changed.values()), now)
    for address in ADDRESSES[1:]:
        query = Message(ciaddr=address, giaddr=GIADDR, options={53: b"\x0a", 55: bytes(range(1, 255))})
        before, after = (each.handle(query.encode(), now, RELAY) for each in (server, again))
        assert decode(before[0]).message_type == decode(after[0]).message_type
