"""The doctor on this machine, really; and on machines that lack something."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lq import doctor
from lq.cli.shared import print_checks
from tests import support

DOCTOR = [*support.LQ, "doctor", "--json"]


def diagnose(command: list[str] = DOCTOR, status: int = 0, **environment: str) -> dict[str, dict]:
    """Run the doctor as a program; return its checks by name."""
    done = subprocess.run(
        command,
        cwd=support.ROOT,
        env={**os.environ, "PYTHONPATH": str(support.ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)}


@pytest.mark.lab
def test_this_machine_can_run_the_lab():
    checks = diagnose()
    assert [name for name, check in checks.items() if check["needed"] and not check["ok"]] == []
    assert checks["private switch"]["found"].startswith("passes frames")
    assert checks["files"]["found"] == "the machine's are read-only in a lab"
    assert checks["Ryu"]["found"] == "4.34"
    assert checks["Python"]["found"] == f"{platform.python_version()}, {sys.executable}"


@pytest.mark.lab
def test_an_ordinary_user_with_a_plain_path_can_run_the_lab():
    checks = diagnose(support.as_ordinary_user(DOCTOR), PATH="/usr/bin:/bin", HOME="/nonexistent")
    assert checks["namespaces"]["found"] == "a sealed lab opens with a user namespace"
    assert checks["private switch"]["ok"]


@pytest.mark.lab
def test_nothing_is_left_behind(tmp_path):
    mark = f"LQ_MARK_{os.getpid()}"
    interfaces = os.listdir("/sys/class/net")
    diagnose(**{mark: "1", "TMPDIR": str(tmp_path)})
    assert support.descendants_marked(mark) == []
    assert os.listdir("/sys/class/net") == interfaces
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def checks_here():
    return doctor.check()


def test_every_fault_names_its_fix_in_one_line(checks_here):
    for check in checks_here:
        assert check.ok or check.fix, check
        assert "\n" not in check.found + check.fix


@pytest.mark.lab
def test_nothing_is_left_behind_by_one_that_is_killed(tmp_path):
    mark = f"LQ_MARK_{os.getpid()}"
    environment = {**os.environ, mark: "1", "TMPDIR": str(tmp_path), "PYTHONPATH": str(support.ROOT)}
    process = subprocess.Popen(DOCTOR, env=environment, stdout=subprocess.DEVNULL)
    while not any(is_inside(pid) for pid in support.descendants_marked(mark)):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while left := support.descendants_marked(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []


def is_inside(pid: int) -> bool:
    """Whether a process is in a lab, with a number of its own there."""
    try:
        found = re.search(r"^NSpid:\t\d+\t", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:  # it has ended
        return False
    return found is not None


def test_what_apt_does_not_have_is_not_advised(tmp_path, monkeypatch):
    """Debian's next release has no ISC dhcpd; Fedora has no apt."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.how_to_get("bear").startswith("install what Debian calls bear with")
    apt = tmp_path / "apt-cache"
    for said, fix in (
        ("bear:\n  Candidate: 1.2-3", "sudo apt-get install --no-install-recommends bear"),
        ("bear:\n  Candidate: (none)", "apt has no bear: "),
        ("", "apt has no bear: "),
    ):
        apt.write_text(f"#!/bin/sh\n[ $LC_ALL = C ] && [ \"$*\" = 'policy bear' ] && echo '{said}'\n")
        apt.chmod(0o755)
        assert doctor.how_to_get("bear").startswith(fix)


def test_a_missing_tool_is_named_with_its_package(tmp_path):
    links = tmp_path / "bin"
    links.mkdir()
    (links / "apt-cache").write_text("#!/bin/sh\necho '  Candidate: 1'\n")
    (links / "apt-cache").chmod(0o755)
    for directory in ("/bin", "/usr/bin"):  # everything but two tools
        for tool in Path(directory).iterdir():
            if tool.name not in ("mnexec", "tshark") and not (links / tool.name).exists():
                (links / tool.name).symlink_to(tool)
    checks = diagnose(status=1, PATH=str(links))
    assert checks["mnexec"] == {
        "name": "mnexec",
        "ok": False,
        "needed": True,
        "found": "not installed: mnexec",
        "fix": "sudo apt-get install --no-install-recommends mininet",
    }
    assert checks["tshark"]["needed"] is False
    assert checks["tshark"]["fix"].endswith(" tshark")
    assert [name for name, check in checks.items() if check["needed"] and not check["ok"]] == ["mnexec"]


def test_without_open_vswitch_the_switch_is_not_tried(tmp_path):
    checks = diagnose(status=1, PATH=str(tmp_path))  # its tools are not among those in /usr/sbin alone
    assert "ovs-vsctl" in checks["Open vSwitch"]["found"]
    assert checks["private switch"]["found"] == "not tried: Open vSwitch is not installed"


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_forbidden_user_namespaces_are_explained():
    # Within a user namespace of our own, forbid further ones, and give up all capabilities.
    forbid = "echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", f'{forbid} "$@"', "sh", *DOCTOR]
    checks = diagnose(command, status=1)
    assert checks["namespaces"]["found"].startswith("cannot create namespaces")
    assert checks["namespaces"]["fix"].startswith("sudo sysctl user.max_user_namespaces=")
    assert checks["Ryu"]["ok"]


@pytest.mark.parametrize(
    ("files", "fix"),
    [
        ({"sys/user/max_user_namespaces": "0"}, "sudo sysctl user.max_user_namespaces=10000"),
        ({"sys/kernel/unprivileged_userns_clone": "0"}, "sudo sysctl kernel.unprivileged_userns_clone=1"),
        (
            {"sys/kernel/apparmor_restrict_unprivileged_userns": "1"},
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ({"self/status": "Name:\tlq\nSeccomp:\t2\n"}, "start the container with --security-opt"),
        ({}, "run lq under sudo"),
    ],
)
def test_the_reason_decides_the_fix(tmp_path, files, fix):
    content = {
        "self/ns/user": "",
        "self/status": "Name:\tlq\nSeccomp:\t0\n",
        "sys/user/max_user_namespaces": "63000",
        "sys/kernel/unprivileged_userns_clone": "1",
        "sys/kernel/apparmor_restrict_unprivileged_userns": "0",
        **files,
    }
    for name, text in content.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert doctor.why_forbidden(tmp_path).startswith(fix)


def hidden(mount: str) -> list[str]:
    """Return the doctor's command where a mount hides a part of /sys or /proc, as in a container."""
    return [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        f'{mount} && exec "$@"',
        "sh",
        *DOCTOR,
    ]


@pytest.mark.lab
def test_a_hidden_part_of_sys_is_borne():
    checks = diagnose(hidden("mount -t tmpfs tmpfs /sys/kernel"))
    assert checks["nodes"]["ok"]
    assert not checks["/sys"]["needed"]
    assert "systempaths=unconfined" in checks["/sys"]["fix"]


@pytest.mark.lab
def test_an_ordinary_user_bears_a_read_only_sys():
    """As in each container: what was read-only before cannot be made writable."""
    mount = "mount -o remount,bind,ro /sys"
    command = hidden(mount)
    if os.geteuid() == 0:
        command = ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]
        command += support.as_ordinary_user(DOCTOR)
    checks = diagnose(command, HOME="/nonexistent")
    assert checks["namespaces"]["ok"]
    assert checks["/sys"]["ok"]


@pytest.mark.lab
def test_a_hidden_part_of_proc_is_named_with_what_mends_it():
    checks = diagnose(hidden("mount --bind /dev/null /proc/version"), status=1)
    assert checks["namespaces"]["found"].startswith("cannot prepare the lab: ")
    assert "mount proc /proc" in checks["namespaces"]["found"]
    assert "systempaths=unconfined" in checks["namespaces"]["fix"]


def test_few_open_files_are_told_with_the_hosts_that_they_are_enough_for():
    code = (
        "from lq import doctor; check = doctor.open_files(); print(check.ok, check.found, check.fix, sep='|')"
    )
    done = support.run(["prlimit", "--nofile=128:128", "--", sys.executable, "-c", code])
    ok, found, fix = done.stdout.strip().split("|")
    assert ok == "False"
    assert re.fullmatch(r"128 at once: enough for \d+ hosts", found)
    assert "--nofile" in fix


def test_it_fits_eighty_columns(checks_here, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    print_checks(checks_here)
    table, _, _ = capsys.readouterr().out.partition("\nHow to fix it:")  # these are to be copied
    lines = table.splitlines()
    assert len(lines) >= len(checks_here)
    assert max(map(len, lines)) <= 80
