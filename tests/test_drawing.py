"""The pictures hold what the topologies hold."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from lq import drawing
from lq.errors import BadInput
from topologies import plan
from topologies.cable import CableTopo
from topologies.dsl import DslTopo
from topologies.figure import hosts_behind_modems

TOPOLOGIES = {"cable": CableTopo, "dsl": DslTopo}
CONCENTRATORS = {
    "cable": ("DOCSIS CMTS", "or DVB INA", "(Relay Agent)"),
    "dsl": ("DSL Access", "Concentrator", "(Relay Agent)", "DSLAM"),
}


@pytest.fixture(params=TOPOLOGIES)
def topology(request) -> str:
    return request.param


def labels(tmp_path, topology, modems=None, hosts_per_modem=None) -> Counter[str]:
    """Draw as SVG; return its texts with how often each one occurs."""
    path = tmp_path / "network.svg"
    drawing.draw(topology, modems, hosts_per_modem, path)
    return Counter(element.text for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.requirement("R1-1")
@pytest.mark.requirement("R1-2")
def test_the_figure_of_the_draft(tmp_path, topology):
    found = labels(tmp_path, topology)
    assert {label for label in found if re.fullmatch(r"(Modem|Host)\d+", label)} == {
        "Modem1", "Modem2", "Host1", "Host2", "Host3",
    }  # fmt: skip
    for label in ("DHCP", "Server", *CONCENTRATORS[topology], str(plan.SERVER)):
        assert found[label] == 1, label
    assert found["circuit 1"] == found["circuit 2"] == 1


@pytest.mark.parametrize(("modems", "hosts"), [(None, None), (1, 1), (4, 2), (2, 3), (8, 1)])
def test_every_node_of_the_topology_is_there_once(tmp_path, topology, modems, hosts):
    found = labels(tmp_path, topology, modems, hosts)
    topo = TOPOLOGIES[topology](modems=modems, hosts_per_modem=hosts)
    nodes = [name for name in topo.nodes() if name.startswith(("host", "modem"))]
    for name in nodes:
        assert found[name.capitalize()] == 1, name
        assert found[topo.nodeInfo(name)["mac"]] == 1, name
    assert len([label for label in found if re.fullmatch(r"(Modem|Host)\d+", label)]) == len(nodes)


def test_hosts_hang_below_their_own_modem(topology):
    texts = drawing.picture(topology).axes[0].texts
    concentrator = CONCENTRATORS[topology][0]
    x = {text.get_text(): text.get_position()[0] for text in texts}
    y = {text.get_text(): text.get_position()[1] for text in texts}
    assert x["DHCP"] < x[concentrator] < x["Modem1"] < x["Modem2"]
    assert x["Host1"] == pytest.approx(x["Modem1"])
    assert (x["Host2"] + x["Host3"]) / 2 == pytest.approx(x["Modem2"])
    assert y[concentrator] > y["Modem1"] == y["Modem2"] > y["Host1"] == y["Host2"] == y["Host3"]


@pytest.mark.parametrize(("modems", "hosts"), [(20, 4), (1000, 250), (2, 100), (40, 1)])
def test_large_networks_leave_out_the_middle(tmp_path, topology, modems, hosts):
    found = labels(tmp_path, topology, modems, hosts)
    assert found["Modem1"] == found[f"Modem{modems}"] == 1
    assert found["Host1"] == found[f"Host{modems * hosts}"] == 1  # numbered as the topology does
    assert found[". . ."] > 1
    assert sum(label.startswith("Host") for label in found) <= drawing.MOST_COLUMNS
    total = f"{modems:,} modems, {modems * hosts:,} hosts"
    assert [number for label, number in found.items() if label.endswith(total)] == [1]
    assert drawing.picture(topology, modems, hosts).get_size_inches()[0] < 21


@pytest.mark.parametrize("size", [(None, None), (20, 4), (1000, 250), (8, 1), (1, 1)])
def test_no_text_leaves_the_picture_or_runs_into_another(topology, size):
    figure = drawing.picture(topology, *size)
    figure.draw_without_rendering()
    boxes = {text: text.get_window_extent() for text in figure.axes[0].texts}
    width, height = figure.bbox.size
    for text, box in boxes.items():
        assert 0 <= box.x0 < box.x1 <= width, text
        assert 0 <= box.y0 < box.y1 <= height, text
    texts = list(boxes)
    for number, one in enumerate(texts):
        for other in texts[number + 1 :]:
            a, b = boxes[one].shrunk(0.98, 0.8), boxes[other].shrunk(0.98, 0.8)
            apart = a.x1 < b.x0 or b.x1 < a.x0 or a.y1 < b.y0 or b.y1 < a.y0
            assert apart, (one, other)


def test_elision():
    assert drawing.elide(3, most=4, first=2) == [1, 2, 3]
    assert drawing.elide(9, most=4, first=2) == [1, 2, None, 9]
    assert sum(hosts_behind_modems(None, None)) == 3


def test_files_by_their_ending(tmp_path):
    png, svg = tmp_path / "a.png", tmp_path / "a.svg"
    drawing.draw("cable", None, None, png)
    drawing.draw("cable", None, None, svg)
    width, height = struct.unpack(">II", png.read_bytes()[16:24])
    assert width > 1000
    assert height > 400
    first = svg.read_bytes()
    drawing.draw("cable", None, None, svg)
    assert svg.read_bytes() == first


@pytest.mark.parametrize("name", ["a.gif", "a", "no/such/directory/a.png"])
def test_a_bad_file_is_one_line_with_the_fix(tmp_path, name):
    with pytest.raises(BadInput) as caught:
        drawing.draw("cable", None, None, tmp_path / name)
    assert re.search(r"ends in \.png or \.svg|--out", str(caught.value))
    assert "\n" not in str(caught.value)


def test_an_unknown_topology_gets_a_guess():
    with pytest.raises(BadInput, match="did you mean 'cable'"):
        drawing.picture("kable")


def test_the_committed_pictures_are_the_current_ones(tmp_path, topology):
    """README shows them."""
    path = tmp_path / f"{topology}.svg"
    drawing.draw(topology, None, None, path)
    committed = Path(drawing.__file__).parents[1] / "topologies" / path.name
    texts = [
        [element.text for element in ET.parse(each).iter("{http://www.w3.org/2000/svg}text")]
        for each in (path, committed)
    ]
    assert texts[0] == texts[1]
