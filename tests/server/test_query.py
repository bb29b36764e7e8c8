"""The one-shot requester against running servers."""

import json
import socket
from ipaddress import IPv4Address

import pytest

from lq.server import synthetic
from lq.server.config import load
from lq.server.query import QueryError, ask, build
from lq.wire import DRAFT_03, decode

from .daemon import CONFIG, RELAY, Relay, run

CLIENT = bytes.fromhex("020000000003")


@pytest.mark.requirement("R6.2-1")
@pytest.mark.requirement("R6.2-2")
@pytest.mark.requirement("R6.2-3")
@pytest.mark.requirement("R6.2-4")
@pytest.mark.requirement("R6.2-5")
@pytest.mark.requirement("R6.2-6")
def test_each_form_sets_its_own_item_and_no_other():
    by_ip = build(giaddr="198.18.0.1", address="198.18.1.5")
    by_mac = build(giaddr="198.18.0.1", hardware="02:00:00:00:00:03")
    by_id = build(giaddr="198.18.0.1", client_id="0x0102")
    none = IPv4Address(0)
    assert [each.ciaddr for each in (by_ip, by_mac, by_id)] == [IPv4Address("198.18.1.5"), none, none]
    assert [(each.htype, each.chaddr) for each in (by_ip, by_mac, by_id)] == [(0, b""), (1, CLIENT), (0, b"")]
    assert [each.options.get(61) for each in (by_ip, by_mac, by_id)] == [None, None, b"\1\2"]
    for each in (by_ip, by_mac, by_id):
        assert (each.message_type, each.flags, each.giaddr) == (10, 0, IPv4Address("198.18.0.1"))
        assert {51, 82} <= set(each.options[55])
        assert decode(each.encode()) == each


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ({}, "exactly one"),
        ({"address": "198.18.0.1", "client_id": "x"}, "exactly one"),
        ({"address": "198.18.0"}, "198.18.0"),
        ({"hardware": "xyz"}, "write it as in"),
    ],
)
def test_bad_input_is_told_in_one_line(items, says):
    with pytest.raises(QueryError, match=says) as raised:
        build(giaddr="198.18.0.1", **items)
    assert "\n" not in str(raised.value)


@pytest.fixture
def port(tmp_path):
    relay = Relay()
    relay.socket.close()
    (tmp_path / "server.yaml").write_text(CONFIG.format(port=relay.port, path=tmp_path))
    config = load(tmp_path / "server.yaml")
    synthetic.store(config, synthetic.bindings(config, 10, 1e9, lease_time=1e10))
    process = run(tmp_path, relay)
    yield relay.port
    process.kill()
    process.communicate()


def test_the_three_forms_are_answered(port):
    for item in ({"address": "198.18.1.3"}, {"hardware": CLIENT}, {"client_id": b"\x01" + CLIENT}):
        result = ask("127.0.0.1", giaddr=RELAY, port=port, **item)
        assert (result.kind, result.exit_status, result.attempts) == ("active", 0, 1)
        assert result.addresses == (IPv4Address("198.18.1.3"),)
        shown = json.loads(result.json())
        assert (shown["answer"], shown["address"], shown["hardware"]) == (
            "active",
            "198.18.1.3",
            "02:00:00:00:00:03",
        )
        assert shown["lease_time"] > 0
        assert "ACTIVE (reply)" in str(result)


def test_exit_status_tells_the_answers_apart(port):
    known = ask("127.0.0.1", giaddr=RELAY, port=port, address="198.18.2.1")
    unknown = ask("127.0.0.1", giaddr=RELAY, port=port, address="198.19.2.1")
    assert [(each.kind, each.exit_status) for each in (known, unknown)] == [("known", 3), ("unknown", 4)]


@pytest.mark.requirement("R6.6-1")
def test_a_silent_server_is_asked_again_and_then_given_up():
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    result = ask(
        "127.0.0.1", giaddr=RELAY, port=port, address="198.18.1.3", timeout=0.05, attempts=3, dialect=DRAFT_03
    )
    assert (result.kind, result.exit_status, result.reply, result.attempts) == ("silence", 6, None, 3)
    assert "no answer after 3 attempts" in str(result)
    silent.settimeout(1)
    assert len({silent.recv(1000) for _ in range(3)}) == 1
    silent.close()


def test_an_address_that_is_not_here_is_named():
    with pytest.raises(QueryError, match=r"cannot ask 127.0.0.1 from 198\.18\.7\.7"):
        ask("127.0.0.1", giaddr="198.18.7.7", port=12345, address="198.18.1.3")
