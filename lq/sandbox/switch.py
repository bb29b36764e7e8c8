"""A private Open vSwitch: its own data base and daemon, alive as long as the lab is."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

RUN = Path("/run/openvswitch")  # on the lab's own tmpfs: the tools find their sockets where they expect them
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
KERNEL_MODULE = Path("/sys/module/openvswitch")
START_TIMEOUT = 20.0


def datapath_type() -> str:
    """Return the datapath that bridges of this lab use: the kernel's where it is loaded, else user space.

    Open vSwitch gives a user-space bridge of type `netdev` a TAP device for its own port, which
    needs `/dev/net/tun`; type `dummy` is the same datapath with an inert local port instead. No
    bridge of the lab uses its local port, so the lab does without TAP devices.
    """
    return "system" if KERNEL_MODULE.exists() else "dummy"


class PrivateSwitch:
    """ovsdb-server and ovs-vswitchd of this lab only. Start it inside the sealed lab."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Create an empty data base and start both daemons; return when they answer.

        Raises RuntimeError with the last words of the daemon that did not come up.
        """
        RUN.mkdir(parents=True, exist_ok=True)
        database, remote = RUN / "conf.db", RUN / "db.sock"
        self._run("ovsdb-tool", "create", str(database), str(SCHEMA))
        self._spawn("ovsdb-server", f"--remote=punix:{remote}", "--no-chdir", str(database))
        self._await("ovsdb-server", remote)
        self._run("ovs-vsctl", "--no-wait", "init")
        self._spawn("ovs-vswitchd", "--no-chdir", "--pidfile", "--enable-dummy", f"unix:{remote}")
        # The data base is initialised once the daemon has set cur_cfg.
        self._run(
            "ovs-vsctl", f"--timeout={START_TIMEOUT:.0f}", "wait-until", "Open_vSwitch", ".", "cur_cfg>=0"
        )
        self._await("ovs-vswitchd", RUN / "ovs-vswitchd.pid")

    def appctl(self, *arguments: str) -> str:
        """Ask the running daemon (ovs-appctl); return what it prints."""
        return self._run("ovs-appctl", *arguments)

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self._logs / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [name, "-vconsole:warn", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _await(self, name: str, path: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not path.exists():
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {self._last_words(name)}")
            time.sleep(0.01)

    def _last_words(self, name: str) -> str:
        lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    @staticmethod
    def _run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.strip() or done.returncode}")
        return done.stdout
