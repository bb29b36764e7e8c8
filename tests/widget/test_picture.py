"""The picture of a live network, from made-up scenes: what it shows and says, also of hostile text."""

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from lq.widget import front, scene, shapes
from lq.widget.picture import FEW, FRESH, MOST_ARROWS, MOST_DRAWN, NARROWEST, WIDEST, draw
from tests.widget.scenes import message, view


def picture(told, note="", **more):
    """Return the picture as SVG, which is well-formed."""
    svg = shapes.svg(draw(scene.read(told), note, **more))
    ElementTree.fromstring(svg)
    return svg


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_it_has_the_drafts_figure_with_all_names_times_and_counts():
    shown = texts(picture(view()))
    for name in ("DHCP server", "CMTS", "relay agent", "modem1", "modem2", "host1", "host2"):
        assert any(name in text for text in shown)
    assert "12.4 s since the reboot" in shown
    assert "the new controller took over after 1.2 s" in shown
    assert "one shared cable: 2 modems, 3 hosts" in shown
    assert {"unknown: 0", "asking: 1", "located: 1", "refused: 1"} <= set(shown)
    assert "reached by probes: 1 of 3" in shown
    assert {"40 queries", "39 answers"} <= set(shown)
    shown = texts(picture(view(figure="dsl")))
    assert {"DSL access", "concentrator", "DSLAM: one circuit each, 2 modems, 3 hosts"} <= set(shown)


def test_queries_and_answers_are_arrows_the_newest_last():
    svg = picture(view())
    assert [int(key) for key in re.findall(r'data-key="(\d+)"', svg)] == list(range(2, 8))
    shown = [text for text in texts(svg) if re.match(r"\d+\.\d\d s ", text)]
    assert shown[:3] == ["10.00 s query: host2", "10.50 s UNKNOWN: host2", "11.00 s query: host3, try 2"]
    assert len(shown) == MOST_ARROWS
    arrows = [shape for shape in draw(scene.read(view())).shapes if getattr(shape, "key", None) is not None]
    assert [arrow.to_x > arrow.x for arrow in arrows] == [
        False,
        True,
    ] * 3  # queries to the server, on the left
    assert [arrow.opacity == 1 for arrow in arrows] == [False, False, True, True, True, True]


def test_each_of_two_servers_has_its_own_arrows_and_its_own_end():
    told = view(servers={"server": True, "server2": False})
    told["messages"] = [message(number, server=("server", "server2")[number % 2]) for number in range(12)]
    svg = picture(told)
    assert [int(key) for key in re.findall(r'data-key="(\d+)"', svg)] == [6, 8, 10, 7, 9, 11]
    assert "server2: down" in texts(svg)
    assert "server2 is down" in scene.words(scene.read(told))


@pytest.mark.parametrize(
    ("changes", "headline", "name"),
    [
        ({"concentrator": "down", "since": 0.84}, "CMTS: down, 0.8 s since the kill", "CMTS: down"),
        ({"concentrator": "starting"}, "CMTS: starting, 12.4 s since the kill", "CMTS: starting"),
        ({"concentrator": "down", "since": None}, "CMTS: down", "CMTS: down"),
        ({"rebooted": False, "outage": None}, "12.4 s since the start, no reboot yet", "CMTS"),
        ({"since": 3725.0}, "62 min 05 s since the reboot", "CMTS"),
    ],
)
def test_it_says_whether_the_concentrator_is_there_and_since_when(changes, headline, name):
    shown = texts(picture(view(**{"outage": None, **changes})))
    assert headline in shown
    assert name in shown


@pytest.mark.parametrize("width", [0, NARROWEST, 500, WIDEST, 5000])
@pytest.mark.parametrize("figure", ["cable", "dsl"])
@pytest.mark.parametrize(("modems", "each"), [(2, (1, 2)), (30, 4), (120, 1), (12, 10), (1, 120), (1, 0)])
def test_everything_is_on_the_sheet_and_nothing_on_top_of_another(figure, modems, each, width):
    drawing = draw(scene.read(view(modems, each, figure=figure)), "a note", width)
    assert NARROWEST <= drawing.width <= WIDEST
    boxes = [shape for shape in drawing.shapes if isinstance(shape, shapes.Box)]
    for box in boxes:
        assert box.x >= 0
        assert box.x + box.width <= drawing.width
        assert box.y + box.height <= drawing.height
    hosts = [box for box in boxes if box.title.startswith("host")]
    modem_boxes = [box for box in boxes if box.title.startswith("modem")]
    assert len(hosts) == (3 if each == (1, 2) else modems * each)
    assert len(modem_boxes) == modems
    for same_kind in (hosts, modem_boxes):
        for number, box in enumerate(same_kind):
            assert not any(overlap(box, other) for other in same_kind[:number])
    for host in hosts:
        assert sum(overlap(host, modem) for modem in modem_boxes) == 1


def overlap(one, other):
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def test_what_is_too_much_to_draw_is_counted():
    svg = picture(view(200, 2))
    assert svg.count("<title>host") == MOST_DRAWN
    assert "160 more hosts not drawn" in texts(svg)
    assert "one shared cable: 200 modems, 400 hosts" in texts(svg)
    assert len(svg) < 300_000


def test_hosts_that_are_not_nodes_stand_together():
    told = view(modems={})
    told["hosts"] = [(*host[:4], "") for host in told["hosts"]]
    assert {"hosts", "host2"} <= set(texts(picture(told)))


def test_in_words_states_are_counted_and_hosts_named():
    told = scene.read(view(30, 4))
    assert scene.words(told) == (
        "CMTS is up; server is up; 120 hosts: 30 unknown, 30 asking, 30 located, 30 refused; "
        "probes reach 30 of them."
    )
    assert "located: host2, host6, host10" in scene.details(told)
    assert "and others" in scene.details(told)
    assert len(scene.details(told)) < 1500
    assert scene.ranges(["host1", "host2", "host3", "host7", "x", "host9", "host10"]) == (
        "host1 to host3, host7, x, host9 to host10"
    )
    assert scene.ranges(["host9" * 9, "host²", "host³", "host99999999999"]).count("to") == 0
    svg = picture(view())
    (label,) = re.findall(r' aria-label="(.*?)"', svg)
    assert "3 hosts: 1 asking, 1 located, 1 refused" in label
    assert "refused: host3." in label


HOSTILE = [
    '<script>alert("1")</script>',
    '"><img src=x onerror=alert(1)>',
    "'/><svg onload=alert(1)>",
    "&lt;b&gt;",
    "]]><!--",
    "a\x00b\x1b[2J\u202e\ud800\ufffe",
    "$\\frac{1}{0}$",
    "x" * 100_000,
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_text_holds_stays_text(text):
    told = view(servers={text or "s": True}, modems={text: text}, name=text)
    told["hosts"] = [(text, text, "located", True, text), ("host2", None, text, False, text)]
    told["messages"] = [
        message(n, server=text or "s", about=text, reply=text if n % 2 else None) for n in range(4)
    ]
    svg = picture(told, note=text)
    allowed = {"svg", "title", "desc", "rect", "path", "polygon", "g", "text"}
    for element in ElementTree.fromstring(svg).iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in allowed
        assert not any(name.startswith("on") or "href" in name for name in element.attrib)
    assert len(svg) < 300_000
    image = Image.open(io.BytesIO(shapes.png(draw(scene.read(told), text))))
    assert image.width > 600


def test_the_png_shows_the_same_picture():
    drawing = draw(scene.read(view(30, 4)), "a note")
    octets = shapes.png(drawing)
    image = Image.open(io.BytesIO(octets)).convert("RGB")
    assert image.width / image.height == pytest.approx(drawing.width / drawing.height, rel=0.01)
    assert len(octets) < 100_000
    for box in drawing.shapes:
        if isinstance(box, shapes.Box) and box.title.startswith("host"):
            seen = image.getpixel((round((box.x + 4) * 1.6), round((box.y + 5) * 1.6)))
            wanted = tuple(bytes.fromhex(shapes.COLOURS[box.fill][1:]))
            assert sum(abs(a - b) for a, b in zip(seen, wanted, strict=True)) < 40


def test_the_page_about_it_has_the_right_numbers():
    page = " ".join(Path(__file__).parents[2].joinpath("docs/live-picture.md").read_text().split())
    assert f"Up to {FEW} hosts are drawn with name and address; up to {MOST_DRAWN} with their number" in page
    assert f"from {NARROWEST:.0f} to {WIDEST:.0f} pixels" in page
    assert f"bold for {FRESH} s" in page
    assert "the six newest" in page
    assert MOST_ARROWS == 6
    assert f"After {front.PATIENCE:.0f} s without any (or four intervals" in page
    few, many = (draw(scene.read(view(each=(1, hosts)))) for hosts in (FEW - 1, FEW))
    for drawing, shown in ((few, True), (many, False)):
        assert any(getattr(shape, "text", "") == "198.18.0.2" for shape in drawing.shapes) == shown
