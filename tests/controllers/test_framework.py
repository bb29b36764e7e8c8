"""The application on both frameworks: Ryu with its cooperative tasks, os-ken with its threads."""

from __future__ import annotations

import json
import time
from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from controllers.settings import FRAMEWORKS
from tests import support
from topologies import plan

pytestmark = pytest.mark.lab

HOSTS, MODEMS = 150, 5
ADDRESSES = [str(IPv4Address("198.18.3.0") + number) for number in range(1, HOSTS + 1)]


@pytest.fixture(scope="module", params=FRAMEWORKS)
def act(request, rig):
    modems = [{"mac": plan.modem_mac(number), "tags": [number]} for number in range(1, MODEMS + 1)]
    act = rig(life=None, modems=modems, framework=request.param)
    for number, address in enumerate(ADDRESSES, start=1):
        act("lease", address, plan.host_mac(number), plan.modem_mac(1 + number % MODEMS))
    return act


def downstream(number: int) -> str:
    packet = IP(src=str(plan.INTERNET), dst=ADDRESSES[number - 1]) / UDP(sport=9, dport=9) / b"held"
    return bytes(Ether(src=plan.ROUTER_UPLINK_MAC, dst=plan.CONCENTRATOR_UPLINK_MAC) / packet).hex()


def upstream(number: int) -> str:
    packet = IP(src=ADDRESSES[number - 1], dst=str(plan.INTERNET)) / UDP(sport=9, dport=9) / b"sent"
    frame = Ether(src=plan.host_mac(number), dst=plan.CONCENTRATOR_ACCESS_MAC)
    return bytes(frame / Dot1Q(vlan=1 + number % MODEMS) / packet).hex()


def arrived(act, side: str, part: bytes, count: int) -> dict[str, Ether]:
    """Return the first frame with `part` for, or from, each address, once there are so many."""
    deadline = time.monotonic() + 20
    while True:
        frames = [Ether(bytes.fromhex(frame)) for frame in act("seen", side, part.hex())]
        found = {frame[IP].dst if side == "access" else frame[IP].src: frame for frame in frames}
        if len(found) >= count or time.monotonic() > deadline:
            return found


@pytest.mark.requirement("R7-5")
def test_many_at_once_then_a_reboot_and_the_others(act):
    """All are asked about once, and get the packet that was held."""
    half = HOSTS // 2
    act("send", "access", *(upstream(number) for number in range(1, half + 1)))
    assert set(arrived(act, "uplink", b"sent", half)) == set(ADDRESSES[:half])
    act("send", "uplink", *(downstream(number) for number in range(half + 1, HOSTS + 1)))
    found = arrived(act, "access", b"held", HOSTS - half)
    assert set(found) == set(ADDRESSES[half:])
    for number in range(half + 1, HOSTS + 1):
        frame = found[ADDRESSES[number - 1]]
        assert (frame.dst, frame[Dot1Q].vlan) == (plan.host_mac(number), 1 + number % MODEMS)
    assert act("queries") == dict.fromkeys(ADDRESSES, 1)
    act("kill")
    act("start")
    act("send", "uplink", *(downstream(number) for number in range(1, half + 1)))
    assert set(ADDRESSES[:half]) <= set(arrived(act, "access", b"held", HOSTS))
    assert act("queries") == {**dict.fromkeys(ADDRESSES, 1), **dict.fromkeys(ADDRESSES[:half], 2)}
    assert act("record", "switch_error") == []


def test_at_its_end_it_has_written_everything_down(act):
    permits, answers = act("record", "permit", 1), act("record", "answered", 1)
    counters = act("finish")
    assert counters["engine"]["queries_sent"] == len(act("record", "query"))
    assert counters["engine"]["replies_active"] == len(answers)
    assert counters["engine"]["permits"] == len(permits)
    assert counters["controller"]["packet_ins"] >= len(answers)


@pytest.mark.kernel
def test_a_run_on_os_ken():
    home = support.private_directory()
    command = [*support.LQ, "run", "reboot", "--controller", "os-ken", "--json", "--out", str(home / "run")]
    done = support.run(support.as_ordinary_user(command), home=home)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["controller"] == "os-ken"
    assert summary["recovered"] == summary["subscribers"] == 3
    assert summary["queries_per_address"] == 1.0
    manifest = json.loads((home / "run" / "manifest.json").read_text())
    assert manifest["versions"]["os-ken"]
