"""Targets from what a person writes."""

from ipaddress import IPv4Address

import pytest

from lq.conformance import Target
from lq.conformance.command_line import ADDRESSES, read_dialect, read_target
from lq.errors import BadInput
from lq.wire import DRAFT_03, RFC4388

from .broken import judge

NONE = dict.fromkeys(ADDRESSES)


def test_what_is_not_given_is_left_to_the_suite():
    assert read_target("198.18.0.2", RFC4388, NONE, None) == Target(IPv4Address("198.18.0.2"))


def test_addresses_and_hardware_address_are_read():
    given = NONE | {"giaddr": "198.18.0.1", "reserved": "198.18.50.1"}
    target = read_target("198.18.0.2", DRAFT_03, given, "02:00:00:00:00:77", port=1067)
    assert (target.giaddr, target.reserved) == (IPv4Address("198.18.0.1"), IPv4Address("198.18.50.1"))
    assert (target.reserved_mac, target.port, target.dialect) == (b"\x02\0\0\0\0\x77", 1067, DRAFT_03)
    assert target.free is None


@pytest.mark.parametrize(
    ("server", "addresses", "mac", "says"),
    [
        ("here", {}, None, "--server here: write an IPv4 address"),
        ("198.18.0.2", {"other_giaddr": "x"}, None, "--other-giaddr x"),
        ("198.18.0.2", {"reserved": "198.18.50.1"}, None, "give both"),
        ("198.18.0.2", {}, "02:00:00:00:00:77", "give both"),
        ("198.18.0.2", {"reserved": "198.18.50.1"}, "zz", "write it as in"),
    ],
)
def test_bad_input_names_the_fix(server, addresses, mac, says):
    with pytest.raises(BadInput, match=says):
        read_target(server, RFC4388, NONE | addresses, mac)


def test_unknown_dialects_and_numbers_that_a_dialect_has_not():
    with pytest.raises(BadInput, match="use one of draft-03, rfc4388"):
        read_dialect("draft-02")
    with pytest.raises(BadInput, match="belong to the dialect draft-03"):
        read_dialect("rfc4388", r_flag=0x2000)
    assert read_dialect("rfc4388") == RFC4388


@pytest.mark.requirement("R6.4-2")
@pytest.mark.requirement("R6.4-6")
def test_a_server_with_other_numbers_is_judged_by_them():
    """Here the server keeps the usual numbers, so that the others are what it fails by."""
    rows, only_ip = ["R6.4-2", "R6.4-6"], "forms: [address]"
    usual = judge(None, rows=rows, leasequery=only_ip)
    assert [result.verdict for result in usual] == ["pass", "pass"]
    others = judge(None, rows=rows, leasequery=only_ip, dialect=read_dialect("draft-03", 200, 0x2000))
    assert [result.verdict for result in others] == ["fail", "not applicable"]
    assert (
        "type 254"
        in judge(None, rows=["R5-5"], leasequery=only_ip, dialect=read_dialect("draft-03", 200))[0].evidence
    )
