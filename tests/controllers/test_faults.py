"""Faults of the controller itself: it goes on, its record tells of them, and a run with them is not valid."""

from __future__ import annotations

import json

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from controllers.record import MOST_TOLD
from lq.results import record, validity
from tests.controllers.failing import FAILS, REFUSED
from topologies import plan

pytestmark = pytest.mark.lab

MODEM, HOST = plan.modem_mac(1), plan.host_mac(1)


def downstream(destination, number=9):
    packet = IP(src=str(plan.INTERNET), dst=str(destination)) / UDP(sport=number, dport=9) / b"down"
    return bytes(Ether(src=plan.ROUTER_UPLINK_MAC, dst=plan.CONCENTRATOR_UPLINK_MAC) / packet).hex()


@pytest.fixture(scope="module")
def act(rig):
    return rig(program="tests.controllers.failing", life=None, modems=[{"mac": MODEM, "tags": [7]}])


def reasons(act, tmp_path):
    """What a run with this controller's record would say."""
    (tmp_path / "raw").mkdir()
    lines = [line for event in ("exception", "switch_error", "counters") for line in act("record", event)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "raw" / "controller-0.jsonl").write_text(text)
    return validity.controller_reasons(record.faults(tmp_path), [])


def test_an_exception_is_written_down_and_others_are_served(act):
    act("send", "uplink", downstream(FAILS))
    assert len(act("record", "exception", 2)) == 2
    for number in range(3 * MOST_TOLD - 1):
        act("send", "uplink", downstream(FAILS, 1000 + number))
    act("lease", "198.18.3.1", HOST, MODEM)
    act("send", "uplink", downstream("198.18.3.1"))
    assert act("seen", "access", b"down".hex())
    act("settle")
    told = act("record", "exception", MOST_TOLD)
    assert len(told) == MOST_TOLD, "the record of a fault that repeats is bounded"
    assert told[0]["error"] == f"ZeroDivisionError: in two lines, of {FAILS}"
    assert told[0]["of"] == "a packet from the switch"
    assert ["KeyError: 'due'", "what time made due"] in [[each["error"], each["of"]] for each in told]


def test_what_the_switch_refuses_is_written_down_and_both_make_a_run_not_valid(act, tmp_path):
    act("send", "uplink", downstream(REFUSED))
    (error,) = act("record", "switch_error", 1)
    assert error["type"] == 4  # OFPET_BAD_MATCH
    act("finish")
    first, second = reasons(act, tmp_path)
    failed = f"controller-0 failed {3 * MOST_TOLD + 1} times"
    assert first.startswith(f"{failed}: ZeroDivisionError: in two lines, of {FAILS}")
    assert second.startswith("the switch refused 1 messages of controller-0: OpenFlow error of type ")


def test_a_healthy_controller_gives_no_reason(rig, tmp_path):
    act = rig(life=None, modems=[{"mac": MODEM, "tags": [7]}])
    act("send", "uplink", downstream(FAILS))
    act("settle")
    act("finish")
    assert reasons(act, tmp_path) == []
