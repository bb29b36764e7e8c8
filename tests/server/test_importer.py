"""Bindings from a lease file of ISC dhcpd, and synthetic ones."""

import calendar
import contextlib
import io
import itertools
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lq.bench.leaseholders import Leaseholder, dhcpd_leases
from lq.server import importer, synthetic
from lq.server.bindings import Binding, State
from lq.server.config import ConfigError, load, parse
from lq.server.importer import LeaseFileError, read
from lq.server.lease_file import FOREVER
from lq.server.schema import Over
from lq.server.service import Service
from lq.server.storage import Storage
from lq.wire import MessageType, RelayInfo
from tests import support

from .helpers import CONFIG, Host, ask, mac, service

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
NOW = BEGIN + 2 * 3600 + 60
CASES = Path(__file__).parent / "data"


def test_the_last_entry_of_each_address_is_read():
    found = read(LEASES, NOW).by_address
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
    assert synthetic.store(config, read(LEASES, NOW).bindings) == 4
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
        ("lease 198.18.0.10 { starts epoch 1;", "x:1: .*cut short"),
        ('\nlease 198.18.0.10 { uid "abc', "x:2: .*cut short"),
        ('lease 198.18.0.10 {\n uid "a\n";\n set x = "b;\n}\n', "x:4: .*cut short"),
        ("# ok\nlease 198.18.0.10 {\n on expiry {\n }\n", "x:2: .*cut short"),
    ],
)
def test_files_that_are_cut_short_are_refused_with_their_line(text, says):
    with pytest.raises(LeaseFileError, match=says):
        read(text, NOW, "x")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ends soon", "'soon' is no time"),
        ("ends 1 2024/13/01 00:00:00", "2024/13/01"),
        ("ends epoch -5", "no time"),
        ("cltt", "no time"),
        ("hardware ethernet xyz", "'xyz' is neither"),
        ("hardware ethernet 2:0:0:0:0:0x1", "neither"),
        ("hardware ethernet " + ":".join(["2"] * 20), "20 octets where 1 to 16 fit"),
        ("hardware ethernet 2:0 3:0", "does not read"),
        ("hardware unknown-300 2:0:0:0:0:1", "'unknown-300' is no hardware type"),
        ("hardware carrier-pigeon 2:0:0:0:0:1", "'carrier-pigeon' is no hardware type"),
        ('uid ""', "0 octets"),
        ('uid "%s"' % ("a" * 256), "256 octets"),
        (r'uid "\108"', "octal"),
        (r'uid "\400"', "octal"),
        (r'uid "a\7"', "octal"),
        (r'uid "\xag"', "hexadecimal"),
        ("binding state waiting", "'waiting' is no binding state"),
        ("option agent.unknown-256 1", "no sub-option"),
        ("option agent.favourite-colour 1", "no sub-option"),
        ("option agent.DOCSIS-device-class 4294967296", "32 bits"),
        ("option agent.link-selection 198.18.0", "198.18.0"),
        ('set vendor-class-identifier = "%s"' % ("a" * 256), "256 octets"),
        (";".join(f'option agent.unknown-{n} "{"a" * 100}"' for n in (6, 7, 8)), "306 octets"),
        ("binding state active", "has no end"),
    ],
)
def test_a_bad_value_loses_its_lease_and_is_named(statement, says):
    good = "lease 198.18.0.11 { ends never; binding state active; hardware ethernet 2:0:0:0:0:1; }"
    # The bad entry has superseded the one before, so that does not come back.
    text = f"{good.replace('.11', '.10')}\nlease 198.18.0.10 {{\n {statement};\n}}\n{good}\n"
    found = read(text, NOW, "x")
    assert list(found.by_address) == ["198.18.0.11"]
    ((address, line),) = found.bad.items()
    assert address == "198.18.0.10"
    assert line.startswith("x:2: " if says == "has no end" or "306" in says else "x:3: ")
    assert "lease 198.18.0.10 is left out" in line
    assert says in line
    assert "\n" not in line


def test_a_bad_address_is_named_and_a_later_entry_counts():
    text = "lease 198.18.0.300 { }\nlease 198.18.0.10 { ends soon; }\nlease 198.18.0.10 { ends never; }"
    found = read(text, NOW)
    assert [*found.by_address] == ["198.18.0.10"]
    assert [*found.bad] == ["198.18.0.300"]


def case(name):
    """A lease file of the collected cases, read as of the day on which it was written."""
    written = calendar.timegm((2026, 11, 25, 15, 0, 0))
    return read((CASES / name).read_text(encoding="latin-1"), written, name)


END = calendar.timegm((2026, 12, 25, 13, 11, 40))


@pytest.mark.parametrize("name", ["nostate.leases", "nostate-openbsd.leases"])
def test_a_lease_without_state_is_active_until_its_end(name):
    (binding,) = case(name).bindings
    assert (str(binding.address), binding.state, binding.expires) == ("10.0.0.20", State.LEASED, END)
    assert binding.client_id == bytes.fromhex("01020000000014")
    text = (CASES / name).read_text()
    (ended,) = read(text, END + 1.0).bindings
    assert ended.state == State.RELEASED


def test_bootp_and_reserved_are_active():
    found = case("bootp.leases").bindings
    assert [(str(each.address), each.state) for each in found] == [
        ("10.0.0.24", State.LEASED),
        ("10.0.0.25", State.LEASED),
    ]
    assert all(each.expires == FOREVER for each in found)


@pytest.mark.parametrize("flag", ["bootp", "dynamic-bootp", "reserved"])
@pytest.mark.parametrize(
    ("state", "becomes"), [("active", State.LEASED), ("free", State.RELEASED), ("", State.LEASED)]
)
def test_flags_need_no_end_and_change_no_state(flag, state, becomes):
    state = f"binding state {state};" if state else ""
    (binding,) = read(f"lease 198.18.0.10 {{ {state} {flag}; }}", NOW).bindings
    assert binding.state == becomes
    assert binding.leased(NOW) == (becomes == State.LEASED)


def test_an_old_abandoned_address_is_declined():
    (binding,) = case("oldabandoned.leases").bindings
    assert (binding.state, binding.expires, binding.chaddr) == (State.DECLINED, END, b"")


def test_all_sub_options_are_read_in_the_order_of_the_file():
    (binding,) = case("suboptions.leases").bindings
    assert binding.relay_info == bytes.fromhex(
        "0104000103e9 0206020000000116 040400000002 090b0000118b06010401020300".replace(" ", "")
    )
    swapped = "option agent.unknown-9 1:2; option agent.link-selection 198.18.0.1; option agent.circuit-id 7;"
    (binding,) = read(f"lease 198.18.0.10 {{ {swapped} }}", NOW).bindings
    assert binding.relay_info == bytes.fromhex("09020102 0504c6120001 010107".replace(" ", ""))


def test_a_byte_order_mark_loses_no_lease():
    assert [*case("bom.leases").by_address] == ["10.0.0.26", "10.0.0.27"]
    text = (CASES / "bom.leases").read_text(encoding="latin-1").partition("\n")[2]
    assert [*read("\xef\xbb\xbf" + text, NOW).by_address] == ["10.0.0.26", "10.0.0.27"]


def test_fddi_is_a_hardware_type():
    (binding,) = case("fddi.leases").bindings
    assert binding.htype == 8


@pytest.mark.parametrize(
    ("name", "kept", "line"),
    [
        ("badoctal.leases", ["10.0.0.30"], "badoctal.leases:12: lease 10.0.0.31"),
        ("htype300.leases", [], "htype300.leases:5: lease 10.0.0.42"),
    ],
)
def test_bad_values_of_real_files(name, kept, line):
    found = case(name)
    assert [*found.by_address] == kept
    ((_, said),) = found.bad.items()
    assert said.startswith(line)


def test_an_address_that_is_free_is_free_now():
    """dhcpd keeps the lease's old end beside `binding state free`."""
    (binding,) = read("lease 198.18.0.10 { ends never; binding state free; }", NOW).bindings
    assert (binding.state, binding.expires) == (State.RELEASED, NOW)


def stored(database):
    with contextlib.closing(Storage(database)) as storage:
        return {str(each.address): each for each in storage.load()}


def configured(tmp_path):
    path = tmp_path / "server.yaml"
    network = CONFIG.replace("198.18.0.10-198.18.0.20", "198.18.0.10-198.18.0.200")
    path.write_text(network.replace("database: ", f"database: {tmp_path}/"))
    return path


def entry(address, number, cltt, ends):
    times = f"starts epoch {cltt}; cltt epoch {cltt}; ends epoch {ends}; binding state active;"
    return f"lease {address} {{ {times} hardware ethernet {mac(number).hex(':')}; }}\n"


def test_an_old_file_never_overwrites_what_was_acknowledged_since(tmp_path):
    config, leases = configured(tmp_path), tmp_path / "dhcpd.leases"
    now = int(time.time())
    before = entry("198.18.0.10", 1, now - 5000, now - 1000) + entry("198.18.0.11", 2, now - 5000, now + 5000)
    leases.write_text(before)
    assert str(importer.fill(config, leases)) == "2 bindings imported"
    # The server now leases an address whose former lease has ended to another client.
    storage = Storage(tmp_path / "bindings.sqlite")
    server = Service(load(config), storage.load(), time.time())
    other = Host(server, 7)
    granted = other.select(other.discover(time.time(), o50=bytes((198, 18, 0, 10))), time.time())
    assert str(granted.yiaddr) == "198.18.0.10"
    storage.commit(server.changed.values())
    storage.close()
    acknowledged = stored(tmp_path / "bindings.sqlite")["198.18.0.10"]
    # Again, with an entry of more use: later than the first import, earlier than the lease.
    leases.write_text(
        before + entry("198.18.0.10", 3, now - 3000, now + 9000) + entry("198.18.0.12", 4, now - 9, now)
    )
    said = str(importer.fill(config, leases))
    assert said == "1 bindings imported, 2 left alone, for which the database has as new ones or newer"
    after = stored(tmp_path / "bindings.sqlite")
    assert after["198.18.0.10"].chaddr == acknowledged.chaddr == mac(7)
    assert after["198.18.0.10"].expires == acknowledged.expires
    # So nobody else is given the address.
    server = Service(load(config), after.values(), time.time())
    third = Host(server, 3)
    assert str(third.discover(time.time(), o50=bytes((198, 18, 0, 10))).yiaddr) != "198.18.0.10"


def test_a_newer_transaction_of_the_file_wins(tmp_path):
    config, leases = configured(tmp_path), tmp_path / "dhcpd.leases"
    now = int(time.time())
    leases.write_text(entry("198.18.0.10", 1, now - 100, now + 900))
    importer.fill(config, leases)
    leases.write_text(entry("198.18.0.10", 2, now - 50, now + 950))
    assert importer.fill(config, leases).stored == 1
    assert stored(tmp_path / "bindings.sqlite")["198.18.0.10"].chaddr == mac(2)


def test_a_transaction_of_the_future_takes_no_address_from_another(tmp_path):
    config, leases = configured(tmp_path), tmp_path / "dhcpd.leases"
    now = int(time.time())
    leases.write_text(entry("198.18.0.10", 1, now - 100, now + 900))
    importer.fill(config, leases)
    leases.write_text("".join(entry(f"198.18.0.{n}", 2, now + 10**6, now + 10**7) for n in (10, 11)))
    assert importer.fill(config, leases).stored == 1
    found = stored(tmp_path / "bindings.sqlite")
    assert (found["198.18.0.10"].chaddr, found["198.18.0.11"].chaddr) == (mac(1), mac(2))


def test_the_case_of_an_import_again(tmp_path):
    """The collected case: a lease that the file says is free, and that the server has given since."""
    (freed,) = case("reimport.leases").bindings
    assert (freed.state, freed.leased(END)) == (State.RELEASED, False)
    with contextlib.closing(Storage(tmp_path / "b")) as storage:
        given = Binding(freed.packed, 1, mac(9), expires=END, last_transaction=freed.last_transaction + 1)
        storage.commit([given])
        assert storage.commit([freed], Over.OLDER) == 0
        (kept,) = storage.load()
    assert kept.chaddr == mac(9)


def test_made_up_bindings_take_no_address_from_a_client(tmp_path):
    config = configured(tmp_path)
    held = Binding(
        bytes((198, 18, 0, 12)), 1, mac(9), expires=time.time() + 900, last_transaction=time.time()
    )
    with contextlib.closing(Storage(tmp_path / "bindings.sqlite")) as storage:
        storage.commit([held])
    assert synthetic.fill(config, 11) == 10
    assert synthetic.fill(config, 11) == 10  # again, each over its own
    found = stored(tmp_path / "bindings.sqlite")
    assert (len(found), found["198.18.0.12"].chaddr) == (11, mac(9))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("address,hwaddr,client_id\n198.18.0.10,02:00:00:00:00:01,\n", "no lease"),
        ("lease {\n interface eth0;\n fixed-address 198.18.0.10;\n}\n", "no lease"),
        ("subnet 198.18.0.0 netmask 255.254.0.0 { host x { } }\n", "no lease"),
        ("", "no lease"),
        ("\0\1\2" * 100, "no lease"),
    ],
)
def test_a_file_that_is_no_lease_file_is_an_error(tmp_path, content, says):
    leases = tmp_path / "dhcpd.leases"
    leases.write_text(content)
    done = support.run([*support.LQ, "serve", str(configured(tmp_path)), "--import-leases", str(leases)])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert says in done.stderr
    assert str(leases) in done.stderr


def test_a_lease_file_without_leases_is_none_the_less_one(tmp_path):
    leases = tmp_path / "dhcpd.leases"
    leases.write_text("# comment\nauthoring-byte-order little-endian;\n")
    assert importer.fill(configured(tmp_path), leases).stored == 0


def test_each_lease_left_out_has_its_line(tmp_path):
    leases = tmp_path / "dhcpd.leases"
    leases.write_text((CASES / "badoctal.leases").read_text())
    said = str(importer.fill(configured(tmp_path), leases))
    assert said.splitlines()[0].startswith(f"{leases}:12: lease 10.0.0.31 is left out")
    assert said.splitlines()[1] == "1 bindings imported, 1 left out"


def test_the_benchmarks_leases_read_as_its_subscribers():
    file = io.StringIO()
    first = IPv4Address("198.18.1.0")
    dhcpd_leases(file, first, 300, 1000)
    found = read(file.getvalue(), 1000.0).bindings
    assert len(found) == 300
    for number, binding in enumerate(found):
        subscriber = Leaseholder(number, first)
        assert (binding.address, binding.chaddr) == (subscriber.address, subscriber.chaddr)
        assert (binding.client_id, binding.relay_info) == (subscriber.client_id, subscriber.relay_info)
        assert (binding.last_transaction, binding.expires) == (1000.0, 87400.0)


def test_synthetic_bindings_are_those_of_the_benchmark():
    config = parse(CONFIG)
    found = list(synthetic.bindings(config, 11, time.time()))
    for number, binding in enumerate(found):
        subscriber = Leaseholder(number, IPv4Address("198.18.0.10"))
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
    assert importer.fill(config, leases).stored == 4
    assert synthetic.fill(config, 11) == 10  # one is leased for ever
    with pytest.raises(LeaseFileError, match="cannot read"):
        importer.fill(config, tmp_path / "missing")
    storage = Storage(tmp_path / "bindings.sqlite")
    found = {str(each.address): each for each in storage.load()}
    storage.close()
    assert len(found) == 11
    assert found["198.18.0.12"].chaddr == mac(3)
    assert found["198.18.0.14"].chaddr == mac(4)
