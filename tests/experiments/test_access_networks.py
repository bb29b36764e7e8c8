"""`lq run` on both figures, over a WAN that loses packets, with modems that take their time."""

from __future__ import annotations

import math
import time
from ipaddress import IPv4Address

import pytest

from lq.experiments.spec import Spec
from lq.sandbox.tools import find
from lq.scenarios.parts.control import Concentrator
from lq.wire import Message, RelayInfo, decode, frames
from tests.experiments.playing import begin, play
from tests.support import emulators
from topologies import plan

pytestmark = pytest.mark.lab
LEASE = 60  # seconds


@pytest.fixture(scope="module", autouse=True)
def past_leases(request):
    """Start what takes longest, and mostly waits, beside the other tests; return what waits for it."""
    chosen = any(item.name.startswith("test_no_probe_is_lost") for item in request.session.items)
    options = ("--set", f"server.lease_time={LEASE}", "--set", f"reboot.settle={LEASE + 2}")
    return begin(*options) if chosen else None


@pytest.fixture(scope="module")
def dsl():
    return play("--topology", "dsl", "--set", "modems.delay=1")


@pytest.mark.kernel
@pytest.mark.requirement("R1-2")
@pytest.mark.requirement("R7-5")
def test_on_dsl_everybody_is_back_after_one_query_each(dsl):
    summary = dsl.summary
    assert summary["topology"] == "dsl"
    assert summary["recovered"] == summary["subscribers"] == 3
    assert summary["queries_per_address"] == 1.0
    assert summary["queries_sent"] == summary["replies_active"] == 3
    assert summary["queries_resent"] == 0
    assert "switch_error" not in set(dsl.run.table("events")["event"])


@pytest.mark.requirement("R1-3")
def test_the_circuit_id_is_text_and_the_remote_id_the_modem(dsl):
    fields = ("dhcp.option.agent_information_option.agent_circuit_id",)
    fields += ("dhcp.option.agent_information_option.agent_remote_id",)
    found = {
        (bytes.fromhex(circuit.replace(":", "")).decode(), remote.replace(":", ""))
        for circuit, remote in dsl.tshark("dhcp.option.dhcp == 3", *fields)
    }
    macs = [plan.modem_mac(number).replace(":", "") for number in (1, 2)]
    assert found == {("dslam1 eth 0/2:1", macs[0]), ("dslam1 eth 0/2:2", macs[1])}


@pytest.mark.requirement("R1-3")
def test_recovery_includes_the_modems_registration(dsl):
    """The servers' answers come at once; nothing passes until the modems have registered, after 1 s."""
    assert dsl.summary["registration_s"] >= 1.0
    assert dsl.run.recovery.min() > 1.0
    queries, outage = dsl.run.table("queries"), dsl.summary["outage_s"]
    events = dsl.run.table("events")
    refused = events[(events["event"] == "refuse") & (events["generation"] == 1)]
    assert set(refused["reason"]) == {"modem-absent"}
    assert (queries["answered"] < outage + dsl.summary["registration_s"]).all()


AGENT = ("--topology", "dsl", "--set", "topology.intermediate_agent=true")
LARGE = ("--modems", "30", "--hosts-per-modem", "2", "--set", "topology.population=true")


@pytest.mark.requirement("R1-2")
@pytest.mark.requirement("R7-5")
@pytest.mark.parametrize(
    "size", [(), (*LARGE, "--set", "topology.stacked_tags=true")], ids=["figure", "population"]
)
def test_behind_a_dslam_that_inserts_option_82_everybody_is_back_after_one_query_each(size):
    played = play(*AGENT, *size)
    summary, agent = played.summary, played.run.manifest["fidelity"]["agent"]
    assert summary["recovered"] == summary["subscribers"] == summary["replies_active"] == (60 if size else 3)
    assert summary["queries_sent"] == summary["subscribers"]
    assert summary["queries_resent"] == 0
    assert agent["inserted"] >= 2 * summary["subscribers"]  # DISCOVER and REQUEST
    assert agent["missed"] == 0
    assert set(agent) == {"missed", "inserted", "passed"}
    assert played.run.spec.concentrator.trusted_circuits == ("all",)


@pytest.fixture(scope="module")
def trusting(lab):
    topology = {"figure": "dsl", "intermediate_agent": True}
    return lab(Spec(topology=topology, concentrator={"trusted_circuits": ("all",)}), "running")


@pytest.mark.requirement("R1-2")
def test_a_subscriber_cannot_write_the_access_nodes_option_82(trusting):
    """Of three messages, the second with a forged option, the server sees two that name the sender's line."""
    forged = RelayInfo(b"dslam1 eth 0/2:2", bytes.fromhex(plan.modem_mac(2).replace(":", "")))
    sent = []
    for xid, options in ((0xA1, {}), (0xA2, {82: forged.encode()}), (0xA3, {})):
        chaddr = bytes.fromhex(plan.host_mac(99).replace(":", ""))
        discover = Message(htype=1, xid=xid, chaddr=chaddr, options={53: b"\1", **options})
        packet = frames.udp_packet((IPv4Address(0), 68), (frames.BROADCAST, 67), discover.encode())
        frame = frames.ethernet(frames.BROADCAST_MAC, chaddr, (), frames.ETHERTYPE_IPV4, packet)
        sent.append(frame.hex())
    trusting("send", "host1", sent)

    def arrived() -> dict[int, RelayInfo]:
        found = [decode(bytes.fromhex(octets)) for octets in trusting("dhcp_at_server")]
        return {
            each.xid: RelayInfo.decode(each.options[82]) for each in found if each.xid in (0xA1, 0xA2, 0xA3)
        }

    deadline = time.monotonic() + 30
    while 0xA3 not in arrived() and time.monotonic() < deadline:
        time.sleep(0.05)
    own = RelayInfo(b"dslam1 eth 0/2:1", bytes.fromhex(plan.modem_mac(1).replace(":", "")))
    assert arrived() == {0xA1: own, 0xA3: own}
    assert trusting("stop_agent")["spoofed-option-82"] == 1


# The delay line counts what it does; netem does not.
HARD = {"delay": 0.02, "loss": 0.3, "duplication": 0.05, "reordering": 0.1, "emulator": "user-space"}


@pytest.fixture(scope="module", params=["cable", "dsl"])
def hard(request):
    wan = [word for name, share in HARD.items() for word in ("--set", f"wan.{name}={share}")]
    # Polls of a server that was not heard yet are up to a minute apart, and half of them get no answer.
    return play("--topology", request.param, *wan, "--set", "seed=3", "--set", "reboot.timeout=600")


@pytest.mark.requirement("R6.6-1")
@pytest.mark.requirement("R6.6-2")
@pytest.mark.requirement("R6.6-5")
def test_with_loss_duplicates_and_reordering_everybody_is_back_within_the_back_off(hard):
    summary, queries, defaults = hard.summary, hard.run.table("queries"), Concentrator()
    assert summary["recovered"] == summary["subscribers"] == 3
    assert summary["queries_per_address"] == 1.0  # but for what is sent again
    assert summary["replies_active"] == 3  # however often an answer comes, it counts once
    assert set(queries["address"]) == set(hard.run.table("probes")["address"])
    first_answer = queries["answered"].min()
    unheard = queries.loc[queries["at"] < first_answer, "at"]
    assert (unheard.diff().dropna() > 0.99 * defaults.server_timer).all()
    for _, of_one in queries.groupby("address"):
        assert list(of_one["attempt"]) == list(range(1, len(of_one) + 1))
        assert len(of_one) <= most_transmissions(of_one["at"])


def test_the_loss_the_duplicates_and_the_reorderings_were_real_and_counted(hard):
    fidelity = hard.run.manifest["fidelity"]
    [line] = fidelity["wan"].values()
    for what in ("lost", "duplicated", "reordered"):
        assert sum(way[what] for way in line["directions"]) > 0, what
    assert line["missed"] == 0
    assert hard.run.manifest["wan"].startswith("delay lines")


@pytest.fixture(scope="module")
def lossy():
    return play(
        "--topology", "cable", "--set", "wan.loss=0.2", "--set", "wan.emulator=user-space", "--set", "seed=3"
    )


def most_transmissions(times):
    """Return how often a query may be sent in this time.

    Doubling intervals, begun anew when the server fell silent, which takes it 10 s at least.
    """
    defaults, span = Concentrator(), times.max() - times.min()
    doublings = math.log2(1 + span / defaults.retry_first)
    return 1 + doublings * (1 + span / defaults.server_timer)


@pytest.mark.requirement("R6.6-1")
@pytest.mark.requirement("R6.6-2")
@pytest.mark.requirement("R6.6-5")
def test_with_loss_everybody_is_back_and_resends_keep_to_the_back_off(lossy):
    assert lossy.summary["recovered"] == lossy.summary["subscribers"] == 3
    queries, defaults = lossy.run.table("queries"), Concentrator()
    first_answer = queries["answered"].min()
    unheard = queries.loc[queries["at"] < first_answer, "at"]
    assert (unheard.diff().dropna() > 0.99 * defaults.server_timer).all()
    for _, of_one in queries.groupby("address"):
        times = of_one["at"]
        assert list(of_one["attempt"]) == list(range(1, len(of_one) + 1))
        assert (times.diff().dropna() > 0.99 * defaults.retry_first).all()
        assert len(of_one) <= most_transmissions(times)


def test_the_loss_was_real_and_counted(lossy):
    [line] = lossy.run.manifest["fidelity"]["wan"].values()
    assert sum(way["lost"] for way in line["directions"]) > 0
    assert line["missed"] == 0
    assert lossy.run.spec == Spec(scenario="reboot", seed=3, wan={"loss": 0.2, "emulator": "user-space"})


@pytest.mark.guest
@pytest.mark.kernel
@pytest.mark.requirement("R6.6-1")
@pytest.mark.skipif("netem" not in emulators(), reason="the kernel has no netem")
def test_over_netem_everybody_is_back_as_well():
    wan = {**HARD, "loss": 0.1, "emulator": "netem"}
    words = [word for name, share in wan.items() for word in ("--set", f"wan.{name}={share}")]
    played = play(*words, "--set", "reboot.timeout=600")
    assert played.summary["recovered"] == played.summary["subscribers"] == 3
    assert played.summary["queries_per_address"] == 1.0
    assert played.run.table("queries")["answered"].sub(played.run.table("queries")["at"]).max() >= 0.02
    assert played.run.manifest["wan"].startswith("netem")
    assert set(played.run.manifest["fidelity"]["wan"]) == {"wan1"}


# -- servers that are not ours


@pytest.mark.kernel
@pytest.mark.skipif(find("dhcpd") is None, reason="ISC dhcpd is not installed")
def test_dhcpd_answers_as_well():
    summary = play("--server", "dhcpd", "--topology", "dsl").summary
    assert summary["server"] == "dhcpd"
    assert summary["recovered"] == summary["replies_active"] == 3
    assert summary["queries_per_address"] == 1.0


@pytest.mark.requirement("R5-3")
@pytest.mark.requirement("R6.6-2")
@pytest.mark.skipif(find("dnsmasq") is None, reason="dnsmasq is not installed")
def test_a_server_without_leasequery_gets_one_query_in_ten_seconds():
    played = play("--server", "dnsmasq", "--set", "reboot.timeout=5")
    assert played.summary["subscribers"] == 3
    assert played.summary["recovered"] == 0
    assert played.summary["queries_sent"] == 1
    events = played.run.table("events")
    queries = events[events["event"] == "query"]
    assert len(played.tshark("dhcp.option.dhcp == 10", "frame.number")) == len(queries)
    assert (queries["generation"] == 1).sum() == 1
    for _, life in queries.groupby("generation"):
        assert (life["at"].diff().dropna() >= 9.99).all()


# -- two servers, and another concentrator


@pytest.fixture(scope="module")
def act(lab):
    return lab(Spec(server={"count": 2}, topology={"figure": "dsl", "stacked_tags": True}), "running")


def ping(act, source: str, destination: str) -> bool:
    return " 0% packet loss" in act("cmd", source, f"ping -c1 -W3 {destination}")


def owner(address: str) -> int:
    """Which server has leased an address, from 0."""
    return int(tuple(map(int, address.split("."))) > tuple(plan.pools(2)[0][1].packed))


@pytest.mark.kernel
@pytest.mark.requirement("R4.4-1")
def test_what_the_living_server_leased_is_found_without_the_other(act):
    leases = act("leases")
    dead = owner(leases["host1"])
    act("kill_server", dead)
    act("reboot")
    assert not ping(act, "internet", leases["host1"])
    for host, address in leases.items():
        if owner(address) != dead:
            assert ping(act, "internet", address), host
    asked = {query["server"] for query in act("record", "query", 2)}
    assert asked == {str(place.address) for place in plan.SERVERS}
    act("start_server", dead)


@pytest.mark.kernel
@pytest.mark.requirement("R4.3-1")
def test_hosts_notice_nothing_of_another_concentrator_in_its_place(act):
    leases = act("leases")
    before = act("cmd", "bras", "ovs-vsctl get bridge bras datapath_id")
    act("replace")
    assert act("cmd", "bras", "ovs-vsctl get bridge bras datapath_id") != before
    assert act("record", "query") == []
    assert ping(act, "internet", leases["host2"])  # downstream first
    assert ping(act, "host1", str(plan.INTERNET))  # upstream first, to the old gateway's hardware address
    assert act("leases") == leases
    queries = act("record", "query", 2)
    assert {query["address"] for query in queries} == {leases["host1"], leases["host2"]}
    assert act("record", "switch_error") == []


@pytest.mark.requirement("R4.3-1")
def test_no_probe_is_lost_when_the_leases_that_were_known_at_the_reboot_have_ended(past_leases):
    """Leases of a minute, past their ends: no packet is lost though no renewal is gleaned."""
    played = past_leases()
    summary, table = played.summary, played.run.table
    assert summary["recovered"] == summary["subscribers"] == 3
    assert summary["queries_sent"] == summary["replies_active"] == 3, "refreshing is counted by itself"
    assert summary["queries_per_address"] == 1.0
    assert summary["queries_refresh"] >= 3
    queries, events, probes = table("queries"), table("events"), table("probes")
    refresh = queries[queries["refresh"]]
    first = queries[~queries["refresh"]].groupby("address")["at"].min()
    assert set(refresh["address"]) == set(first.index)
    assert (refresh["reply"] == "active").all()
    assert table("phases")["queries_refresh"].iloc[0] == len(refresh)
    # Each of them outlived the end that the first answer told of, without an interruption.
    latest = probes.groupby("address")["received"].max()
    assert (latest > first + LEASE).all()
    assert "withdraw" not in set(events[events["at"] > 0]["event"])
    back = summary["outage_s"] + summary["recovery_max_s"]
    assert probes[probes["sent"] > back]["received"].notna().all()
