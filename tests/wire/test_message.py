"""The codec: round trips, long options, overload, and malformed input."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq.wire import MalformedMessage, Message, MessageType, OptionCode, decode
from lq.wire.message import HEADER_LENGTH, MAGIC_COOKIE, Template

addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
codes = st.integers(1, 254).filter(lambda code: code != OptionCode.OVERLOAD)
no_trailing_zero = st.binary(max_size=64).map(lambda value: value.rstrip(b"\0"))


@st.composite
def messages(draw, longest=600):
    options = draw(st.dictionaries(codes, st.binary(max_size=longest), max_size=12))
    return Message(
        op=draw(st.sampled_from((1, 2))),
        htype=draw(st.integers(0, 255)),
        hops=draw(st.integers(0, 255)),
        xid=draw(st.integers(0, 2**32 - 1)),
        secs=draw(st.integers(0, 65535)),
        flags=draw(st.integers(0, 65535)),
        ciaddr=draw(addresses),
        yiaddr=draw(addresses),
        siaddr=draw(addresses),
        giaddr=draw(addresses),
        chaddr=draw(st.binary(max_size=16)),
        sname=draw(no_trailing_zero),
        file=draw(no_trailing_zero),
        options=options,
    )


@given(messages())
def test_decoding_gives_back_what_was_encoded(message):
    assert decode(message.encode()) == message
    assert len(message.encode()) >= 300


@given(messages())
def test_encoding_gives_back_the_octets(message):
    octets = message.encode()
    assert decode(octets).encode() == octets


@given(messages())
def test_the_order_of_options_is_kept_with_53_first_and_82_last(message):
    found = list(decode(message.encode()).options)
    special = [OptionCode.MESSAGE_TYPE, OptionCode.RELAY_AGENT_INFORMATION]
    assert [code for code in found if code not in special] == [
        code for code in message.options if code not in special
    ]
    assert special[0] not in found[1:]
    assert special[1] not in found[:-1]


@given(st.binary(max_size=1600))
def test_any_octets_decode_or_are_malformed(octets):
    for data in (octets, bytes(HEADER_LENGTH - 4) + MAGIC_COOKIE + octets):
        try:
            message = decode(data)
        except MalformedMessage:
            continue
        assert str(message)
        assert decode(message.encode()) == message


@given(messages(), st.data())
def test_cut_or_damaged_messages_decode_or_are_malformed(message, data):
    octets = bytearray(message.encode())
    for _ in range(data.draw(st.integers(1, 5))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    with suppress(MalformedMessage):
        assert str(decode(cut))


@given(messages(longest=120), st.integers(300, 576))
def test_overload_keeps_the_message_within_its_limit(message, maximum):
    message.sname = message.file = b""
    try:
        octets = message.encode(maximum=maximum)
    except MalformedMessage:
        assert len(message.encode(minimum=0)) > maximum
        return
    assert len(octets) <= maximum
    assert decode(octets) == message


def test_overload_is_used_and_announced():
    message = Message(options={53: b"\x02", 43: bytes(100), 60: bytes(50), 82: b"\x01\x01a"})
    octets = message.encode(maximum=300)
    assert octets[HEADER_LENGTH : HEADER_LENGTH + 6] == b"\x35\x01\x02\x34\x01\x03"
    assert decode(octets) == message


@pytest.mark.parametrize("which", [1, 2, 3])
def test_overloaded_fields_are_read_in_the_order_of_rfc_3396(which):
    octets = bytearray(Message(options={53: b"\x01"}).encode(minimum=0)[:-1])
    octets += b"\x3c\x01a\x34\x01" + bytes([which]) + b"\xff"
    octets[108:115] = b"\x3c\x01b\xff\0\0\0"
    octets[44:51] = b"\x3c\x01c\xff\0\0\0"
    message = decode(bytes(octets))
    assert message.options == {53: b"\x01", 60: {1: b"ab", 2: b"ac", 3: b"abc"}[which]}
    assert bool(message.file) == (which == 2)
    assert bool(message.sname) == (which == 1)


@pytest.mark.parametrize("code", [1, 3, 6, 12, 15, 43, *range(53, 62), 82, 90, 91, 92, 118, 119, 121, 200])
@pytest.mark.parametrize("length", [0, 1, 255, 256, 700])
def test_options_are_kept_byte_for_byte(code, length):
    value = bytes(i % 251 for i in range(length))
    assert decode(Message(options={code: value}).encode()).options[code] == value


@pytest.mark.parametrize("hlen", [0, 1, 6, 8, 16])
@pytest.mark.parametrize("htype", [0, 1, 6, 32, 255])
def test_hardware_addresses_of_any_type_and_length(htype, hlen):
    message = decode(Message(htype=htype, chaddr=bytes(range(1, hlen + 1))).encode())
    assert (message.htype, message.hlen, message.chaddr) == (htype, hlen, bytes(range(1, hlen + 1)))


VALID = Message(options={53: b"\x01"}).encode()


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"", "too short"),
        (VALID[:239], "too short"),
        (VALID[:236] + b"\0\0\0\0" + VALID[240:], "magic cookie"),
        (VALID[:2] + b"\x11" + VALID[3:], "hlen"),
        (VALID[:240] + b"\x35\x05\x01", "runs past"),
        (VALID[:240] + b"\x35", "no length"),
        (VALID[:240] + b"\x34\x01\x04\xff", "overload"),
        (VALID[:240] + b"\x34\x02\x01\x01\xff", "overload"),
        (VALID[:108] + b"\x01\xff" + VALID[110:240] + b"\x34\x01\x01\xff", "file field"),
        (VALID[:108] + b"\x34\x01\x02" + VALID[111:240] + b"\x34\x01\x01\xff", "outside"),
    ],
)
def test_malformed_messages_say_what_is_wrong(octets, says):
    with pytest.raises(MalformedMessage, match=says):
        decode(octets)


@pytest.mark.parametrize(
    "message",
    [
        Message(chaddr=bytes(17)),
        Message(sname=bytes(65)),
        Message(xid=2**32),
        Message(op=-1),
        Message(options={0: b""}),
        Message(options={52: b"\x01"}),
        Message(options={255: b""}),
        Message(options={300: b""}),
    ],
)
def test_what_cannot_be_encoded_is_refused(message):
    with pytest.raises(MalformedMessage):
        message.encode()


def test_an_option_field_may_lack_its_end():
    assert decode(VALID[:243]).options == {53: b"\x01"}


def test_message_type_and_broadcast_flag():
    message = Message(flags=0x4000)
    assert message.message_type is None
    message.message_type = MessageType.LEASEQUERY
    message.broadcast = True
    assert (message.message_type, message.flags, message.broadcast) == (10, 0xC000, True)
    message.broadcast = False
    assert message.flags == 0x4000
    assert Message(options={53: b"\x01\x02"}).message_type is None


def test_a_message_prints_readably():
    message = Message(
        op=2,
        htype=1,
        xid=7,
        ciaddr=IPv4Address("198.18.1.5"),
        chaddr=bytes.fromhex("020000000005"),
        options={53: b"\x0d", 51: bytes((0, 0, 14, 16)), 12: b"\xff", 82: b"\x01\x01a\x02\x01b", 224: b""},
    )
    assert str(message).splitlines() == [
        "ACTIVE (reply) xid 0x00000007",
        "  ciaddr 198.18.1.5, chaddr 02:00:00:00:00:05 (htype 1)",
        "  53 message type: ACTIVE",
        "  51 lease time: 3600 s",
        "  12 host name: ff",
        "  82 relay agent information: circuit-id 61, remote-id 62",
        "  224 option: empty",
    ]


@given(messages(), st.integers(0, 2**32 - 1), addresses, st.sampled_from([0, 300, 548]))
def test_a_template_gives_the_octets_that_encoding_would(message, xid, ciaddr, minimum):
    template = Template(message, minimum)
    assert template.fill(xid, ciaddr) == replace(message, xid=xid, ciaddr=ciaddr).encode(minimum)


def test_a_template_takes_no_xid_out_of_range():
    for xid in (-1, 2**32):
        with pytest.raises(OverflowError):
            Template(Message()).fill(xid, IPv4Address(0))
