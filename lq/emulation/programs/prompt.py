"""The live lab at a Mininet prompt, inside: `python -m lq.emulation.programs.prompt CHANNEL_FD`."""

from __future__ import annotations

import sys
from pathlib import Path

from mininet.cli import CLI
from mininet.log import setLogLevel

from lq.emulation.network import Emulation
from lq.errors import RunFailed
from lq.experiments.spec import Spec
from lq.sandbox.channel import Channel

FILES = Path("/run/lab/shell")  # gone with the lab


class Prompt(CLI):  # type: ignore[misc]
    """Mininet's prompt, without its history file in the user's home."""

    @classmethod
    def initReadline(cls) -> None:
        """Leave nothing behind."""


def main(channel: Channel) -> int:
    """Bring everything up, prompt, and end."""
    request = channel.receive()
    if request is None:
        return 1
    network = Emulation(Spec.model_validate(request["spec"]), FILES)
    for directory in (network.raw, network.logs):
        directory.mkdir(parents=True)
    try:
        network.bring_up()
        leases = network.lease_all(lambda *_: None)
    except (RunFailed, RuntimeError) as error:
        print(f"lq: {error}", file=sys.stderr)
        return 1
    print("The lab is up; it is sealed, and gone when you leave (exit, or Ctrl-D).")
    for name, address in leases.items():
        print(f"  {name:<8} {address}")
    flows = f"dpctl -O OpenFlow13 dump-flows {network.concentrator.name}"
    print(f"Try: nodes, net, internet ping -c3 {next(iter(leases))}, {flows}")
    for name, address in leases.items():  # Mininet puts a node's address in place of its name
        network.net[name].defaultIntf().ip = address
    setLogLevel("info")
    Prompt(network.net)
    return 0


if __name__ == "__main__":
    sys.exit(main(Channel.from_fd(int(sys.argv[1]))))
