"""Option 82 and small readers."""

from contextlib import suppress
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq.wire import DRAFT_03, RFC4388, MalformedMessage, RelayInfo, dialect
from lq.wire.options import pack_addresses, pack_u32, unpack_address, unpack_addresses, unpack_u32
from lq.wire.text import parse_hardware_address

values = st.binary(max_size=255)
suboptions = st.lists(st.tuples(st.one_of(st.integers(1, 3), st.integers(0, 255)), values), max_size=8)


@given(suboptions)
def test_well_formed_values_are_kept_byte_for_byte(pairs):
    octets = b"".join(bytes((code, len(value))) + value for code, value in pairs)
    assert RelayInfo.decode(octets).encode() == octets


@given(st.none() | values, st.none() | values, suboptions)
def test_decoding_gives_back_what_was_encoded(circuit, remote, pairs):
    others = tuple((code, value) for code, value in pairs if code > 2)
    info = RelayInfo(circuit, remote, others)
    assert RelayInfo.decode(info.encode()) == info


@given(st.binary(max_size=64))
def test_any_octets_decode_or_are_malformed(octets):
    with suppress(MalformedMessage):
        assert RelayInfo.decode(octets).encode() == octets


def test_named_sub_options_are_found_wherever_they_stand():
    info = RelayInfo.decode(b"\x05\x01x\x02\x01r\x01\x01c")
    assert (info.circuit_id, info.remote_id, info.others) == (b"c", b"r", ((5, b"x"),))


@pytest.mark.parametrize("octets", [b"\x01", b"\x01\x02a", b"\x01\x01a\x02"])
def test_cut_values_are_malformed(octets):
    with pytest.raises(MalformedMessage, match="runs past"):
        RelayInfo.decode(octets)


def test_sub_options_that_do_not_fit_are_refused():
    with pytest.raises(MalformedMessage):
        RelayInfo(circuit_id=bytes(256)).encode()


def test_dialects_differ_as_the_table_of_wire_values_says():
    assert (RFC4388.unimplemented, RFC4388.r_flag, RFC4388.client_addresses_option) == (None, 0, 92)
    assert (DRAFT_03.r_flag, DRAFT_03.client_addresses_option) == (0x4000, 50)
    assert DRAFT_03.unimplemented is not None
    for each in (RFC4388, DRAFT_03):
        assert (each.leasequery, each.known, each.unknown, each.active) == (10, 11, 12, 13)
        assert dialect(each.name) is each
    with pytest.raises(ValueError, match="draft-03, rfc4388"):
        dialect("rfc6926")


@pytest.mark.requirement("R6.1-2")
def test_lists_of_addresses():
    both = (IPv4Address("198.18.0.1"), IPv4Address("198.19.0.1"))
    assert unpack_addresses(pack_addresses(both)) == both
    assert unpack_address(pack_addresses(both[:1])) == both[0]
    for reader in (unpack_address, unpack_addresses, unpack_u32):
        with pytest.raises(MalformedMessage):
            reader(bytes(5))


def test_numbers_keep_to_their_range():
    assert unpack_u32(pack_u32(3599.9)) == 3599
    assert unpack_u32(pack_u32(2**40)) == 2**32 - 1
    assert unpack_u32(pack_u32(-1.5)) == 0


@pytest.mark.parametrize("text", ["02:00:00:00:00:01", "02-00-00-00-00-01", "0200.0000.0001", "020000000001"])
def test_hardware_addresses_are_read_in_the_usual_forms(text):
    assert parse_hardware_address(text) == bytes.fromhex("020000000001")


@pytest.mark.parametrize("text", ["", "02:0", "zz", "00" * 17])
def test_other_forms_are_refused(text):
    with pytest.raises(ValueError, match="not a hardware address"):
        parse_hardware_address(text)
