"""The system packages of set-up: what becomes of their services, and of an interrupted installation."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import ROOT

DEADLINE = 60  # seconds, so that no test hangs


class System:
    """Where `setup/system.sh` is tried: apt, dpkg and systemd note here what they are asked for."""

    PROGRAMS = {
        "apt-get": """case $* in
            *" install "*) umask >"$here/umask"; touch "$here/installing"; $wait; touch "$here/installed" ;;
            esac""",
        "apt-cache": 'case $2 in isc-*) echo "  Candidate: (none)" ;; *) echo "  Candidate: 1" ;; esac',
        "dpkg": """case $1 in
            -L) [ ! -e "$here/installing" ] || cat "$here/files-of-$2" ;;
            --configure) touch "$here/installed" ;;
            esac""",
        "dpkg-query": '[ ! -e "$here/installed" ] || echo installed',
        "systemctl": 'if [ "$2" = is-active ]; then exit 3; fi; echo "$*" >>"$here/asked"',
    }

    def __init__(self, directory: Path):
        self.directory = directory
        self.policy = directory / "policy-rc.d"
        self.asked = directory / "asked"
        self.lock = directory / "dpkg/lock-frontend"
        for name in ("bin", "setup", "dpkg"):
            (directory / name).mkdir()
        for name, text in self.PROGRAMS.items():
            (directory / "bin" / name).write_text(f"#!/bin/sh\nhere={directory} wait=${{wait-:}}\n{text}\n")
            (directory / "bin" / name).chmod(0o755)
        places = {"/usr/sbin/policy-rc.d": str(self.policy), "/var/lib/dpkg": f"{directory}/dpkg"}
        script = (ROOT / "setup/system.sh").read_text()
        for place, stand_in in places.items():
            assert place in script
            script = script.replace(place, stand_in)
        (directory / "setup/system.sh").write_text(script)
        units = "/lib/systemd/system"
        names = ("x.conf", f"{units[4:]}/ovsdb-server.socket", "share", f"{units}/openvswitch-switch.service")
        (directory / "files-of-openvswitch-switch").write_text("".join(f"/usr/{name}\n" for name in names))
        (directory / "files-of-udhcpc").write_text("/usr/sbin/udhcpc\n")

    def start(self, *packages: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["env", "--default-signal=INT", "sh", "setup/system.sh", "--as-root", *packages],
            cwd=self.directory,
            env={**os.environ, "PATH": f"{self.directory}/bin:{os.environ['PATH']}", **environment},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def install(self, *packages: str) -> str:
        with self.start(*packages) as process:
            _, said = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, said
        assert not self.policy.exists()
        return said

    def disabled(self) -> list[str]:
        return self.asked.read_text().splitlines() if self.asked.exists() else []


BROUGHT = ["disable ovsdb-server.socket", "disable openvswitch-switch.service"]


def test_set_up_disables_the_services_that_it_brought_and_no_others(tmp_path):
    system = System(tmp_path)
    said = system.install("openvswitch-switch", "udhcpc", "--", "isc-dhcp-server")
    assert system.disabled() == BROUGHT
    assert "no package source of this system has isc-dhcp-server" in said
    system.install("openvswitch-switch", "--")  # it is there by now: whoever enabled it wants it
    assert system.disabled() == BROUGHT


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_installation_that_is_ended_leaves_services_disabled_at_the_latest_after_the_next(tmp_path, kind):
    system = System(tmp_path)
    process = system.start("openvswitch-switch", "--", wait="sleep 1000")
    while not (tmp_path / "installing").exists():
        time.sleep(0.01)
    assert subprocess.run([system.policy], check=False).returncode == 101  # keeps dpkg from starting services
    while process.poll() is None:  # again, since dash loses a signal that comes while it starts a program
        os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
    process.communicate(timeout=DEADLINE)
    if kind == signal.SIGKILL:
        assert system.policy.exists()
        assert "mending an installation that was interrupted" in system.install("--")
    assert not system.policy.exists()
    assert system.disabled() == BROUGHT


def test_a_policy_about_services_that_somebody_made_stays(tmp_path):
    system = System(tmp_path)
    system.policy.write_text("#!/bin/sh\nexit 0\n")
    with system.start("openvswitch-switch", "--") as process:
        process.communicate(timeout=DEADLINE)
    assert system.policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert system.disabled() == BROUGHT


@pytest.mark.parametrize("holder", ["another program", "another set-up"])
def test_whoever_installs_packages_is_waited_for_with_a_message(tmp_path, holder):
    system = System(tmp_path)
    assert "waiting" not in system.install("udhcpc", "--")
    ours = os.open(tmp_path / "dpkg", os.O_RDONLY)
    with system.lock.open("w") as lock:
        if holder == "another program":  # apt would wait itself, and be silent
            fcntl.lockf(lock, fcntl.LOCK_EX)
        else:
            fcntl.flock(ours, fcntl.LOCK_EX)
        with system.start("openvswitch-switch", "--") as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith(
                f"setup: {holder}" if holder == "another program" else "setup: waiting for"
            )
            assert "at most 300 s" in line
            fcntl.flock(ours, fcntl.LOCK_UN)
            process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
    os.close(ours)


def test_packages_are_for_everybody_whatever_the_umask(tmp_path):
    system = System(tmp_path)
    before = os.umask(0o077)
    try:
        system.install("udhcpc", "--")
    finally:
        os.umask(before)
    assert (tmp_path / "umask").read_text() == "0022\n"


def test_who_may_not_use_sudo_tests_without_the_peers(tmp_path):
    system = System(tmp_path)
    script = tmp_path / "setup/system.sh"
    assert "chromedriver chromium-driver" in script.read_text()
    script.write_text(
        script.read_text().replace("chromedriver chromium-driver", "no-such-tool chromium-driver")
    )
    for name, text in (("id", "echo 1000"), ("sudo", "echo no >&2; exit 1")):
        (system.directory / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (system.directory / "bin" / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "setup/system.sh", "test"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHON": sys.executable},
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "sudo is for apt-get only: " in done.stderr
    assert done.stderr.endswith("setup: sudo refuses: tests that need these packages are skipped\n")
