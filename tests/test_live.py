"""The live lab from Python: one network, everything that may be asked of it."""

import gc
import os
import re
import subprocess
import sys
import time

import pytest
from scapy.layers.inet import ICMP
from scapy.utils import rdpcap

from lq import Lab
from lq.errors import BadInput, RunFailed
from lq.widget import HostState, picture

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab():
    with Lab("cable") as lab:
        yield lab


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
    with pytest.raises(BadInput, match=r"no node .hots1..*host1"):
        lab.run("hots1", "true")


def test_a_reboot_forgets_and_probes_bring_everything_back(lab):
    lab.reboot()
    assert set(lab.hosts()["state"]) == {"unknown"}
    lab.start_probes(0.05)
    lab.wait_until_reached()
    assert set(lab.hosts()["state"]) == {"located"}
    with pytest.raises(BadInput, match="stop them first"):
        lab.start_probes()
    probes = lab.stop_probes()
    assert set(probes["host"]) == {"host1", "host2", "host3"}
    assert (probes["received"].dropna() >= probes["sent"][probes["received"].notna()]).all()
    with pytest.raises(BadInput, match="no probes"):
        lab.stop_probes()


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
        {"pattern": "hit-list"},
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


def test_the_widget_shows_every_host_and_reboots(lab):
    widget = lab.widget(every=0.1)
    bundle = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    for host in ("host1", "host2", "host3"):
        assert f">{host}</text>" in bundle["image/svg+xml"]
    assert "needs a running notebook" in bundle["text/plain"]
    widget._button.click()
    wait_for(lambda: "unknown: 3" in widget._view.value)
    wait_for(lambda: "holds the switch" in widget._message.value)
    assert not widget._button.disabled
    widget.stop()


def test_without_ipywidgets_a_still_picture_says_so(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    bundle = lab.widget()._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert "needs a running notebook with ipywidgets" in bundle["image/svg+xml"]


def test_the_picture_counts_all_hosts_and_draws_the_first():
    hosts = [HostState(f"h{n}", None, "located" if n % 2 else "unknown", False) for n in range(100)]
    svg = picture("dsl", hosts, up=False)
    assert "located: 50" in svg
    assert "unknown: 50" in svg
    assert svg.count("<title>") == 64
    assert "36 more hosts" in svg
    assert "access concentrator: down" in svg
    assert re.search(r">h63<", svg)


def test_a_closed_lab_says_so_and_leaves_nothing():
    lab = Lab("cable", modems=1, hosts_per_modem=1)
    directory, keeper = lab.directory, lab._lab.pid
    lab.close()
    lab.close()
    with pytest.raises(RunFailed, match="closed"):
        lab.hosts()
    assert not directory.exists()
    assert not os.path.exists(f"/proc/{keeper}")
    gc.collect()


def test_a_lab_that_cannot_be_is_refused_before_anything_starts():
    with pytest.raises(BadInput, match="modems"):
        Lab("cable", modems=0)
    with pytest.raises(BadInput, match="figure"):
        Lab("pigeon")


def test_when_the_process_dies_the_lab_dies():
    program = (
        "import sys, time\nfrom lq import Lab\nlab = Lab('cable', modems=1, hosts_per_modem=1)\n"
        "print(lab._lab.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        keeper = int(process.stdout.readline())
        assert os.path.exists(f"/proc/{keeper}")
        process.kill()
    wait_for(lambda: not os.path.exists(f"/proc/{keeper}"))
