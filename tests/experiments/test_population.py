"""A population in the real network: its frames beside a real host's, its leases, its recovery."""

from __future__ import annotations

import subprocess

import pytest
from scapy.utils import RawPcapWriter

from lq.experiments.spec import Spec, load
from lq.sandbox.tools import find
from tests.experiments.playing import play
from tests.peers.asking import query, until
from topologies import plan

pytestmark = pytest.mark.lab

# All that a frame says, but for numbers that are anyone's choice (transactions, seconds, the IP header's
# identification) and the checksums over them, which are judged by themselves.
FIELDS = [
    "eth.src", "eth.dst", "eth.type", "vlan.id", "vlan.etype", "ieee8021ad.id", "ip.hdr_len", "ip.dsfield",
    "ip.len", "ip.flags", "ip.frag_offset", "ip.ttl", "ip.proto", "ip.src", "ip.dst", "udp.srcport",
    "udp.dstport", "udp.length", "arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.hw_mac",
    "arp.dst.proto_ipv4", "dhcp.type", "dhcp.hw.type", "dhcp.hw.len", "dhcp.hops", "dhcp.flags",
    "dhcp.ip.client", "dhcp.ip.your", "dhcp.ip.server", "dhcp.ip.relay", "dhcp.hw.mac_addr",
    "dhcp.option.type", "dhcp.option.dhcp", "dhcp.option.requested_ip_address",
    "dhcp.option.dhcp_server_id", "dhcp.option.dhcp_max_message_size", "dhcp.option.request_list_item",
    "dhcp.client_id.undef",
]  # fmt: skip
CHECKSUMS = ["ip.checksum.status", "udp.checksum.status", "_ws.malformed"]


def population(**settings: object) -> Spec:
    return load("reboot", {"topology.population": True, **settings})


def exchange(act) -> list[tuple[tuple[int, ...], bytes]]:
    """Have host1 renew its lease, release it, and take one again; return its frames."""
    address = act("leases")["host1"]
    act("tap")
    act("renew", "host1")  # asks for the gateway first: without it udhcpc's RELEASE would not leave
    act("tapped", "host1", 2)
    act("release", "host1")
    until(lambda: act("leases")["host1"] is None, "no release")
    act("renew", "host1")
    until(lambda: act("leases")["host1"] == address, "no lease")
    return [(tuple(tags), bytes.fromhex(frame)) for tags, frame in act("tapped", "host1", 5)]


def as_tshark_sees(seen, path) -> list[dict[str, str]]:
    """Return what each frame says, once: on a busy machine a client asks again, and is late to hear.

    Then the kernel says by ICMP that nobody hears, which is no word of the client's.
    """
    with RawPcapWriter(str(path), linktype=1) as writer:
        writer.write_header(None)
        for tags, frame in seen:
            kind = b"\x88\xa8" if frame[12:14] == b"\x81\x00" else b"\x81\x00"
            vlan = b"".join(kind + tag.to_bytes(2, "big") for tag in tags)
            writer.write_packet(frame[:12] + vlan + frame[12:])
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "separator=/t"]
    command += ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    for field in [*FIELDS, *CHECKSUMS]:
        command += ["-e", field]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    frames = [dict(zip([*FIELDS, *CHECKSUMS], line.split("\t"), strict=True)) for line in text.splitlines()]
    own = [frame for frame in frames if frame["ip.proto"] in {"17", ""}]
    return [frame for number, frame in enumerate(own) if frame not in own[:number]]


@pytest.mark.skipif(find("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("stacked", [False, True], ids=["one tag", "two tags"])
def test_the_frames_are_those_of_a_real_host_behind_a_real_modem(lab, tmp_path, stacked):
    settings = {"topology.modems": 1, "topology.hosts_per_modem": 1, "topology.stacked_tags": stacked}
    real = as_tshark_sees(exchange(lab(load("reboot", settings), "running")), tmp_path / "real.pcap")
    ours = as_tshark_sees(exchange(lab(population(**settings), "running")), tmp_path / "ours.pcap")
    for seen in (real, ours):
        dhcp = [frame["dhcp.option.dhcp"] for frame in seen if frame["dhcp.option.dhcp"]]
        assert dhcp[:4] == ["3", "7", "1", "3"]  # the renewal, RELEASE, DISCOVER, REQUEST
        for frame in seen:
            assert frame["_ws.malformed"] == ""
            assert {frame["ip.checksum.status"], frame["udp.checksum.status"]} <= {"1", ""}
    assert ours[0]["arp.opcode"] == "1"
    assert ours[0]["vlan.id"] == "1"
    assert (ours[0]["ieee8021ad.id"] == "1") == stacked
    assert ours[:5] == real[:5]


@pytest.fixture(scope="module")
def act(lab):
    settings = {"topology.modems": 30, "topology.hosts_per_modem": 3, "server.any_requester": True}
    return lab(population(**settings), "running")


def test_leases_through_the_real_relay(act):
    leases = act("leases")
    assert len(set(leases.values())) == len(leases) == 90
    reply = query(act, "--address", leases["host90"])
    assert (reply["answer"], reply["hardware"]) == ("active", plan.host_mac(90))
    assert reply["options"]["82"].endswith(plan.modem_mac(30).replace(":", ""))


def test_a_renewal_and_a_release_reach_the_server(act):
    address = act("leases")["host31"]
    waited = until(
        lambda: (reply := query(act, "--address", address))["last_transaction"] >= 2 and reply,
        "time stands still",
    )
    act("renew", "host31")
    renewed = until(
        lambda: (reply := query(act, "--address", address))["last_transaction"] < 2 and reply, "no renewal"
    )
    assert renewed["lease_time"] >= waited["lease_time"]
    assert renewed["options"]["82"] == waited["options"]["82"]  # the unicast renewal had none
    act("release", "host31")
    until(lambda: query(act, "--address", address)["answer"] == "known", "no release")
    assert act("population_counts")["clients"] == {"bound": 89, "stopped": 1}
    act("renew", "host31")
    until(lambda: act("leases")["host31"], "no lease again")


@pytest.mark.kernel
def test_hosts_answer_pings_before_and_after_a_reboot(act):
    address = act("leases")["host77"]
    ping = f"ping -c 4 -i 0.3 -W 2 {address}"
    assert act("cmd", "internet", ping).count(" bytes from ") >= 3
    act("reboot")
    until(lambda: " bytes from " in act("cmd", "internet", f"ping -c 1 -W 2 {address}"), "not back")
    assert act("population_counts")["dropped"] == 0


@pytest.mark.requirement("R7-5")
@pytest.mark.parametrize(
    "options",
    [
        ["--topology", "cable", "--modems", "30", "--hosts-per-modem", "3"],
        [
            "--topology",
            "dsl",
            "--modems",
            "500",
            "--hosts-per-modem",
            "4",
            "--set",
            "topology.stacked_tags=true",
        ],
    ],
    ids=["90 on the cable", "2000 on the DSLAM, two tags"],
)
def test_all_are_back_after_one_query_each(options):
    played = play(*options, "--set", "topology.population=true", "--set", "reboot.timeout=60")
    summary, probes = played.summary, played.run.table("probes")
    assert summary["recovered"] == summary["subscribers"] == probes["subscriber"].nunique()
    assert summary["queries_per_address"] == 1.0
    assert summary["replies_active"] >= summary["subscribers"]
    assert played.run.manifest["fidelity"]["population_drops"] == 0
    # Everybody's probes arrived before the reboot, and none twice.
    before = probes[
        (probes["sent"] < -0.5) & (probes["sent"] > probes["sent"].min() + played.run.spec.probe_interval)
    ]
    assert before["received"].notna().mean() > 0.9
    assert not probes.duplicated(["subscriber", "sequence"]).any()
