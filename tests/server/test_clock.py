"""The server's clock over restarts: a clock that was set ends no lease early, and makes none last longer."""

import contextlib
import socket
import subprocess
import sys

import pytest

from lq.server.bindings import Binding, State
from lq.server.clock import Clock, Moment, present, span
from lq.server.service import Service
from lq.server.storage import Storage

from .helpers import Host, service


class Machine:
    """A machine whose clock can be set, and which can be started again."""

    def __init__(self, time=1_000_000.0):
        self.time, self.uptime, self.boot = time, 50.0, "first"

    def pass_by(self, seconds):
        self.time += seconds
        self.uptime += seconds

    def reboot(self):
        self.uptime, self.boot = 1.0, self.boot + "+"

    def now(self):
        return Moment(self.time, self.uptime, self.boot)

    def clock(self, last=None):
        return Clock(last, self.now, lambda: self.uptime + 7.0)


def restarted(machine, clock, down=0.0, set_by=0.0, reboot=False):
    """The clock of the next start after so many seconds, the system clock set by so many in between."""
    last = clock.moment()
    machine.pass_by(down)
    machine.time += set_by
    if reboot:
        machine.reboot()
    return machine.clock(last)


def test_the_first_start_is_by_the_system_clock():
    machine = Machine()
    clock = machine.clock()
    assert (clock(), clock.said) == (machine.time, "")
    machine.pass_by(10)
    assert clock() == machine.time


@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("set_by", [-86400.0 * 365, -7200.0, -3.0, -0.5, 0.0, 0.5, 600.0])
def test_it_never_goes_back(set_by, reboot):
    machine = Machine()
    clock = machine.clock()
    machine.pass_by(100)
    before = clock()
    clock = restarted(machine, clock, 1.0, set_by, reboot)
    assert clock() >= before
    assert bool(clock.said) == (set_by < -2 or (abs(set_by) > 1 and not reboot))


@pytest.mark.parametrize("set_by", [-1e6, -7200.0, 7200.0, 1e9])
def test_while_the_machine_is_up_it_goes_by_the_time_that_has_passed(set_by):
    machine = Machine()
    clock = machine.clock()
    before = clock()
    for number in range(1, 4):  # each restart, too
        clock = restarted(machine, clock, 60.0, set_by if number == 1 else 0.0)
        assert clock() == pytest.approx(before + 60 * number)
        assert ("set forward" if set_by > 0 else "set back") in clock.said
        assert "they end as they were to" in clock.said
        assert "\n" not in clock.said


def test_after_a_boot_a_clock_set_back_goes_on_from_the_last_commit():
    machine = Machine()
    clock = machine.clock()
    before = clock()
    clock = restarted(machine, clock, 60.0, -1e6, reboot=True)
    assert clock() == before
    assert "set back" in clock.said
    machine.pass_by(5)
    assert clock() == before + 5


def test_after_a_boot_a_jump_forward_is_believed_and_said():
    machine = Machine()
    clock = machine.clock()
    assert restarted(machine, clock, 3000.0, reboot=True).said == ""
    clock = restarted(machine, clock, 3 * 86400.0, reboot=True)
    assert clock() == machine.time
    assert "the last commit was 3.0 days ago by the system clock" in clock.said


def test_a_clock_of_uptime_that_went_back_is_not_that_boot():
    """As in a container that was restored: the same boot, and less time since."""
    machine = Machine()
    clock = machine.clock()
    last = clock.moment()
    machine.uptime -= 30.0
    machine.time += 500.0
    assert machine.clock(last)() == machine.time


def test_it_says_how_many_leases_have_ended():
    machine = Machine()
    clock = machine.clock()
    begin = machine.time
    ends = [begin - 1, begin + 10, begin + 20, begin + 9e9]
    bindings = [Binding(bytes((198, 18, 0, n)), expires=end) for n, end in enumerate(ends)]
    bindings.append(Binding(bytes(4), state=State.RELEASED, expires=begin + 5))
    clock = restarted(machine, clock, 86400.0, reboot=True)
    assert clock.told(bindings).endswith("(2 leases have ended since)")


def test_the_moment_of_a_commit_is_kept_and_checked(tmp_path):
    machine = Machine()
    clock = machine.clock()
    with contextlib.closing(Storage(tmp_path / "b")) as storage:
        assert storage.last is None
        storage.begin(clock.moment)
        machine.pass_by(3)
        storage.commit([])
    with contextlib.closing(Storage(tmp_path / "b")) as storage:
        assert storage.last == clock.moment() == Moment(1_000_003.0, 53.0, "first")
    for values in ((1.0, 2.0, "x", 5), (None, 2.0, "x", 5), ("1", 2.0, "x", 5)):
        with pytest.raises(ValueError, match="time of the last commit"):
            Moment.stored(*values)


def life(path, machine, act):
    """One life of a server: start, what `act` does with it and its clock, end."""
    with contextlib.closing(Storage(path)) as storage:
        clock = machine.clock(storage.last)
        server = service(bindings=storage.load(), now=clock())
        storage.begin(clock.moment)
        result = act(server, clock)
        storage.commit(server.changed.values())
    return result


@pytest.mark.parametrize("reboot", [False, True])
def test_a_released_address_is_free_after_the_clock_was_set_back(tmp_path, reboot):
    """Otherwise nobody could have it until the moment of the release came again."""
    machine, path = Machine(), tmp_path / "b"

    def lease_and_release(server: Service, clock: Clock) -> None:
        host = Host(server, 1)
        host.lease(clock())
        host.release(clock())

    life(path, machine, lease_and_release)
    machine.time -= 86400.0
    if reboot:
        machine.reboot()

    def take_all(server: Service, clock: Clock) -> set:
        machine.pass_by(1)
        found = set()
        for number in range(2, 13):  # as many as the pool has
            host = Host(server, number)
            host.lease(clock())
            found.add(host.address)
        return found

    assert len(life(path, machine, take_all)) == 11


def test_a_clock_set_forward_ends_no_lease_of_a_running_machine(tmp_path):
    machine, path = Machine(), tmp_path / "b"
    address = life(path, machine, lambda server, clock: Host(server, 1).lease(clock()).yiaddr)
    machine.time += 365 * 86400.0

    def others(server: Service, clock: Clock) -> set:
        assert server.bindings.get(address).leased(clock())
        taken = set()
        for number in range(2, 12):
            host = Host(server, number)
            host.lease(clock())
            taken.add(host.address)
        assert Host(server, 12).discover(clock()) is None
        return taken

    assert address not in life(path, machine, others)
    machine.pass_by(3601)
    life(path, machine, lambda server, clock: Host(server, 99).lease(clock()))  # and they do end in time


def test_the_present_of_this_machine():
    first, second = present(), present()
    assert first.boot == second.boot != ""
    assert second.uptime >= first.uptime > 0
    assert first.time > 1.7e9


def test_spans_are_said_in_their_largest_unit():
    assert [span(seconds) for seconds in (1.5, 119.0, 180.0, 7200.0, 86400 * 2.5)] == [
        "1.5 s",
        "119.0 s",
        "3.0 minutes",
        "2.0 hours",
        "2.5 days",
    ]


CONFIG = """
listen: 127.0.0.1
port: {port}
database: {path}/bindings.sqlite
subnets: [{{network: 127.0.0.0/24, pools: [127.0.0.10-127.0.0.20]}}]
"""


def test_the_running_server_says_that_the_clock_was_set(tmp_path):
    """The real start, on a database whose last commit was an hour and a half ahead of the system clock."""
    here = present()
    with contextlib.closing(Storage(tmp_path / "bindings.sqlite")) as storage:
        storage.begin(lambda: here._replace(time=here.time + 5400.0))
        storage.commit([Binding(bytes((127, 0, 0, 10)), 1, bytes(6), expires=here.time + 5401.0)])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "server.yaml"
    config.write_text(CONFIG.format(port=port, path=tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-m", "lq.server", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == f"ready 127.0.0.1:{port}\n"
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    said = [line for line in errors.splitlines() if "the system clock is 90.0 minutes behind" in line]
    assert len(said) == 1
    assert "WARNING" in said[0]
