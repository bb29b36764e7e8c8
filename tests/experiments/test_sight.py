"""What a live lab shows of itself: a record is followed a piece at a time, in bounded memory."""

from ipaddress import IPv4Address

from controllers.record import Recorder
from lq.emulation import knowledge, sight
from lq.emulation.knowledge import Knowledge
from lq.emulation.sight import MOST_MESSAGES, Follower


def test_a_record_is_followed_as_it_grows_whole_lines_only(tmp_path):
    path = tmp_path / "record"
    follower = Follower(path)
    follower.look()  # before there is one
    recorder = Recorder(path)
    recorder.write("ready", at=1.0)
    recorder.query(2.0, "198.19.1.2", IPv4Address("198.18.0.16"), "by-address", 1)
    recorder.flush()
    with path.open("ab") as file:
        file.write(b'{"at":3.0,"event":"perm')
    follower.look()
    assert follower.ready_at == 1.0
    assert follower.knowledge.of("198.18.0.16", 2.5) == "asking"
    with path.open("ab") as file:
        file.write(b'it","address":"198.18.0.16","tags":[1],"expires":9.0}\n')
    follower.look()
    assert follower.knowledge.of("198.18.0.16", 3.5) == "located"
    assert (follower.queries, follower.answers) == (1, 0)
    assert [line["number"] for line in follower.messages] == [1]


def test_the_newest_messages_are_kept_and_all_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(sight, "_PIECE", 1000)  # a record of many pieces
    path = tmp_path / "record"
    recorder, address = Recorder(path), IPv4Address("198.18.0.16")
    for number in range(500):
        recorder.query(number, "198.19.1.2", address, "by-address", 1)
        recorder.answered(number, address, "198.19.1.2", "by-address", "active", 0.001, 1)
    recorder.flush()
    follower = Follower(path)
    follower.look()
    assert (follower.queries, follower.answers) == (500, 500)
    assert [line["number"] for line in follower.messages] == list(range(1001 - MOST_MESSAGES, 1001))


def test_a_scan_fills_no_memory(monkeypatch):
    monkeypatch.setattr(knowledge, "MOST_REFUSED", 3000)
    known, most = Knowledge(), 0
    for first in range(0, 40_000, 500):
        lines = [
            {"at": n / 10_000, "event": "refuse", "address": str(n), "until": n / 10_000 + 300}
            for n in range(first, first + 500)
        ]
        known.feed(lines)
        known.forget(lines[-1]["at"])
        most = max(most, len(known.items("refused", 0.0)))
    assert 3000 < most < 2 * 3000 + 1500
    assert known.of("39999", 5.0) == "refused"  # the newest are there


def test_what_holds_is_not_forgotten():
    known = Knowledge()
    known.feed({"at": 1.0, "event": "permit", "address": str(n), "expires": 1e9} for n in range(3000))
    known.feed({"at": 1.0, "event": "refuse", "address": f"r{n}", "until": 2.0} for n in range(3000))
    known.forget(5.0)
    assert len(known.items("located", 5.0)) == 3000
    assert not known.items("refused", 0.0)
    assert known.of("2999", 5.0) == "located"
