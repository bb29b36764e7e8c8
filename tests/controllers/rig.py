"""Runs inside the lab: the concentrator's bridge and controller alone, raw sockets at both ends of it.

Arguments: the channel, and fields of `controllers.settings.Settings` as JSON; `program` names the module that
is run, `controllers` by default. The tests are what the
network would be: they send frames into the uplink or the access side, and see every frame that comes
out, tags included. A model of a server answers the queries that come out of the uplink.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from ipaddress import IPv4Address
from pathlib import Path

from controllers.settings import Rates, Settings
from lq.sandbox import namespace
from lq.sandbox.channel import Channel
from lq.sandbox.switch import PrivateSwitch, datapath_type
from lq.simulation.server import Binding, ServerModel
from lq.wire import RelayInfo, decode, frames
from lq.wire.message import MAGIC_COOKIE
from topologies import plan

PORTS = {"uplink": 1, "access": 2, "relay": 3}
PORT = 6653
_PACKET_AUXDATA, _VLAN_VALID, _TPID_VALID = 8, 0x10, 0x40


class Tap:
    """One end of the bridge: everything that comes out of it, with its tags, and a way in."""

    def __init__(self, interface: str) -> None:
        self.seen: list[bytes] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.setsockopt(263, _PACKET_AUXDATA, 1)  # SOL_PACKET
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self._socket.bind((interface, 3))  # ETH_P_ALL
        self.on_frame = self.seen.append
        threading.Thread(target=self._receive, daemon=True).start()

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def _receive(self) -> None:
        while True:
            data, ancillary, _, origin = self._socket.recvmsg(65535, 256)
            if origin[2] == socket.PACKET_OUTGOING:
                continue
            # The kernel takes the outer tag off and tells it beside the frame (packet(7)).
            status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", ancillary[0][2][:20])
            if status & _VLAN_VALID:
                kind = tpid if status & _TPID_VALID else frames.ETHERTYPE_VLAN
                data = data[:12] + struct.pack("!HH", kind, tci) + data[12:]
            self.on_frame(data)


class Rig:
    """What the tests can ask for."""

    def __init__(self, fields: dict) -> None:
        self.directory = Path("/run/rig")
        self.directory.mkdir()
        self.program = fields.pop("program", "controllers")
        self.fields = fields
        self.server = ServerModel((plan.ACCESS_NETWORK,))
        self.controller: subprocess.Popen | None = None
        self.life = 0
        self._mark = 0
        namespace.disable_ipv6()
        namespace.set_kernel("net/ipv4/conf/all/arp_ignore", "8")
        self.switch = PrivateSwitch(self.directory)
        self.switch.start()
        self._sh("ovs-vsctl set Open_vSwitch . other_config:vlan-limit=2")
        self._sh(
            f"ovs-vsctl add-br cmts -- set bridge cmts datapath_type={datapath_type()}"
            " protocols=OpenFlow13 fail_mode=secure other_config:disable-in-band=true"
        )
        for name, number in PORTS.items():
            mac = f"address {plan.RELAY_MAC}" if name == "relay" else ""
            self._sh(f"ip link add {name} {mac} type veth peer name cmts-{name}")
            for interface in (name, f"cmts-{name}"):
                namespace.disable_transmit_checksum_offload(interface)
                self._sh(f"ip link set {interface} up")
            self._sh(
                f"ovs-vsctl add-port cmts cmts-{name} -- set Interface cmts-{name} ofport_request={number}"
            )
        self._sh(f"ip addr add {plan.GATEWAY}/32 dev relay")
        self._sh(f"ip neigh add {plan.UPLINK_ROUTER} lladdr {plan.ROUTER_UPLINK_MAC} dev relay nud permanent")
        self._sh(f"ip route add default via {plan.UPLINK_ROUTER} dev relay onlink")
        self.taps = {side: Tap(side) for side in ("uplink", "access")}
        self.taps["uplink"].on_frame = self._at_uplink
        self.start()

    def start(self) -> None:
        """Start a controller with an empty memory; return when it has taken over."""
        self.life += 1
        self.record_file = self.directory / f"{self.life}.jsonl"
        path = self.directory / f"{self.life}.json"
        fields = {
            "giaddr": plan.GATEWAY,
            "networks": (plan.ACCESS_NETWORK,),
            "servers": (plan.SERVER,),
            "uplink_address": plan.UPLINK_CONCENTRATOR,
            "wiring": {
                **PORTS,
                "uplink_mac": plan.CONCENTRATOR_UPLINK_MAC,
                "access_mac": plan.CONCENTRATOR_ACCESS_MAC,
                "relay_mac": plan.RELAY_MAC,
                "router_mac": plan.ROUTER_UPLINK_MAC,
            },
            "modems": (),
            "record": self.record_file,
            "listen": ("127.0.0.1", PORT),
            "life": self.life,
            **self.fields,
            "rates": Rates(**self.fields.get("rates", {})),
        }
        Settings(**fields).save(path)
        with (self.directory / "controller.log").open("ab") as log:
            command = [sys.executable, "-W", "ignore", "-m", self.program, str(path)]
            self.controller = subprocess.Popen(command, stdout=log, stderr=log)
        self._sh(f"ovs-vsctl set-controller cmts tcp:127.0.0.1:{PORT}")
        self._sh("ovs-vsctl set Controller cmts max_backoff=1000")
        if not self.record("ready", 1):
            raise RuntimeError((self.directory / "controller.log").read_text())

    def kill(self) -> None:
        """End the controller at once, and its flows."""
        self.controller.kill()
        self.controller.wait()
        self._sh("ovs-vsctl del-controller cmts")
        self._sh("ovs-ofctl -O OpenFlow13 del-flows cmts")

    def finish(self) -> dict:
        """End the controller in an orderly way; return its counts."""
        self.controller.send_signal(signal.SIGTERM)
        self.controller.wait()
        return self.record("counters", 1)[-1]

    def to_controller(self) -> dict[str, int]:
        """Return how many packets the switch handed to the controller so far, for each meter."""
        return {kind: came - dropped for kind, (came, dropped) in self.metered().items()}

    def metered(self) -> dict[str, tuple[int, int]]:
        """Return how many packets came to each meter so far, and how many of them it dropped."""
        text = self._sh("ovs-ofctl -O OpenFlow13 meter-stats cmts")
        found = re.findall(r"meter:(\d).*?packet_in_count:(\d+).*?\n0: packet_count:(\d+)", text, re.DOTALL)
        kinds = [kind.name for kind in dataclasses.fields(Rates)]
        return {kinds[int(meter) - 1]: (int(came), int(dropped)) for meter, came, dropped in found}

    def rss(self) -> dict[str, int]:
        """Return the resident memory of the controller and the switch in KiB."""
        found = {}
        for name, process in (
            ("controller", self.controller),
            ("switch", self.switch.processes["ovs-vswitchd"]),
        ):
            text = Path(f"/proc/{process.pid}/status").read_text()
            found[name] = int(re.search(r"VmRSS:\s+(\d+)", text).group(1))
        return found

    def cpu(self) -> dict[str, float]:
        """Return the processor seconds that the controller and the switch have used so far."""
        pids = {"controller": self.controller.pid, "switch": self.switch.processes["ovs-vswitchd"].pid}
        used = {}
        for name, pid in pids.items():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used[name] = (int(fields[11]) + int(fields[12])) / 100
        return used

    def record(self, event: str, at_least: int = 0) -> list[dict]:
        """Return what the present controller wrote of an event, once there are so many."""
        deadline = time.monotonic() + 20
        while True:
            text = self.record_file.read_text() if self.record_file.exists() else ""
            lines = [json.loads(line) for line in text.splitlines() if f'"{event}"' in line]
            found = [line for line in lines if line["event"] == event]
            if len(found) >= at_least or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def lease(self, address: str, mac: str, modem: str) -> None:
        """Have the server know a lease: whose it is, and behind which modem."""
        chaddr, remote = (bytes.fromhex(each.replace(":", "")) for each in (mac, modem))
        info = RelayInfo(None, remote)
        self.server.bind(Binding(IPv4Address(address), chaddr, info, time.monotonic() + 3600))

    def queries(self) -> dict[str, int]:
        """Return how many queries about each address reached the server."""
        return {str(address): count for address, count in self.server.received.copy().items()}

    def send(self, side: str, *wanted: str) -> None:
        """Send frames, in hexadecimal digits, into one side of the bridge."""
        for frame in wanted:
            self.taps[side].send(bytes.fromhex(frame))

    def flood(
        self, side: str, frame: str, offset: int, first: str, addresses: int, count: int, rate: int = 0
    ) -> float:
        """Send `count` copies of a frame, `addresses` addresses from `first` in turn at an offset.

        So many a second, with a `rate`. Returns the seconds that it took.
        """
        base, data = int(IPv4Address(first)), bytearray.fromhex(frame)
        header = data.find(b"\x45\0")  # none in ARP
        began = time.monotonic()
        for number in range(count):
            if rate and number % 100 == 0:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
            struct.pack_into("!I", data, offset, base + number % addresses)
            if header > 0:
                struct.pack_into("!H", data, header + 10, 0)
                total = sum(struct.unpack_from("!10H", data, header))
                total = (total & 0xFFFF) + (total >> 16)
                struct.pack_into("!H", data, header + 10, ~(total + (total >> 16)) & 0xFFFF)
            self.taps[side].send(data)
        return time.monotonic() - began

    def begin_flood(self, *arguments) -> None:
        """Begin a `flood` beside what else is done; see `end_flood`."""
        self._reader, writer = os.pipe()
        self._flooder = os.fork()
        if not self._flooder:
            os.write(writer, str(self.flood(*arguments)).encode())
            os._exit(0)
        os.close(writer)

    def end_flood(self) -> float:
        """Wait until it is over; return the seconds that it took."""
        os.waitpid(self._flooder, 0)
        with os.fdopen(self._reader) as reader:
            return float(reader.read())

    def seen(self, side: str, part: str, at_least: int = 1, timeout: float = 5.0) -> list[str]:
        """Return what came out of a side and has these octets in it, once there are so many."""
        deadline = time.monotonic() + timeout
        while True:
            found = [frame.hex() for frame in self.taps[side].seen if bytes.fromhex(part) in frame]
            if len(found) >= at_least or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def forget(self) -> None:
        """Forget what was seen."""
        for tap in self.taps.values():
            tap.seen.clear()
        self.server.received.clear()

    def settle(self) -> None:
        """Return when the controller has dealt with all that was sent before, and its flows count.

        It answers ARP in its turn; asked again, since in a flood the switch drops some. The datapath goes by
        what it has cached until that is looked at anew.
        """
        self._mark += 1
        asker = b"\x02\0" + struct.pack("!I", self._mark)
        request = frames.arp_request(asker, plan.UPLINK_ROUTER, plan.UPLINK_CONCENTRATOR, ())
        for _ in range(300):
            self.taps["uplink"].send(request)
            if self.seen("uplink", asker.hex(), timeout=0.1):
                self.sh("ovs-appctl revalidator/wait")
                return
        raise RuntimeError("the controller does not answer")

    def sh(self, command: str) -> str:
        """Run a command."""
        return self._sh(command)

    @staticmethod
    def _sh(command: str) -> str:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def _at_uplink(self, data: bytes) -> None:
        """Answer a query as the server would; keep what is none."""
        frame = frames.parse(data)
        payload = frames.udp_payload(frame.payload) if frame.ethertype == frames.ETHERTYPE_IPV4 else None
        answer = None
        if payload is not None and MAGIC_COOKIE in payload:
            answer = self.server.respond(decode(payload), time.monotonic())
        if answer is None:
            self.taps["uplink"].seen.append(data)
            return
        packet = frames.udp_packet((plan.SERVER, 67), (plan.GATEWAY, 67), answer.encode())
        uplink, router = (
            bytes.fromhex(mac.replace(":", ""))
            for mac in (plan.CONCENTRATOR_UPLINK_MAC, plan.ROUTER_UPLINK_MAC)
        )
        self.taps["uplink"].send(frames.ethernet(uplink, router, (), frames.ETHERTYPE_IPV4, packet))


if __name__ == "__main__":
    channel = Channel.from_fd(int(sys.argv[1]))
    rig = Rig(json.loads(sys.argv[2]))
    channel.send({"up": True})
    for request in channel:
        channel.send({"value": getattr(rig, request["do"])(*request["with"])})
