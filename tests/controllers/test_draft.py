"""The draft's own dialect on real packets: what RFC 4388 does not have (requirements: wire values)."""

from __future__ import annotations

import re
import time

import pytest

from lq.errors import BadInput
from lq.experiments.spec import Spec, load
from lq.scenarios.parts.control import Concentrator
from lq.scenarios.parts.server import Server
from lq.wire import DRAFT_03, OptionCode, decode
from lq.wire.options import unpack_addresses
from topologies import plan

SPEC = Spec(
    server=Server(dialect="draft-03"), concentrator=Concentrator(ask_by="mac-upstream", admit_reserved=True)
)


@pytest.fixture(scope="module")
def act(lab):
    return lab(SPEC, "running")


@pytest.fixture(autouse=True)
def the_switch_refused_nothing(request):
    yield
    if "act" in request.fixturenames:
        assert request.getfixturevalue("act")("record", "switch_error") == []


def ping(act, source: str, destination: str) -> bool:
    return " 0% packet loss" in act("cmd", source, f"ping -c1 -W3 {destination}")


def leasequeries(act, since: int, at_least: int):
    """Return the leasequery messages, queries and answers, among what passed the server from `since` on."""
    deadline = time.monotonic() + 10
    while True:
        messages = [decode(bytes.fromhex(each)) for each in act("dhcp_at_server")[since:]]
        found = [each for each in messages if each.message_type not in range(1, 9)]
        if len(found) >= at_least or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def told(act):
    return [(each["form"], each["reply"]) for each in act("record", "answered")]


@pytest.mark.lab
@pytest.mark.requirement("R6.1-2")
def test_a_reboot_recovers_everybody(act):
    """Host1 by address; the others by MAC address. Host2 has leased two: both are in option 50 (R6.4.2-4)."""
    leases = act("leases")
    again = "udhcpc -f -n -q -t 3 -T 1 -s /bin/true -i host2-eth0 -x 0x3d:0042 2>&1"
    second = re.search(r"lease of (\S+) obtained", act("cmd", "host2", again)).group(1)
    act("reboot")
    before = len(act("dhcp_at_server"))
    assert ping(act, "internet", leases["host1"])
    assert ping(act, "host2", str(plan.INTERNET))
    assert ping(act, "host3", str(plan.INTERNET))
    ip, mac = ("ip", "active"), ("mac", "active")
    assert told(act) == [ip, mac, ip, mac]  # the second address of host2's is asked about in turn
    messages = leasequeries(act, before, 8)
    assert [each.message_type for each in messages] == [DRAFT_03.leasequery, DRAFT_03.active] * 4
    by_mac, answer = messages[2:4]
    assert OptionCode.REQUESTED_ADDRESS in by_mac.options[OptionCode.PARAMETER_REQUEST_LIST]
    assert OptionCode.ASSOCIATED_IP not in by_mac.options[OptionCode.PARAMETER_REQUEST_LIST]
    addresses = unpack_addresses(answer.options[OptionCode.REQUESTED_ADDRESS])
    assert [*map(str, addresses)] == [second, leases["host2"]]


@pytest.mark.lab
@pytest.mark.requirement("R6.5-6")
@pytest.mark.requirement("R5-5")
def test_a_server_that_answers_by_address_alone_says_so_once(act):
    """Asked by host2's MAC address it says UNIMPLEMENTED, and is asked by addresses from then on."""
    leases = act("leases")
    act("kill_server", 0)
    own = {"address": leases["host1"], "hardware": plan.host_mac(1)}
    act("start_server", 0, {"forms": ["address"], "reservations": [own]})
    act("reboot")
    before = len(act("dhcp_at_server"))
    assert ping(act, "internet", leases["host1"])
    assert ping(act, "host2", str(plan.INTERNET))
    assert ping(act, "host3", str(plan.INTERNET))
    ip = ("ip", "active")
    assert told(act) == [ip, ("mac", "unimplemented"), ip, ip]
    kinds = [each.message_type for each in leasequeries(act, before, 8)]
    assert kinds.count(DRAFT_03.unimplemented) == 1
    assert kinds.count(DRAFT_03.active) == 3
    assert len(kinds) == 8


@pytest.mark.lab
@pytest.mark.requirement("R6.5-3")
def test_a_reserved_address_is_admitted_without_a_lease(act):
    """Host1 gives up the address that is reserved for it: KNOWN with the R flag, and it is located."""
    address, before = act("leases")["host1"], len(act("dhcp_at_server"))
    act("release", "host1")
    assert act("record", "withdraw", 1)[0]["address"] == address
    permits = len(act("record", "permit"))
    act("cmd", "internet", f"ping -c1 -W1 {address}")
    assert act("record", "permit", permits + 1)[-1]["address"] == address
    _, answer = leasequeries(act, before, 2)
    assert answer.message_type == DRAFT_03.known
    assert answer.flags & DRAFT_03.r_flag
    assert act("record", "refuse") == []


@pytest.mark.parametrize(
    ("scenario", "settings", "words"),
    [
        ("reboot", {"server.dialect": "draft-03", "server.kind": "dhcpd"}, "only the built-in server speaks"),
        ("servers", {"server.dialect": "draft-03"}, "leave server.dialect out"),
        ("reboot", {"concentrator.admit_reserved": True}, "set server.dialect=draft-03"),
        ("reboot", {"server.dialect": "rfc2131"}, "'rfc4388' or 'draft-03'"),
    ],
)
def test_who_does_not_speak_it_is_refused(scenario, settings, words):
    with pytest.raises(BadInput, match=words):
        load(scenario, settings)
