from ipaddress import IPv4Address, IPv4Network

import pytest

from lq.concentrator.config import ConcentratorConfig
from tests.concentrator.helpers import GIADDR, NETWORK, SECOND, SERVER, config


@pytest.mark.requirement("R4.5-1")
def test_the_servers_asked_are_those_that_the_relay_forwards_to():
    assert config(servers=(SERVER, SECOND)).queried_servers == (SERVER, SECOND)
    assert config(leasequery_servers=(SECOND,)).queried_servers == (SECOND,)
    assert config(mode="glean-only").queried_servers == ()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("servers", ()),
        ("window", 0),
        ("waiting_limit", 0),
        ("refused_limit", -1),
        ("circuit_queries", -1),
        ("retry_first", 0.0),
        ("retry_last", 0.5),
        ("server_timer_last", 1.0),
        ("known_time", float("inf")),
        ("demand_time", float("nan")),
        ("circuit_id", "hex"),
        ("access_node", "two words"),
        ("access_node", ""),
    ],
)
def test_a_value_out_of_range_is_named(setting, value):
    with pytest.raises(ValueError, match=setting.removesuffix("s")):
        config(**{setting: value})


def test_giaddr_lies_on_an_access_network():
    with pytest.raises(ValueError, match="giaddr"):
        ConcentratorConfig(IPv4Address("198.19.0.1"), (NETWORK,), (SERVER,))
    assert ConcentratorConfig(GIADDR, (IPv4Network("198.18.0.0/24"),), (SERVER,)).window == 100
