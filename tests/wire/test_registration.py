"""The modems' registration frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq.wire.registration import Kind, Registration, decode

frames = st.builds(
    Registration, st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.binary(min_size=6, max_size=6)
)


@given(frames, st.binary(max_size=40))
def test_decoding_gives_back_what_was_encoded_whatever_padding_follows(frame, padding):
    assert decode(frame.encode() + padding) == frame


@given(st.binary(max_size=40))
def test_other_octets_are_no_registration(octets):
    assert decode(octets) is None or octets.startswith(b"modm")


@given(frames, st.integers(0, 17))
def test_a_frame_cut_short_is_none(frame, length):
    assert decode(memoryview(frame.encode())[:length]) is None


@pytest.mark.parametrize(("life", "modem"), [(1 << 32, bytes(6)), (-1, bytes(6)), (1, b"\2" * 5)])
def test_what_does_not_fit_is_refused(life, modem):
    with pytest.raises(ValueError, match="octets"):
        Registration(Kind.REGISTER, life, modem).encode()


def test_an_unknown_kind_is_none():
    octets = bytearray(Registration(Kind.SOLICIT, 7).encode())
    octets[5] = 9
    assert decode(bytes(octets)) is None
