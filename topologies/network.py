"""Mininet, brought up in bulk: the same classes and commands, but hardly any process for each node.

Mininet starts a shell for each node and a handful of commands for each link, which takes most of
its time. Here a shell is started when somebody first uses it, all links are made by one ip(8),
and all bridges by one transaction. Whatever comes later, at a prompt or in a program, is made at
once, as Mininet does.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from mininet.link import Intf, Link, OVSLink
from mininet.net import Mininet
from mininet.node import Host
from mininet.topo import Topo

from lq.sandbox import namespace
from lq.sandbox.holders import Holders
from topologies import plan

_holders = Holders()
TAGGED_MTU = 1500 + 2 * 4  # of a link on which frames bear a circuit's tags: at most two, of 4 octets each


def ip_commands(commands: Iterable[str], at: int | None = None) -> None:
    """Run ip(8) commands in one go, in the namespaces of process `at` or here.

    Raises RuntimeError with the first that failed.
    """
    text = "\n".join(commands)
    if not text:
        return
    attach = [] if at is None else ["mnexec", "-a", str(at)]
    done = subprocess.run(
        [*attach, "ip", "-batch", "-"], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"ip: {' '.join(done.stderr.split())}")


class ShellOnDemand:
    """A Mininet node whose shell starts with the first command that it is given.

    Until then, and for programs started with `popen`, a sleeping process holds its namespaces: `pid`.
    """

    name: str
    inNamespace: bool
    shell: Any
    pid: int

    def startShell(self, mnopts: str | None = None) -> None:
        """Have a namespace (Mininet calls this when it makes a node)."""
        self.pid = _holders.take() if self.inNamespace else os.getpid()

    def sendCmd(self, *arguments: Any, **keywords: Any) -> None:
        """Send a command to the shell."""
        self._open_shell()
        super().sendCmd(*arguments, **keywords)  # type: ignore[misc]

    def cmd(self, *arguments: Any, **keywords: Any) -> str:
        """Send a command to the shell, wait for its output, and return it."""
        self._open_shell()
        return str(super().cmd(*arguments, **keywords))  # type: ignore[misc]

    def terminate(self) -> None:
        """End the shell, if there is one, and the namespace."""
        super().terminate()  # type: ignore[misc]
        if self.inNamespace:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _open_shell(self) -> None:
        if self.shell is None:
            pid, inside = self.pid, self.inNamespace
            self.inNamespace = False  # no new namespace: the one of `pid` (mnexec -a)
            try:
                super().startShell(f"-cda{pid}")  # type: ignore[misc]
            finally:
                self.pid, self.inNamespace = pid, inside


class LabInterface(Intf):  # type: ignore[misc]
    """An end of a link; the link brings it up, with its addresses."""

    def config(self, ip: str | None = None, **_: Any) -> dict[str, Any]:
        """Note the address."""
        if ip is not None:
            self.ip, self.prefixLen = ip.split("/")
        if self.node.params.get("mac") and self is self.node.defaultIntf():
            self.mac = self.node.params["mac"]
        return {}


class LabLink(OVSLink):  # type: ignore[misc]
    """A patch port between two bridges, a veth pair to a namespace, or anywhere if `veth`.

    On a `tagged` link frames bear a circuit's tags, and may be longer by these.
    The switch in user space takes frames as the sender's kernel left them, so the sender must
    not leave the checksum to a network card that does not exist.
    """

    _together: ClassVar[list[LabLink] | None] = None

    def __init__(
        self, node1: Any, node2: Any, veth: bool = False, tagged: bool = False, **parameters: Any
    ) -> None:
        self.mtu = f" mtu {TAGGED_MTU}" if tagged else ""
        parameters.update(cls1=LabInterface, cls2=LabInterface)  # patch ports have their own
        if veth:
            self.isPatchLink = False
            Link.__init__(self, node1, node2, **parameters)
        else:
            super().__init__(node1, node2, **parameters)
        if self.isPatchLink:
            return
        if LabLink._together is None:
            self._make([self])
        else:
            LabLink._together.append(self)

    def makeIntfPair(self, *_arguments: Any, **_keywords: Any) -> tuple[None, None]:
        """Leave it to `_make`: the interfaces are made when all is known about them."""
        return None, None

    def delete(self) -> None:
        """Take the link away; both its ends go."""
        if not self.isPatchLink:
            ip_commands([f"link del dev {self.intf1}"], at=self.intf1.node.pid)
        for interface in (self.intf1, self.intf2):
            interface.node.delIntf(interface)

    @classmethod
    @contextlib.contextmanager
    def together(cls) -> Iterator[None]:
        """Make all links of a `with` block at its end, in one go."""
        links: list[LabLink] = []
        LabLink._together = links
        try:
            yield
        finally:
            LabLink._together = None
        cls._make(links)

    @staticmethod
    def _make(links: Iterable[LabLink]) -> None:
        made, addresses = [], defaultdict(list)
        ends = []
        for link in links:
            # One end is made up already, which only works for one; the other is a bridge's, if any is.
            near, far = sorted((link.intf1, link.intf2), key=lambda end: not end.node.inNamespace)
            ends.append((near, far))
            near_end, far_end = (
                f"{end} address {end.mac}{link.mtu} netns {end.node.pid}" for end in (near, far)
            )
            made.append(f"link add name {near_end} up type veth peer name {far_end}")
            if not far.node.inNamespace:
                made.append(f"link set dev {far} up")
        ip_commands(made)
        for near, far in ends:
            for end in (near, far):
                if end.node.inNamespace:
                    with namespace.network_of(end.node.pid):
                        namespace.disable_transmit_checksum_offload(end.name)
                        namespace.bring_up(end.name)
                if end.ip is not None:
                    addresses[end.node.pid].append(f"addr add {end.ip}/{end.prefixLen} dev {end}")
        for pid, commands in addresses.items():
            ip_commands(commands, at=pid)


class LateHost(ShellOnDemand, Host):  # type: ignore[misc]
    """A host that is added to a network at a prompt, or by a program."""


class LabNet(Mininet):  # type: ignore[misc]
    """A network of a lab, without a controller; otherwise Mininet."""

    def __init__(self, topo: Topo) -> None:
        Mininet.inited = True  # its own preparation would change limits of the whole machine
        self._macs = itertools.count(1)
        super().__init__(topo=topo, controller=None, link=LabLink, host=LateHost)

    def buildFromTopo(self, topo: Topo = None) -> None:
        """Make nodes and links: namespaces in the background, links together."""
        _holders.prepare(len(topo.hosts()))
        with LabLink.together():
            super().buildFromTopo(topo)

    def randMac(self) -> str:
        """Return an interface's hardware address where it was given none: the same in every run."""
        return plan.hardware_address(0xA0, next(self._macs))
