"""The configuration: what is read, and how faults are told."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq.server.config import ConfigError, load, parse
from lq.server.option_values import encode_option
from lq.wire import DRAFT_03, RFC4388

from .helpers import CONFIG


def test_the_example_reads():
    config = parse(CONFIG)
    assert (config.listen, config.port, str(config.database)) == (
        IPv4Address("198.19.1.2"),
        67,
        "bindings.sqlite",
    )
    (subnet,) = config.subnets
    assert subnet.network == IPv4Network("198.18.0.0/16")
    assert subnet.pools == ((IPv4Address("198.18.0.10"), IPv4Address("198.18.0.20")),)
    assert subnet.options == {3: bytes((198, 18, 0, 1)), 15: b"example"}
    assert config.spoken is RFC4388


def test_the_dialect_may_have_its_own_numbers():
    assert parse(CONFIG + "dialect: draft-03\n").spoken is DRAFT_03
    spoken = parse(CONFIG + "dialect: draft-03\nunimplemented_type: 200\nr_flag: 0x2000\n").spoken
    assert (spoken.unimplemented, spoken.r_flag) == (200, 0x2000)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("198.18.0.10-", "198.18.0.300-", 6, "subnets.0.pools.0: Octet 300.*FIRST-LAST"),
        ("198.18.0.10-198.18.0.20", "198.18.0.20-198.18.0.10", 6, "lower address first"),
        ("198.18.0.10-198.18.0.20", "198.19.0.10", 5, "not inside 198.18.0.0/16"),
        ("3600", "soon", 7, "subnets.0.lease_time: .*found 'soon'"),
        ("3600", "-1", 7, "use more than 0, found -1"),
        ("routers", "rooters", 8, "unknown option 'rooters': use a name"),
        ("routers", "lease-time", 8, "set by the server itself: leave it out"),
        ("[198.18.0.1]", "[198.18.0]", 8, "option routers: Expected 4 octets"),
        ("{routers: [198.18.0.1], domain-name: example}", "3", 8, "expected a mapping"),
        ("listen", "lisen", 2, "listen: this key is missing: add it"),
        ("listen: 198.19.1.2", "listen: 198.19.1.2\nlissen: 1", 3, "lissen: unknown key"),
        ("198.18.0.0/16", "198.18.0.1/16", 5, "write its first address and length"),
        (
            "    lease_time: 3600",
            "    lease_time: 3600\n    t1: 4000",
            5,
            "t1 .4000. must not exceed lease_time",
        ),
        ("    lease_time: 3600", "\tlease_time: 3600", 7, "not valid YAML"),
    ],
)
def test_faults_are_one_line_with_line_key_and_fix(old, new, line, says):
    assert old in CONFIG
    with pytest.raises(ConfigError, match=says) as raised:
        parse(CONFIG.replace(old, new), "server.yaml")
    text = str(raised.value)
    assert "\n" not in text
    assert text.startswith(f"server.yaml:{line}: ")


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("dialect: rfc2131\n", "dialect: use 'rfc4388' or 'draft-03'"),
        ("r_flag: 0x2000\n", "belong to dialect draft-03"),
        ("leasequery: {forms: [hardware]}\n", "leasequery.forms: .*add address"),
        ("leasequery: {forms: [mac]}\n", "leasequery.forms.0: .*found 'mac'"),
        (
            "shared_networks: [{name: a, subnets: [{network: 198.18.7.0/24}]}]\n",
            "overlap: make them disjoint",
        ),
        ("shared_networks: [{name: a, subnets: []}]\n", "shared_networks.0.subnets"),
        ("reservations: [{address: 198.18.0.9}]\n", "reservations.0: name the client"),
        ("reservations: [{address: 198.18.0.9, hardware: 'xy'}]\n", "write it as in 02:00"),
        ("reservations: [{address: 198.19.0.9, client_id: a}]\n", "lies in no subnet"),
        (
            "reservations: [{address: 198.18.0.9, client_id: a}, {address: 198.18.0.9, client_id: b}]\n",
            "reserved twice",
        ),
        ("port: 70000\n", "port: .*found 70000"),
    ],
)
def test_faults_of_whole_sections(extra, says):
    section = extra.partition(":")[0]
    others = "".join(line for line in CONFIG.splitlines(keepends=True) if not line.startswith(f"{section}:"))
    with pytest.raises(ConfigError, match=says):
        parse(others + extra)


def test_overlapping_pools_are_refused():
    with pytest.raises(ConfigError, match=r"pools .* overlap"):
        parse(CONFIG.replace("198.18.0.20]", "198.18.0.20, 198.18.0.15-198.18.0.30]"))


@pytest.mark.parametrize("text", ["", "- a\n", "3\n"])
def test_other_documents_are_refused(text):
    with pytest.raises(ConfigError, match="expected keys"):
        parse(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*missing\.yaml"):
        load(tmp_path / "missing.yaml")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    for whole in (text, CONFIG + text):
        with suppress(ConfigError):
            parse(whole)


@pytest.mark.parametrize(
    ("name", "value", "code", "octets"),
    [
        ("routers", "198.18.0.1", 3, "c6120001"),
        ("domain-name-servers", ["198.18.0.1", "198.18.0.2"], 6, "c6120001c6120002"),
        ("domain_name", "a.example", 15, b"a.example".hex()),
        (43, "0x0102", 43, "0102"),
        ("43", "01:02:ff", 43, "0102ff"),
        (26, 1500, 26, "05dc"),
        (119, ["a.example", "b"], 119, "01610765" + b"xample".hex() + "000162" + "00"),
        (121, ["198.18.0.0/15 via 198.18.0.1"], 121, "0fc612c6120001"),
        (224, "text: more", 224, b"text: more".hex()),
    ],
)
def test_option_values(name, value, code, octets):
    assert encode_option(name, value) == (code, bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("name", "value"),
    [(0, ""), (255, ""), (52, 1), (26, 70000), (119, "a..b"), (121, "198.18.0.0/16"), (2, "x")],
)
def test_option_values_that_do_not_fit_are_refused(name, value):
    with pytest.raises(ValueError, match=str(name)):
        encode_option(name, value)
