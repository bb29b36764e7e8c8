"""The documentation's site (`make docs`): every page, no dead link, nothing fetched from elsewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

from tests.support import ROOT

PARTS = ("docs", "notebooks")
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?(?:https?:)?//"""
)
needs_sphinx = pytest.mark.skipif(
    importlib.util.find_spec("sphinx") is None, reason="`make docs` installs what makes the site"
)


def settings():
    spec = importlib.util.spec_from_file_location("site_settings", ROOT / "docs/conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(source, out):
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    command += ["-c", str(ROOT / "docs"), str(source), str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_page_is_in_the_navigation_once():
    pages = [page for pages in settings().pages(ROOT).values() for page in pages]
    found = {
        str(path.relative_to(ROOT).with_suffix(""))
        for path in [*ROOT.glob("*.md"), *(path for part in PARTS for path in (ROOT / part).rglob("*.md"))]
    }
    found |= {str(path.relative_to(ROOT).with_suffix("")) for path in (ROOT / "notebooks").rglob("*.ipynb")}
    found = {page for page in found if ".ipynb_checkpoints" not in page}
    assert sorted(pages) == sorted(found - {"README"})


@needs_sphinx
def test_the_site_is_made_without_a_complaint_and_fetches_nothing(tmp_path):
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        if "_downloads" not in page.parts:
            assert not FETCHED.search(page.read_text()), page
    for style in tmp_path.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import\s+[\"']?https?:", style.read_text()), style
    assert "Lab.reboot" in (tmp_path / "docs/api.html").read_text()
    assert "leasequeri" in (tmp_path / "searchindex.js").read_text()  # a word's stem, as the index has it


@needs_sphinx
def test_a_dead_link_and_a_dead_anchor_are_complaints(tmp_path):
    (tmp_path / "tree/docs").mkdir(parents=True)
    (tmp_path / "tree/README.md").write_text("# A\n\n[b](docs/b.md), [c](docs/c.md), [d](docs/b.md#d)\n")
    (tmp_path / "tree/docs/b.md").write_text("# B\n")
    done = build(tmp_path / "tree", tmp_path / "out")
    assert done.returncode != 0
    assert re.search(r"not found: 'docs/c.md'", done.stderr)
    assert re.search(r"'d'", done.stderr)
    assert "docs/b.md'" not in done.stderr


def test_what_would_be_fetched_is_noticed():
    for text in ('<script async src="https://x/a.js">', '<link rel="stylesheet" href="//x/a.css">'):
        assert FETCHED.search(text)
    assert not FETCHED.search('<a href="https://x/">x</a><script src="_static/a.js"></script>')
