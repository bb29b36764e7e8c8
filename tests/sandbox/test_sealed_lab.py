"""The sealed lab: what is inside, what is not, and what is left when it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from lq.sandbox.sealed_lab import SealedLab
from tests import support

pytestmark = pytest.mark.lab

INSIDE = '''
"""A program for the lab: answers each request by evaluating it, until the other end hangs up."""
import os, subprocess, sys
from pathlib import Path
from lq.sandbox.channel import Channel
channel = Channel.from_fd(int(sys.argv[1]))
for request in channel:
    channel.send({"value": eval(request["expression"])})
'''


@pytest.fixture
def program(tmp_path, monkeypatch):
    (tmp_path / "inside_program.py").write_text(INSIDE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "inside_program"


def ask(lab: SealedLab, expression: str):
    lab.channel.send({"expression": expression})
    message = lab.channel.receive()
    assert message is not None, lab.last_words()
    return message["value"]


def test_nothing_leads_out(program, tmp_path):
    with SealedLab(program, log=tmp_path / "log") as lab:
        assert ask(lab, "sorted(os.listdir('/sys/class/net'))") == ["lo"]
        assert ask(lab, "subprocess.getoutput('ip route show table all | grep -v local')") == ""
        assert ask(lab, "os.listdir('/run')") == []
        assert ask(lab, "os.getuid()") == 0
        # Nothing but the lab's own processes can be seen, so nothing else can be signalled.
        assert ask(lab, "sorted(int(p) for p in os.listdir('/proc') if p.isdigit())[:2]") == [1, 2]


def test_one_that_is_interrupted_while_it_starts_ends_and_leaves_no_open_file(program, tmp_path, monkeypatch):
    began = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, **keywords)
            began.append(self)
            raise KeyboardInterrupt

    before = sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        SealedLab(program, log=tmp_path / "log")
    with pytest.raises(FileNotFoundError):
        SealedLab(program, log=tmp_path / "missing" / "log")
    began[0].wait(30)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 looks into the present directory first")
def test_no_module_of_the_present_directory_is_taken(program, tmp_path, monkeypatch):
    """It may be anybody's, such as /tmp; or a student's, who has a program `random.py` there."""
    (tmp_path / "present").mkdir()
    for name in ("random", "shlex", "select", "json", "socket", "lq"):
        (tmp_path / f"present/{name}.py").write_text("raise SystemExit('taken')")
    monkeypatch.chdir(tmp_path / "present")
    with SealedLab(program, log=tmp_path / "log") as lab:
        assert ask(lab, "__import__('random').__file__ == __import__('shlex').__file__") is False
        holders = "__import__('lq.sandbox.holders').sandbox.holders.Holders().take()"
        assert ask(lab, holders) > 0


def test_a_present_directory_that_is_gone_is_borne(program, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with SealedLab(program, log=tmp_path / "log") as lab:
        assert ask(lab, "1 + 1") == 2
    os.chdir(tmp_path)  # where monkeypatch leaves from


def test_system_v_memory_goes_with_the_lab(program, tmp_path):
    before = Path("/proc/sysvipc/shm").read_text()
    with SealedLab(program, log=tmp_path / "log") as lab:
        assert ask(lab, "__import__('ctypes').CDLL(None).shmget(0, 4096, 0o1600)") >= 0
        assert len(ask(lab, "Path('/proc/sysvipc/shm').read_text()").splitlines()) == 2
        assert Path("/proc/sysvipc/shm").read_text() == before


def test_two_labs_do_not_meet(program, tmp_path):
    with SealedLab(program, log=tmp_path / "a") as one, SealedLab(program, log=tmp_path / "b") as other:
        assert ask(one, "os.system('ip link add v0 type veth peer name v1 && touch /run/mark')") == 0
        assert ask(one, "sorted(os.listdir('/sys/class/net'))") == ["lo", "v0", "v1"]
        assert ask(other, "sorted(os.listdir('/sys/class/net'))") == ["lo"]
        assert ask(other, "os.path.exists('/run/mark')") is False
    assert not Path("/sys/class/net/v0").exists()
    assert not Path("/run/mark").exists()


def test_exit_status_and_last_words(tmp_path, monkeypatch):
    (tmp_path / "failing.py").write_text("import sys; print('no luck', file=sys.stderr); sys.exit(7)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with SealedLab("failing", log=tmp_path / "log") as lab:
        assert lab.channel.receive() is None
        assert lab.wait() == 7
        assert lab.last_words() == "no luck"


def test_orphans_are_reaped(program, tmp_path):
    """A daemon whose parent ended must not stay behind as a zombie."""
    with SealedLab(program, log=tmp_path / "log") as lab:
        ask(lab, "os.system('(sleep 0.05 & echo $! > /run/orphan) ')")
        pid = ask(lab, "open('/run/orphan').read().strip()")
        deadline = time.monotonic() + 10
        while ask(lab, f"os.path.exists('/proc/{pid}')"):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("victim", ["caller", "keeper", "init"])
def test_killing_any_of_its_carriers_ends_everything(tmp_path, victim):
    """The caller, the process that keeps the namespaces, or process 1 of them: SIGKILL to one is enough."""
    mark = f"LQ_MARK={uuid.uuid4()}"
    caller = tmp_path / "caller.py"
    caller.write_text(
        "import sys, time; from pathlib import Path; from lq.sandbox.sealed_lab import SealedLab\n"
        f"lab = SealedLab('sleeper', log=Path({str(tmp_path / 'log')!r}))\n"
        "print(lab.channel.receive(), flush=True); print(lab.pid, flush=True)\n"
        "lab.channel.receive(); lab.close()"
    )
    (tmp_path / "sleeper.py").write_text(
        "import subprocess, sys, time; from lq.sandbox.channel import Channel\n"
        "children = [subprocess.Popen(['setsid', 'sleep', '1000']) for _ in range(3)]\n"
        "Channel.from_fd(int(sys.argv[1])).send({'up': True}); time.sleep(1000)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{support.ROOT}"}
    environment.update([mark.split("=")])
    process = subprocess.Popen(
        [sys.executable, str(caller)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "{'up': True}"
    keeper = int(process.stdout.readline())
    assert len(support.descendants_marked(mark)) >= 6
    init = int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()[0])
    os.kill({"caller": process.pid, "keeper": keeper, "init": init}[victim], signal.SIGKILL)
    process.wait(timeout=30)
    deadline = time.monotonic() + 30
    while left := support.descendants_marked(mark):
        assert time.monotonic() < deadline, f"{left} outlived the {victim}"
        time.sleep(0.02)


def test_an_ordinary_user_can_have_one():
    home = support.private_directory()
    code = (
        "from pathlib import Path; from lq.sandbox.sealed_lab import SealedLab\n"
        f"lab = SealedLab('lq.sandbox.init', log=Path({str(home / 'log')!r})); print(lab.wait())"
    )
    done = support.run(support.as_ordinary_user([sys.executable, "-c", "import os; print(os.getuid())"]))
    assert int(done.stdout) != 0
    done = support.run(support.as_ordinary_user([sys.executable, "-c", code]), home=home)
    # The program got into the lab: it fails there, for want of arguments, and not on the way in.
    assert done.stdout.strip() == "1", done.stderr + (home / "log").read_text()
    assert "IndexError" in (home / "log").read_text()


def test_root_does_without_a_user_namespace_where_none_is_allowed(tmp_path):
    """As under sudo on a system that forbids them: a namespace's root whose quota of them is zero."""
    code = (
        "import os; from pathlib import Path; from lq.sandbox.sealed_lab import SealedLab\n"
        "before = os.readlink('/proc/self/ns/user')\n"
        f"lab = SealedLab('inside_program', log=Path({str(tmp_path / 'log')!r}))\n"
        "def ask(expression):\n"
        "    lab.channel.send({'expression': expression}); return lab.channel.receive()['value']\n"
        "user = ask(\"os.readlink('/proc/self/ns/user')\")\n"
        "interfaces = ask(\"os.listdir('/sys/class/net')\")\n"
        "print(user == before, interfaces); lab.close()"
    )
    (tmp_path / "inside_program.py").write_text(INSIDE)
    forbid = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{support.ROOT}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "True ['lo']", done.stderr + (tmp_path / "log").read_text()
