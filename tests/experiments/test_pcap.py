"""Captures that anybody may have written, read frame by frame."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq.errors import BadInput
from lq.live import packets
from lq.results import pcap
from lq.wire import Message, MessageType, OptionCode, RelayInfo, frames

CLIENT, SERVER = frames.IPv4Address("198.18.0.16"), frames.IPv4Address("198.19.1.2")


def message(**options):
    made = Message(op=1, xid=7, ciaddr=CLIENT, chaddr=bytes(6), options={})
    made.message_type = MessageType.RELEASE
    made.options.update(options.pop("options", {}))
    return made.encode()


def frame(payload, tags=()):
    packet = frames.udp_packet((CLIENT, 68), (SERVER, 67), payload)
    return frames.ethernet(b"\1" * 6, b"\2" * 6, tags, frames.ETHERTYPE_IPV4, packet)


def capture(path: Path, *octets: bytes, order="<", magic=0xA1B23C4D, at=1_000) -> Path:
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    records = [struct.pack(f"{order}IIII", at, 500, len(part), len(part)) + part for part in octets]
    path.write_bytes(head + b"".join(records))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "at"), [(0xA1B23C4D, 1000.0000005), (0xA1B2C3D4, 1000.0005)])
@pytest.mark.parametrize("tags", [(), (5,), (5, 6)])
def test_a_message_is_found_in_any_capture_of_ethernet(tmp_path, order, magic, at, tags):
    path = capture(tmp_path / "c.pcap", b"short", frame(message(), tags), order=order, magic=magic)
    (seen,) = pcap.read_dhcp(path)
    assert seen.at == pytest.approx(at, abs=1e-7)
    assert (seen.source, seen.destination) == ("198.18.0.16:68", "198.19.1.2:67")
    assert seen.message.xid == 7


def test_what_is_no_capture_is_refused_and_a_growing_one_ends_with_its_last_whole_frame(tmp_path):
    path = tmp_path / "c.pcap"
    path.write_bytes(b"")
    assert list(pcap.read_frames(path)) == []
    path.write_bytes(b"GIF89a" * 10)
    with pytest.raises(BadInput, match="no capture"):
        list(pcap.read_frames(path))
    whole = capture(path, frame(message()), frame(message())).read_bytes()
    for cut in (1, 10, 300):
        path.write_bytes(whole[:-cut])
        assert len(list(pcap.read_frames(path))) == 1
    path.write_bytes(whole + struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 0) + bytes(100))
    assert len(list(pcap.read_frames(path))) == 2


def test_the_table_bears_any_message_and_keeps_the_latest(tmp_path, monkeypatch):
    odd = {
        OptionCode.RELAY_AGENT_INFORMATION: b"\1\xff\0",  # runs past its end
        OptionCode.LEASE_TIME: b"\1",
        OptionCode.CLIENT_LAST_TRANSACTION_TIME: b"",
    }
    info = RelayInfo(b"\xff\0\x1b", b"\2" * 6).encode()
    good = frame(message(options={OptionCode.RELAY_AGENT_INFORMATION: info}))
    path = capture(tmp_path / "c.pcap", frame(message(options=odd)), good, frame(b"\0" * 240))
    table = packets.table({path: "server", tmp_path / "missing.pcap": "host1"}, 999.0)
    assert list(table.columns) == packets.COLUMNS
    assert list(table["type"])[:2] == ["DHCPRELEASE", "DHCPRELEASE"]
    assert table["circuit_id"].isna().tolist()[:2] == [True, False]
    assert table["circuit_id"][1] == "ff001b"
    assert table["lease_time"].isna().all()
    assert table["time"][0] == pytest.approx(1.0)
    monkeypatch.setattr(packets, "MOST_MESSAGES", 5)
    path = capture(path, *[frame(message())] * 20)
    assert len(packets.table({path: "server"}, 0.0)) == 5
    assert list(packets.table({}, 0.0).columns) == packets.COLUMNS
    early, late = (capture(tmp_path / f"{at}", *[frame(message())] * 3, at=at) for at in (1_000, 2_000))
    for files in ({early: "early", late: "late"}, {late: "late", early: "early"}):  # whichever is read last
        assert list(packets.table(files, 0.0)["node"]) == ["early", "early", "late", "late", "late"]


@given(st.binary(max_size=400), st.integers(0, 2**32 - 1))
def test_no_octets_make_the_table_raise(tmp_path_factory, noise, seed):
    path = tmp_path_factory.mktemp("c") / "c.pcap"
    damaged = bytearray(frame(message(options={OptionCode.RELAY_AGENT_INFORMATION: b"\1\2ab"})))
    chance = random.Random(seed)
    for _ in range(8):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    whole = capture(path, noise, bytes(damaged), frame(noise)).read_bytes()
    packets.table({path: "server"}, 0.0)
    path.write_bytes(whole[:24] + noise)
    packets.table({path: "server"}, 0.0)
    path.write_bytes(noise)
    packets.table({path: "server"}, 0.0)
