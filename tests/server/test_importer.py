"""Bindings from a lease file of ISC dhcpd, and synthetic ones."""

import io
import itertools
import time
from ipaddress import IPv4Address

import pytest

from lq.bench.population import Subscriber, dhcpd_leases
from lq.server import importer, synthetic
from lq.server.bindings import State
from lq.server.config import ConfigError, parse
from lq.server.importer import LeaseFileError, read
from lq.server.storage import Storage
from lq.wire import MessageType, RelayInfo

from .helpers import CONFIG, ask, mac, service

LEASES = r"""
# The format of this file is documented in the dhcpd.leases(5) manual page.
authoring-byte-order little-endian;
failover peer "x" state { my state normal at 1 2024/01/01 00:00:00; }
server-duid "\000\001\000\001 { } ;\"";

lease 198.18.0.10 {
  starts 1 2024/01/01 00:00:00;
  ends 1 2024/01/01 01:00:00;
  binding state active;
  hardware ethernet 02:00:00:00:00:99;
}
lease 198.18.0.10 {
  starts 1 2024/01/01 02:00:00;
  ends 1 2024/01/01 03:00:00;
  cltt 1 2024/01/01 02:00:00;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 02:00:00:00:00:01;
  uid "\001\002\000\"a\\";
  set vendor-class-identifier = "docsis";
  option agent.circuit-id "port1";
  option agent.remote-id 2:11:0:0:0:1;
  client-hostname "h;o}s{t";
  on expiry { set x = "1"; }
}
lease 198.18.0.11 {
  starts epoch 1704067200; # Mon Jan 1
  ends epoch 1704070800;
  tstp epoch 1704070800;
  binding state free;
  hardware token-ring 02:00:00:00:00:02;
}
lease 198.18.0.12 { starts epoch 1704067200; ends never; binding state active;
  hardware ethernet 02:00:00:00:00:03; }
lease 198.18.0.13 { starts 1 2024/01/01 00:00:00; ends 1 2024/01/01 00:00:00; binding state abandoned; }
host reserved { dynamic; hardware ethernet 02:00:00:00:00:04; fixed-address 198.18.0.14; }
"""
BEGIN = 1704067200.0


def test_the_last_entry_of_each_address_is_read():
    found = {str(each.address): each for each in read(LEASES)}
    assert list(found) == ["198.18.0.10", "198.18.0.11", "198.18.0.12", "198.18.0.13"]
    first = found["198.18.0.10"]
    assert (first.state, first.htype, first.chaddr) == (State.LEASED, 1, mac(1))
    assert (first.expires, first.last_transaction) == (BEGIN + 3 * 3600, BEGIN + 2 * 3600)
    assert first.renews == BEGIN + 2.5 * 3600
    assert first.client_id == b'\x01\x02\x00"a\\'
    assert RelayInfo.decode(first.relay_info) == RelayInfo(b"port1", bytes((2, 0x11, 0, 0, 0, 1)))
    assert first.sent == b"\x3c\x06docsis"
    second = found["198.18.0.11"]
    assert (second.state, second.htype, second.last_transaction) == (State.RELEASED, 6, BEGIN)
    assert found["198.18.0.12"].expires > 2**33
    assert found["198.18.0.13"].state == State.DECLINED


def test_what_was_imported_is_answered(tmp_path):
    config = parse(CONFIG.replace("database: ", f"database: {tmp_path}/"))
    assert synthetic.store(config, read(LEASES)) == 4
    storage = Storage(config.database)
    server = service(bindings=storage.load(), now=BEGIN + 2 * 3600 + 60)
    storage.close()
    reply = ask(server, BEGIN + 2 * 3600 + 60, "198.18.0.10")
    assert (reply.message_type, reply.chaddr) == (MessageType.ACTIVE, mac(1))
    assert int.from_bytes(reply.options[51], "big") == 3540
    assert reply.options[60] == b"docsis"
    endless = ask(server, BEGIN + 2 * 3600 + 60, "198.18.0.12")
    assert endless.options[51] == b"\xff\xff\xff\xff"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lease 198.18.0.10 { starts epoch 1;", "line 1: .*cut short"),
        ('\nlease 198.18.0.10 { uid "abc', "line 2: .*cut short"),
        ("\n\nlease 198.18.0.300 { }", r"line 3: lease 198\.18\.0\.300"),
        ("lease 198.18.0.10 { ends soon; }", "line 1"),
        ("lease 198.18.0.10 { hardware ethernet xyz; }", "line 1"),
    ],
)
def test_files_that_do_not_read_are_refused_with_their_line(text, says):
    with pytest.raises(LeaseFileError, match=says):
        list(read(text))


def test_the_benchmarks_leases_read_as_its_subscribers():
    file = io.StringIO()
    first = IPv4Address("198.18.1.0")
    dhcpd_leases(file, first, 300, 1000)
    found = list(read(file.getvalue()))
    assert len(found) == 300
    for number, binding in enumerate(found):
        subscriber = Subscriber(number, first)
        assert (binding.address, binding.chaddr) == (subscriber.address, subscriber.chaddr)
        assert (binding.client_id, binding.relay_info) == (subscriber.client_id, subscriber.relay_info)
        assert (binding.last_transaction, binding.expires) == (1000.0, 87400.0)


def test_synthetic_bindings_are_those_of_the_benchmark():
    config = parse(CONFIG)
    found = list(synthetic.bindings(config, 11, time.time()))
    for number, binding in enumerate(found):
        subscriber = Subscriber(number, IPv4Address("198.18.0.10"))
        assert (binding.address, binding.chaddr) == (subscriber.address, subscriber.chaddr)
        assert (binding.client_id, binding.relay_info) == (subscriber.client_id, subscriber.relay_info)
    with pytest.raises(ConfigError, match="hold 11 addresses, not 12"):
        synthetic.bindings(config, 12, 0.0)


def test_many_bindings_are_stored_in_several_commits(tmp_path):
    text = CONFIG.replace("198.18.0.10-198.18.0.20", "198.18.0.10-198.18.255.250")
    config = parse(text.replace("database: ", f"database: {tmp_path}/"))
    assert synthetic.store(config, synthetic.bindings(config, 60_000, 0.0)) == 60_000
    storage = Storage(config.database)
    assert len(list(storage.load())) == 60_000
    storage.commit(itertools.islice(storage.load(), 1))
    storage.close()


def test_both_fill_the_database_of_a_configuration(tmp_path):
    config = tmp_path / "server.yaml"
    config.write_text(CONFIG.replace("database: ", f"database: {tmp_path}/"))
    leases = tmp_path / "dhcpd.leases"
    leases.write_text(LEASES)
    assert synthetic.fill(config, 11) == 11
    assert importer.fill(config, leases) == 4
    with pytest.raises(LeaseFileError, match="cannot read"):
        importer.fill(config, tmp_path / "missing")
    storage = Storage(tmp_path / "bindings.sqlite")
    found = {str(each.address): each for each in storage.load()}
    storage.close()
    assert len(found) == 11
    assert found["198.18.0.11"].htype == 6
    assert found["198.18.0.14"].htype == 1
