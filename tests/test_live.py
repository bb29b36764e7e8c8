"""The live lab from Python: one network, everything that may be asked of it."""

import contextlib
import gc
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient
from scapy.layers.dhcp import BOOTP
from scapy.layers.inet import ICMP
from scapy.utils import rdpcap

from lq import Lab
from lq.emulation import bindings
from lq.errors import BadInput, RunFailed
from lq.live import connection
from lq.live.lab import _show
from lq.sandbox.tools import find
from lq.widget import snapshot
from tests import support
from tests.support import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab("cable", directory=tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@contextlib.contextmanager
def interrupted(when=lambda: time.sleep(0.3)):
    """Have what is within the `with` block interrupted as by Ctrl-C, once `when` returns."""
    main = threading.main_thread().ident

    def interrupt():
        when()
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    try:
        thread.start()
        yield
    except KeyboardInterrupt:
        thread.join()
    else:
        pytest.fail("it was over before it was interrupted")


def test_the_figure_is_up_with_leases_and_tables(lab):
    assert list(lab.hosts()["host"]) == ["host1", "host2", "host3"]
    assert set(lab.hosts()["state"]) == {"located"}
    assert set(lab.locations()["address"]) == set(lab.hosts()["address"]) == set(lab.bindings()["address"])
    assert set(lab.bindings()["state"]) == {"leased"}
    assert (lab.bindings()["expires_in"] > 3000).all()
    assert "cmts" in set(lab.nodes()["node"])
    for address in lab.hosts()["address"]:
        assert lab.flows()["match"].str.contains(rf"nw_dst={address}$").sum() == 1


def test_commands_run_on_nodes(lab):
    done = lab.run("host1", "echo out; echo err >&2; exit 3")
    assert (done.status, done.output, done.errors) == (3, "out\n", "err\n")
    assert lab.run("internet", f"ping -c1 -W2 {lab.hosts()['address'][0]}").status == 0
    with pytest.raises(RunFailed, match="did not end within"):
        lab.run("host1", "sleep 30", timeout=0.2)
    with pytest.raises(BadInput, match=r"^unknown node 'hots1': did you mean 'host1'\? \(nodes\(\) lists"):
        lab.run("hots1", "true")
    with pytest.raises(BadInput, match=r"^a command is a list: write it as one text"):
        lab.run("host1", ["ping", "host2"])
    for timeout in (0, -1, float("nan"), "5"):
        with pytest.raises(BadInput, match=r"^timeout is .*: use a number above 0$"):
            lab.run("host1", "true", timeout)


def test_what_a_command_prints_is_shown_as_it_comes_and_not_twice(lab, capsys):
    shown = []
    thread = threading.Thread(
        target=lambda: lab.run("host1", "echo first; sleep 1; echo second; echo no >&2")
    )
    thread.start()
    while thread.is_alive():
        shown.append(capsys.readouterr())
        time.sleep(0.05)
    thread.join()
    shown.append(capsys.readouterr())
    pieces = [part.out for part in shown if part.out]
    assert pieces == ["first\n", "second\n"]
    assert "".join(part.err for part in shown) == "no\n"
    done = lab.run("host1", "echo once; false")
    assert repr(done) == "exit status 1"
    assert repr(lab.run("host1", "echo quiet", show=False)) == "quiet"
    assert capsys.readouterr().out == "once\n"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", b"\x1b[1m\\xfc \\ufffd"), ("utf-8", "\x1b[1mü �".encode())]
)
def test_what_is_shown_is_written_as_the_stream_can(encoding, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    _show(stream, "\x1b[1mü �")
    assert stream.buffer.getvalue() == shown


def test_an_interrupted_command_is_killed_and_later_answers_are_right(lab, capsys):
    nodes, hosts = lab.nodes(), lab.hosts()
    for _ in range(3):
        with interrupted(lambda: wait_for(lambda: "icmp_seq=2" in capsys.readouterr().out)):
            lab.run("internet", "ping -i 0.2 host3")
        assert lab.nodes().equals(nodes)
        assert lab.hosts()[["host", "address"]].equals(hosts[["host", "address"]])
        assert lab.run("internet", "pgrep -x ping").output == ""
    with interrupted():
        lab.start("internet", "sleep 20").wait()
    assert lab.run("internet", "pgrep -x sleep").output != ""  # only the waiting was given up
    lab.run("internet", "pkill -x sleep")
    assert lab.running() == {"concentrator": True, "server": True}


def test_the_concentrator_reboots_in_the_midst_of_a_ping_which_counts_what_is_lost(lab):
    job = lab.start("internet", "ping -c 40 -i 0.2 -W 1 host3")
    wait_for(lambda: "icmp_seq=3" in job.output)
    lab.kill_concentrator()
    before = job.output.count("icmp_seq")
    assert job.running
    time.sleep(1)
    lab.reboot()
    assert lab.running() == {"concentrator": True, "server": True}
    done = job.wait(60)
    assert not job.running
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", done.output).groups())
    assert sent == 40
    assert 3 <= before < received <= 40 - 3  # at least what was sent in that second is lost
    assert done.output.count("bytes from") == received
    assert repr(done) == done.output.rstrip()
    assert job.stop() == job.wait() == done


def test_a_job_is_watched_and_stopped(lab):
    job = lab.start("host1", "while true; do echo line; sleep 0.1; done")
    wait_for(lambda: job.output.count("line") > 2)
    assert "runs\nline" in repr(job)
    with pytest.raises(RunFailed, match=r"on host1 goes on after 0\.2 s"):
        job.wait(0.2)
    done = job.stop()
    assert done.status == -signal.SIGKILL
    assert not job.running
    assert job.output == done.output
    assert "ended with exit status -9" in repr(job)
    with pytest.raises(BadInput, match="unknown node 'hots1'"):
        lab.start("hots1", "true")
    with pytest.raises(BadInput, match=r"^a command is b'true': write it as one text"):
        lab.start("host1", b"true")


def test_of_two_restarts_at_a_time_the_second_is_refused(lab):
    said = []

    def reboot():
        try:
            lab.reboot()
        except BadInput as error:
            said.append(str(error))

    threads = [threading.Thread(target=reboot) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said
    assert set(said) == {"a restart is under way: wait until it is over"}
    assert lab.running()["concentrator"]
    lab.reboot()


def test_a_command_cannot_write_the_machines_files(lab):
    for place in ("/etc", "/usr", "/root", "/var"):
        said = lab.run("host1", f"touch {place}/lq-test", show=False).errors
        assert "Read-only file system" in said or (place == "/root" and "Permission denied" in said)
        assert not os.path.exists(f"{place}/lq-test")
    assert lab.run("cmts", f"echo here >{lab.directory}/note && touch /tmp/lq-test", show=False).status == 0
    assert (lab.directory / "note").read_text() == "here\n"
    assert not os.path.exists("/tmp/lq-test")


def test_a_node_by_its_name(lab):
    host = lab["host1"]
    assert host.address == lab.hosts().set_index("host")["address"]["host1"]
    assert host.run("hostname -I; true").status == 0
    assert host.start("echo there").wait().output == "there\n"
    assert not hasattr(lab["internet"], "release")
    for wrong, near in (
        ("hots1", "did you mean 'host1'"),
        (1, 'such as "host1"'),
        ("x", "unknown node 'x' "),
    ):
        with pytest.raises(BadInput, match=near):
            lab[wrong]


def test_one_client_releases_and_leases_again_and_the_others_keep_their_addresses(lab):
    before = lab.hosts().set_index("host")["address"]
    host = lab["host2"]
    host.release()
    assert host.address is None
    host.release()  # harmless
    after = lab.hosts().set_index("host")["address"]
    assert after.drop("host2").equals(before.drop("host2"))
    assert after.isna()["host2"]
    wait_for(lambda: "released" in set(lab.bindings()["state"]))
    assert list(lab.bindings().set_index("address")["state"].drop(before["host2"])) == ["leased", "leased"]
    assert host.renew() == host.address == before["host2"]
    renewed = lab.packets()["type"].eq("DHCPACK").sum()
    assert host.renew() == before["host2"]  # now a renewal of a lease that it holds
    assert lab.packets()["type"].eq("DHCPACK").sum() == renewed + 1
    lab.kill_server()
    with pytest.raises(RunFailed, match=r"host2 got no acknowledgement within 0\.5 s"):
        host.renew(timeout=0.5)
    lab.start_server()


def test_captured_dhcp_is_a_table(lab):
    file = lab.start_capture("cmts", "cmts-relay")
    lab.reboot()
    assert lab.run("internet", "ping -c1 -W5 host1").status == 0
    wait_for(lambda: {"DHCPLEASEQUERY", "DHCPACTIVE"} <= set(lab.packets("cmts")["type"]))
    lab.stop_capture("cmts")
    seen = lab.packets("cmts")
    address = lab["host1"].address
    query = seen[(seen["type"] == "DHCPLEASEQUERY") & (seen["ciaddr"] == address)].iloc[0]
    answer = seen[(seen["type"] == "DHCPACTIVE") & (seen["xid"] == query["xid"])].iloc[0]
    assert (query["giaddr"], query["from"], query["to"]) == ("198.18.0.1", "198.18.0.1:67", "198.19.1.2:67")
    assert (answer["from"], answer["to"]) == (query["to"], query["from"])
    bound = lab.bindings().set_index("address").loc[address]
    for column in ("chaddr", "circuit_id", "remote_id"):
        assert answer[column] == bound[column]
    assert 0 < answer["lease_time"] <= 3600
    assert query["time"] < answer["time"] < time.time() - file.stat().st_ctime + seen["time"].max() + 60
    everywhere = lab.packets()
    assert set(everywhere["node"]) == {"server", "cmts"}
    assert everywhere["time"].is_monotonic_increasing
    assert {"DHCPDISCOVER", "DHCPOFFER", "DHCPREQUEST", "DHCPACK"} <= set(everywhere["type"])
    with pytest.raises(BadInput, match="host1 is not captured"):
        lab.packets("host1")
    with pytest.raises(BadInput, match="unknown node 'sever': did you mean 'server'"):
        lab.packets("sever")


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark, which reads as Wireshark does")
def test_the_line_for_wireshark_shows_what_passes_while_it_passes(lab, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    line = lab.wireshark("host3")
    assert repr(line) == line
    assert line.endswith("| wireshark -k -i -")
    reader = line.replace("wireshark -k -i -", "tshark -l -n -i - -Y icmp")
    with subprocess.Popen(reader, shell=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert lab.run("internet", "ping -c2 -i0.2 -W5 host3", show=False).status == 0
        assert b"Echo (ping) request" in process.stdout.readline()
        subprocess.run(["pkill", "-P", str(process.pid)], check=False)
    lab.stop_capture("host3")
    # Where there are a display and a Wireshark, it is opened: here by that name one that writes to a file.
    seen = tmp_path / "seen"
    program = tmp_path / "wireshark"
    program.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "-k -i -" ] && exec tshark -l -n -i - -c 1 >{seen} 2>&1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":0")
    lab.wireshark("host3")
    wait_for(seen.exists)
    lab.run("internet", "ping -c1 -W5 host3")
    wait_for(lambda: "198.18." in seen.read_text())
    lab.stop_capture("host3")


def documented_example():
    (example,) = re.findall(r"```python\n(from lq import Lab\n.*?)```", documented(), re.DOTALL)
    return example


def documented():
    return Path(__file__).parents[1].joinpath("docs/live-lab.md").read_text()


def test_every_node_with_an_address_is_known_by_its_name(lab):
    machines = Path("/etc/hosts").read_text()
    address = lab.hosts().set_index("host")["address"]
    done = lab.run("internet", "ping -c1 -W2 host1")
    assert done.status == 0
    assert f"host1 ({address['host1']})" in done.output
    assert lab.run("host2", "ping -c1 -W2 internet").status == 0
    for node in lab.nodes()["node"]:  # bridges, too, have a shell
        assert lab.run(node, "getent hosts host3").output.split() == [address["host3"], "host3"]
    for node in ("host1", "cmts"):  # no name server is asked, and none waited for
        assert lab.run(node, "cat /etc/resolv.conf").output == ""
        assert "nobody" in lab.run(node, "ping -c1 nobody", timeout=3).errors
    names = lab.run("cmts", "cat /etc/hosts").output
    assert {"server", "network", "cmts", "localhost"} <= set(names.split())
    assert "modem1" not in names
    assert Path("/etc/hosts").read_text() == machines


def test_a_reboot_forgets_and_probes_bring_everything_back(lab):
    lab.reboot()
    assert set(lab.hosts()["state"]) == {"unknown"}
    lab.start_probes(0.05)
    lab.wait_until_reached()
    assert set(lab.hosts()["state"]) == {"located"}
    with pytest.raises(BadInput, match="stop them first"):
        lab.start_probes()
    for most in (2, 1, 0, -1):
        assert len(lab.view(messages=most)["messages"]) == max(0, most)
    probes = lab.stop_probes()
    assert set(probes["host"]) == {"host1", "host2", "host3"}
    assert (probes["received"].dropna() >= probes["sent"][probes["received"].notna()]).all()
    with pytest.raises(BadInput, match="no probes"):
        lab.stop_probes()


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), "0.05", 1e-6])
def test_probes_that_no_memory_would_hold_are_refused(lab, interval):
    with pytest.raises(BadInput, match=r"use a number above 0|use an interval of at least 3e-05 s"):
        lab.start_probes(interval)


def test_of_a_concentrator_that_is_down_nothing_is_known(lab):
    lab.start_probes()
    lab.wait_until_reached()
    lab.stop_probes()
    assert "located: 3" in snapshot(lab)
    lab.kill_concentrator()
    assert lab.running() == {"concentrator": False, "server": True}
    assert set(lab.hosts()["state"]) == {"unknown"}
    assert lab.locations().empty
    assert lab.refused().empty
    assert lab.flows().empty
    assert "CMTS: down" in snapshot(lab)
    assert "unknown: 3" in snapshot(lab)
    lab.kill_concentrator()  # harmless
    lab.start_concentrator()
    assert lab.running() == {"concentrator": True, "server": True}


def test_a_concentrator_that_does_not_come_up_is_down(lab):
    lab.kill_concentrator()
    program = "import socket, time; s = socket.create_server(('127.0.0.1', 6653)); time.sleep(60)"
    other = lab.run("cmts", f'{sys.executable} -c "{program}" >/dev/null 2>&1 & echo $!').output.strip()
    try:
        wait_for(lambda: ":6653" in lab.run("cmts", "ss -Hltn").output)
        with pytest.raises(RunFailed, match="controller"):
            lab.start_concentrator()
        assert not lab.running()["concentrator"]
        assert "CMTS: down" in snapshot(lab)
    finally:
        lab.run("cmts", f"kill {other}")
    lab.reboot()
    assert lab.running()["concentrator"]
    assert "CMTS<" in snapshot(lab)


def test_an_interrupted_reboot_leaves_the_concentrator_down_and_says_so(lab):
    lab.kill_concentrator()
    program = "import socket, time; s = socket.create_server(('127.0.0.1', 6653)); time.sleep(60)"
    other = lab.start("cmts", f'{sys.executable} -c "{program}"')  # so that no controller can come up
    wait_for(lambda: ":6653" in lab.run("cmts", "ss -Hltn").output)
    with interrupted(lambda: wait_for(lambda: lab.running()["concentrator"])):
        lab.reboot()
    assert lab.running() == {"concentrator": False, "server": True}
    assert "CMTS: down" in snapshot(lab)
    other.stop()
    lab.reboot()
    assert lab.running() == {"concentrator": True, "server": True}


def test_what_was_probed_is_not_lost_when_its_collecting_is_interrupted(lab):
    lab.start_probes()
    time.sleep(0.5)
    with interrupted(lambda: time.sleep(0.1)):  # stopping waits 0.2 s for the last probes
        lab.stop_probes()
    assert len(lab.stop_probes()) > 10
    with pytest.raises(BadInput, match="no probes"):
        lab.stop_probes()


def test_what_runs_is_not_started_again_and_there_is_no_third_server(lab):
    with pytest.raises(BadInput, match="concentrator runs: kill it first"):
        lab.start_concentrator()
    with pytest.raises(BadInput, match="server runs: kill it first"):
        lab.start_server()
    for number in (0, 2, -1):
        with pytest.raises(BadInput, match=f"no server {number}"):
            lab.kill_server(number)
        with pytest.raises(BadInput, match=f"no server {number}"):
            lab.start_server(number)
    assert lab.running() == {"concentrator": True, "server": True}
    lab.kill_server()
    lab.kill_server()  # harmless
    assert not lab.running()["server"]
    assert "server is down" in snapshot(lab)
    lab.start_server()
    assert lab.running()["server"]


def test_a_scan_fills_the_negative_cache(lab):
    before = set(lab.refused()["address"])
    lab.start_attack("scan", "hit-list", rate=200, packets=6, addresses=["198.18.7.1", "198.18.7.2"])
    wait_for(lambda: {"198.18.7.1", "198.18.7.2"} <= set(lab.refused()["address"]))
    assert 2 <= lab.stop_attack()["packets"] <= 6
    assert set(lab.refused()["address"]) - before == {"198.18.7.1", "198.18.7.2"}
    assert (lab.refused()["ends_in"] > 0).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "flood"},
        {"pattern": "zigzag"},
        {"rate": 0},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"packets": "many"},
        {"pattern": "hit-list"},
        {"pattern": "hit-list", "addresses": ["198.18.7.1", "198.20.0.0"]},
        {"pattern": "hit-list", "addresses": ["198.18.7"]},
        {"node": "modem1"},
        {"node": "host1"},
        {"node": "nobody"},
        {"packets": 0},
    ],
)
def test_an_attack_that_makes_no_sense_is_refused(lab, wrong):
    with pytest.raises(BadInput):
        lab.start_attack(**wrong)


def test_a_capture_has_what_passed(lab):
    file = lab.start_capture("host2")
    address = lab.hosts().set_index("host")["address"]["host2"]
    assert lab.run("internet", f"ping -c1 -W2 {address}").status == 0
    lab.stop_capture("host2")
    assert sum(packet.haslayer(ICMP) for packet in rdpcap(str(file))) >= 2
    with pytest.raises(BadInput, match="not being captured"):
        lab.stop_capture("host2")


def test_at_a_bridge_the_interface_to_capture_at_is_named(lab):
    with pytest.raises(BadInput, match="cmts is a bridge: name one of its interfaces, cmts-eth1, cmts-relay"):
        lab.start_capture("cmts")
    with pytest.raises(BadInput, match=r"modem1 has no cmts-eth1: .* modem1-eth2"):
        lab.start_capture("modem1", "cmts-eth1")
    with pytest.raises(BadInput, match=r"host1 has no lo: .* host1-eth0"):
        lab.start_capture("host1", "lo")
    files = [lab.start_capture("cmts", "cmts-eth1"), lab.start_capture("cmts", "cmts-relay")]
    with pytest.raises(BadInput, match="cmts-eth1 is being captured"):
        lab.start_capture("cmts", "cmts-eth1")
    lab.reboot()
    assert lab.run("internet", "ping -c1 -W5 host2").status == 0
    lab.stop_capture("cmts")
    uplink, relay = (rdpcap(str(file)) for file in files)
    assert sum(packet.haslayer(ICMP) for packet in uplink) == 2
    assert sum(packet.haslayer(BOOTP) for packet in relay) >= 2  # a query and its answer
    assert not any(packet.haslayer(ICMP) for packet in relay)


def test_without_the_server_nothing_comes_back_until_it_does(lab):
    lab.kill_server()
    lab.reboot()
    lab.start_probes()
    wait_for(lambda: "asking" in set(lab.hosts()["state"]))
    assert "located" not in set(lab.hosts()["state"])
    lab.start_server()
    lab.wait_until_reached(60)
    lab.stop_probes()
    assert set(lab.hosts()["state"]) == {"located"}


def test_a_closed_lab_says_so_and_leaves_nothing():
    lab = Lab("cable", modems=1, hosts_per_modem=1)
    directory, keeper = lab.directory, lab._connection.pid
    table, network = lab.watch(), lab.widget()
    lab.close()
    lab.close()
    with pytest.raises(RunFailed, match="closed"):
        lab.hosts()
    assert table.front.ended == network.front.ended == "the lab is closed"
    assert not directory.exists()
    assert not os.path.exists(f"/proc/{keeper}")
    gc.collect()


def test_a_forked_process_has_nothing_of_the_lab_and_does_it_no_harm():
    lab = Lab("cable", modems=1, hosts_per_modem=1)
    directory, (end, ours) = lab.directory, os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with pytest.raises(RunFailed, match="another process's"):
                lab.hosts()
            lab.close()
            os.close(ours)
            os.read(end, 1)  # until the other one is done with the lab
        except BaseException:
            os._exit(1)
        os._exit(0)
    os.close(end)
    assert lab.run("host1", "echo here", show=False).output == "here\n"
    lab.close()  # and this does not wait for the child
    assert not directory.exists()
    assert os.waitpid(child, os.WNOHANG) == (0, 0)
    os.close(ours)
    assert os.waitpid(child, 0)[1] == 0


def test_a_lab_closes_whatever_goes_wrong_with_its_views_and_one_that_is_not_understood_ends(monkeypatch):
    lab = Lab("cable", modems=1, hosts_per_modem=1)
    directory, keeper = lab.directory, lab._connection.pid
    monkeypatch.setattr(connection, "PATIENCE", 0.1)
    lab._connection._lab.channel._socket.shutdown(socket.SHUT_RD)  # as after a line that makes no sense
    with pytest.raises(RunFailed, match="the lab ended"):
        lab.hosts()
    assert Path(f"/proc/{keeper}/status").exists() is False

    class Broken:
        def stop(self, why):
            raise OSError("no display")

    lab._connection.show("broken", Broken())
    with pytest.raises(OSError, match="no display"):
        lab.close()
    assert not directory.exists()


def test_whoever_asks_is_told_how_the_start_goes():
    told = []
    with Lab("cable", modems=1, hosts_per_modem=1, progress=lambda *news: told.append(news)):
        pass
    assert told[0] == ("network", 0, 1)
    assert told[-1] == ("leases", 1, 1)


def test_in_a_notebook_a_line_shows_how_the_start_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(support.ROOT))
    cells = ["from lq import Lab\nlab = Lab('cable', 1, 1)", "lab.close()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    (line,) = notebook.cells[0]["outputs"]
    assert re.fullmatch(r"lab: done after \d+\.\d s", line["data"]["text/plain"])
    assert not notebook.cells[1]["outputs"]
    assert not list(tmp_path.glob("runs/*"))


def test_every_release_reaches_the_server_and_captures_outlive_the_lab(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with Lab("cable", modems=4, hosts_per_modem=6) as lab:
        hosts = list(lab.hosts()["host"])
        assert len(hosts) == 24
        asked = [lab.start("cmts", f"kill -USR2 {client}") for client in clients(lab)]  # all at once
        for job in asked:
            job.wait()
        wait_for(lambda: lab.hosts()["address"].isna().all())
        wait_for(lambda: (lab.packets()["type"] == "DHCPRELEASE").sum() == 24)
        assert set(lab.bindings()["state"]) == {"released"}
        file = lab.start_capture("host1")
        assert lab["host1"].renew()
        lab.stop_capture("host1")
        seen = len(lab.packets("host1"))
        assert seen >= 2
    assert f"its captures are in runs/{lab.directory.name}\n" in capsys.readouterr().out
    assert sorted(path.name for path in lab.directory.iterdir()) == sorted([file.name, "server.pcap"])
    assert len(lab.packets("host1")) == seen
    assert (lab.packets()["type"] == "DHCPRELEASE").sum() == 24


def clients(lab):
    return lab.run("cmts", "pgrep -x udhcpc", show=False).output.split()


def test_a_cell_that_is_run_again_closes_the_former_lab_even_after_an_interrupt(
    tmp_path, monkeypatch, request
):
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell.instance()  # as in a notebook: it keeps the last error for a debugger
    request.addfinalizer(InteractiveShell.clear_instance)
    request.addfinalizer(lambda: shell.run_cell("lab.close()"))
    cell = "from lq import Lab\nlab = Lab('cable', 1, 1)"
    shell.run_cell(cell)
    keeper = shell.user_ns["lab"]._connection.pid
    main = threading.main_thread().ident
    threading.Timer(1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    assert isinstance(shell.run_cell("lab.run('host1', 'sleep 60')").error_in_exec, KeyboardInterrupt)
    shell.run_cell(cell)
    assert not os.path.exists(f"/proc/{keeper}")
    shell.run_cell("assert len(lab.hosts()) == 1").raise_error()


def test_a_lab_that_nothing_refers_to_is_closed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lab = Lab("cable", modems=1, hosts_per_modem=1)
    first, keeper, threads = weakref.ref(lab), lab._connection.pid, threading.active_count()
    view, table = lab.widget(every=0.1), lab.watch(every=0.1)
    job = lab.start("host1", "sleep 60")
    try:
        with interrupted():
            lab.run("host1", "sleep 60")
        raise RuntimeError("an error whose variables Python keeps")
    except RuntimeError as error:
        monkeypatch.setattr(sys, "last_traceback", error.__traceback__, raising=False)
    assert os.path.exists(f"/proc/{keeper}")
    lab = Lab("cable", modems=1, hosts_per_modem=1)  # as when a notebook's cell is run again
    wait_for(lambda: first() is None)  # a view that is being drawn holds it for a moment
    wait_for(lambda: not os.path.exists(f"/proc/{keeper}"))
    assert "the lab is closed" in repr(job)
    assert view.front.ended
    assert table.front.ended
    assert len(lab.hosts()) == 1
    assert len(list(tmp_path.glob("runs/live-*"))) == 1
    lab.close()
    assert not list(tmp_path.glob("runs/live-*"))
    wait_for(lambda: threading.active_count() <= threads - 2)


@pytest.mark.skipif(find("dhcpd") is None, reason="ISC dhcpd is not installed")
def test_two_servers_each_have_their_bindings_and_their_ends():
    with Lab("dsl", settings={"server.count": 2, "server.kind": "dhcpd"}) as lab:
        bound = lab.bindings()
        leased = bound[bound["state"] == "leased"]
        assert set(lab.hosts()["address"]) <= set(leased["address"])
        assert set(bound["server"]) <= {"server", "server2"}
        assert (leased["expires_in"] > 3000).all()
        assert leased["circuit_id"].notna().all()
        lab.kill_server(2)
        assert lab.running() == {"concentrator": True, "server": True, "server2": False}
        assert len(lab.bindings()) == len(bound)
        lab.start_server(2)
        assert lab.running()["server2"]


def test_the_bindings_of_a_server_whose_file_is_not_read_are_refused():
    with pytest.raises(BadInput, match="bindings of dnsmasq are not read"):
        bindings.rows(None, "dnsmasq")


def test_an_entry_that_dhcpd_has_not_finished_is_left_for_the_next_time(tmp_path):
    file = tmp_path / "leases"
    whole = "lease 198.18.0.16 {\n  ends 4 2099/01/01 00:00:00;\n  binding state active;\n}\n"
    for text, count in ((whole, 1), (whole + "lease 198.18.0.17 {\n  binding st", 1), ("lease 198", 0)):
        file.write_text(text)
        assert len(list(bindings._journal(file))) == count


def test_the_example_of_the_readme_shows_what_ping_printed_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell = InteractiveShell()
    result = cell.run_cell(documented_example())
    assert result.success
    assert "20 packets transmitted" in repr(result.result)
    lab = cell.user_ns["lab"]
    parts = (lab, lab["host1"], lab.start("host1", "true"))
    cells = re.findall(r"^\| (`.*?) \| ", documented(), re.MULTILINE)  # what further cells may be
    names = {name for cell in cells for name in re.findall(r"[`. ](\w+)\(", f" {cell}")}
    assert {"widget", "flows", "release", "wireshark"} <= names
    for name in names:
        assert any(hasattr(part, name) for part in parts), name
    lab.close()


def test_a_lab_that_cannot_be_is_refused_before_anything_starts():
    with pytest.raises(BadInput, match="modems"):
        Lab("cable", modems=0)
    for modems in (300, 1000, 5000):
        with pytest.raises(BadInput, match=r"topology\.population=true"):
            Lab(modems=modems)
    with pytest.raises(BadInput, match="65000 subscribers"):
        Lab(modems=65_000, hosts_per_modem=2, settings={"topology.population": True})
    with pytest.raises(BadInput, match="figure"):
        Lab("pigeon")
    with pytest.raises(BadInput, match="directory is 7: write its name"):
        Lab(directory=7)


def test_when_the_process_dies_the_lab_dies():
    program = (
        "import sys, time\nfrom lq import Lab\nlab = Lab('cable', modems=1, hosts_per_modem=1)\n"
        "print(lab._connection.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        keeper = int(process.stdout.readline())
        assert os.path.exists(f"/proc/{keeper}")
        process.kill()
    wait_for(lambda: not os.path.exists(f"/proc/{keeper}"))
