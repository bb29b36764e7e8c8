"""Set-up's shell programs, really run: on a small project, with an index of packages on this machine."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib.metadata
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lq import doctor
from tests.support import ROOT

SCRIPTS = sorted(path.name for path in ROOT.glob("setup/*.sh"))
DEADLINE = 300  # seconds, so that no test hangs; none takes a tenth of it on an idle machine

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "small"
version = "1"
"""
BACKEND = '''
"""Builds the project `small`, and needs nothing for it."""
import zipfile


def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "small-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        wheel.writestr("small.pth", "")
        wheel.writestr("small-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n")
        tags = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr("small-1.dist-info/WHEEL", tags)
        wheel.writestr("small-1.dist-info/RECORD", "")
    return name
'''


def run(command: list[str], **options) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run(command, timeout=DEADLINE, check=False, **options)


# -- what several files say


def test_all_say_the_same_versions_of_python():
    first, last = doctor.PYTHON
    script = (ROOT / "setup/python.sh").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    assert f"if not {first} <= sys.version_info[:2] <= {last}:" in script
    assert f'requires-python = ">=3.{first[1]},<3.{last[1] + 1}"' in project
    minors = [*range(first[1], last[1] + 1)]
    assert [int(minor) for minor in re.findall(r"Python :: 3\.(\d+)", project)] == minors
    for minor in minors:
        assert f"python3.{minor}" in script
    assert f'RANGE="3.{first[1]} to 3.{last[1]}"' in script
    assert f"Python 3.{first[1]} to 3.{last[1]}" in (ROOT / "README.md").read_text()


def test_ci_runs_what_readme_calls_the_test_and_lint():
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = {line for line in lines if line.startswith("make")}
    assert commands == {"make docs", "make lint", "make test", "make test-kernel"}
    assert "\nmake test     #" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_well_formed_and_stops_at_the_first_fault(script):
    assert run(["sh", "-n", str(ROOT / "setup" / script)]).returncode == 0
    assert "\nset -eu\n" in (ROOT / "setup" / script).read_text()


@pytest.mark.parametrize("script", [*(f"setup/{name}" for name in SCRIPTS), ".ci/run"])
def test_a_script_finds_its_tree_wherever_cd_looks(script, tmp_path):
    """Some have CDPATH in their environment, and directories called `setup` elsewhere."""
    for tree in ("tree", "elsewhere"):
        (tmp_path / tree / script).parent.mkdir(parents=True)
    begin = (ROOT / script).read_text().partition("set -eu\n")[2]
    lines = re.findall(r"^ *((?:unset CDPATH|cd \"\$\(dirname).*)$", begin, re.MULTILINE)
    assert lines[-1].startswith("cd ")
    (tmp_path / "tree" / script).write_text("\n".join([*lines, "pwd -P", ""]))
    done = run(
        ["sh", script], cwd=tmp_path / "tree", env={**os.environ, "CDPATH": str(tmp_path / "elsewhere")}
    )
    assert done.stdout == f"{tmp_path.resolve()}/tree\n", done.stderr


def test_make_does_one_after_the_other_whatever_it_is_told(tmp_path):
    """`make clean setup` would else remove what is being set up, where MAKEFLAGS says -j."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for directory in ("bin", "setup"):
        (tmp_path / directory).mkdir()
    note = '#!/bin/sh\n[ ! -e began ] || echo "two at once"\ntouch began; sleep 0.2; unlink began\n'
    for program in ("bin/rm", "setup/system.sh", "setup/python.sh"):
        (tmp_path / program).write_text(note)
        (tmp_path / program).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "MAKEFLAGS": "-j4"}
    done = run(["make", "-C", str(tmp_path), "clean", "setup"], env=environment)
    assert done.returncode == 0, done.stderr
    assert "two at once" not in done.stdout


def test_a_kernel_is_got_by_one_program_at_a_time(tmp_path):
    (tmp_path / "setup").mkdir()
    shutil.copy(ROOT / "setup/kernel.sh", tmp_path / "setup")
    (tmp_path / "bin").mkdir()
    note = f"cd {tmp_path}; [ ! -e began ] || echo >two-at-once\ntouch began; sleep 0.3; rm -f began"
    for program, text in (("apt-get", f"case $* in *download*) {note} ;; esac"), ("dpkg-deb", "exit 1")):
        (tmp_path / "bin" / program).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / program).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    command = ["sh", str(tmp_path / "setup/kernel.sh"), "true"]
    both = [
        subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=DEADLINE)[1] for process in both]
    assert [process.returncode for process in both] == [77, 77], said
    assert all("downloading user-mode-linux" in words for words in said)
    assert not (tmp_path / "two-at-once").exists()
    assert list((tmp_path / "build/kernel").glob("run.*")) == []


# -- a small project, and an index of packages behind a certificate that only this test's authority signed


def wheel_of_uv(directory: Path) -> Path:
    """Pack the installed uv into a wheel again."""
    files = importlib.metadata.files("uv") or []
    version = importlib.metadata.version("uv")
    path = directory / f"uv-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file in files:
            place = Path(file.locate())
            if file.name in ("RECORD", "INSTALLER", "REQUESTED") or file.suffix == ".pyc":
                continue
            inside = f"uv-{version}.data/scripts/{file.name}" if file.parts[0] == ".." else str(file)
            wheel.write(place, inside)
        wheel.writestr(f"uv-{version}.dist-info/RECORD", "")
    return path


def wheel_of_tiny(directory: Path) -> Path:
    path = directory / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", "FOUND = True\n")
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("tiny-1.dist-info/WHEEL", tags)
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return path


def make_certificates(directory: Path) -> tuple[Path, Path]:
    """Make an authority and a certificate for localhost; return the first, and the other with its key."""
    (directory / "extensions").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=us -keyout authority.key -out authority.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2"
        " -extfile extensions -out server.crt",
    ):
        done = run(["openssl", *command.split()], cwd=directory)
        assert done.returncode == 0, done.stderr
    server = directory / "server.pem"
    server.write_bytes((directory / "server.crt").read_bytes() + (directory / "server.key").read_bytes())
    return directory / "authority.pem", server


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Small:
    """A project with this one's `setup/python.sh`, and what its set-up runs in."""

    def __init__(self, directory: Path, index: str, authority: Path, pins: dict[str, str]):
        self.directory = directory
        self.authority = authority
        self.temporary = directory.parent / "temporary"
        self.temporary.mkdir()
        (directory / "setup").mkdir(parents=True)
        shutil.copy(ROOT / "setup/python.sh", directory / "setup")
        (directory / "setup/uv.txt").write_text(pins["uv"])
        (directory / "setup/build.txt").write_text("")
        (directory / "requirements.txt").write_text(pins["tiny"])
        (directory / "pyproject.toml").write_text(PROJECT)
        (directory / "backend.py").write_text(BACKEND)
        names = re.compile("^(PIP|UV|PYTHON|SSL|REQUESTS|CURL)_?|_proxy$", re.IGNORECASE)
        self.environment = {name: value for name, value in os.environ.items() if not names.search(name)} | {
            "HOME": str(self.temporary.parent / "home"),
            "TMPDIR": str(self.temporary),
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": index,
            "PIP_CERT": str(authority),
            "PYTHON": sys.executable,
        }

    def start(self, before: list[str] | None = None, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*(before or []), "env", "--default-signal=INT", "sh", "setup/python.sh"],
            cwd=self.directory,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def set_up(self, **options) -> str:
        """Set it up, see that it works and that no file is left over; return what was said."""
        with self.start(**options) as process:
            _, said = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, said
        assert self.works()
        assert [*self.temporary.iterdir()] == []
        assert not (self.directory / ".venv/tmp").exists()
        return said

    def works(self) -> bool:
        code = "import pip, tiny; from importlib.metadata import version; version('small'); print(tiny.FOUND)"
        done = run([".venv/bin/python", "-c", code], cwd=self.directory)
        uv = run([".venv/bin/uv", "--version"], cwd=self.directory)
        return done.stdout == "True\n" and uv.returncode == 0


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Iterator[Small]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    place = tmp_path_factory.mktemp("setup")
    files = place / "index"
    pins = {}
    for name, make in (("uv", wheel_of_uv), ("tiny", wheel_of_tiny)):
        page = files / "simple" / name
        page.mkdir(parents=True)
        wheel = make(page)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        (page / "index.html").write_text(f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>')
        pins[name] = f"{name}=={wheel.name.split('-')[1]} --hash=sha256:{digest}\n"
    authority, certificate = make_certificates(place)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    handler = functools.partial(QuietHandler, directory=files)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Small(place / "tree", f"https://localhost:{server.server_port}/simple", authority, pins)
        server.shutdown()


def end(process: subprocess.Popen[str], kind: signal.Signals) -> None:
    os.killpg(process.pid, kind)
    process.communicate(timeout=DEADLINE)


def is_there(small: Small, pattern: str) -> bool:
    return any(small.directory.glob(pattern))


def test_a_set_up_that_is_killed_at_any_moment_mends_itself(small):
    """Each try is killed later than the one before it, whose remains it finds; then one is left alone."""
    moments = (".venv", ".venv/lib*/python*/site-packages/pip", ".venv/bin/pip*", ".venv/bin/uv")
    for moment, kind in zip(moments, [signal.SIGKILL, signal.SIGINT] * 2, strict=False):
        process = small.start()
        while process.poll() is None and not is_there(small, moment):
            time.sleep(0.002)
        end(process, kind)
        assert process.returncode != 0, f"was done before {moment} was there"
        assert not (small.directory / ".venv/.installed").exists()
    assert "making .venv" in small.set_up()
    assert small.set_up() == ""


def test_two_set_ups_at_once_make_one_environment_out_of_one_without_pip(small):
    shutil.rmtree(small.directory / ".venv", ignore_errors=True)
    done = run([sys.executable, "-m", "venv", "--without-pip", str(small.directory / ".venv")])
    assert done.returncode == 0, done.stderr
    processes = [small.start() for _ in range(2)]
    said = [process.communicate(timeout=DEADLINE)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert "".join(said).count("making .venv") == 1
    assert "".join(said).count("waiting for another set-up") == 1
    assert small.works()


def test_the_system_s_certificates_count_and_a_tree_may_move(small):
    """Pip is told to trust the index, uv is not: nobody but the system's certificates makes it trust."""
    if not Path("/etc/ssl/certs/ca-certificates.crt").exists():
        pytest.skip("this system keeps its certificates elsewhere")
    shutil.rmtree(small.temporary.parent / "home", ignore_errors=True)  # uv's cache, too
    moved = small.directory.parent / "moved tree"
    small.directory.rename(moved)
    small.directory = moved
    trusts = {"PIP_CERT": "", "PIP_TRUSTED_HOST": "localhost"}
    with small.start(**trusts) as process:
        _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode != 0
    assert "UnknownIssuer" in said
    mount = 'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt && shift && exec "$@"'
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    said = small.set_up(before=[*unshare, "sh", "-c", mount, "sh", str(small.authority)], **trusts)
    assert "making .venv" in said


def test_settings_of_pip_and_uv_for_other_occasions_and_a_closed_home_do_no_harm(small, tmp_path):
    """Another place for packages, hashes for all, a cache that cannot be made."""
    shutil.rmtree(small.directory / ".venv", ignore_errors=True)
    (tmp_path / "home").touch()
    settings = {"PIP_USER": "1", "PIP_TARGET": str(tmp_path / "target"), "UV_REQUIRE_HASHES": "1"}
    with small.start(HOME=str(tmp_path / "home"), **settings) as process:
        _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, said
    assert small.works()
    assert not (tmp_path / "target").exists()


def test_a_tree_that_cannot_be_written_says_so(small):
    """As on a disk that is mounted read-only."""
    (small.directory / "requirements.txt").write_text(
        (small.directory / "requirements.txt").read_text() + "#\n"
    )
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$1" && shift && exec "$@"'
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    with small.start(before=[*unshare, "sh", "-c", mount, "sh", str(small.directory)]) as process:
        _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert len(said.splitlines()) == 1
    assert ".venv is missing or out of date, and . cannot be written" in said


# -- the interpreter


def old_python(path: Path, version: str) -> None:
    """Write an interpreter that is really this one and says that it is another version."""
    assignment = f"import sys; sys.version_info = ({version.replace('.', ', ')}); exec(sys.argv[1])"
    path.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{assignment}' \"$2\"\n")
    path.chmod(0o755)


def test_where_no_python_fits_it_says_which_were_found(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "setup").mkdir()
    script = (ROOT / "setup/python.sh").read_text().replace("/usr/bin/python3 ", "")
    (tmp_path / "setup/python.sh").write_text(script)
    tools = {name: shutil.which(name) for name in ("dirname", "sh")}
    for name, place in tools.items():
        (tmp_path / "bin" / name).symlink_to(str(place))

    def find(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(tools["sh"]), str(tmp_path / "setup/python.sh"), "--find"]
        return run(command, env={"PATH": str(tmp_path / "bin"), **environment})

    assert find().returncode == 1
    assert "found: none at all" in find().stderr
    old_python(tmp_path / "bin/python3", "3.9.2")
    old_python(tmp_path / "bin/python3.14", "3.15.0")
    (tmp_path / "bin/python3.11").symlink_to("/bin/false")
    said = find().stderr
    assert len(said.splitlines()) == 1
    assert f"{tmp_path}/bin/python3 (Python 3.9.2)" in said
    assert f"{tmp_path}/bin/python3.14 (Python 3.15.0)" in said
    assert f"{tmp_path}/bin/python3.11 (not a Python that runs)" in said
    named = find(PYTHON="python3").stderr
    assert named.startswith("setup: PYTHON=python3 is Python 3.9.2; needed is Python 3.10 to")
    assert find(PYTHON="/no/such").stderr == "setup: PYTHON=/no/such: no such program\n"
    (tmp_path / "bin/python3.12").symlink_to(sys.executable)
    assert find().stdout == f"{tmp_path}/bin/python3.12\n"


# -- another release


@pytest.mark.parametrize("suite", ["", "--help", "../trixie", "Trixie", "a b"])
def test_try_wants_the_name_of_a_release(suite):
    done = run(["sh", "setup/try.sh", suite], cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: setup/try.sh SUITE")
    assert done.stdout == ""


def test_what_try_keeps_belongs_to_the_user_who_calls_it(tmp_path):
    """Not to root, as a new ~/.cache would after sudo: no other program could use it."""
    (tmp_path / "setup").mkdir()
    shutil.copy(ROOT / "setup/try.sh", tmp_path / "setup")
    (tmp_path / "bin").mkdir()
    seen = '[ -w "$TRY_CACHE" ] && [ -w build ] && echo "$TRY_CACHE"'
    for program, text in (("id", "echo 1000"), ("sudo", seen)):
        (tmp_path / "bin" / program).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / program).chmod(0o755)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path / "home")}
    done = run(["sh", str(tmp_path / "setup/try.sh"), "trixie"], env=environment)
    assert done.stdout.splitlines()[-1] == f"{tmp_path}/home/.cache/leasequery-lab", done.stderr
