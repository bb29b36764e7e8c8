"""The table of requirements against the sources: each row has code and a test, or says why not."""

from __future__ import annotations

import pytest

from lq.conformance import rows as server
from lq.requirements import document, rows
from tests.support import ROOT

CODE, TESTS = document.carried_out(ROOT), document.shown(ROOT)


def test_every_row_is_there_once():
    identifiers = [row.id for row in rows.ROWS]
    assert len(identifiers) == len(set(identifiers)) == 75
    assert {row.id for row in server.ROWS} < set(identifiers)
    assert {row.level for row in rows.ROWS} == {"MUST", "MUST NOT", "SHOULD", "MAY", "FACT"}


@pytest.mark.parametrize("row", rows.ROWS, ids=lambda row: row.id)
def test_a_row_has_code_and_a_test_or_says_why_not(row):
    if row.missing:
        assert row.id not in CODE, "it says that it is not carried out"
    else:
        assert CODE.get(row.id), "no code names it in a docstring or comment"
        assert TESTS.get(row.id), "no test has its mark"


def test_nothing_names_a_row_that_there_is_not():
    known = {row.id for row in rows.ROWS}
    assert set(CODE) <= known
    assert set(TESTS) <= known


def test_every_row_has_a_line_of_the_page():
    text = document.page(ROOT)
    for row in rows.ROWS:
        assert text.count(f"\n| {row.id}<br>") == 1


def test_the_page_is_the_current_one():
    """If not, `python -m lq.requirements` makes it anew."""
    assert (ROOT / document.PAGE).read_text() == document.page(ROOT)


def test_what_is_found(tmp_path):
    """A range stands for all in it, a longer number for itself; only marks count as a test."""
    for name, text in {
        "lq/a.py": '"""As R6.4.2-3 to -5 have it."""\nR6 = "R1-10"',
        "lq/conformance/b.py": "# R5-2",
        "tests/c.py": 'x = pytest.mark.requirement("R1-1")\n# R5-2\nm.requirement(\n"R1-2")\ny = "R5-3"',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert document.carried_out(tmp_path) == {
        identifier: ["lq/a.py"] for identifier in ("R6.4.2-3", "R6.4.2-4", "R6.4.2-5", "R1-10")
    }
    assert document.shown(tmp_path) == {"R1-1": ["tests/c.py"], "R1-2": ["tests/c.py"]}
