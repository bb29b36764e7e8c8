"""The fuzzer's corpus, replayed: what once broke a target, and what leads deep into it."""

from pathlib import Path

import pytest

from lq.wire import Message, RelayInfo
from tests.fuzz import concentrator, targets

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.glob("*/*"))


def test_every_target_has_its_corpus():
    assert {path.parent.name for path in FILES} == set(targets.TARGETS)


def replay(target):
    for path in FILES:
        if path.parent.name == target:
            targets.TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_nothing_in_the_corpus_breaks_its_target(path):
    targets.TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize(
    ("target", "broken", "error"),
    [
        ("agent", "Agent", KeyError),
        ("wire", "decode", IndexError),
        ("server", "decode", IndexError),
        ("config", "Service", KeyError),
        ("spec", "specification", AttributeError),
        ("run", "Run", KeyError),
        ("run", "reachable", ZeroDivisionError),
    ],
)
def test_a_target_breaks_if_what_it_tries_does(monkeypatch, target, broken, error):
    def fail(*_, **__):
        raise error("deliberate")

    monkeypatch.setattr(targets, broken, fail)
    with pytest.raises(error):
        replay(target)


def test_the_corpus_reaches_what_it_is_for(monkeypatch):
    """All kinds of answers and of ends of a lease come up in it."""
    counted = {}

    class Watched(targets.Service):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            counted[id(self)] = self

    monkeypatch.setattr(targets, "Service", Watched)
    replay("server")
    reached = {name for service in counted.values() for name in service.counters}
    assert {
        "answered: active", "answered: known", "answered: unknown", "answered: unimplemented",
        "dropped: query for nothing", "dropped: query for several things", "dropped: query without giaddr",
        "dropped: malformed", "sent: offer", "sent: ack", "sent: nak", "leases released",
        "addresses declined",
    } <= reached  # fmt: skip


def test_a_concentrator_that_believes_forged_replies_is_caught(monkeypatch):
    """An ACK whose transaction nobody began, from a server's address and port."""
    monkeypatch.setitem(concentrator.POLICIES[0], "verify_replies", False)
    circuit = RelayInfo(bytes.fromhex("000000020002")).encode()
    options = {53: b"\5", 51: b"\0\0\0\x3c", 82: circuit}
    ack = Message(
        op=2, htype=1, xid=77, chaddr=bytes(6), yiaddr=concentrator.GIADDR + 16, giaddr=concentrator.GIADDR,
        options=options,
    ).encode()  # fmt: skip
    play = b"\0" + concentrator.STEP.pack(6, 1, 0, 1, len(ack)) + ack
    with pytest.raises(AssertionError, match="because of FromServer"):
        targets.TARGETS["concentrator"](play)
    monkeypatch.undo()
    targets.TARGETS["concentrator"](play)
