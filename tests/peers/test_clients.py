"""Real DHCP clients behind the concentrator: leased, renewed and released by our server."""

import shlex
import time

import pytest

from lq.experiments.spec import load
from lq.sandbox.tools import find
from tests.peers.asking import query, until
from topologies import plan

pytestmark = pytest.mark.lab

# In place of the system's script, which would change the system's own resolver and time settings.
SCRIPT = """#!/bin/sh
case "$reason" in
PREINIT) ip link set "$interface" up ;;
BOUND|RENEW|REBIND|REBOOT)
    ip addr replace "$new_ip_address/$new_subnet_mask" dev "$interface"
    ip route replace default via "${new_routers%% *}" dev "$interface" ;;
EXPIRE|FAIL|RELEASE|STOP) ip -4 addr flush dev "$interface" ;;
esac
echo "$reason $new_ip_address $new_dhcp_lease_time $new_routers" >>/run/dhclient.events
"""
# A lease so short that the client renews it while we watch.
SETTINGS = 'send dhcp-lease-time 12;\nsend vendor-class-identifier "docsis3.0:";\nbackoff-cutoff 2;\n'


@pytest.fixture(scope="module")
def act(lab):
    return lab(load("reboot", {"server.any_requester": True}), "running")


def hardware(act, host):
    return act("cmd", host, f"cat /sys/class/net/{host}-eth0/address").strip()


@pytest.mark.requirement("R5-9")
@pytest.mark.requirement("R4.3-1")
def test_udhcpc_leases_renews_and_releases(act):
    address = act("leases")["host1"]
    leased = query(act, "--address", address)
    assert (leased["answer"], leased["hardware"]) == ("active", hardware(act, "host1"))
    assert leased["options"]["82"]
    before = until(
        lambda: (reply := query(act, "--address", address))["last_transaction"] >= 2 and reply,
        "time does not pass",
    )
    since = time.monotonic()
    act("renew", "host1")

    def younger():
        """Return an answer that tells of a later transaction, however long a query takes here."""
        age = before["last_transaction"] + int(time.monotonic() - since)
        reply = query(act, "--address", address)
        return reply["last_transaction"] < age and reply

    renewed = until(younger, "no renewal")
    assert renewed["lease_time"] >= before["lease_time"]
    assert renewed["options"]["82"] == leased["options"]["82"]  # the unicast renewal had none
    act("release", "host1")
    released = until(
        lambda: (reply := query(act, "--address", address))["answer"] == "known" and reply, "no release"
    )
    assert released["hardware"] is None  # RFC 4388 speaks of the address alone
    assert query(act, "--mac", leased["hardware"])["answer"] == "unknown"
    assert "lease_time" not in released
    # The concentrator has heard of it, too, though it was unicast: it asks for the next packet, and refuses.
    assert [each["address"] for each in act("record", "withdraw", 1)] == [address]
    asked, refused = (len(act("record", event)) for event in ("query", "refuse"))
    act("cmd", "internet", f"ping -c 1 -W 1 {address}")
    assert [each["address"] for each in act("record", "query", asked + 1)[asked:]] == [address]
    refusals = act("record", "refuse", refused + 1)[refused:]
    assert [(each["address"], each["reason"]) for each in refusals] == [(address, "known")]


@pytest.mark.skipif(find("dhclient") is None, reason="dhclient is not installed")
@pytest.mark.requirement("R5-10")
def test_dhclient_leases_renews_and_releases(act):
    act("release", "host2")
    resolver = act("cmd", "host2", "cat /etc/resolv.conf")
    # Paths that a confined dhclient may use, each in this host's own view of the file system.
    act("cmd", "host2", "mount -t tmpfs tmpfs /etc/dhcp")
    for path, content in (("/run/dhclient.sh", SCRIPT), ("/etc/dhcp/dhclient.conf", SETTINGS)):
        act("cmd", "host2", f"printf %s {shlex.quote(content)} >{path}")
    act("cmd", "host2", "chmod 755 /run/dhclient.sh")
    script = find("dhclient-script")
    act("cmd", "host2", f"mount --bind /run/dhclient.sh {script}")
    files = "-cf /etc/dhcp/dhclient.conf -lf /run/dhclient-lab.leases -pf /run/dhclient-lab.pid"
    start = f"dhclient -4 -1 -v {files} host2-eth0 2>&1"
    said = act("cmd", "host2", start)
    assert "bound to" in said
    events = act("cmd", "host2", "cat /run/dhclient.events").split("\n")
    bound = next(line for line in events if line.startswith("BOUND"))
    _, address, lease_time, router = bound.split()
    assert (lease_time, router) == ("12", str(plan.GATEWAY))
    leased = query(act, "--mac", hardware(act, "host2"))
    assert (leased["answer"], leased["address"]) == ("active", address)
    assert bytes.fromhex(leased["options"]["60"]) == b"docsis3.0:"
    assert act("cmd", "internet", f"ping -c 3 -i 0.2 -W 2 {address}").count(" bytes from ") >= 1

    until(lambda: "RENEW " in act("cmd", "host2", "cat /run/dhclient.events"), "dhclient did not renew")
    renewed = query(act, "--address", address)
    assert renewed["answer"] == "active"
    assert renewed["options"]["82"] == leased["options"]["82"]

    assert "DHCPRELEASE" in act("cmd", "host2", f"dhclient -4 -r -v {files} host2-eth0 2>&1")
    released = until(
        lambda: (reply := query(act, "--address", address))["answer"] == "known" and reply, "no release"
    )
    assert released["hardware"] is None  # RFC 4388 speaks of the address alone
    assert query(act, "--mac", leased["hardware"])["answer"] == "unknown"
    assert act("cmd", "host2", "cat /etc/resolv.conf") == resolver


@pytest.mark.skipif(find("tshark") is None, reason="tshark is not installed")
def test_tshark_has_no_complaint_about_any_of_it(act):
    fields = "-T fields -e dhcp.option.dhcp -e _ws.malformed -e _ws.expert.severity"
    shown = act("cmd", "internet", f"tshark -r /run/test/server.pcap -Y dhcp {fields} 2>/dev/null")
    rows = [(line.split("\t") + ["", ""])[:3] for line in shown.splitlines()]
    assert {"1", "2", "3", "5"} <= {row[0] for row in rows}
    note = 0x400000  # "Client address not given", on messages with hlen 0
    for row in rows:
        assert row[1] == ""
        assert all(int(severity) <= note for severity in row[2].split(",") if severity)
