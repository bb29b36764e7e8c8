"""Namespaces held by sleeping processes: what they are and cost, and that they end with their maker."""

from __future__ import annotations

import errno
import os

import pytest

from tests.sandbox.evaluating import evaluating

pytestmark = pytest.mark.lab

INSIDE = """
import os, subprocess, sys, time
from lq.sandbox.channel import Channel
from lq.sandbox.holders import Holders

def run(pid, command):
    return subprocess.run(["mnexec", "-a", str(pid), *command.split()], capture_output=True, text=True).stdout

def gone(pids):
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True

def failure(action):
    try:
        action()
    except RuntimeError as error:
        return str(error)

holders = Holders()
channel = Channel.from_fd(int(sys.argv[1]))
while (request := channel.receive()) is not None:
    channel.send({"value": eval(request["expression"])})
"""


@pytest.fixture
def ask(tmp_path, monkeypatch):
    with evaluating(INSIDE, tmp_path, monkeypatch) as ask:
        yield ask


def test_each_has_a_network_of_its_own(ask):
    one, other, beyond = ask("[holders.prepare(2), *(holders.take() for _ in range(3))][1:]")
    namespaces = ask(f"[os.readlink(f'/proc/{{p}}/ns/net') for p in ({one}, {other}, {beyond}, 'self')]")
    assert len(set(namespaces)) == 4
    assert ask(f"run({one}, 'ls /sys/class/net')") == "lo\n"
    assert "UP" in ask(f"run({one}, 'ip link show lo')")
    assert "inet6" not in ask(f"run({other}, 'ip addr')")
    assert ask(f"run({other}, 'cat /proc/sys/net/ipv6/conf/default/disable_ipv6')") == "1\n"


def test_a_hundred_cost_few_processes_besides_themselves(ask):
    before = ask("len([p for p in os.listdir('/proc') if p.isdigit()])")
    ask("[holders.prepare(100), *(holders.take() for _ in range(100))]")
    after = ask("len([p for p in os.listdir('/proc') if p.isdigit()])")
    assert 100 <= after - before <= 104  # and the workers that made them
    one = ask("holders.take()")
    mounts = [len(ask(f"open('/proc/{process}/mounts').readlines()")) for process in (one, "self")]
    assert mounts[0] <= mounts[1] + 1  # they do not pile up


def test_they_end_with_their_maker(ask):
    pids = ask("[holders.prepare(3), *(holders.take() for _ in range(3))][1:]")
    ask("[(worker.kill(), worker.wait()) for worker in holders._workers]")
    assert ask(f"gone({pids})")


def test_a_namespace_that_cannot_be_had_is_one_clear_error(ask):
    assert ask("open('/proc/sys/user/max_net_namespaces', 'w').write('0')") == 1
    assert os.strerror(errno.ENOSPC) in ask("failure(holders.take)")
