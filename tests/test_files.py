"""Files that others made: pipes, devices and links neither hang, nor fill the memory, nor lead away."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import stat
import threading

import pytest

from lq import files
from lq.errors import MOST_SHOWN, BadInput, one_line, shown
from lq.files import Tree


@pytest.fixture
def odd(tmp_path):
    """A directory of names that stand for no file."""
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("missing")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
    (tmp_path / "zero").symlink_to("/dev/zero")
    return tmp_path


ODD = {
    "directory": "a directory",
    "pipe": "a pipe",
    "socket": "No such device",
    "zero": "a device",
    "loop": "symbolic links",
    "nowhere": "No such file",
    "missing": "No such file",
    "n" * 300: "too long",
    "a\0b": "no file can have this name",
    "\ud800": "no file can have this name",
    "\udcff\n": "No such file",
}


@pytest.mark.parametrize(("name", "words"), ODD.items(), ids=[ascii(name)[:12] for name in ODD])
def test_what_is_no_file_is_said_in_one_line(odd, name, words):
    for reading in (files.read, files.read_object):
        with pytest.raises(BadInput, match=words) as caught:
            reading(f"{odd}/{name}", 100)
        assert str(caught.value).isprintable()


def test_a_file_of_proc_that_tells_no_size_is_bounded_too():
    assert files.read("/proc/self/stat", 4096).startswith(b"%d " % os.getpid())
    with pytest.raises(BadInput, match="larger than 10 octets"):
        files.read("/proc/self/stat", 10)


def test_the_bound_is_inclusive(tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    assert files.read(tmp_path / "f", 5) == b"12345"
    with pytest.raises(BadInput, match="larger than 4 octets"):
        files.read(tmp_path / "f", 4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b'{"a": ', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "no JSON object"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_damaged_json(tmp_path, content, words):
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words) as caught:
        files.read_object(path, 2_000_000)
    assert "some.json is damaged" in str(caught.value)


@pytest.fixture
def outside(tmp_path):
    """What lies elsewhere and is to stay as it is, and a directory with links to it."""
    precious = tmp_path / "outside"
    (precious / "0001-1").mkdir(parents=True)
    (precious / "file").write_text("precious")
    (precious / "0001-1/file").write_text("precious")
    base = tmp_path / "base"
    base.mkdir()
    yield base, precious
    assert sorted(path.name for path in precious.rglob("*")) == ["0001-1", "file", "file"]
    assert (precious / "file").read_text() == (precious / "0001-1/file").read_text() == "precious"


def test_nothing_is_written_or_removed_through_a_link_to_a_directory(outside):
    base, precious = outside
    (base / "runs").symlink_to(precious)
    tree = Tree(base)
    (base / "own").mkdir()
    for attempt in (
        lambda: tree.remove("runs/0001-1"),
        lambda: tree.remove("runs/file"),
        lambda: tree.write("runs/file", b"x"),
        lambda: tree.write("runs/0001-1/new", b"x"),
        lambda: tree.make("runs"),
        lambda: tree.make("runs/new"),
        lambda: tree.move("own", "runs/own"),
        lambda: tree.move("runs/0001-1", "own/0001-1"),
    ):
        with pytest.raises(BadInput, match="runs is a link, and nothing is written through links"):
            attempt()
    assert sorted(path.name for path in base.iterdir()) == ["own", "runs"]


def test_a_link_itself_is_replaced_removed_and_moved(outside):
    base, precious = outside
    for name in ("a", "b", "c"):
        (base / name).symlink_to(precious / "file")
    (base / "d").symlink_to(precious)
    tree = Tree(base)
    tree.write("a", b"new")
    assert not (base / "a").is_symlink()
    assert (base / "a").read_bytes() == b"new"
    tree.remove("b")
    tree.move("c", "deep/down/c")
    tree.remove("d")
    assert sorted(path.name for path in base.iterdir()) == ["a", "deep"]
    tree.remove("deep")  # with the link in it
    tree.remove("deep")  # and if it is gone already
    files.write(base / "e", b"by its own name")
    assert (base / "e").read_bytes() == b"by its own name"


def test_the_directory_itself_may_be_reached_by_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert Tree(tmp_path / "link").write("a/b", b"x").read_bytes() == b"x"
    assert (tmp_path / "real/a/b").exists()


@pytest.mark.parametrize("name", ["directory", "pipe", "zero"])
def test_what_is_no_file_is_not_replaced_by_one(odd, name):
    kind = (odd / name).stat().st_mode
    with pytest.raises(BadInput, match=f"{name}: it is a"):
        files.write(odd / name, b"x")
    assert stat.S_IFMT((odd / name).stat().st_mode) == stat.S_IFMT(kind)
    assert not list(odd.glob(".*.part"))


@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "\ud800", "missing/deep/f"])
def test_what_cannot_be_written_is_said_in_one_line(tmp_path, name):
    with pytest.raises(BadInput, match="cannot write") as caught:
        files.write(tmp_path / name, b"x")
    assert str(caught.value).isprintable()


def test_a_link_put_there_at_the_wrong_moment_leads_nowhere(outside):
    """Somebody swaps a directory for a link and back, as fast as they can, while files come and go in it."""
    base, precious = outside
    tree, over = Tree(base), threading.Event()
    done = {"written": 0, "refused": 0}

    def swap():
        for number in itertools.count():
            if over.is_set():
                return
            for step in (
                lambda number=number: os.rename(base / "runs", base / f"old{number}"),
                lambda: os.symlink(precious, base / "runs"),
                lambda: os.unlink(base / "runs"),
            ):
                with contextlib.suppress(OSError):
                    step()

    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    for number in range(1500):
        for attempt in (
            lambda: tree.write("runs/file", b"changed"),
            lambda: tree.write("runs/0001-1/file", b"changed"),
            lambda number=number: tree.make(f"runs/new{number % 3}"),
            lambda: tree.remove("runs/0001-1"),
            lambda: tree.remove("runs/file"),
        ):
            try:
                attempt()
                done["written"] += 1
            except (BadInput, OSError):
                done["refused"] += 1
    over.set()
    thread.join()
    assert all(done.values()), done


@pytest.mark.parametrize(
    "text", ["two\nlines", "\x1b[31mred", "\udcff", "x" * 10**6, "a\0b", "\u202eevil", "\x9b31m"]
)
def test_an_error_is_one_line_that_a_terminal_can_show(text):
    for line in (str(BadInput(text)), one_line(text)):
        assert line.isprintable()
        assert len(line) < MOST_SHOWN + 50


def test_a_value_is_shown_short():
    for value in ("x" * 10**6, 10**5000, list(range(10**6)), {"a": "b" * 10**6}, b"x" * 10**6, object()):
        assert len(shown(value)) < 100
