"""Mininet in bulk: nodes behave as Mininet's do, and bringing many up takes no more commands than few."""

from __future__ import annotations

import time

import pytest

from lq.sandbox.sealed_lab import SealedLab

pytestmark = pytest.mark.lab

INSIDE = """
import os, subprocess, sys
from pathlib import Path

started = []
sys.addaudithook(lambda event, details: event == "subprocess.Popen" and started.append(details[1]))

from mininet.log import setLogLevel
from lq.sandbox.channel import Channel
from lq.sandbox.switch import PrivateSwitch, datapath_type
from topologies import nodes
from topologies.cable import CableTopo
from topologies.network import LabNet

setLogLevel("critical")
channel = Channel.from_fd(int(sys.argv[1]))
Path("/run/logs").mkdir()
nodes.prepare()
PrivateSwitch(Path("/run/logs")).start()
nodes.BridgeDevice.datapath_type = datapath_type()
nodes.BridgeDevice.setup()
started.clear()
net = LabNet(CableTopo(modems=int(sys.argv[2]), hosts_per_modem=int(sys.argv[3])))
net.start()
commands, shells = list(started), [node.name for node in net.values() if node.shell]

def ovs(*command):
    return subprocess.run(["ovs-vsctl", *command], capture_output=True, text=True).stdout.split()

def network(pid):
    return os.readlink(f"/proc/{pid}/ns/net")

while (request := channel.receive()) is not None:
    channel.send({"value": eval(request["expression"])})
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Return a function that brings up a network of a size, and returns a function to evaluate in there."""
    directory = tmp_path_factory.mktemp("network")
    (directory / "network_program.py").write_text(INSIDE)
    labs = []

    def start(modems: int, hosts_per_modem: int):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(directory))
            log = directory / f"log{len(labs)}"
            lab = SealedLab("network_program", [str(modems), str(hosts_per_modem)], log=log)
        labs.append(lab)

        def ask(expression: str):
            lab.channel.send({"expression": expression})
            message = lab.channel.receive()
            assert message is not None, log.read_text()
            return message["value"]

        return ask

    yield start
    for lab in labs:
        lab.close()


@pytest.fixture(scope="module")
def small(network):
    return network(2, 1)


def test_many_nodes_take_no_more_commands_than_few(network, small):
    large = network(8, 4)
    assert large("len(net.hosts)") == 35
    assert large("len(commands)") == small("len(commands)") <= 30
    assert large("shells") == small("shells")
    assert not any(name.startswith(("host", "modem")) for name in large("shells"))


def test_a_shell_starts_with_the_first_command_and_stays(small):
    assert small("net['host1'].shell is None")
    assert small("net['host1'].cmd('mark=here; echo $mark')").strip() == "here"
    assert small("net['host1'].shell is not None")
    assert small("net['host1'].cmd('echo $mark')").strip() == "here"
    assert small("net['host1'].cmd('false; echo $?')").strip() == "1"


def test_shell_programs_and_pid_are_in_the_nodes_namespaces(small):
    seen = {
        small("net['host2'].cmd('readlink /proc/self/ns/net').strip()"),
        small("net['host2'].popen('readlink /proc/self/ns/net').communicate()[0].decode().strip()"),
        small("network(net['host2'].pid)"),
        small("network(net['host2'].shell.pid)"),
    }
    assert len(seen) == 1
    assert small("os.readlink('/proc/self/ns/net')") not in seen
    assert small(
        "net['modem1'].cmd('readlink /proc/self/ns/net').strip() == os.readlink('/proc/self/ns/net')"
    )
    assert small("net['host2'].cmd('ls /sys/class/net').split()") == ["host2-eth0", "lo"]


def test_exit_status_and_errors_of_programs(small):
    assert small("net['host1'].pexec(['sh', '-c', 'exit 3'])[2]") == 3
    assert small("net['host1'].popen('false').wait()") == 1
    assert small("net['host1'].pexec('ls /nowhere')[1]").startswith("ls: ")


def test_interfaces_are_as_the_topology_says(small):
    assert small("net['host1'].MAC()") == "02:0a:00:00:00:01"
    shown = small("net['host1'].cmd('ip addr show dev host1-eth0')")
    assert "02:0a:00:00:00:01" in shown
    assert ",UP,LOWER_UP" in shown
    assert "inet" not in shown  # until its client has a lease
    assert small("net['internet'].IP()") in small("net['internet'].cmd('ip addr')")
    assert "default via" in small("net['internet'].cmd('ip route')")
    assert small("net['network'].cmd('cat /proc/sys/net/ipv4/ip_forward')").strip() == "1"


def test_links_and_nodes_can_be_added_and_taken_away_at_any_time(small):
    before = small("ovs('list-ports', 'modem1')")
    added = "(net.addHost('later', cls=nodes.Station, ip='198.18.9.9/16'), net.addLink('later', 'modem1'))"
    assert small(f"{added} and net['later'].configDefault()") is None
    assert small("net['modem1'].attach(net['modem1'].intfList()[-1])") is None
    assert len(small("ovs('list-ports', 'modem1')")) == len(before) + 1
    assert small("'198.18.9.9/16' in net['later'].cmd('ip addr')")
    # So is one of no particular class, which stock Mininet would give a /sys by itself.
    assert small("net.addHost('latest').cmd('ls /sys/class/net')").split() == ["lo"]
    assert small("str(net.delLinkBetween(net['later'], net['modem1']))")
    assert "later-eth0" not in small("net['later'].cmd('ls /sys/class/net')")
    pid = small("net['later'].pid")
    assert small("net.delHost(net['later'])") is None
    assert small("'later' in net") is False
    while small(f"os.path.exists('/proc/{pid}/ns/net')"):
        time.sleep(0.02)


def test_stop_takes_bridges_and_namespaces_away(network):
    ask = network(2, 1)
    pids = ask("[host.pid for host in net.hosts]")
    assert ask("net.stop()") is None
    assert ask("ovs('list-br')") == []
    while ask(f"[pid for pid in {pids} if os.path.exists(f'/proc/{{pid}}/ns/net')]"):
        time.sleep(0.02)
