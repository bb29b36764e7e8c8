"""Reports: for the terminal, for programs, for the web."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from lq.conformance.report import Judged, as_html, as_json, exit_status, markdown, text, write
from lq.conformance.suite import RowResult
from lq.errors import BadInput

PASSED = RowResult("R6.4-4", "MUST", "pass", "query by IP 198.18.1.1 -> ACTIVE 198.18.1.1")
FAILED = RowResult("R6.4.2-7", "MUST", "fail", "option 82 is <cut> | short. Seen: nothing")
SHOULD = RowResult("R6.4.2-8", "SHOULD", "fail", "option 15 is not there")
OPEN = RowResult("R7-1", "SHOULD", "not applicable", "needs keys")
ONE = [Judged("198.18.0.2", "rfc4388", [PASSED, FAILED, SHOULD, OPEN])]
TWO = [
    *ONE,
    Judged("builtin", "draft-03", [PASSED, RowResult("R6.4.2-7", "MUST", "pass", "fine"), OPEN], "lq 9"),
]


class Page(HTMLParser):
    """Checks that every element is closed, and collects the text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.words = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_one_line_for_each_row():
    lines = text(ONE).splitlines()
    assert lines[0] == f"R6.4-4    MUST      pass  {PASSED.evidence}"
    assert lines[1] == f"R6.4.2-7  MUST      fail  {FAILED.evidence}"
    assert lines[3] == "R7-1      SHOULD    n/a   needs keys"
    assert "1 passed, 2 failed (1 of them MUST), 1 not applicable" in lines[-1]
    assert text(ONE, width=40).splitlines()[1] == lines[1][:40]


def test_servers_stand_side_by_side():
    lines = text(TWO).splitlines()
    assert lines[0].split() == ["198.18.0.2,", "rfc4388", "builtin,", "draft-03"]
    assert lines[2].split() == ["R6.4.2-7", "MUST", "fail", "pass"]
    assert lines[3].split() == ["R6.4.2-8", "SHOULD", "fail", "-"]
    assert f"R6.4.2-7  MUST      fail  {FAILED.evidence}" in lines


def test_json_is_a_list_of_results():
    assert json.loads(as_json(ONE))[1] == {
        "id": "R6.4.2-7", "level": "MUST", "verdict": "fail", "evidence": FAILED.evidence,
    }  # fmt: skip
    assert {(each["server"], each["dialect"]) for each in json.loads(as_json(TWO))} == {
        ("198.18.0.2", "rfc4388"),
        ("builtin", "draft-03"),
    }


def test_a_failed_must_decides_the_exit_status():
    assert exit_status(ONE) == exit_status(TWO) == 1
    assert exit_status([Judged("x", "rfc4388", [PASSED, SHOULD, OPEN])]) == 0
    must_not = RowResult("R6.4.3-2", "MUST NOT", "fail", "")
    assert exit_status([Judged("x", "rfc4388", [must_not])]) == 1


@pytest.mark.parametrize("judged", [ONE, TWO], ids=["one", "two"])
def test_the_report_has_table_failures_and_differences(judged):
    page = Page(as_html(judged))
    words = "".join(page.words)
    marks = markdown(judged)
    for said in (words, marks.replace("\\|", "|")):
        assert FAILED.evidence in said
        assert PASSED.evidence in said
        assert "Where 198.18.0.2, rfc4388 departs from the rules" in said
        assert "In RFC 4388 they are in option 92" not in said  # a row that was not judged
        assert ("Where they differ" in said) == (len(judged) > 1)
        assert ("builtin, draft-03 (lq 9): 2 passed" in said) == (len(judged) > 1)
    assert marks.startswith("# ")
    assert "| R6.4.2-7 | MUST | " in marks


def test_the_files_ending_says_the_form(tmp_path):
    write(ONE, tmp_path / "report.html")
    write(ONE, tmp_path / "report.md")
    assert (tmp_path / "report.html").read_text() == as_html(ONE)
    assert (tmp_path / "report.md").read_text() == markdown(ONE)
    for path in (tmp_path / "report.pdf", tmp_path / "nowhere" / "report.md"):
        with pytest.raises(BadInput, match="report"):
            write(ONE, path)
