"""What refreshes in a notebook, with a real lab and IPython's own display."""

import gc
import os
import signal
import sys
import threading
import weakref

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from lq import Lab
from lq.errors import BadInput
from lq.widget import front
from tests.support import wait_for

pytestmark = pytest.mark.lab
STILL = "a still picture, of "


@pytest.fixture(scope="module")
def lab():
    with Lab("cable") as lab:
        yield lab


@pytest.fixture(autouse=True, scope="module")
def shell():
    InteractiveShell.instance()
    yield
    InteractiveShell.clear_instance()


def displayed(view):
    """Show a view as a cell does; return what it showed, by MIME type, one after the other."""
    with capture_output() as captured:
        view._ipython_display_()
    return [output.data for output in captured.outputs]


def press(view):
    view.front._handle_custom_msg({"press": True}, [])


def test_a_cell_shows_a_still_picture_and_the_live_view_beside_it(lab):
    widget = lab.widget(every=60)
    beside, still, live = displayed(widget)
    assert set(beside) == {"text/html"}
    assert set(still) == {"image/svg+xml", "image/png", "text/plain"}
    assert set(live) == {"application/vnd.jupyter.widget-view+json"}
    for host in ("host1", "host2", "host3"):
        assert f">{host}</text>" in still["image/svg+xml"]
        assert f">{host}</text>" in widget.front.content
    assert STILL in still["image/svg+xml"]
    assert STILL not in widget.front.content
    assert "CMTS is up; server is up; 3 hosts: 3 located" in still["text/plain"]
    widget.stop()


def test_the_button_reboots_and_the_still_picture_follows_once_all_is_quiet(lab):
    lab.start_probes(0.05)
    lab.wait_until_reached()
    widget = lab.widget(every=0.1)
    try:
        with capture_output() as captured:
            widget._ipython_display_()
            press(widget)
            assert widget.front.busy
            press(widget)  # once is enough
            wait_for(lambda: "holds the switch" in widget.front.message)
            assert not widget.front.busy
            lab.wait_until_reached()
            wait_for(lambda: "probes reach 3" in captured.outputs[-1].data.get("text/plain", ""))
        assert "since the reboot" in captured.outputs[-1].data["image/svg+xml"]
        assert "probes reach 3" in widget.front.spoken
        assert len(captured.outputs) < 20  # not one for each look
    finally:
        widget.stop()
        lab.stop_probes()


def test_the_page_can_ask_for_nothing_but_the_button(lab):
    widget = lab.widget(every=60)
    for message in ({"press": False}, {"press": True, "more": 1}, [], "press", None, {"do": "close"}):
        widget.front._handle_custom_msg(message, [])
    assert not widget.front.busy
    widget.front.width = 10**9
    widget.refresh()
    assert 'viewBox="0 0 760 ' in widget.front.content
    widget.front.width = -5
    widget.refresh()
    assert 'viewBox="0 0 340 ' in widget.front.content
    widget.stop()


def test_without_widgets_a_still_picture_says_so(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    front._kind.cache_clear()
    threads = threading.active_count()
    for view, kinds in ((lab.widget(), 3), (lab.watch("bindings"), 2)):
        (still,) = displayed(view)
        assert len(still) == kinds
        assert "needs a running kernel and ipywidgets" in still["text/plain"]
        assert threading.active_count() == threads
        view.refresh()
        view.stop()
    assert lab.hosts()["address"][0] in still["text/html"]
    assert "a still table" in still["text/html"]


def test_a_kill_from_a_cell_shows_at_once_and_another_picture_takes_its_place(lab):
    first = lab.widget(every=60)
    with capture_output() as captured:
        first._ipython_display_()
        lab.kill_concentrator()
        assert "CMTS: down" in first.front.content
        second = lab.widget(every=60)
        lab.start_concentrator()
    assert ">CMTS</text>" in second.front.content
    assert "CMTS: down" in first.front.content
    assert "shown anew" in first.front.ended
    assert "shown anew elsewhere" in captured.outputs[-1].data["image/svg+xml"]  # what is saved says so, too
    second.stop()


def test_a_table_that_is_watched_refreshes(lab):
    lab.reboot()
    table = lab.watch("hosts", every=0.05)
    assert table.front.button == ""
    assert table.front.content.count("unknown") == 3
    assert lab.run("internet", "ping -c1 -W5 host1").status == 0
    wait_for(lambda: "located" in table.front.content)
    assert table.front.content.count("unknown") == 2
    for what in ("locations", "refused", "bindings", "flows"):
        view = lab.watch(what, every=60)
        for column in getattr(lab, what)().columns:
            assert f"<th>{column}</th>" in view.front.content
        view.stop()
    table.stop("enough")
    beats = table.front.beat
    table.refresh()
    assert (table.front.ended, table.front.beat) == ("enough", beats)
    with pytest.raises(BadInput, match=r"leases.*use one of hosts"):
        lab.watch("leases")
    with pytest.raises(BadInput, match="above 0"):
        lab.watch(every=0)


def test_ended_views_are_kept_on_the_page_only_so_many(lab):
    views = [lab.watch("hosts", every=60) for _ in range(front.MOST_ENDED + 4)]
    views[-1].stop()
    assert len(front._ended) == front.MOST_ENDED
    assert all(view.front.comm is None for view in views[:3])
    assert views[-1].front.comm is not None


def test_a_lab_that_has_died_makes_no_news_and_a_view_keeps_no_lab():
    threads = set(threading.enumerate())
    lab = Lab("cable", modems=1, hosts_per_modem=1)
    lab.start_probes()
    widget = lab.widget(every=0.05)
    shown, there = widget.front, weakref.ref(widget)
    os.kill(lab._connection.pid, signal.SIGKILL)
    wait_for(lambda: "the lab ended" in shown.notice)
    beats = shown.beat
    widget.refresh()
    assert shown.beat == beats  # so the page calls itself old, and the button is dead
    with capture_output() as captured:
        widget._ipython_display_()
        gone = weakref.ref(lab)
        del lab
        wait_for(lambda: gone() is None)
        wait_for(lambda: shown.ended == "the lab is closed")
        wait_for(lambda: "the lab is closed; a still picture" in captured.outputs[-1].data["text/plain"])
    del widget
    gc.collect()
    assert there() is None
    wait_for(lambda: set(threading.enumerate()) <= threads)
    assert shown.ended
