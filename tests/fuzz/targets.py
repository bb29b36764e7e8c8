"""What is fuzzed: functions of octets that raise nothing unless something is wrong.

Each takes any octets and checks what must hold for them. `tests.fuzz.run` searches for octets that break
one, `tests.fuzz.test_corpus` replays those kept in `corpus/`.
"""

import functools
import shutil
import struct
import tempfile
from dataclasses import fields, replace
from ipaddress import IPv4Address
from pathlib import Path

from lq import yaml_file
from lq.errors import BadInput
from lq.experiments import spec as specification
from lq.plots.runs import reachable
from lq.results.finished_run import Run
from lq.server.bindings import Binding, State
from lq.server.config import ConfigError, parse
from lq.server.service import Service
from lq.server.storage import Storage
from lq.wire import MalformedMessage, MessageType, RelayInfo, decode, frames
from lq.wire.message import ANY
from tests.fuzz.concentrator import concentrator
from tests.server.oracle import judge
from topologies.agent import Agent

CONFIGURATIONS = [
    """
listen: 198.19.1.2
database: unused.sqlite
subnets:
  - network: 198.18.0.0/16
    pools: [198.18.0.10-198.18.0.12]
    options: {routers: [198.18.0.1], domain-name: example, 43: 0x0102}
leasequery: {requesters: [198.18.0.0/16]}
reservations:
  - {address: 198.18.50.1, hardware: '02:00:00:00:00:02', options: {host-name: two}}
""",
    """
listen: 198.19.1.2
database: unused.sqlite
dialect: draft-03
lease_time: 60
decline_time: 60
shared_networks:
  - name: access
    subnets:
      - {network: 198.18.0.0/16, pools: [198.18.0.10-198.18.0.11]}
      - {network: 198.19.0.0/16, pools: [198.19.0.10-198.19.0.10]}
reservations:
  - {address: 198.18.0.10, client_id: '0x00'}
  - {address: 198.18.0.99, hardware: '02:00:00:00:00:02', client_id: two}
leasequery: {prefer: longest-lease, reservation_as_active: true, requesters: [0.0.0.0/0]}
leases_per_circuit: 2
leases_per_client: 1
""",
    """
listen: 198.19.1.2
database: unused.sqlite
dialect: draft-03
max_lease_time: 4294967295
subnets:
  - {network: 0.0.0.0/0, pools: [198.18.0.10-198.18.0.20]}
leasequery: {forms: [address], requesters: [198.18.0.0/15]}
verify_source: false
leases_per_circuit: 0
""",
    """
listen: 198.19.1.2
database: unused.sqlite
max_lease_time: 4294967295
subnets:
  - {network: 198.18.0.0/16, pools: [198.18.0.10-198.18.0.12], options: {routers: [198.18.0.1]}}
reservations:
  - {address: 198.18.50.1, hardware: '02:00:00:00:00:02', client_id: two}
leasequery: {former_client: true}
""",
]
STEPS = (0.0, 0.5, 1.0, 30.0, 61.0, 1800.0, 3600.0, 86400.0)  # seconds between datagrams
DISCOVER = b"".join(
    [
        bytes((1, 1, 6)),
        bytes(25),
        b"\2\0\0\0\0\1",
        bytes(202),
        bytes.fromhex("63825363"),
        b"\x35\1\1\x37\2\1\x79\xff",
    ]
)
OPTION = RelayInfo(b"dslam1 eth 0/2:1", bytes(6)).encode()
FRAME = struct.Struct("!BH")  # which step comes before it; octets of the datagram
KEPT = [field.name for field in fields(Binding) if not field.name.startswith(("template", "reserved"))]


def wire(data):
    """A message is refused by its one error, or can be shown, encoded, and comes back the same."""
    try:
        message = decode(data)
    except MalformedMessage:
        return
    assert str(message)
    assert decode(message.encode()) == message
    again = decode(message.encode(minimum=0))
    assert list(again.options.items()) == list(decode(again.encode(minimum=0)).options.items())
    try:
        shorter = message.encode(minimum=0, maximum=576)
    except MalformedMessage:
        pass
    else:
        assert len(shorter) <= 576
        assert decode(shorter) == message
    for value in message.options.values():
        try:
            info = RelayInfo.decode(value)
        except MalformedMessage:
            continue
        assert info.encode() == value
        assert str(info)


def server(data):
    """Whatever arrives in whatever order: replies are messages, queries change nothing (R3-1) and are
    answered as the oracle says, and what has changed can be stored and comes back the same."""
    if not data:
        return
    service = Service(_configured(data[0] % len(CONFIGURATIONS)), now=1e9)
    now, position, stored = 1e9, 1, {}
    while position + FRAME.size <= len(data):
        step, length = FRAME.unpack_from(data, position)
        position += FRAME.size
        octets = data[position : position + length]
        position += length
        now += STEPS[step % len(STEPS)]
        before = dict(service.bindings.by_address)
        source = _source(step, octets)
        outgoing = service.handle(octets, now, source)
        if service.counters["received: leasequery"] and _is_query(octets):
            assert not service.changed
            assert service.bindings.by_address == before
            judge(service, octets, outgoing, now, source)
        if outgoing is not None:
            reply, (host, port) = outgoing
            assert decode(reply).op == 2
            assert decode(reply).xid == decode(octets).xid
            assert (host, port) != ("0.0.0.0", 67)
        _storage().commit(service.changed.values())
        stored |= service.changed
        service.changed.clear()
    if stored:
        found = {binding.packed: _kept(binding) for binding in _storage().load()}
        assert {packed: found[packed] for packed in stored} == {p: _kept(b) for p, b in stored.items()}
    _indexes_agree(service)


def config(data):
    """A configuration is refused in one line, or a server can work by it."""
    try:
        found = parse(data.decode("utf-8", "surrogateescape"), "fuzzed")
    except ConfigError as error:
        _is_one_line(error, "fuzzed:")
        return
    service = Service(found, now=1e9)
    for link in found.links[:4]:
        giaddr = link.subnets[0].network.network_address.packed
        octets = DISCOVER[:24] + giaddr + DISCOVER[28:]
        service.handle(octets, 1e9, _source(0, octets))


def agent(data):
    """A DSLAM's agent gives one frame for each or none, and what it writes is right."""
    if len(data) < 1:
        return
    up, raw = data[0] & 1, data[0] & 2
    packet = frames.udp_packet((ANY, 68 - up), (frames.BROADCAST, 67 if up else 68), data[1:])
    frame = data[1:] if raw else frames.ethernet(bytes(6), bytes(6), (1,), frames.ETHERTYPE_IPV4, packet)
    one = Agent({(1,): OPTION})
    after = one.carry(frame)
    assert sum(one.counts.values()) == 1
    if after is None or after == frame:
        return
    before, found = (frames.parse(each).payload for each in (frame, after))
    assert frames.udp_intact(found)
    message = decode(frames.udp_payload(before))
    options = dict(message.options)
    changed = decode(frames.udp_payload(found))
    if one.counts["inserted"]:
        assert 82 not in options
        options[82] = OPTION
    else:
        del options[82]
    assert changed == replace(message, options=options)


def spec(data):
    """A specification is refused in one line, or it is whole, and is the same when written and read again."""
    try:
        found = specification.read(yaml_file.decode(data, "fuzzed"))
    except BadInput as error:
        _is_one_line(error, "fuzzed:")
        return
    assert found.probe_interval > 0
    assert found.timeout > 0
    written = yaml_file.dump(found.model_dump(mode="json"))
    assert specification.read(yaml_file.parse(written, "written")) == found


FILES = ("summary.json", "spec.yaml", "manifest.json", "phases.parquet", "probes.parquet", "queries.parquet")


def run(data):
    """One file of a run, by the first octet, holds anything: it is refused by its name, or can be read."""
    if not data:
        return
    path = _run_directory() / FILES[data[0] % len(FILES)]
    whole = path.read_bytes()
    path.write_bytes(data[1:])
    try:
        found = Run(_run_directory())
        assert found.summary["outage_s"] >= 0
        assert found.manifest is not None
        assert found.spec.probe_interval > 0
        for name in ("phases", "probes", "queries"):
            assert len(found.table(name).columns) < 1001
        assert len(found.recovery) <= len(found.table("probes"))
        assert reachable(found).between(0, 1).all()
    except BadInput as error:
        _is_one_line(error, "")
        if path.name not in str(error):
            raise
    finally:
        path.write_bytes(whole)


TARGETS = {
    "wire": wire,
    "server": server,
    "config": config,
    "concentrator": concentrator,
    "agent": agent,
    "spec": spec,
    "run": run,
}


def _is_one_line(error, begin):
    assert str(error).startswith(begin)
    assert str(error).isprintable()


@functools.cache
def _run_directory():
    """A whole run, in a copy that may be changed. The copy is kept as long as the program lives."""
    _KEPT.append(tempfile.TemporaryDirectory())
    return Path(shutil.copytree(Path(__file__).parent / "whole-run", Path(_KEPT[-1].name) / "run"))


_KEPT = []


def _source(step, octets):
    """Where a datagram comes from: mostly giaddr, port 67, or without one ciaddr; else somebody else."""
    claimed = octets[24:28] if any(octets[24:28]) else octets[12:16]
    if step >> 4 == 15:
        claimed = b"\xc6\x13\x02\x02"
    return str(IPv4Address(claimed.rjust(4, b"\0"))), 67


def _is_query(octets):
    try:
        return decode(octets).message_type == MessageType.LEASEQUERY
    except MalformedMessage:
        return False


def _kept(binding):
    return [getattr(binding, name) for name in KEPT]


def _indexes_agree(service):
    """The indexes by address, by hardware address and by client identifier tell the same."""
    bindings = service.bindings
    for binding in bindings:
        assert not binding.chaddr or binding in bindings.of_hardware(binding.hardware)
        assert binding.client_id is None or binding in bindings.of_client_id(binding.client_id)
        assert binding.state != State.RESERVED or binding.reserved


@functools.cache
def _configured(number):
    return parse(CONFIGURATIONS[number])


@functools.cache
def _storage():
    return Storage(":memory:")
