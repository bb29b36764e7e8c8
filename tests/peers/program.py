"""Runs inside the sealed lab: starts one server on the far side of a wire, and asks it from this side.

Arguments: the channel. In: `{"do": METHOD, "with": [...]}`; out: `{"value": ...}`.
"""

import subprocess
import sys
import time
from pathlib import Path

from lq.conformance.started import RELAY, SERVER, Wire
from lq.sandbox import dhcpd
from lq.sandbox.channel import Channel
from lq.sandbox.tools import find

RUN = Path("/run/peers")
DHCPD = """
allow leasequery;
authoritative;
ping-check false;
default-lease-time 7200;
max-lease-time 7200;
subnet 198.18.0.0 netmask 255.255.0.0 { range 198.18.1.0 198.18.40.255; }
host reserved { hardware ethernet 02:00:00:00:00:77; fixed-address 198.18.50.1; }
"""


class Program:
    """What the tests can ask for."""

    def __init__(self):
        RUN.mkdir()
        self.wire = Wire()
        self.server = None

    def dhcpd(self, leases, config=DHCPD):
        """Start ISC dhcpd with a lease file, where a confined one may read and write."""
        self._start(dhcpd.command(config, "server", leases=leases), dhcpd.READY)

    def dnsmasq(self):
        """Start dnsmasq, which has no leasequery."""
        self._start(
            [find("dnsmasq"), "--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0"]
            + ["--interface=server", "--dhcp-range=198.18.1.0,198.18.1.200,255.255.0.0"]
            + [f"--dhcp-leasefile={RUN}/dnsmasq.leases"],
            "DHCP, IP range",
        )

    def builtin(self, config, leases=None):
        """Start ours, perhaps with dhcpd's leases imported."""
        (RUN / "server.yaml").write_text(config.format(database=RUN / "bindings.sqlite"))
        command = [sys.executable, "-W", "ignore", "-m", "lq", "serve", str(RUN / "server.yaml")]
        if leases is not None:
            (RUN / "imported.leases").write_text(leases)
            command += ["--import-leases", str(RUN / "imported.leases")]
        self._start(command, "ready ")

    def stop(self):
        """Kill the server; return what it wrote."""
        self.server.kill()
        self.server.wait()
        return self.log.read_text(errors="replace")

    def running(self):
        """Whether the server lives."""
        return self.server.poll() is None

    def lq(self, *arguments):
        """Run `lq` on the requester's side; return standard output, standard error, exit status."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "lq", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout, done.stderr, done.returncode

    def query(self, *arguments):
        """`lq query` to the server on the far side."""
        return self.lq("query", str(SERVER), "--giaddr", str(RELAY), *arguments)

    def _start(self, command, sign):
        self.log = RUN / "server.log"
        with self.log.open("wb") as output:
            self.server = subprocess.Popen(self.wire.at_server(*command), stdout=output, stderr=output)
        deadline = time.monotonic() + 20
        while sign not in self.log.read_text(errors="replace"):
            said = self.log.read_text(errors="replace")
            assert self.server.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.02)


if __name__ == "__main__":
    channel = Channel.from_fd(int(sys.argv[1]))
    program = Program()
    channel.send({"up": True})
    for request in channel:
        channel.send({"value": getattr(program, request["do"])(*request["with"])})
