"""The running server: a real process on the loopback interface."""

import contextlib
import fcntl
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from ipaddress import IPv4Address

import pytest

from lq.server.log import Bounded, Output
from lq.wire import MessageType

from .daemon import CONFIG, RELAY, drain, lease_many, run
from .helpers import ALL, mac, option_82, query


@pytest.fixture
def server(tmp_path, relay):
    process = run(tmp_path, relay, "--counters-json", str(tmp_path / "counters.json"))
    yield process
    process.kill()
    process.communicate()


def assert_all_active(relay, acknowledged):
    for number, address in acknowledged.items():
        reply = relay.ask(address)
        assert (reply.message_type, reply.chaddr) == (MessageType.ACTIVE, mac(number))
        assert reply.options[82] == option_82(number)
    assert len(set(acknowledged.values())) == len(acknowledged)


@pytest.mark.parametrize("killed_after", [1, 37, 300])
def test_what_was_acknowledged_survives_sigkill(tmp_path, relay, killed_after):
    process = run(tmp_path, relay)
    acknowledged = lease_many(relay, process, lambda found: len(found) >= killed_after)
    process.kill()
    process.communicate()
    drain(relay)
    process = run(tmp_path, relay)
    assert_all_active(relay, acknowledged)
    process.terminate()
    process.communicate(timeout=10)


def test_nothing_is_acknowledged_that_could_not_be_stored(tmp_path, relay):
    def little_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    process = run(tmp_path, relay, preexec_fn=little_disk)
    relay.socket.settimeout(2)
    acknowledged = lease_many(relay, process, lambda found: process.poll() is not None)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "cannot write" in errors
    drain(relay)
    process = run(tmp_path, relay)
    assert acknowledged
    assert_all_active(relay, acknowledged)
    process.terminate()
    process.communicate(timeout=10)


def test_sigterm_ends_it_in_order_with_counters(tmp_path, relay, server):
    lease_many(relay, server, lambda found: len(found) >= 5, outstanding=1)
    drain(relay)
    assert relay.ask("198.18.1.0").message_type == MessageType.ACTIVE
    server.send_signal(signal.SIGTERM)
    _, errors = server.communicate(timeout=10)
    assert server.returncode == 0
    counters = json.loads((tmp_path / "counters.json").read_text())
    assert counters["sent: ack"] == counters["bindings"] == 5
    assert counters["answered: active"] == 1
    assert "answered: active" in errors


def test_sigusr1_prints_counters_while_it_runs(tmp_path, relay, server):
    relay.ask("198.18.1.0")
    server.send_signal(signal.SIGUSR1)
    while "received: leasequery" not in server.stderr.readline():
        assert server.poll() is None
    assert relay.ask("198.18.1.0").message_type == MessageType.KNOWN


@pytest.mark.requirement("R6.3-2")
@pytest.mark.parametrize("level", ["warning", "info", "debug"])
def test_the_log_tells_what_is_refused_if_asked_to(tmp_path, relay, level):
    process = run(tmp_path, relay, *([] if level == "warning" else ["--log", level]))
    relay.send(query("198.18.1.0", chaddr=mac(1), giaddr=IPv4Address(RELAY)))
    lease_many(relay, process, lambda found: len(found) >= 1, outstanding=1)
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert "WARNING query for several things, from giaddr 127.0.0.2" in errors
    assert ("DEBUG 198.18.1.0 leased to 02:00:00:00:00:01 for 3600 s" in errors) == (level == "debug")
    assert ("INFO" in errors) == (level != "warning")


def test_a_flood_of_refusals_does_not_flood_the_log(tmp_path, relay):
    process = run(tmp_path, relay)
    for _ in range(150):
        relay.send(query("198.18.1.0", chaddr=mac(1), giaddr=IPv4Address(RELAY)))
    assert relay.ask("198.18.1.0").message_type == MessageType.KNOWN
    process.terminate()
    _, errors = process.communicate(timeout=10)
    written = errors.count("WARNING query for several things")
    assert 0 < written < 150
    assert "query for several things 150" in " ".join(errors.split())


def test_lines_left_out_are_counted():
    bounded = Bounded(per_second=2)
    records = [logging.LogRecord("x", logging.INFO, "", 0, "line %d", (n,), None) for n in range(5)]
    for record, created in zip(records, (7.0, 7.1, 7.2, 7.9, 8.0), strict=True):
        record.created = created
    assert [bounded.filter(record) for record in records] == [True, True, False, False, True]
    assert records[-1].getMessage() == "line 4 (2 lines before left out)"


def test_bindings_that_are_left_alone_are_told_of(tmp_path, relay):
    process = run(tmp_path, relay)
    lease_many(relay, process, lambda found: len(found) >= 3, outstanding=1)
    process.terminate()
    process.communicate(timeout=10)
    drain(relay)
    config = (tmp_path / "server.yaml").read_text().replace("198.18.1.0-", "198.18.1.2-")
    moved = tmp_path / "moved.yaml"
    moved.write_text(config)
    process = subprocess.Popen(
        [sys.executable, "-m", "lq.server", str(moved)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("ready")
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert "WARNING 2 stored bindings are outside the configured pools" in errors


def test_garbage_does_not_stop_it(relay, server):
    for octets in (b"", b"x", os.urandom(300), bytes(2000)):
        relay.send(octets)
    assert relay.ask("198.19.9.9").message_type == MessageType.UNKNOWN


def refused(tmp_path, text):
    config = tmp_path / "other.yaml"
    config.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "lq.server", str(config)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_cannot_start_says_why_in_one_line(tmp_path, relay, server):
    good = CONFIG.format(port=relay.port, path=tmp_path)
    assert "in use" in refused(tmp_path, good)
    elsewhere = good.replace("bindings.sqlite", "other.sqlite")
    assert "cannot listen on 127.0.0.1" in refused(tmp_path, elsewhere)
    assert "cannot listen on 198.18.0.1" in refused(
        tmp_path, elsewhere.replace("listen: 127.0.0.1", "listen: 198.18.0.1")
    )
    assert "other.yaml:2: " in refused(tmp_path, elsewhere.replace("127.0.0.1", "here"))
    (tmp_path / "other.sqlite").write_text("not a database, but a text of some length" * 20)
    assert "no database" in refused(tmp_path, elsewhere)


def test_a_slow_server_takes_its_time_for_each_message(tmp_path, relay):
    takes, count = 0.05, 6
    process = run(tmp_path, relay, more=f"service_time: {takes}\n")
    begun = time.monotonic()
    for number in range(count):  # all at once: they queue
        relay.send(query(f"198.18.1.{number}", giaddr=IPv4Address(RELAY), requested=ALL))
    moments = []
    for _ in range(count):
        assert relay.receive().message_type == MessageType.KNOWN
        moments.append(time.monotonic() - begun)
    assert all(moment >= takes * number for number, moment in enumerate(moments, start=1)), moments
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_pipe_that_nobody_reads_does_not_stop_it(tmp_path, relay):
    """5,000 bad queries at the default log level, and both reports: no line of it is ever read."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    process = run(tmp_path, relay, "--counters-json", str(tmp_path / "counters.json"), stderr=writing)
    bad = query("198.18.1.0", chaddr=mac(1), giaddr=IPv4Address(RELAY))
    for number in range(5000):
        relay.send(bad)
        if number % 50 == 0:
            assert relay.ask("198.18.1.0").message_type == MessageType.KNOWN
        if number % 1000 == 0:
            os.set_blocking(writing, False)
            with contextlib.suppress(BlockingIOError):
                while os.write(writing, b"x"):  # as if it had logged for a long time
                    pass
            os.set_blocking(writing, True)
            process.send_signal(signal.SIGUSR1)
            assert relay.ask("198.18.1.0").message_type == MessageType.KNOWN
    process.terminate()
    assert process.wait(timeout=20) == 0
    counters = json.loads((tmp_path / "counters.json").read_text())
    assert counters["dropped: query for several things"] == 5000
    assert counters["lines of the log that nobody read"] > 0
    os.close(writing)
    os.close(reading)


def test_an_output_without_room_leaves_lines_out_and_says_how_many():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    output = Output(writing)
    for number in range(200):
        output.write(f"line {number} {'x' * 50}")
    assert os.get_blocking(writing)  # the descriptor that the parent shares is as it was
    found = os.read(reading, 65536).decode().splitlines()
    assert all(line.startswith("line ") and line.endswith("x") for line in found)
    assert 0 < len(found) == 200 - output.lost
    output.write("room again")
    assert os.read(reading, 65536).decode() == f"room again ({output.lost} lines before were not read)\n"
    output.close()
    os.close(reading)
    Output(writing).write("nobody is there")
    os.close(writing)
