"""A lab whose switch has many ports ends at once: its sockets are closed side by side."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.lab

# A process with many packet sockets ends as soon as it is killed, since a helper still has them all.
PROGRAM = """
import os, signal, socket, sys
from lq.sandbox import ending

made, told = os.pipe()
sockets = int(sys.argv[1])
victim = os.fork()
if victim == 0:
    held = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) for _ in range(sockets)]
    os.write(told, b".")
    signal.pause()
os.read(made, 1)
packet_sockets = lambda: len(open("/proc/net/packet").readlines()) - 1
before = packet_sockets()
ending.release_packet_sockets()
ended = os.waitpid(victim, os.WNOHANG)[0] == victim
children = open("/proc/self/task/%d/children" % os.getpid()).read().split()
print(before, packet_sockets(), ended, len(children))
"""


def outcome(sockets: int) -> list[str]:
    """Run it as process 1 of a PID namespace, as the lab's first process is."""
    command = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run(
        [*command, "--kill-child", sys.executable, "-c", textwrap.dedent(PROGRAM), str(sockets)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_process_with_many_packet_sockets_ends_before_they_do():
    assert outcome(200) == ["200", "200", "True", "1"]


def test_a_process_with_few_is_left_alone():
    assert outcome(4) == ["4", "4", "False", "1"]
