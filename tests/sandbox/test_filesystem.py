"""What runs in a lab cannot change the machine's files, whether by mistake or by malice."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import support

pytestmark = pytest.mark.lab

# Opens a lab, has it attack, and tells what came of it: run as root, and as an ordinary user.
OPEN = """
import json, sys
from pathlib import Path
from lq.sandbox.sealed_lab import SealedLab
log, directory, targets = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
with SealedLab("attacker", targets, log=log, directory=directory) as lab:
    print(json.dumps(lab.channel.receive()))
"""
ATTACKER = '''
import ctypes, os, subprocess, sys, tempfile
from pathlib import Path
from lq.sandbox import namespace
from lq.sandbox.channel import Channel

libc = ctypes.CDLL(None, use_errno=True)
MOUNTS = [line.split()[4] for line in open("/proc/self/mountinfo")]

def outcome(action):
    try:
        return repr(action())
    except (OSError, subprocess.CalledProcessError) as error:
        return os.strerror(error.errno) if isinstance(error, OSError) else "failed"

def write(path):
    with open(path, "a") as file:
        file.write("changed")

def umount(path):
    if libc.umount2(os.fsencode(path), 2) != 0:
        raise OSError(ctypes.get_errno(), path)

def in_another(path):
    """In user and mount namespaces of our own, root once more."""
    command = f"mount -o remount,bind,rw / ; umount -l / ; mount -o remount,rw / ; echo changed >>{path}"
    subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", command], check=True)

def everywhere(targets):
    return {f"{name} {path}": outcome(lambda: way(path)) for path in targets for name, way in WAYS.items()}

def remount(path):
    holding = max((m for m in MOUNTS if path == m or path.startswith(m.rstrip("/") + "/")), key=len)
    namespace.set_read_only(holding, False)
    write(path)

WAYS = {
    "write": write,
    "remount": remount,
    "through process 1": lambda path: write(f"/proc/1/root{path}"),
    "through its directory": lambda path: write(f"/proc/1/cwd/../../../../../../../..{path}"),
    "bound elsewhere": lambda path: (namespace.bind(os.path.dirname(path), "/run"), remount("/run")),
    "in another": in_another,
    "remove": os.unlink,
    "mode": lambda path: os.chmod(path, 0o777),
    "link": lambda path: os.link(path, "/tmp/link"),
}

def main(targets):
    told = everywhere(targets)
    told["unmount"] = [path for path in MOUNTS if path != "/" and outcome(lambda: umount(path)) == "None"]
    told["mounted"] = MOUNTS
    told |= {f"again {name}": value for name, value in everywhere(targets).items()}
    told["disk"] = outcome(lambda: os.mknod("/tmp/disk", 0o60600, os.stat("/").st_dev))
    told["devices"] = sorted(os.listdir("/dev"))
    told["kernel"] = outcome(lambda: write("/proc/sys/kernel/core_pattern"))
    told["trigger"] = outcome(lambda: write("/proc/sysrq-trigger"))
    return told

if __name__ == "__main__":
    channel = Channel.from_fd(int(sys.argv[1]))
    own = {
        "own": outcome(lambda: write(os.path.join(os.environ["SPARED"], "own"))),
        "tmp": outcome(lambda: tempfile.TemporaryFile().write(b"1")),
        "shm": outcome(lambda: write("/dev/shm/own")),
        "pty": outcome(lambda: os.ttyname(os.openpty()[1])),
        "null": outcome(lambda: write("/dev/null")),
        "relative": outcome(lambda: write("relative")),
        "visible": os.listdir("/tmp"),
    }
    channel.send(own | main(sys.argv[2:]))
'''


def attack(home: Path, targets: list[Path], as_user: bool) -> dict:
    """Have a lab attack these files; return what it tells."""
    spared = home / "spared"
    spared.mkdir()
    (home / "attacker.py").write_text(ATTACKER)
    for path in targets:
        path.write_text("as it was")
    if os.geteuid() == 0:
        owner = support.NOBODY if as_user else 0
        for path in (home, spared, *targets):
            os.chown(path, owner, owner)
    command = [sys.executable, "-c", OPEN, str(home / "log"), str(spared), *map(str, targets)]
    script = "cd " + str(spared) + ' && exec "$@"'
    done = subprocess.run(
        [*(support.as_ordinary_user(["sh", "-c", script, "sh", *command]) if as_user else command)],
        cwd=spared,
        env={**os.environ, "PYTHONPATH": f"{home}:{support.ROOT}", "SPARED": str(spared), "HOME": str(home)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + (home / "log").read_text()
    told = json.loads(done.stdout)
    assert told is not None, (home / "log").read_text()
    return told


@pytest.mark.parametrize("as_user", [False, True], ids=["who runs the tests", "ordinary user"])
def test_no_attack_changes_a_file_of_the_machine(as_user):
    home = support.private_directory()
    outside = [home / "at-home", Path("/var/tmp") / f"{home.name}-file"]
    if not as_user and os.geteuid() == 0:
        outside.append(Path("/etc") / f"{home.name}-file")
    if not as_user:
        outside.append(support.ROOT / f".{home.name}-file")
    core_pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    try:
        told = attack(home, outside, as_user)
        assert [path.read_text() for path in outside] == ["as it was"] * len(outside)
        assert {path.stat().st_mode & 0o777 for path in outside} <= {0o644, 0o664, 0o600}
    finally:
        for path in outside:
            path.unlink(missing_ok=True)
    succeeded = [key for key, value in told.items() if value == "None" and "/" in key and "again" not in key]
    assert succeeded == []
    refused = [os.strerror(code) for code in (errno.EROFS, errno.EACCES, errno.ENOENT)]
    assert told["kernel"] in refused
    assert told["trigger"] in refused
    assert Path("/proc/sys/kernel/core_pattern").read_text() == core_pattern
    assert told["disk"] == os.strerror(errno.EPERM)
    devices = "null zero full random urandom tty net fd stdin stdout stderr ptmx pts shm"
    assert set(told["devices"]) <= set(devices.split(" "))
    # What is the lab's own can be written all the same.
    assert [told[key] for key in ("own", "shm", "null", "relative")] == ["None"] * 4
    assert told["tmp"] == "1"
    assert told["pty"].startswith("'/dev/pts/")
    assert (home / "spared/own").read_text() == (home / "spared/relative").read_text() == "changed"
    assert set(told["unmount"]) <= {"/run", "/sys"}  # its own; below it is what was there, read-only


WITHOUT = """
import sys
from lq.sandbox import filesystem, namespace

def refused(path):
    raise OSError(errno.ENOSYS, "mount_setattr")

namespace.set_all_read_only, errno = refused, __import__("errno")
namespace.make_mounts_private()
filesystem.make_read_only()
for path in sys.argv[1:]:
    try:
        open(path, "w").close()
    except OSError as error:
        print(error.strerror)
"""


def test_an_older_kernel_is_told_of_each_mount(tmp_path):
    """A directory with a mount below it, in a name that mountinfo writes with escapes."""
    below = tmp_path / "a b\\c\té\f\u2028\udce9"
    below.mkdir()
    script = (
        'mount -t tmpfs -o noexec tmpfs "$1" && touch "$1/file" && exec "$2" -c "$3" "$1/file" "$4" /etc/new'
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(below)]
        + [sys.executable, WITHOUT, str(tmp_path / "file")],
        env={**os.environ, "PYTHONPATH": str(support.ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [os.strerror(errno.EROFS)] * 3, done.stderr


@pytest.mark.parametrize("place", ["/run", "/dev/shm"])
def test_a_directory_below_what_is_covered_can_be_written_and_be_present(tmp_path, place):
    """The lab has directories of its own there; a user's temporary files may lie below the machine's."""
    (tmp_path / "writer.py").write_text(
        "import sys; from pathlib import Path; from lq.sandbox.channel import Channel\n"
        f"Path(sys.argv[2], 'file').write_text('1'); Path('{place}/own').touch()\n"
        f"seen = sorted(str(path) for path in Path('{place}').glob('*/*/*'))\n"
        "Channel.from_fd(int(sys.argv[1])).send({'seen': seen, 'present': str(Path.cwd()), "
        "'relative': Path('out/file').read_text()})"
    )
    script = (
        f"mount -t tmpfs tmpfs {place} && cd {place} && mkdir -p user/1/out user/1/other && touch hidden && "
        f'cd user/1 && "$@" && cat out/file && ls {place}'
    )
    code = OPEN.replace('"attacker", targets', '"writer", [sys.argv[2]]')
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
        + [sys.executable, "-c", code, str(tmp_path / "log"), f"{place}/user/1/out"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{support.ROOT}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
    told, left = done.stdout.split("\n", 1)
    present = f"{place}/user/1"
    seen = [f"{present}/other", f"{present}/out"]
    assert json.loads(told) == {"seen": seen, "present": present, "relative": "1"}
    assert left.split() == ["1hidden", "user"]


def test_what_is_covered_may_be_a_link(tmp_path):
    """As where /tmp leads to /var/tmp."""
    for name in ("real/present", "real/other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    code = (
        "import os, sys; from lq.sandbox import filesystem, namespace\n"
        "namespace.make_mounts_private(); filesystem.cover(sys.argv[1], 'mode=755', None)\n"
        "print(*os.listdir(sys.argv[1]))"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount"]
        + [sys.executable, "-c", code, str(tmp_path / "link")],
        cwd=tmp_path / "real/present",
        env={**os.environ, "PYTHONPATH": str(support.ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["present"], done.stderr


def test_without_user_namespaces_files_are_still_read_only(tmp_path):
    """As under sudo where they are forbidden: against mistakes, not against malice."""
    (tmp_path / "writer.py").write_text(
        "import os, sys; from lq.sandbox.channel import Channel\n"
        "def outcome(path):\n"
        "    try:\n        open(path, 'a').close()\n"
        "    except OSError as error:\n        return error.strerror\n"
        "Channel.from_fd(int(sys.argv[1])).send({path: outcome(path) for path in sys.argv[2:]})"
    )
    spared, kept = tmp_path / "spared", tmp_path / "kept"
    spared.mkdir()
    kept.touch()
    paths = [
        str(spared / "new"),
        str(kept),
        "/etc/new",
        "/proc/sys/vm/swappiness",
        "/proc/sys/net/ipv4/ip_forward",
    ]
    forbid = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    code = OPEN.replace('"attacker"', '"writer"')
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", sys.executable, "-c", code]
        + [str(tmp_path / "log"), str(spared), *paths],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{support.ROOT}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told is not None, (tmp_path / "log").read_text()
    assert [told[path] for path in (str(spared / "new"), "/proc/sys/net/ipv4/ip_forward")] == [None, None]
    assert told[str(kept)] == told["/etc/new"] == os.strerror(errno.EROFS)
    assert told["/proc/sys/vm/swappiness"] in (os.strerror(errno.EROFS), os.strerror(errno.EACCES))
