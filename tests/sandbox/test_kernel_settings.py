"""Machines whose kernel lacks what a lab would switch off: that is no reason to do without a lab."""

from __future__ import annotations

import subprocess
import sys

from tests import support

CODE = """
import os, sys
from lq.sandbox import namespace
from topologies import nodes

assert os.path.exists("/proc/sys/net/ipv6/conf") == (sys.argv[1] == "with")
nodes.prepare()
namespace.disable_ipv6()
print(open("/proc/sys/net/ipv4/conf/all/arp_ignore").read())
"""


def prepare(ipv6: str) -> str:
    """Prepare a lab's network, with /proc/sys/net/ipv6 hidden or not; return what arp_ignore is then."""
    hide = "mount -t tmpfs tmpfs /proc/sys/net/ipv6" if ipv6 == "without" else "true"
    script = f'mount -t tmpfs tmpfs /run && {hide} && exec "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", script, "sh"]
        + [sys.executable, "-W", "ignore", "-c", CODE, ipv6],
        cwd=support.ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_ipv6_the_rest_is_set():
    assert prepare("without") == prepare("with") == "8"
