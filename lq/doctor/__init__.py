"""What this machine can do, found out by doing it, and the fix for what it cannot.

`check()` really enters a sealed lab, makes an interface pair there, starts a private switch
and sends a frame through it: that is `lq.doctor.inside`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lq.sandbox import limits
from lq.sandbox.lab import SEE_DOCTOR, Lab, LabError
from lq.sandbox.switch import datapath_type
from lq.sandbox.tools import NEEDED, find

PYTHON = ((3, 10), (3, 14))  # first and last supported
LAB_TIMEOUT = 30.0  # seconds for all that is tried in the lab
HOSTS = 100  # for which there should be files enough
MEMORY = 1 << 30  # octets that are comfortable for the figures of the draft

# name, Debian's package, its commands
_OPTIONAL_TOOLS = (
    ("tshark", "tshark", ("tshark",)),
    ("dhcpd", "isc-dhcp-server", ("dhcpd",)),
    ("dhclient", "isc-dhcp-client", ("dhclient",)),
    ("dnsmasq", "dnsmasq-base", ("dnsmasq",)),
)
_LIBRARIES = (
    ("Ryu", "controllers.framework", "ryu"),
    ("os-ken", "os_ken.base.app_manager", "os-ken"),
    ("Mininet", "mininet.net", "mininet"),
)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `fix` is one line, empty where nothing is to be fixed."""

    name: str
    ok: bool
    needed: bool
    found: str
    fix: str = ""


def check() -> list[Check]:
    """Try everything; takes one or two seconds and leaves nothing behind."""
    with contextlib.ExitStack() as stack:
        libraries = [stack.enter_context(_importing(module)) for _, module, _ in _LIBRARIES]
        checks = [_platform(), _python()]
        checks += [_tool(*tool, needed=True) for tool in NEEDED]
        checks += _in_the_lab(switch_installed=checks[2].ok)
        checks += [
            _library(name, package, process)
            for (name, _, package), process in zip(_LIBRARIES, libraries, strict=True)
        ]
    checks += [_tool(*tool, needed=False) for tool in _OPTIONAL_TOOLS]
    return [*checks, _tun(), open_files(), _processors(), _memory()]


# -- what can be seen from outside


def _platform() -> Check:
    system = platform.system()
    fits = system == "Linux"
    fix = "" if fits else "run it on Linux, for example in a virtual machine: the lab needs kernel namespaces"
    return Check("platform", fits, True, f"{system} {platform.release()}, {platform.machine()}", fix)


def _python() -> Check:
    first, last = (".".join(map(str, version)) for version in PYTHON)
    fits = PYTHON[0] <= sys.version_info[:2] <= PYTHON[1]
    fix = "" if fits else f"make clean setup PYTHON=...  (with a Python from {first} to {last})"
    return Check("Python", fits, True, f"{platform.python_version()}, {sys.executable}", fix)


def _tool(name: str, package: str, commands: tuple[str, ...], *, needed: bool) -> Check:
    missing = [command for command in commands if find(command) is None]
    if missing:
        return Check(name, False, needed, f"not installed: {', '.join(missing)}", how_to_get(package))
    return Check(name, True, needed, str(find(commands[0])))


def how_to_get(package: str) -> str:
    """Return the line that installs a package of Debian's, or what to do where apt has none."""
    try:
        command, environment = ["apt-cache", "policy", package], {**os.environ, "LC_ALL": "C"}
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    except OSError:
        return f"install the package that Debian calls {package} with this system's package manager"
    if re.search(r"^  Candidate: [^(]", said, re.MULTILINE):
        return f"sudo apt-get install --no-install-recommends {package}"
    return f"apt has no package {package}: try sudo apt-get update (some releases do not have the package)"


@contextlib.contextmanager
def _importing(module: str) -> Iterator[subprocess.Popen[str]]:
    """Import a module in a process of its own meanwhile: it may be missing, slow, or change its process."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; import {module}"
    command = [sys.executable, "-W", "ignore", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        yield process


def _library(name: str, package: str, process: subprocess.Popen[str]) -> Check:
    _, errors = process.communicate()
    if process.returncode != 0:
        return Check(name, False, True, errors.strip().rpartition("\n")[2], "make setup")
    from importlib.metadata import version

    return Check(name, True, True, version(package))


def _tun() -> Check:
    """Report on TAP devices: this design needs none, but programs that a user starts in the lab may."""
    device = Path("/dev/net/tun")
    if not device.exists():
        return Check("/dev/net/tun", False, False, "missing; the lab works without it", "sudo modprobe tun")
    if os.access(device, os.R_OK | os.W_OK):
        return Check("/dev/net/tun", True, False, "accessible; the lab works without it")
    return Check(
        "/dev/net/tun", False, False, "not accessible; the lab works without it", f"sudo chmod 0666 {device}"
    )


def open_files() -> Check:
    """Say for how many hosts the hard limit of open files is enough; the lab raises the soft one itself."""
    limit, hosts = resource.getrlimit(resource.RLIMIT_NOFILE)[1], limits.hosts_possible()
    fix = (
        ""
        if hosts >= HOSTS
        else "raise the hard limit with sudo prlimit --nofile=4096 --pid $$, then try again"
    )
    return Check("open files", hosts >= HOSTS, False, f"{limit} at once: enough for {hosts:,} hosts", fix)


def _processors() -> Check:
    """Count the processors that this process may use."""
    count = len(os.sched_getaffinity(0))
    fix = (
        ""
        if count > 1
        else "give the machine two processors: on one, large runs disturb themselves (and say valid: false)"
    )
    return Check("processors", count > 1, False, str(count), fix)


def _memory() -> Check:
    """Read the memory that is available without swapping (proc(5))."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    octets = int(lines["MemAvailable"].split()[0]) * 1024
    fix = (
        "" if octets >= MEMORY else f"free some memory: the draft's figures run well with {MEMORY >> 30} GiB"
    )
    return Check("memory", octets >= MEMORY, False, f"{octets / (1 << 30):.1f} GiB available", fix)


# -- what must be tried


def _in_the_lab(switch_installed: bool) -> list[Check]:
    """Enter a sealed lab and try there what a run does."""
    with open(os.memfd_create("log"), "wb") as memory:  # so that nothing stays of one that is killed
        log = Path(f"/proc/self/fd/{memory.fileno()}")
        answers: dict[str, Any] = {}
        try:
            with Lab("lq.doctor.inside", log=log) as lab:
                timer = threading.Timer(LAB_TIMEOUT, lab.close)
                timer.start()
                try:
                    for message in lab.channel:
                        answers.update(message)
                except (OSError, ValueError):  # closed by the timer
                    pass
                finally:
                    timer.cancel()
                if "entered" not in answers:
                    lab.wait()
                    raise LabError(lab.last_words())
        except LabError as error:
            words = str(error).removesuffix(SEE_DOCTOR)
            fix = UNMASK if "mount proc" in words else why_forbidden()
            return [Check("namespaces", False, True, words, fix)]
    kind = "with a user namespace" if answers["user_namespace"] else "as root, without a user namespace"
    checks = [Check("namespaces", True, True, f"a sealed lab opens {kind}")]
    unfinished = {"error": f"no answer within {LAB_TIMEOUT:.0f} s"}
    checks.append(_tried("interfaces", answers.get("veth", unfinished), "veth pairs", "sudo modprobe veth"))
    checks += [
        _tried("nodes", answers.get("node", unfinished), "namespaces with links", why_forbidden()),
        _tried(
            "files", answers.get("locked", unfinished), "the machine's files are read-only in a lab", *_LOCKED
        ),
        _tried("/sys", answers.get("sysfs", unfinished), "shows the lab's own interfaces", *_SYSFS),
    ]
    if switch_installed:
        where = "the kernel's" if datapath_type() == "system" else "in user space (no module is loaded)"
        checks.append(
            _tried(
                "private switch",
                answers.get("switch", unfinished),
                f"passes frames; datapath {where}",
                "sudo apt-get install --reinstall openvswitch-switch, then read its log above",
            )
        )
    else:
        missing = "not tried: Open vSwitch is not installed"
        checks.append(
            Check("private switch", False, True, missing, "install Open vSwitch as described above")
        )
    checks.append(
        _tried("netem", answers.get("netem", unfinished), "delays frames", "sudo modprobe sch_netem", False)
    )
    return checks


FILTER = "start the container with --security-opt seccomp=unconfined: its filter forbids namespaces"
UNMASK = "start the container with --security-opt systempaths=unconfined (podman: unmask=ALL)"
# What mends it, and that a run does without.
_LOCKED = (
    "run lq as a user who may make user namespaces; until then, programs in the lab can write to the "
    "machine's files",
    False,
)
_SYSFS = ("in a container, use --security-opt systempaths=unconfined; the lab works without it", False)


def _tried(name: str, answer: dict[str, str], found: str, fix: str, needed: bool = True) -> Check:
    if "error" in answer:
        return Check(name, False, needed, answer["error"], fix)
    return Check(name, True, needed, found)


def why_forbidden(proc: Path = Path("/proc")) -> str:
    """Return what most probably keeps this user from creating namespaces, as the line that fixes it."""

    def setting(name: str) -> str:
        path = proc / "sys" / name.replace(".", "/")
        return path.read_text().strip() if path.exists() else ""

    if not (proc / "self/ns/user").exists():
        return "run lq with sudo: this kernel has no user namespaces"
    if setting("user.max_user_namespaces") == "0":
        return "sudo sysctl user.max_user_namespaces=10000, or run lq with sudo"
    if setting("kernel.unprivileged_userns_clone") == "0":
        return "sudo sysctl kernel.unprivileged_userns_clone=1, or run lq with sudo"
    if setting("kernel.apparmor_restrict_unprivileged_userns") == "1":
        return "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run lq with sudo"
    if "\nSeccomp:\t2" in (proc / "self/status").read_text():
        return FILTER
    return "run lq with sudo; in a container, start the container with --privileged"
