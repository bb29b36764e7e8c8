"""Specifications: what is good is taken, what is bad gets one line that names the fix."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from lq.emulation.servers import Server
from lq.errors import BadInput
from lq.experiments.spec import Spec, fields, load, parse_setting
from lq.server.config import load as configuration
from topologies import plan


def test_a_name_is_enough():
    assert load("reboot", {}) == Spec()


def test_settings_by_dotted_name():
    spec = load("reboot", {"topology.modems": 20, "concentrator.mode": "glean-only", "seed": 7})
    assert (spec.topology.modems, spec.concentrator.mode, spec.seed) == (20, "glean-only", 7)


def test_numbers_with_an_exponent(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("scenario: reboot\nwan: {rate: 1e6, limit: 1e4}\n")
    spec = load(str(path), dict([parse_setting("attack.addresses=6e4")]))
    assert (spec.wan.rate, spec.wan.limit, spec.attack.addresses) == (1e6, 10_000, 60_000)
    assert all(type(spec.value(name)) is int for name in ("wan.limit", "attack.addresses"))


@pytest.mark.parametrize(
    ("settings", "subscribers"),
    [
        ({}, 24),
        ({"topology.modems": 4}, 12),
        ({"topology.hosts_per_modem": 5}, 40),
        ({"topology.modems": 2, "topology.hosts_per_modem": 2}, 4),
    ],
)
def test_one_size_of_arp_leaves_the_other_as_it_is(settings, subscribers):
    assert load("arp", settings).topology.subscribers == subscribers


@pytest.mark.parametrize("direction", ["down", "both"])
def test_the_smallest_interval_is_the_one_that_is_named(direction):
    many = {"topology.modems": 32_117, "topology.population": True, "probes.direction": direction}
    with pytest.raises(BadInput, match="probes per second") as caught:
        load("reboot", {**many, "probes.interval": 0.01})
    least = float(str(caught.value).rsplit(maxsplit=1)[1])
    flows = 32_117 if direction == "down" else 64_234
    assert load("reboot", {**many, "probes.interval": least}).probe_interval == flows / 100_000
    with pytest.raises(BadInput, match="probes per second"):
        load("reboot", {**many, "probes.interval": least - 1e-9})
    load("reboot", many)


def test_a_file_with_settings_on_top(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("scenario: reboot\nprobes: {interval: 0.2}\nseed: 3\n")
    spec = load(str(path), {"seed": 4})
    assert (spec.probes.interval, spec.seed) == (0.2, 4)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("a.b=1", "a.b", 1),
        ("a=0.5", "a", 0.5),
        ("a=false", "a", False),
        ("a=text", "a", "text"),
        ("a=b=c", "a", "b=c"),
        ("a=1e6", "a", 1e6),
        ("a=-2E-3", "a", -0.002),
        ("a=1e", "a", "1e"),
        ("a=[1e6,x]", "a", [1e6, "x"]),
    ],
)
def test_settings_are_read_as_yaml(text, name, value):
    assert parse_setting(text) == (name, value)


@pytest.mark.parametrize(
    ("scenario", "settings", "words"),
    [
        ("rebot", {}, ["rebot", "reboot"]),
        ("reboot", {"topology.figure": "ring"}, ["topology.figure", "'cable'", "'ring'"]),
        ("reboot", {"topology.modem": 2}, ["topology.modem", "did you mean 'topology.modems'"]),
        ("reboot", {"topology.modems": 0}, ["topology.modems", "use at least 1"]),
        ("reboot", {"topology.modems": "many"}, ["topology.modems", "use a whole number", "'many'"]),
        ("reboot", {"probes.interval": -1}, ["probes.interval"]),
        ("reboot", {"seed.value": 1}, ["seed"]),
        ("reboot", {"server.kind": "dhcpd", "server.service_time": 0.1}, ["only the built-in server"]),
        ("reboot", {"probes.pattern": "bursts"}, ["probes.pattern", "'zipf'", "'bursts'"]),
        ("dos", {"attack.kind": "spoof", "topology.population": True}, ["spoofs", "attack.kind=scan"]),
        ("claim", {"attack.kind": "spoof", "topology.population": True}, ["topology.population=false"]),
        ("failover", {"server.count": 1}, ["server.count=2"]),
        ("/nowhere/at/all.yaml", {}, ["/nowhere/at/all.yaml", "No such file"]),
    ],
)
def test_bad_input_is_one_line(scenario, settings, words):
    with pytest.raises(BadInput) as caught:
        load(scenario, settings)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words), line


@pytest.mark.parametrize("content", ["- a\n- list", "a: [", "scenario: reboot\nnothing: 1"])
def test_bad_files(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(BadInput) as caught:
        load(str(path), {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["novalue", "=1", "a=["])
def test_bad_settings(text):
    with pytest.raises(BadInput, match="--set"):
        parse_setting(text)


def test_an_attack_may_go_round_the_whole_range_and_no_more():
    whole = int(plan.POOL_LAST) - int(plan.POOL_FIRST) + 1
    assert load("dos", {"attack.addresses": whole}).attack.addresses == whole
    with pytest.raises(BadInput, match=r"attack\.addresses"):
        load("dos", {"attack.addresses": whole + 1})
    half = (whole + 1) // 2  # of "mixed" lies beyond the range
    assert plan.UNATTACHED_NETWORK[1] + (half - 1) < plan.UNATTACHED_NETWORK.broadcast_address


def test_every_field_is_described():
    settings = fields()
    assert len(settings) > 15
    assert all(setting.meaning and setting.values for setting in settings.values())
    assert settings["wan.loss"].values == "0 to below 1"
    assert settings["attack.rate"].values == "above 0 to 100,000"
    assert settings["server.kind"].values == "builtin, dhcpd, dnsmasq"
    assert settings["probes.interval"].default is None
    assert settings["capture.nodes"].values == "[NAME, ...], 8 at most"


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, 16),
        ({"topology.hosts_per_modem": 8}, 16),
        ({"topology.hosts_per_modem": 250}, 500),
        ({"topology.hosts_per_modem": 250, "server.leases_per_circuit": 3}, 3),
        ({"server.leases_per_circuit": 0}, 0),
    ],
)
def test_a_circuit_may_have_what_its_hosts_need_twice(settings, wanted):
    assert load("reboot", settings).leases_per_circuit == wanted


def test_the_built_in_server_is_told_whom_to_believe_and_what_to_give(tmp_path):
    """The lab's server answers leasequery of the concentrator alone, unless a study wants otherwise."""
    raw = tmp_path / "raw"
    raw.mkdir()
    place, pool = plan.SERVERS[0], plan.pools(1)[0]

    def told(**settings):
        spec = load("reboot", settings)
        server = Server(programs=None, raw=raw, node=None, place=place, pool=pool, spec=spec)
        server.builtin()
        return configuration(raw / "server.yaml")

    usual = told()
    assert usual.leasequery.requesters == (IPv4Network("198.18.0.1/32"),)
    assert (usual.verify_source, usual.leases_per_circuit, usual.leases_per_client) == (True, 16, 8)
    bare = told(
        **{
            "server.any_requester": True,
            "server.verify_source": False,
            "server.leases_per_circuit": 0,
            "server.leases_per_client": 0,
        }
    )
    assert bare.leasequery.requesters == (IPv4Network("0.0.0.0/0"),)
    assert (bare.verify_source, bare.leases_per_circuit, bare.leases_per_client) == (False, 0, 0)
