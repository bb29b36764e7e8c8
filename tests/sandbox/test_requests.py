"""Numbered requests over a channel: answered in any order, each cancelled on its own, bounded."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lq.errors import BadInput, RunFailed
from lq.sandbox import requests
from lq.sandbox.channel import Channel
from lq.sandbox.requests import Caller, Responder


def endless():
    value = []
    value.append(value)
    return value


class Work:
    """What can be asked for."""

    def __init__(self):
        self.let_go = threading.Event()
        self.ended = []

    def handle(self, what, details):
        return getattr(self, what)(**details)

    def echo(self, value):
        return value

    def block(self):
        self.let_go.wait(60)
        return "let go"

    def until_given_up(self):
        while not requests.given_up():
            time.sleep(0.005)
        time.sleep(0.2)  # its end takes a moment
        self.ended.append("given up")
        raise RunFailed("given up")

    def whole(self):
        with requests.to_its_end():
            while not requests.current().cancelled.is_set():
                time.sleep(0.005)
            assert not requests.given_up()
            self.ended.append("whole")

    def count(self, to):
        for number in range(to):
            requests.current().say(output=str(number))
        return to

    def progress(self):
        for done in (0, 0, 1, 1):
            requests.current().tell("work", done, 1)

    def refuse(self):
        raise BadInput("not so")

    def unspeakable(self):
        return {"value": object()}

    def fail(self):
        raise ZeroDivisionError("ours")

    def what_ended(self):
        return self.ended


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def ends(work):
    ours, theirs = map(Channel, socket.socketpair())
    service = Responder(theirs, work.handle)
    thread = threading.Thread(target=service.serve, daemon=True)
    thread.start()
    caller = Caller(ours, lambda: RunFailed("it is gone"))
    yield caller, service, theirs
    work.let_go.set()
    ours.close()
    thread.join(10)


def later(work):
    """Interrupt the present thread, as Ctrl-C does, in the midst of what it is about to wait for."""
    main = threading.main_thread().ident

    def interrupt():
        time.sleep(0.2)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    return work


def test_a_slow_request_does_not_keep_others_waiting(ends, work):
    caller, *_ = ends
    answers = []
    slow = threading.Thread(target=lambda: answers.append(caller.ask("block", {})))
    slow.start()
    assert [caller.ask("echo", {"value": n}) for n in range(20)] == list(range(20))
    assert not answers
    work.let_go.set()
    slow.join(10)
    assert answers == ["let go"]


def test_many_threads_each_get_their_own_answers(ends):
    caller, *_ = ends
    wrong = []

    def ask(name):
        for n in range(50):
            value = f"{name}-{n}"
            if caller.ask("echo", {"value": value}) != value:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert caller.waiting == 0


@pytest.mark.parametrize(("what", "ended"), [("until_given_up", "given up"), ("whole", "whole")])
def test_an_interrupted_request_has_ended_before_the_next_begins(ends, work, what, ended):
    caller, service, _ = ends
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            later(work) and caller.ask(what, {})
        assert caller.ask("what_ended", {})[-1] == ended
        assert caller.ask("echo", {"value": "right"}) == "right"
    assert work.ended == [ended] * 3
    assert caller.waiting == 0
    assert not service._under_way


def test_what_hears_may_fail_and_that_cancels(ends, work):
    caller, *_ = ends

    def hear(message):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        caller.ask("count", {"to": 3}, hear)
    assert caller.ask("echo", {"value": 1}) == 1


def test_what_comes_before_the_answer_is_heard_in_order(ends):
    caller, *_ = ends
    heard = []
    assert caller.ask("count", {"to": 100}, lambda message: heard.append(message["output"])) == 100
    assert heard == [str(n) for n in range(100)]
    heard.clear()
    caller.ask("progress", {}, lambda message: heard.append(message["progress"]))
    assert heard == [["work", 0, 1], ["work", 1, 1]]


def test_answers_that_nobody_waits_for_are_dropped(ends):
    caller, _, theirs = ends
    for number in (-1, 0, 10**30, "x", None, [1]):
        theirs.send({"number": number, "value": "stray"})
    theirs.send({"value": "without a number"})
    assert caller.ask("echo", {"value": "mine"}) == "mine"
    assert caller.waiting == 0


@pytest.mark.parametrize(
    "value",
    [b"octets", Path("name"), {1, 2}, object(), 10**5000, [[b""]], endless()],
    ids=["octets", "path", "set", "object", "long", "nested", "endless"],
)
def test_a_detail_that_cannot_be_sent_is_named_and_harms_nobody_else(ends, value):
    caller, *_ = ends
    with pytest.raises(BadInput, match=r"^value is .*: use text, numbers, or a list of these$"):
        caller.ask("echo", {"value": value})
    assert caller.ask("echo", {"value": np.int64(7)}) == 7
    assert caller.waiting == 0


def test_a_value_that_cannot_be_sent_is_an_error_and_keeps_nobody_waiting(ends):
    caller, *_ = ends
    with pytest.raises(RunFailed, match="object"):
        caller.ask("unspeakable", {})
    assert caller.ask("echo", {"value": 1}) == 1


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[1]", b"7", b'{"number": ' + b"9" * 5000 + b"}", b"[" * 200_000]
)
def test_of_lines_that_nobody_understands_the_other_end_counts_as_gone(ends, line):
    caller, _, theirs = ends
    theirs.send_line(line + b"\n")
    with pytest.raises(RunFailed, match="it is gone"):
        caller.ask("echo", {"value": 1})


def test_errors_keep_their_kind(ends, capsys):
    caller, *_ = ends
    with pytest.raises(BadInput, match="not so"):
        caller.ask("refuse", {})
    with pytest.raises(RunFailed, match="ZeroDivisionError: ours"):
        caller.ask("fail", {})
    assert "Traceback" in capsys.readouterr().err


def test_no_more_requests_are_under_way_than_the_bound(ends, work):
    caller, service, _ = ends
    answers = []

    def ask():
        try:
            answers.append(caller.ask("block", {}))
        except RunFailed as error:
            answers.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(requests.MOST_AT_ONCE + 5)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(answers) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(service._under_way) == requests.MOST_AT_ONCE
    work.let_go.set()
    for thread in threads:
        thread.join(10)
    assert answers.count("let go") == requests.MOST_AT_ONCE
    assert sum("requests are under way" in answer for answer in answers) == 5


def test_when_the_other_end_goes_everybody_who_waits_is_told(ends, work):
    caller, _, theirs = ends
    said = []

    def ask():
        with pytest.raises(RunFailed, match="it is gone") as raised:
            caller.ask("block", {})
        said.append(raised)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    while caller.waiting < 3:
        time.sleep(0.01)
    theirs.close()
    for thread in threads:
        thread.join(10)
    assert len(said) == 3
    with pytest.raises(RunFailed, match="it is gone"):
        caller.ask("echo", {"value": 1})
