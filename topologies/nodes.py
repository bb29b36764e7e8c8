"""The devices of the figures as Mininet nodes.

Switching devices (`Modem`, `Concentrator`, those of `topologies.access`) are Open vSwitch bridges, joined
by patch ports; everything that has an address of its own (`Subscriber`, `Server`, `Router`) is a network
namespace on a veth pair.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mininet.node import Host, OVSSwitch

from lq.sandbox import namespace
from topologies import plan
from topologies.network import ShellOnDemand, ip_commands

STATE = Path("/run/lab")  # in the lab's own mount namespace
AT_ONCE = 200  # bridges in one transaction: the length of a command line is bounded
LEASES = STATE / "leases"  # one file for each subscriber that holds a lease: its address

# What udhcpc(8) runs on each event: configures the interface, and says so in a file.
_UDHCPC_SCRIPT = """\
#!/bin/sh
case "$1" in
deconfig)
    # A DHCPRELEASE may still wait for the router's hardware address, and would go with the address.
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ -z "$(ip -4 neigh show dev "$interface" nud incomplete)" ] && break
        sleep 0.05
    done
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
    namespace.disable_ipv6()  # bridge ports would chatter (neighbour and listener discovery)
    # The bridges' ports are interfaces of the kernel too, in the namespace of the relay's address:
    # it must not answer on them for the concentrator.
    namespace.set_kernel("net/ipv4/conf/all/arp_ignore", "8")
    namespace.set_kernel("net/ipv4/ip_forward", "0")


class Station(ShellOnDemand, Host):  # type: ignore[misc]
    """A namespace with static addresses, or none: `ip` may be left out."""

    def config(
        self, mac: str | None = None, ip: str | None = None, defaultRoute: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Set what is not so already: hardware address, address and route of the first interface."""
        interface, commands = self.defaultIntf(), []
        if mac is not None and mac != interface.mac:
            commands.append(f"link set dev {interface} address {mac}")
            interface.mac = mac
        if ip is not None:
            commands.append(f"addr add {ip} dev {interface}")
            interface.ip, interface.prefixLen = ip.split("/")
        if defaultRoute is not None:
            commands.append(f"route replace default {defaultRoute}")
        ip_commands(commands, at=self.pid)
        return {}


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

    def stop_client(self) -> None:
        """Kill the client, which tells nobody."""
        if self.client is not None:
            self.client.kill()
            self.client.wait()
            self.client = None

    def restart_client(self) -> None:
        """Kill the client, which forgets its lease and tells nobody, and start it anew."""
        self.stop_client()
        (LEASES / self.name).unlink(missing_ok=True)
        self.start_client()

    def signal_client(self, number: signal.Signals) -> None:
        """Have the client renew, or ask for a lease if it has none (SIGUSR1), or release (SIGUSR2)."""
        if self.client is None or self.client.poll() is not None:
            raise RuntimeError(f"the DHCP client of {self.name} does not run")
        self.client.send_signal(number)

    @property
    def acknowledged(self) -> float:
        """When the present lease was last acknowledged, in seconds since 1970; 0 without one."""
        try:
            return (LEASES / self.name).stat().st_mtime_ns / 1e9
        except FileNotFoundError:
            return 0.0

    @property
    def leased_address(self) -> str | None:
        """The address that the client holds, or None."""
        try:
            return str((LEASES / self.name).read_text().strip())
        except FileNotFoundError:
            return None


class Router(Station):
    """The "-...-" of the figures: a router between the concentrator, the servers and the world.

    With `ingress_filter` it drops what cannot come from where it comes (BCP 38): a packet whose source
    has its route by another interface, or none at all.
    """

    def __init__(self, name: str, ingress_filter: bool = True, **parameters: Any) -> None:
        super().__init__(name, **parameters)
        self.ingress_filter = ingress_filter

    def config(
        self, mac: str | None = None, ip: str | None = None, defaultRoute: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Forward, send no redirects, filter sources or not, and know the way to the subscribers."""
        result = super().config(mac, ip, defaultRoute)
        settings = {"ip_forward": "1", "conf/all/send_redirects": "0", "conf/default/send_redirects": "0"}
        # What counts is the greater of "all" and the interface's own, and that may be the machine's.
        for scope in ("all", "default", *map(str, self.intfList())):
            settings[f"conf/{scope}/rp_filter"] = "1" if self.ingress_filter else "0"
        with namespace.network_of(self.pid):
            for key, value in settings.items():
                namespace.set_kernel(f"net/ipv4/{key}", value)
        routed = (plan.ACCESS_NETWORK, plan.UNATTACHED_NETWORK)
        ip_commands([f"route add {to} via {plan.UPLINK_CONCENTRATOR}" for to in routed], at=self.pid)
        return result


class BridgeDevice(ShellOnDemand, OVSSwitch):  # type: ignore[misc]
    """An emulated device made of one bridge, on the datapath that the lab's switch runs."""

    datapath_type = "system"  # set once for the lab, before the network is built

    def __init__(self, name: str, **parameters: Any) -> None:
        parameters.update(batch=True, protocols="OpenFlow13")
        super().__init__(name, **parameters)

    def bridgeOpts(self) -> str:
        """Add the datapath to Mininet's options for the bridge."""
        return f"{super().bridgeOpts()} datapath_type={self.datapath_type}"

    def addIntf(self, intf: Any, port: int | None = None, **parameters: Any) -> None:
        """Add an interface. The loopback, which Mininet gives to each switch, is up already."""
        if intf.name == "lo":
            intf.config = lambda **_: {}
        super().addIntf(intf, port, **parameters)

    @classmethod
    def batchStartup(cls, switches: Sequence[BridgeDevice], run: Any = None) -> Sequence[BridgeDevice]:
        """Carry out what the bridges' `start` has gathered, in few transactions."""
        for begin in range(0, len(switches), AT_ONCE):
            some = switches[begin : begin + AT_ONCE]
            _vsctl(*(part for bridge in some for command in bridge.commands for part in shlex.split(command)))
        for bridge in switches:
            bridge.commands, bridge.batch = [], False
        return switches

    @classmethod
    def batchShutdown(cls, switches: Sequence[BridgeDevice], run: Any = None) -> Sequence[BridgeDevice]:
        """Take the bridges away."""
        _vsctl(*(part for bridge in switches for part in ("--", "--if-exists", "del-br", bridge.name)))
        for bridge in switches:
            bridge.terminate()
        return switches

    def adopt(self, interface: str, former: BridgeDevice, *settings: str) -> None:
        """Take over an interface of another device: what it joins is plugged in here from now on.

        `settings` are of the new port, in ovs-vsctl(8) syntax.
        """
        _vsctl(
            *("del-port", former.name, interface, "--", "add-port", self.name, interface, *settings),
        )

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

    def adopt(self, interface: str, former: BridgeDevice, *settings: str) -> None:
        """Take over an interface, as that of a host here."""
        super().adopt(interface, former, "vlan_mode=access", f"tag={self.circuit}", *settings)

    def start(self, controllers: list[Any]) -> None:
        """Start without a controller."""
        super().start([])


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
        ip_commands(
            [
                f"link add {inside} address {plan.RELAY_MAC} type veth peer name {outside}",
                f"link set {outside} up",
                f"link set {inside} up",
                f"addr add {plan.GATEWAY}/32 dev {inside}",
                f"neigh add {plan.UPLINK_ROUTER} lladdr {plan.ROUTER_UPLINK_MAC} dev {inside} nud permanent",
                f"route add default via {plan.UPLINK_ROUTER} dev {inside} onlink",
            ]
        )
        namespace.disable_transmit_checksum_offload(inside)
        super().start([])
        self.vsctl(f"-- add-port {self} {outside} -- set Interface {outside} ofport_request={self.RELAY}")

    def sent_downstream(self) -> int:
        """Return how many frames have left the access port so far."""
        command = ["ovs-ofctl", "-O", "OpenFlow13", "dump-ports", self.name, str(self.ACCESS)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(r"tx pkts=(\d+)", shown)
        return int(found[1]) if found else 0

    def forget_flows(self) -> None:
        """Lose all forwarding state, as a reboot does."""
        subprocess.run(["ovs-ofctl", "-O", "OpenFlow13", "del-flows", self.name], check=True)

    def be(self, datapath_id: str) -> None:
        """Take another datapath identifier (16 hexadecimal digits), as another bridge has."""
        subprocess.run(
            ["ovs-vsctl", "set", "Bridge", self.name, f"other_config:datapath-id={datapath_id}"], check=True
        )

    def connect_to(self, target: str) -> None:
        """Point the bridge at a controller (`tcp:ADDRESS:PORT`); it connects at once."""
        _vsctl(
            *("set-controller", self.name, target),
            *("--", "set", "Controller", self.name, "max_backoff=1000"),
        )

    def disconnect(self) -> None:
        """Take the bridge's controller away."""
        _vsctl("del-controller", self.name)


def _vsctl(*arguments: str) -> None:
    """Run ovs-vsctl(8) and wait until the switch has done it. Raises RuntimeError with its complaint."""
    done = subprocess.run(["ovs-vsctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ovs-vsctl: {' '.join(done.stderr.split())}")
