"""`lq lab` works on copies: originals stay as they are, and so does what somebody has written."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lq import copies
from lq.errors import BadInput
from tests import support


@pytest.fixture
def originals(tmp_path):
    for name in (
        "01.ipynb",
        "02.ipynb",
        "solutions/01.ipynb",
        ".hidden",
        "runs/x",
        ".ipynb_checkpoints/01.ipynb",
    ):
        path = tmp_path / "originals" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"first {name}")
    return tmp_path / "originals"


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != copies.RECORD
    }


def test_the_first_time_all_is_copied(originals, tmp_path):
    folder = tmp_path / "a/b"
    assert copies.is_ours(folder)
    assert copies.fill(originals, folder) == [f"3 files copied into {folder}"]
    assert list(content(folder).values()) == [f"first {name}" for name in content(folder)]
    assert set(content(folder)) == {"01.ipynb", "02.ipynb", "solutions/01.ipynb"}
    assert copies.fill(originals, folder) == []
    assert copies.is_ours(folder)


def test_what_somebody_changed_is_left_and_the_new_version_is_put_beside(originals, tmp_path):
    folder = tmp_path / "work"
    copies.fill(originals, folder)
    (folder / "01.ipynb").write_text("mine")
    (folder / "notes.txt").write_text("mine, too")
    assert copies.fill(originals, folder) == []  # no new version, nothing to say
    for name in ("01.ipynb", "02.ipynb"):
        (originals / name).write_text(f"second {name}")
    assert copies.fill(originals, folder) == [
        "01.ipynb: yours is unchanged; the new version is 01.new.ipynb",
        "02.ipynb: replaced by the new version",
    ]
    assert content(folder) == {
        "01.ipynb": "mine",
        "01.new.ipynb": "second 01.ipynb",
        "02.ipynb": "second 02.ipynb",
        "solutions/01.ipynb": "first solutions/01.ipynb",
        "notes.txt": "mine, too",
    }
    assert copies.fill(originals, folder) == []
    (originals / "01.ipynb").write_text("third")
    assert copies.fill(originals, folder)[0].endswith("the new version is 01.new-2.ipynb")


def test_what_is_deleted_is_made_anew(originals, tmp_path):
    folder = tmp_path / "work"
    copies.fill(originals, folder)
    (folder / "01.ipynb").unlink()
    assert copies.fill(originals, folder) == [f"1 files copied into {folder}"]
    assert content(folder)["01.ipynb"] == "first 01.ipynb"


def test_odd_folders_are_left_alone_or_named(originals, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.ipynb").write_text("{}")
    assert not copies.is_ours(own)
    with pytest.raises(BadInput, match="cannot make /proc/none/here"):
        copies.fill(originals, Path("/proc/none/here"))
    folder = tmp_path / "work"
    copies.fill(originals, folder)
    (folder / "01.ipynb").unlink()
    (folder / "01.ipynb").symlink_to(own / "thesis.ipynb")
    os.mkfifo(folder / "pipe")
    (originals / "01.ipynb").write_text("second")
    assert copies.fill(originals, folder) == ["01.ipynb: yours is unchanged; the new version is 01.new.ipynb"]
    assert (own / "thesis.ipynb").read_text() == "{}"
    (folder / copies.RECORD).write_text("[")
    with pytest.raises(BadInput, match="is damaged"):
        copies.fill(originals, folder)


def tracked() -> str:
    notebooks = sorted((support.ROOT / "notebooks").rglob("*.ipynb"))
    return "".join(f"{path} {path.stat().st_mtime_ns} {path.stat().st_size}\n" for path in notebooks)


def patiently(ask):
    """JupyterLab names its address a moment before it listens there."""
    for _ in range(100):
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            return ask()
        time.sleep(0.1)
    return ask()


def test_saving_in_jupyterlab_changes_no_file_of_the_tree(tmp_path):
    """What JupyterLab does to save a notebook is done to the server that `lq lab` starts."""
    before = tracked()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(support.ROOT), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "lq", "lab", "--no-browser", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        while not (at := re.search(r"(http://127\.0\.0\.1:\d+)/lab\?token=(\w+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        url = f"{at[1]}/api/contents/02-reboot.ipynb?token={at[2]}"
        notebook = patiently(lambda: json.load(urllib.request.urlopen(url)))["content"]
        notebook["cells"][0]["source"] = "saved by itself"
        body = json.dumps({"type": "notebook", "content": notebook}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, method="PUT")) as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
    said = log.read_text()
    assert f"JupyterLab opens on {tmp_path / 'lq-notebooks'}" in said
    assert "saved by itself" in (tmp_path / "lq-notebooks/02-reboot.ipynb").read_text()
    assert tracked() == before


def test_the_originals_or_others_but_not_both():
    done = support.run([*support.LQ, "lab", "--edit", "somewhere"])
    assert done.returncode == 2
    assert "give only one of the two" in done.stderr
