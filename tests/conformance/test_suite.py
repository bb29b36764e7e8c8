"""What the suite says where it cannot judge, and what it leaves behind."""

from __future__ import annotations

import re
import socket
import time
from ipaddress import IPv4Address

import pytest

from lq.conformance import Target, conform
from lq.conformance.rows import ROWS
from lq.errors import BadInput

from .broken import Server, judge

HERE = IPv4Address("127.0.0.1")


def test_bad_input_is_told_in_one_line():
    with pytest.raises(BadInput, match="no row R9-9"):
        conform(Target(HERE), ["R9-9"])
    with pytest.raises(BadInput, match=r"cannot bind 198\.18\.7\.7 port 10067"):
        conform(Target(HERE, giaddr=IPv4Address("198.18.7.7"), port=10067))


def test_a_server_that_leases_nothing_is_named_with_the_fix():
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.78.0.1", 0))
    server, relay = IPv4Address("127.78.0.1"), IPv4Address("127.78.0.2")
    target = Target(server, giaddr=relay, port=silent.getsockname()[1], timeout=0.05)
    with pytest.raises(
        BadInput, match=r"127\.78\.0\.1: the server offers .*is it running, and has the subnet"
    ):
        conform(target)
    silent.close()


def test_without_a_relays_address_the_one_towards_the_server_is_taken():
    server = Server()
    server.start()
    try:
        with pytest.raises(
            BadInput, match=rf"subnet of 127\.0\.0\.1|cannot bind 127\.\S+ port {server.port}"
        ):
            conform(Target(IPv4Address(f"{server.net}.1"), port=server.port, timeout=0.05), ["R5-4"])
    finally:
        server.stopping.set()
        server.join()


def test_what_has_to_be_configured_is_said():
    rows = ["R6.4-2", "R6.4-5"]
    for result in judge(None, rows=rows, reserved=None, reserved_mac=None):
        assert result.verdict == "not applicable"
        assert "--reserved-mac" in result.evidence
    (result,) = judge(None, rows=["R6.4-5"])
    assert "--reservation-as-active" in result.evidence


def test_a_lease_that_is_too_long_to_be_waited_out_is_left_out():
    (result,) = judge(None, rows=["R6.4.2-1"], short_lease=500)
    assert result.verdict == "pass"
    assert "no expired address: the server grants 500 s" in result.evidence


def test_a_free_address_is_found_where_none_is_named():
    (result,) = judge(None, rows=["R6.4-1"], free=None)
    assert result.verdict == "pass"
    assert "query by IP 198.18.1.14 -> KNOWN 198.18.1.14 none" in result.evidence


def test_evidence_shows_what_was_sent_and_what_came():
    (result,) = judge(None, rows=["R6.4.2-5"])
    assert "query by IP 198.18.1.11 for 51 -> ACTIVE 198.18.1.11 02:" in result.evidence
    assert re.search(" 51=59[0-9];", result.evidence)
    (silence,) = judge(None, rows=["R6.3-1"])
    assert "giaddr 0.0.0.0 -> silence" in silence.evidence


def test_evidence_names_the_rule_of_rfc_4388_where_that_judges():
    for name in ("rfc4388", "draft-03"):
        (result,) = judge(None, name, rows=["R6.4-1"])
        assert result.verdict == "pass"
        assert ("Rule: RFC 4388, 6.4: UNASSIGNED" in result.evidence) == (name == "rfc4388")


def test_octets_of_zero_beside_an_address_are_noted_and_not_judged():
    def silent(exchange):
        if exchange.query.chaddr == bytes(6):
            exchange.reply = None

    for rule, said in ((None, "answered as by IP"), (silent, "left without answer")):
        (result,) = judge(rule, rows=["R6.3-2"])
        assert result.verdict == "pass"
        assert f"hlen 6 and chaddr all zero, as some requesters ask, is {said}" in result.evidence


def test_a_server_that_tells_no_t1_is_not_accused_of_its_own():
    class Untold:
        """T1 is a second before the end, and no client is told so."""

        @staticmethod
        def hears(exchange):
            if exchange.reply is not None:
                exchange.reply.options.pop(58, None)
                exchange.reply.options.pop(59, None)

        def __call__(self, exchange):
            if exchange.reply is not None and 58 in exchange.query.options.get(55, b""):
                exchange.reply.options.pop(58, None)
                exchange.reply.options.pop(59, None)
                if exchange.binding is not None and exchange.binding.leased(exchange.now):
                    left = int(min(exchange.binding.expires - exchange.now, 4000))
                    exchange.reply.options[58] = max(left - 1, 1).to_bytes(4, "big")

    (result,) = judge(Untold(), "rfc4388", rows=["R6.4.2-6"], short_lease=1)
    assert "whose T1 is past" not in result.evidence
    assert re.search(r"for 58 59 -> ACTIVE \S+ \S+ 54=\S+ 58=[0-9]+;", result.evidence)


def test_an_address_given_to_the_next_client_at_once_accuses_nobody():
    """As dnsmasq does: the released address is the next client's lease, and is so answered."""

    class Reuses:
        @staticmethod
        def hears(exchange):
            server, message = exchange.server.service, exchange.query
            if message.message_type == 7:  # RELEASE: forget the client, and hand out the address next
                binding = server.bindings.get(message.ciaddr)
                server.bindings.remove(binding)
                server._assigner._pools[server.config.links[0]].give_back(binding.packed, exchange.now)

        def __call__(self, exchange):
            pass

    for name in ("rfc4388", "draft-03"):
        results = judge(Reuses(), name)
        assert [result for result in results if result.verdict == "fail"] == []
        evidence = {result.id: result.evidence for result in results}
        for row in ("R6.4.1-2", "R6.4.2-4"):
            assert "to another client at once" in evidence[row]


def test_rows_come_in_the_drafts_order_and_one_at_a_time():
    results = judge(None, rows=["R6.4.2-7", "R5-4"])
    assert [result.id for result in results] == ["R5-4", "R6.4.2-7"]
    assert len({row.id for row in ROWS}) == len(ROWS) == 37


def test_no_lease_is_left_behind():
    """The server that was judged holds no lease of the suite's clients in the end."""
    kept = {}

    def rule(exchange):
        kept["service"] = exchange.server.service

    judge(rule, rows=["R5-2", "R6.4-4", "R6.4.2-4"])
    bindings = list(kept["service"].bindings)
    assert len(bindings) > 3
    assert not [each for each in bindings if each.leased(time.monotonic())]
