"""Our requester before servers that we did not write, in sealed labs."""

import json
import time
from datetime import datetime, timezone

import pytest

from lq.sandbox.sealed_lab import SealedLab
from lq.sandbox.tools import find

from .population import ADDRESS, mac, relay_info

pytestmark = pytest.mark.lab
needs_dhcpd = pytest.mark.skipif(find("dhcpd") is None, reason="ISC dhcpd is not installed")
needs_dnsmasq = pytest.mark.skipif(find("dnsmasq") is None, reason="dnsmasq is not installed")

OURS = """
listen: 198.18.0.2
database: {database}
leasequery: {{requesters: [198.18.0.1]}}
subnets: [{{network: 198.18.0.0/16, pools: [198.18.1.0-198.18.40.255]}}]
reservations: [{{address: 198.18.50.1, hardware: '02:00:00:00:00:77'}}]
"""


@pytest.fixture
def inside(tmp_path):
    """Call a method of `tests.peers.program.Program` in a sealed lab."""
    log = tmp_path / "log"
    with SealedLab("tests.peers.program", log=log) as lab:
        assert lab.channel.receive() == {"up": True}, log.read_text()

        def call(what, *arguments):
            lab.channel.send({"do": what, "with": arguments})
            message = lab.channel.receive()
            assert message is not None, log.read_text()
            return message["value"]

        yield call


def octets(value):
    return ":".join(f"{octet:x}" for octet in value)


def leases(now):
    """The bindings of `population` as ISC dhcpd keeps them (dhcpd.leases(5)); .7 and .8 are one client's."""

    def moment(seconds):
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%w %Y/%m/%d %H:%M:%S")

    result = ["authoring-byte-order little-endian;\n"]
    for number in range(20):
        begin = now - 100 - (number == 7)
        end = now - 50 if number in (11, 12) else begin + 7200
        info = relay_info(number)
        state = {11: "free", 12: "active"}.get(number, "active")
        uid = f'  uid "\\001host{number}";\n' if number == 9 else ""
        result.append(
            f"lease {ADDRESS + number} {{\n  starts {moment(begin)};\n  ends {moment(end)};\n"
            f"  cltt {moment(begin)};\n  binding state {state};\n  next binding state free;\n"
            f"  hardware ethernet {mac(7 if number == 8 else number).hex(':')};\n{uid}"
            f"  option agent.circuit-id {octets(info.circuit_id)};\n"
            f"  option agent.remote-id {octets(info.remote_id)};\n}}\n"
        )
    return "".join(result)


# What to ask, and what both servers say: the answer, its address, its client.
QUERIES = [
    (["--address", "198.18.1.5"], 0, "active", "198.18.1.5", mac(5)),
    (["--mac", mac(5).hex(":")], 0, "active", "198.18.1.5", mac(5)),
    (["--client-id", "0x" + b"\x01host9".hex()], 0, "active", "198.18.1.9", mac(9)),
    (["--mac", mac(7).hex(":")], 0, "active", "198.18.1.8", mac(7)),
    (["--address", "198.18.40.200"], 3, "known", "198.18.40.200", None),
    (["--address", "198.18.99.1"], 4, "unknown", "198.18.99.1", None),
    (["--address", "198.19.7.7"], 4, "unknown", "198.19.7.7", None),
    (["--client-id", "0x016e"], 4, "unknown", "0.0.0.0", None),
]


def assert_answers(inside):
    for arguments, status, answer, address, client in QUERIES:
        out, errors, code = inside("query", *arguments, "--json")
        assert code == status, (arguments, out, errors)
        reply = json.loads(out)
        assert (reply["answer"], reply["address"], reply["attempts"]) == (answer, address, 1)
        assert reply["hardware"] == (None if client is None else client.hex(":"))
        if answer == "active":
            assert 6800 < reply["lease_time"] <= 7200
            assert reply["last_transaction"] >= 100
            number = int(address.rpartition(".")[2])
            assert bytes.fromhex(reply["options"]["82"]) == relay_info(number).encode()


@needs_dhcpd
@pytest.mark.requirement("R6.2-4")
@pytest.mark.requirement("R6.2-5")
@pytest.mark.requirement("R6.2-6")
def test_dhcpd_answers_our_requester_in_the_three_forms_as_our_server_does(inside):
    """Our server has the same bindings from the same lease file."""
    text = leases(time.time())
    inside("dhcpd", text)
    assert_answers(inside)
    out, _, _ = inside("query", "--mac", mac(7).hex(":"))
    assert "ACTIVE (reply)" in out
    assert "92 associated ip: 198.18.1.7" in out
    inside("stop")
    inside("builtin", OURS, text)
    assert_answers(inside)
    out, _, _ = inside("query", "--mac", mac(7).hex(":"))
    assert "92 associated ip: 198.18.1.8 198.18.1.7" in out


@needs_dhcpd
def test_dhcpd_that_was_not_told_to_is_silent(inside):
    inside("dhcpd", "", "subnet 198.18.0.0 netmask 255.255.0.0 { range 198.18.1.0 198.18.1.9; }\n")
    out, _, code = inside("query", "--address", "198.18.1.5", "--timeout", "0.1", "--attempts", "3")
    assert code == 6
    assert out.startswith("no answer after 3 attempts")
    assert "LEASEQUERY" in inside("stop")


@needs_dnsmasq
@pytest.mark.requirement("R5-3")
def test_a_server_without_leasequery_is_silent_and_lq_query_says_so(inside):
    inside("dnsmasq")
    question = ["--address", "198.18.1.5", "--timeout", "0.1", "--attempts", "3"]
    out, errors, code = inside("query", *question)
    assert (code, errors) == (6, "")
    assert out.startswith("no answer after 3 attempts")
    assert "the server has no leasequery" in out
    out, _, code = inside("query", *question, "--json")
    assert (json.loads(out)["answer"], code) == ("silence", 6)
    assert inside("running")
