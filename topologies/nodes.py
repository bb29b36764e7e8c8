"""The devices of the figures as Mininet nodes.

Switching devices (`Modem`, `Cable`, `Concentrator`) are Open vSwitch bridges, joined by patch
ports; everything that has an address of its own (`Subscriber`, `Server`, `Router`) is a network
namespace on a veth pair.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from mininet.link import OVSLink
from mininet.node import Host, OVSSwitch

from lq.sandbox import namespace
from topologies import plan

STATE = Path("/run/lab")  # in the lab's own mount namespace
LEASES = STATE / "leases"  # one file for each subscriber that holds a lease: its address

# What udhcpc(8) runs on each event: configures the interface, and says so in a file.
_UDHCPC_SCRIPT = """\
#!/bin/sh
case "$1" in
deconfig)
    ip -4 addr flush dev "$interface"
    rm -f "$LEASE_FILE" ;;
bound|renew)
    ip -4 addr replace "$ip/$mask" dev "$interface"
    [ -n "$router" ] && ip route replace default via "${router%% *}" dev "$interface"
    echo "$ip" >"$LEASE_FILE.new" && mv "$LEASE_FILE.new" "$LEASE_FILE" ;;
esac
"""


def prepare() -> None:
    """Lay out the lab's state directory. Call once, inside the lab, before the network is built."""
    LEASES.mkdir(parents=True, exist_ok=True)
    script = STATE / "udhcpc.sh"
    script.write_text(_UDHCPC_SCRIPT)
    script.chmod(0o755)
    for scope in ("all", "default"):  # bridge ports would chatter (neighbour and listener discovery)
        Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")
    # The bridges' ports are interfaces of the kernel too, in the namespace of the relay's address:
    # it must not answer on them for the concentrator.
    Path("/proc/sys/net/ipv4/conf/all/arp_ignore").write_text("8")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")


class LabLink(OVSLink):  # type: ignore[misc]
    """A patch port between two bridges, a veth pair to a namespace.

    The switch in user space takes frames as the sender's kernel left them, so the sender must
    not leave the checksum to a network card that does not exist.
    """

    def __init__(self, node1: Any, node2: Any, **parameters: Any) -> None:
        super().__init__(node1, node2, **parameters)
        if not self.isPatchLink:
            for interface in (self.intf1, self.intf2):
                with namespace.network_of(interface.node.pid):
                    namespace.disable_transmit_checksum_offload(interface.name)


class Station(Host):  # type: ignore[misc]
    """A namespace with static addresses, or none: `ip` may be left out."""

    def config(self, **parameters: Any) -> dict[str, Any]:
        """Silence IPv6, then configure as Mininet does."""
        self.cmd("sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
        return dict(super().config(**parameters))


class Subscriber(Station):
    """A host behind a modem: no address until its DHCP client (udhcpc) gets one."""

    client: subprocess.Popen[bytes] | None = None

    def start_client(self) -> None:
        """Start the DHCP client in the foreground of its own process; it renews until stopped."""
        self.client = self.popen(
            ["udhcpc", "-f", "-i", self.defaultIntf().name, "-s", str(STATE / "udhcpc.sh")]
            + ["-t", "10", "-T", "1", "-A", "1"],
            env={**os.environ, "LEASE_FILE": str(LEASES / self.name)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def leased_address(self) -> str | None:
        """The address that the client holds, or None."""
        try:
            return str((LEASES / self.name).read_text().strip())
        except FileNotFoundError:
            return None


class Router(Station):
    """The "-...-" of the figures: a router between the concentrator, the servers and the world."""

    def config(self, **parameters: Any) -> dict[str, Any]:
        """Forward, send no redirects, and know the way to the subscribers."""
        result = super().config(**parameters)
        for key in ("ip_forward=1", "conf.all.send_redirects=0", "conf.default.send_redirects=0"):
            self.cmd(f"sysctl -qw net.ipv4.{key}")
        self.cmd(f"ip route add {plan.ACCESS_NETWORK} via {plan.UPLINK_CONCENTRATOR}")
        return result


class BridgeDevice(OVSSwitch):  # type: ignore[misc]
    """An emulated device made of one bridge, on the datapath that the lab's switch runs."""

    datapath_type = "system"  # set once for the lab, before the network is built

    def __init__(self, name: str, **parameters: Any) -> None:
        parameters.update(batch=True, protocols="OpenFlow13")
        super().__init__(name, **parameters)

    def bridgeOpts(self) -> str:
        """Add the datapath to Mininet's options for the bridge."""
        return f"{super().bridgeOpts()} datapath_type={self.datapath_type}"

    def add_flows(self, *flows: str) -> None:
        """Install flows in ovs-ofctl(8) syntax, in one go."""
        subprocess.run(
            ["ovs-ofctl", "-O", "OpenFlow13", "add-flows", self.name, "-"],
            input="\n".join(flows).encode(),
            check=True,
            capture_output=True,
        )


class Modem(BridgeDevice):
    """A subscriber's modem: tags what goes upstream with its circuit, and lets down only what bears it.

    Towards the cable (its port 1) it is a VLAN trunk of one VLAN, the circuit; its hosts are on
    access ports, between which it switches as any modem does.
    """

    def __init__(self, name: str, circuit: int, mac: str, **parameters: Any) -> None:
        super().__init__(name, failMode="standalone", **parameters)
        self.circuit, self.mac = circuit, mac

    def intfOpts(self, intf: Any) -> str:
        """Add the VLAN of the port."""
        vlan = "vlan_mode=trunk trunks" if self.ports[intf] == 1 else "vlan_mode=access tag"
        return f"{super().intfOpts(intf)} -- set Port {intf} {vlan}={self.circuit}"

    def start(self, controllers: list[Any]) -> None:
        """Start without a controller."""
        super().start([])


class Cable(BridgeDevice):
    """The shared medium: downstream frames reach every modem, upstream frames only the concentrator.

    Port 1 is the concentrator's end.
    """

    def start(self, controllers: list[Any]) -> None:
        """Start without a controller; `connect` makes it carry frames."""
        super().start([])

    def connect(self) -> None:
        """Install the two rules of the medium."""
        self.add_flows("priority=1,in_port=1,actions=flood", "priority=0,actions=output:1")


class Concentrator(BridgeDevice):
    """The CMTS or DSL access concentrator: a bridge that does nothing without its controller.

    Its ports are `UPLINK` (to the network), `ACCESS` (to the cable or the DSLAM) and `RELAY`,
    a veth pair to the concentrator's own processor, where the controller's relay agent has its
    socket at the address giaddr.
    """

    UPLINK, ACCESS, RELAY = 1, 2, 3
    RELAY_INTERFACE = "relay0"

    def __init__(self, name: str, **parameters: Any) -> None:
        super().__init__(name, failMode="secure", **parameters)

    def start(self, controllers: list[Any]) -> None:
        """Start with no controller; the experiment points it at one when that is up."""
        inside, outside = self.RELAY_INTERFACE, f"{self.name}-relay"
        self.cmd(f"ip link add {inside} address {plan.RELAY_MAC} type veth peer name {outside}")
        for interface in (inside, outside):
            namespace.disable_transmit_checksum_offload(interface)
        self.cmd(f"ip link set {outside} up; ip link set {inside} up")
        self.cmd(f"ip addr add {plan.GATEWAY}/32 dev {inside}")
        self.cmd(
            f"ip neigh add {plan.UPLINK_ROUTER} lladdr {plan.ROUTER_UPLINK_MAC} dev {inside} nud permanent"
        )
        self.cmd(f"ip route add default via {plan.UPLINK_ROUTER} dev {inside} onlink")
        super().start([])
        self.vsctl(f"-- add-port {self} {outside} -- set Interface {outside} ofport_request={self.RELAY}")

    def forget_flows(self) -> None:
        """Lose all forwarding state, as a reboot does."""
        subprocess.run(["ovs-ofctl", "-O", "OpenFlow13", "del-flows", self.name], check=True)

    def connect_to(self, target: str) -> None:
        """Point the bridge at a controller (`tcp:ADDRESS:PORT`); it connects at once."""
        subprocess.run(
            ["ovs-vsctl", "set-controller", self.name, target]
            + ["--", "set", "Controller", self.name, "max_backoff=1000"],
            check=True,
        )

    def disconnect(self) -> None:
        """Take the bridge's controller away."""
        subprocess.run(["ovs-vsctl", "del-controller", self.name], check=True)
