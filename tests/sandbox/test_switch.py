"""The private switch: which datapath it has, and that it bears a burst while it waits for a processor."""

from __future__ import annotations

import time

import pytest

from lq import doctor
from tests.sandbox.evaluating import evaluating
from tests.support import GUEST

pytestmark = [pytest.mark.lab, pytest.mark.kernel]

BURST = 400  # frames of as many flows: more than a socket holds by default, 270 or so

INSIDE = """
import signal, socket, struct, subprocess, sys
from pathlib import Path
from lq.sandbox import namespace
from lq.sandbox.channel import Channel
from lq.sandbox.switch import PrivateSwitch, datapath_type

def sh(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True)

def burst(count):  # each frame from another address: another flow, about which the daemon is asked
    switch.processes["ovs-vswitchd"].send_signal(signal.SIGSTOP)
    for number in range(count):
        sender.send(b"\\xff" * 6 + b"\\2\\0" + struct.pack("!I", number) + b"\\x88\\xb6" + bytes(50))
    switch.processes["ovs-vswitchd"].send_signal(signal.SIGCONT)

def arrived():
    return int(Path("/sys/class/net/right/statistics/rx_packets").read_text())

kind = datapath_type()  # before the switch is there, which would load the module
switch = PrivateSwitch(Path("/run"))
switch.start()
namespace.disable_ipv6()
for one in ("left", "right"):
    sh(f"ip link add {one} type veth peer name {one}-port")
    for end in (one, f"{one}-port"):
        namespace.bring_up(end)
sh(f"ovs-vsctl add-br s -- set bridge s datapath_type={kind} fail_mode=standalone"
   " -- add-port s left-port -- add-port s right-port")
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
sender.bind(("left", 0))
channel = Channel.from_fd(int(sys.argv[1]))
for request in channel:
    channel.send({"value": eval(request["expression"])})
"""


@pytest.fixture
def ask(tmp_path, monkeypatch):
    with evaluating(INSIDE, tmp_path, monkeypatch) as ask:
        yield ask


def test_the_datapath_is_the_kernels_where_the_kernel_has_one(ask):
    able = ask("sh('ovs-appctl dpctl/add-dp system@trial').returncode == 0")
    assert ask("kind") == ("system" if able else "dummy")


def test_a_burst_waits_until_the_switch_has_a_processor(ask):
    assert ask("switch.widen_ports()") > 0
    before = ask("arrived()")
    ask(f"burst({BURST})")
    deadline = time.monotonic() + 30
    while (passed := ask("arrived()") - before) < BURST:
        assert time.monotonic() < deadline, passed
        time.sleep(0.05)
    assert "lost:0" in ask("sh('ovs-appctl dpctl/show').stdout")


@pytest.mark.guest
@pytest.mark.skipif(not GUEST, reason="it is about the guest of `make test-kernel`")
def test_the_guest_has_what_it_is_there_for():
    found = {check.name: check for check in doctor.check()}
    assert "the kernel's" in found["private switch"].found
    assert found["netem"].ok
